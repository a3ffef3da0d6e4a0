"""Pictures that lie under two samples: the same bytes, whatever they are called. Found without reading every frame."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from preprocess.samples.clip import Clip
from preprocess.samples.frames import VIDEO_ENDINGS

# So many bytes from a file's middle tell pictures of one size apart, but for copies; raw formats have one size only.
CORE = 4096
# All frames are compared where there are no more than these; else key frames, so that no database takes minutes.
EVERY = 5000
# So many samples and groups are named.
NAMED, SHOWN = 3, 10


@dataclass(frozen=True)
class Copies:
    """Samples that hold one and the same picture.

    Attributes
    ----------
    sample_ids : two or more, sorted.
    files : of each, where the picture lies; of several pictures, the first.
    pictures : how many pictures they have in common.
    """

    sample_ids: tuple[str, ...]
    files: tuple[Path, ...]
    pictures: int = 1

    def __str__(self) -> str:
        pairs = [f"{name} ({file})" for name, file in zip(self.sample_ids, self.files, strict=True)]
        more = f" and {len(pairs) - NAMED} more" if len(pairs) > NAMED else ""
        common = f", {self.pictures} pictures" if self.pictures > 1 else ""
        return f"{' = '.join(pairs[:NAMED])}{more}{common}"


def find_copies(pictures: Mapping[str, Sequence[Path]]) -> list[Copies]:
    """Return the pictures that lie under several samples, each group of samples once.

    Files are compared by size, those of one size by some bytes from their middle, and by all bytes where these are
    equal. A file that several samples share, such as a frame of a long recording, is no copy; nor is a picture of one
    colour, which shows nobody.

    Parameters
    ----------
    pictures : sample id -> the files to compare: those of clips (``compared``), or other pictures.
    """
    owners: dict[Path, set[str]] = defaultdict(set)
    for sample_id, files in pictures.items():
        for file in files:
            owners[file].add(sample_id)
    groups = [list(owners)]
    for tell in (_size, _core, _content):
        groups = [same for group in groups for same in _alike(group, tell)]
    found: dict[tuple[str, ...], Copies] = {}
    for group in groups:
        of_sample = {name: file for file in reversed(group) for name in sorted(owners[file])}
        names = tuple(sorted(of_sample))
        if len(names) > 1 and (names in found or _shows_something(group[0])):
            first = found.get(names) or Copies(names, tuple(of_sample[name] for name in names), pictures=0)
            found[names] = replace(first, pictures=first.pictures + 1)
    return [found[names] for names in sorted(found)]


def compared(clips: Mapping[str, Clip]) -> dict[str, tuple[Path, ...]]:
    """Return sample id -> the files of a clip that are compared with those of others.

    Its key frames, its middle, and the first and last of its folder: a clip that was copied under another name has
    these in common, whatever the sheet says of its onset. Where all clips together have few frames, all of them.
    """
    lengths = (
        len(clip.files) if clip.onset is None or clip.offset is None else clip.offset - clip.onset + 1
        for clip in clips.values()
    )
    few = sum(lengths) <= EVERY
    # A long recording holds many expressions: its thousands of frames are looked through once.
    ends: dict[int, tuple[int, int]] = {}
    for clip in clips.values():
        if clip.files and id(clip.files) not in ends:
            ends[id(clip.files)] = min(clip.files), max(clip.files)
    found: dict[str, tuple[Path, ...]] = {}
    for sample_id, clip in clips.items():
        files = [clip.video] if clip.video is not None else _key_files(clip, *ends.get(id(clip.files), (0, 0)))
        files += [clip.files[number] for number in clip.numbers] if few else []
        found[sample_id] = tuple(dict.fromkeys(files))
    return found


def _key_files(clip: Clip, first: int, last: int) -> list[Path]:
    """Return a clip's key frames that are there, its middle, and the first and last frame of its folder."""
    onset = first if clip.onset is None else clip.onset
    offset = last if clip.offset is None else clip.offset
    wanted = dict.fromkeys((first, onset, clip.apex, (onset + offset) // 2, offset, last))
    return [clip.files[number] for number in wanted if number is not None and number in clip.files]


def told(copies: Sequence[Copies]) -> list[str]:
    """Return lines that tell of copies, the first line how many there are; [] where there are none."""
    if not copies:
        return []
    lines = [f"  identical pictures in {len(copies)} groups of samples:", *(f"    {one}" for one in copies[:SHOWN])]
    return [*lines, f"    and {len(copies) - SHOWN} groups more"] if len(copies) > SHOWN else lines


def _alike(files: Iterable[Path], tell: Callable[[Path], Hashable]) -> list[list[Path]]:
    """Return the files that are told to be alike, in groups of two or more; those of which nothing is told in none."""
    groups: dict[Hashable, list[Path]] = defaultdict(list)
    for file in files:
        try:
            groups[tell(file)].append(file)
        except OSError:
            # Whoever reads the frame tells that it has gone, or may not be read.
            continue
    return [group for fact, group in groups.items() if fact and len(group) > 1]


def _size(file: Path) -> int:
    # Nothing is told of an empty file: it holds no picture.
    return os.stat(file).st_size


def _core(file: Path) -> bytes:
    with file.open("rb") as opened:
        opened.seek(max(0, (os.stat(file).st_size - CORE) // 2))
        return opened.read(CORE)


def _content(file: Path) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()


def _shows_something(file: Path) -> bool:
    """Say whether a file is a video, or a picture that can be read and has more than one colour."""
    if file.suffix.lower().removeprefix(".") in VIDEO_ENDINGS:
        return True
    import cv2
    import numpy as np

    content = file.read_bytes()
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None
    return picture is not None and bool((picture.min(axis=(0, 1)) < picture.max(axis=(0, 1))).any())
