"""One clip as an adapter found it: where its frames lie on disk and which of them are the expression."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from preprocess.base.errors import DataError
from preprocess.base.hashing import digest


class ClipError(DataError):
    """A clip that cannot be used (frames missing or damaged, no face). It is skipped, listed and counted."""


class Frames(Mapping[int, Path]):
    """The frames of a folder: number -> file. Holds names, not paths: a long recording has thousands.

    It is shared by all clips of a recording, so that what is asked for each of them is answered quickly.
    """

    def __init__(self, folder: Path, names: Mapping[int, str]) -> None:
        self._folder = folder
        self._names = dict(names)

    def __getitem__(self, number: int) -> Path:
        return self._folder / self._names[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, number: object) -> bool:
        return number in self._names

    @functools.cached_property
    def ends(self) -> tuple[int, int]:
        """The least and the greatest number."""
        return min(self._names), max(self._names)

    def between(self, low: int, high: int) -> list[int]:
        """Return the numbers of the frames from one number to another, in order."""
        if high - low < len(self._names):
            return [number for number in range(low, high + 1) if number in self._names]
        return sorted(number for number in self._names if low <= number <= high)


@dataclass(frozen=True)
class Clip:
    """The frames of one sample.

    Attributes
    ----------
    sample_id : the sample's id.
    files : frame number -> image file, with the numbers of the database. Only frames that exist are listed. A database
        of long recordings lists the whole recording, so that a step can look before the onset and after the offset.
    onset, apex, offset : frame numbers. The apex is None where nobody annotated it; onset and offset are None for a
        video that shows nothing but the expression.
    fps : frames per second of the recording; None where unknown.
    video : a video file in place of ``files``, which is empty then; frames are counted from 0.
    registered : whether the pictures are the face itself, cut out and registered by the database's authors.
    """

    sample_id: str
    files: Mapping[int, Path] = field(default_factory=dict, repr=False)
    video: Path | None = None
    onset: int | None = None
    apex: int | None = None
    offset: int | None = None
    fps: float | None = None
    registered: bool = False

    @property
    def numbers(self) -> list[int]:
        """The numbers, in order, of the image files from onset to offset that exist; [] for a video."""
        low = self.onset if self.onset is not None else -1
        high = self.offset if self.offset is not None else 2**62
        if isinstance(self.files, Frames):
            return self.files.between(low, high)
        return sorted(number for number in self.files if low <= number <= high)

    @property
    def ends(self) -> tuple[int, int]:
        """The least and the greatest number of the image files, be they within the expression or not."""
        return self.files.ends if isinstance(self.files, Frames) else (min(self.files), max(self.files))

    @property
    def missing(self) -> list[int]:
        """The frame numbers from onset to offset that have no file; [] for a video."""
        if self.video is not None or self.onset is None or self.offset is None:
            return []
        there = set(self.numbers)
        return [number for number in range(self.onset, self.offset + 1) if number not in there]

    def fingerprint(self) -> str:
        """Return a sha256 that changes when the clip's annotation or its files change.

        Of a file, the frame number, the size and the time of modification count. Its path does not, and neither does
        its content: reading all frames of a database only to learn that nothing changed would take minutes.

        Raises
        ------
        ClipError : a file has disappeared.
        """
        paths = [(number, self.files[number]) for number in self.numbers] if self.video is None else [(0, self.video)]
        try:
            stats = [(number, os.stat(path)) for number, path in paths]
        except OSError as error:
            raise ClipError(f"{self.sample_id}: {error.filename} cannot be read: {error.strerror}.") from error
        facts: list[Any] = [self.onset, self.apex, self.offset, self.fps]
        facts += ["registered"] if self.registered else []
        return digest([facts, [[number, stat.st_size, stat.st_mtime_ns] for number, stat in stats]])
