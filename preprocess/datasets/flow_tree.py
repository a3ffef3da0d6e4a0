"""Adapter for flow-image trees: the 28x28 PNG layout that the public STSTNet and HTNet code reads.

``<root>/<subject>/u_test/<label>/<subject>_<clip>.png``, one PNG a clip: onset-to-apex optical flow u in the red
channel, v in the green one, optical strain in the blue one, each scaled to 0..255 over the image. Copies differ in
details that are absorbed here: a space before ``.png``; ``s1`` or ``s01`` for one SMIC subject; a ``u_train`` folder
that repeats every other subject's files and is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.base.errors import DataError
from preprocess.base.hashing import digest_bytes
from preprocess.datasets._adapter import DATASETS, Adapter, Found, RawDataset, RawFeature
from preprocess.datasets._folders import follow, is_folder, links_on, listing, scan
from preprocess.samples.layout import Content
from preprocess.samples.table import samples_table

if TYPE_CHECKING:
    import numpy as np

NAME = "flow_tree"
LAYOUT = "<root>/<subject>/u_test/<label 0, 1 or 2>/<subject>_<clip>.png, 28x28 RGB"
FEATURE = "flow_uvs_28"
EMOTIONS = ("negative", "positive", "surprise")
SIZE = 28
RECIPE: dict[str, Any] = {
    "name": FEATURE,
    "version": 1,
    "source": "flow_image",
    "steps": ["read_png", "rgb_is_u_v_strain", "channels_first"],
    "channels": ["u", "v", "strain"],
    "range": "8bit",
    "dtype": "uint8",
    "shape": [3, SIZE, SIZE],
}
# Only the shape of a subject's name tells the database.
SUBJECTS = {
    "casme2": re.compile(r"sub[0-9]{2}", re.IGNORECASE),
    "samm": re.compile(r"[0-9]{3}"),
    "smic": re.compile(r"s[0-9]+", re.IGNORECASE),
}


@dataclass(frozen=True)
class _Clip:
    """One PNG: where it lies, and what its place in the tree says about it."""

    path: Path
    dataset: str
    subject: str
    clip: str
    label: int

    @property
    def sample_id(self) -> str:
        return f"{self.dataset}/{self.subject}/{self.clip}"


def find(path: Path) -> list[Found]:
    """Recognise a flow-image tree: ``path`` holds subjects' ``u_test`` folders."""
    return [Found(NAME, path, variant="flow")] if _holds_subjects(path) else []


def read(found: Found) -> list[RawDataset]:
    """Read every clip of the tree into one dataset per database.

    All images are read and checked here: they are small, and a bad one must be found before anything is written.

    Raises
    ------
    DataError : a subject whose database is unclear, or without clips; a label folder that is not 0, 1 or 2; an image in
        the wrong place, unreadable, or of the wrong size or type; the same clip twice; a link that leads back to where
        it was followed from. The message names the file or folder.
    """
    clips = list(_clips(found.root))
    links = dict.fromkeys(line for clip in clips for line in links_on(found.root, clip.path.parent))
    present = {clip.dataset for clip in clips}
    return [
        _dataset(name, [clip for clip in clips if clip.dataset == name], tuple(links))
        for name in SUBJECTS
        if name in present
    ]


def _dataset(name: str, clips: list[_Clip], notes: tuple[str, ...]) -> RawDataset:
    samples = samples_table(
        [
            {
                "sample_id": clip.sample_id,
                "dataset": name,
                "subject": f"{name}/{clip.subject}",
                "clip": clip.clip,
                "emotion": EMOTIONS[clip.label],
                "origin": clip.path,
            }
            for clip in clips
        ]
    )
    fingerprints: dict[str, str] = {}
    tensors: dict[str, np.ndarray] = {}
    for clip in clips:
        content = _content(clip.path)
        fingerprints[clip.sample_id] = digest_bytes(content)
        tensors[clip.sample_id] = _tensor(content, clip.path)
    feature = RawFeature(
        recipe=RECIPE,
        shape=(3, SIZE, SIZE),
        dtype="uint8",
        source_fingerprint=fingerprints.__getitem__,
        compute=tensors.__getitem__,
        axes="chw",
        content=Content(whole=True, u=0, u_range="sample"),
    )
    return RawDataset(name=name, samples=samples, synthetic=False, features={FEATURE: feature}, notes=notes)


def _holds_subjects(root: Path) -> bool:
    return any(_tests(root / name) is not None for name, leads_on in listing(root) if leads_on)


def _tests(folder: Path) -> Path | None:
    """Return a subject's folder of pictures; None where there is none."""
    name = next((name for name, leads_on in listing(folder) if leads_on and name.lower() == "u_test"), None)
    return folder / name if name else None


def _entries(folder: Path, root: Path) -> list[tuple[Path, bool]]:
    """Return what lies in a folder, sorted by name, and of each whether it is a folder. Links are followed."""
    entries = sorted((folder / entry.name, is_folder(entry)) for entry in scan(folder))
    for path, leads_on in entries:
        if leads_on and path.is_symlink():
            follow(path, root)
    return entries


def _clips(root: Path) -> Iterator[_Clip]:
    for folder, leads_on in _entries(root, root):
        tests = _tests(folder) if leads_on else None
        if not leads_on or (tests is None and _database(folder.name) is None):
            continue
        dataset, subject = _who(folder)
        if tests is None:
            raise DataError(f"Subject folder {folder} has no u_test folder. Complete the copy, or remove the folder.")
        if tests.is_symlink():
            follow(tests, root)
        clips = list(_clips_of(tests, dataset, subject, root))
        if not clips:
            raise DataError(f"Subject folder {tests} holds no PNG file. Complete the copy, or remove the subject.")
        yield from clips


def _clips_of(tests: Path, dataset: str, subject: str, root: Path) -> Iterator[_Clip]:
    for folder, leads_on in _entries(tests, root):
        if not leads_on:
            if _is_png(folder):
                raise DataError(f"{folder} lies outside a label folder; expected u_test/<0, 1 or 2>/{folder.name}.")
            continue
        label = _label(folder)
        for path, leads_further in _entries(folder, root):
            if leads_further:
                raise DataError(
                    f"{path} is a folder inside a label folder, which may hold PNG files only. Move it away."
                )
            if _is_png(path):
                yield _Clip(path, dataset, subject, _clip_name(path, dataset, subject), label)


def _is_png(path: Path) -> bool:
    return path.suffix.lower() == ".png"


def _database(name: str) -> str | None:
    return next((dataset for dataset, shape in SUBJECTS.items() if shape.fullmatch(name)), None)


def _subject_id(dataset: str, name: str) -> str:
    """Return a subject's one spelling: copies write SMIC's first subject as ``s1`` or as ``s01``."""
    return f"s{int(name[1:]):02d}" if dataset == "smic" else name.lower()


def _who(folder: Path) -> tuple[str, str]:
    dataset = _database(folder.name)
    if dataset is None:
        raise DataError(
            f"Subject folder {folder}: its name does not tell its database. Expected a name such as sub01 "
            "(CASME II), 006 (SAMM) or s01 (SMIC). Rename or remove it."
        )
    return dataset, _subject_id(dataset, folder.name)


def _label(folder: Path) -> int:
    if folder.name not in ("0", "1", "2"):
        raise DataError(
            f"Label folder {folder}: {folder.name!r} is not a label. "
            "Expected 0 (negative), 1 (positive) or 2 (surprise)."
        )
    return int(folder.name)


def _clip_name(path: Path, dataset: str, subject: str) -> str:
    """Return the clip's name: the file's name without the subject before it and the space that copies hold after it."""
    head, _, clip = path.stem.strip().partition("_")
    if not clip or _database(head) != dataset or _subject_id(dataset, head) != subject:
        raise DataError(f"{path}: the file's name does not begin with its subject. Expected {subject}_<clip>.png.")
    # As the databases write them: EP02_01f in CASME II, s01_ne_01 in SMIC.
    clip = re.sub("^ep", "EP", clip.lower())
    recording, separator, rest = clip.partition("_")
    if dataset == "smic" and SUBJECTS["smic"].fullmatch(recording):
        return f"{_subject_id(dataset, recording)}{separator}{rest}"
    return clip


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Restore the file from the original copy.") from error


def _tensor(content: bytes, path: Path) -> np.ndarray:
    """Decode a PNG into (3, 28, 28) uint8, channels u, v, strain."""
    import cv2
    import numpy as np

    # cv2 raises on an empty buffer and returns None for any other content that it cannot decode.
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None
    if image is None:
        raise DataError(f"{path} is not a readable PNG ({len(content)} bytes). Restore it from the original copy.")
    if image.shape != (SIZE, SIZE, 3) or image.dtype != np.uint8:
        channels = image.shape[2] if image.ndim == 3 else 1
        raise DataError(
            f"{path} is {image.shape[1]}x{image.shape[0]} pixels with {channels} channel(s) of {image.dtype}; "
            f"expected {SIZE}x{SIZE} with 3 channels of uint8 (u, v, strain)."
        )
    return np.ascontiguousarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB).transpose(2, 0, 1))


DATASETS.add(
    NAME,
    Adapter(
        name=NAME,
        description="28x28 flow images (u, v, strain) of CASME II, SAMM and SMIC, as STSTNet and HTNet read them",
        layout=LAYOUT,
        find=find,
        read=read,
    ),
    origin=__name__,
)
