"""One clip as an adapter found it: where its frames lie on disk and which of them are the expression."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from preprocess.base.errors import DataError
from preprocess.base.hashing import digest


class ClipError(DataError):
    """A clip that cannot be used (frames missing or damaged, no face). It is skipped, listed and counted."""


@dataclass(frozen=True)
class Clip:
    """The frames of one sample.

    files : frame number -> image file, numbers as the database counts them. Only frames that are there; a database
        that stores long recordings gives the whole recording, so that a step can look around the expression.
    video : a video file instead of ``files`` (then ``files`` is empty and numbers count decoded frames from 0).
    onset, apex, offset : frame numbers; apex None where nobody annotated it; onset and offset None for a video whose
        whole length is the expression.
    fps : frames per second of the recording, None where unknown.
    """

    sample_id: str
    files: Mapping[int, Path] = field(default_factory=dict, repr=False)
    video: Path | None = None
    onset: int | None = None
    apex: int | None = None
    offset: int | None = None
    fps: float | None = None

    @property
    def numbers(self) -> list[int]:
        """The numbers of the image files that are there from onset to offset, in order; [] for a video."""
        low = self.onset if self.onset is not None else -1
        high = self.offset if self.offset is not None else 2**62
        return sorted(number for number in self.files if low <= number <= high)

    @property
    def missing(self) -> list[int]:
        """The frame numbers from onset to offset that have no file; [] for a video."""
        if self.video is not None or self.onset is None or self.offset is None:
            return []
        return [number for number in range(self.onset, self.offset + 1) if number not in self.files]

    def fingerprint(self) -> str:
        """Return a sha256 that changes when the clip's annotation or its files do.

        Files count by number, size and time of modification, not by path and not by content: reading 500 clips of 70
        frames to learn that nothing changed would take minutes. Raises ClipError where a file has gone since.
        """
        paths = [(number, self.files[number]) for number in self.numbers] if self.video is None else [(0, self.video)]
        try:
            stats = [(number, os.stat(path)) for number, path in paths]
        except OSError as error:
            raise ClipError(f"{self.sample_id}: {error.filename} cannot be read: {error.strerror}.") from error
        times = [self.onset, self.apex, self.offset, self.fps]
        return digest([times, [[number, stat.st_size, stat.st_mtime_ns] for number, stat in stats]])
