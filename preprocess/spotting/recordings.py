"""Recordings as a person has them: a video, or a folder of frames, of any length, read once from start to end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from preprocess.base.errors import DataError
from preprocess.datasets._clip_list import FRAMES
from preprocess.datasets._folders import listing
from preprocess.datasets._trees import ClipPlace, number_frames
from preprocess.samples.clip import Clip, ClipError, Frames
from preprocess.samples.frames import IMAGE_ENDINGS, VIDEO_ENDINGS, FrameReader, video_rate

if TYPE_CHECKING:
    import numpy as np

MARGIN = 0.3
"""Seconds that are cut out before an onset and after an offset: some features look beyond the expression."""


@dataclass(frozen=True)
class Recording:
    """One recording.

    Attributes
    ----------
    name : what it is called in messages and in the names of files.
    path : the video, or the folder of frames.
    fps : frames per second.
    files : of a folder, frame number -> file; None for a video, whose frames count from 0.
    """

    name: str
    path: Path
    fps: float
    files: Frames | None = field(default=None, repr=False)

    @property
    def clip(self) -> Clip:
        """All of it as a clip without key frames."""
        video, files = (self.path, {}) if self.files is None else (None, self.files)
        return Clip(self.name, files, video, fps=self.fps)

    def seconds(self, number: int) -> float:
        """Return the time of a frame, from that of the first one."""
        first = 0 if self.files is None else self.files.ends[0]
        return (number - first) / self.fps


@dataclass(frozen=True)
class Span:
    """An expression in frame numbers.

    Attributes
    ----------
    onset, apex, offset : the frames; the apex is None where it is still to be found.
    strength : how far the face's change stands out; None where nobody measured it.
    """

    onset: int
    apex: int | None
    offset: int
    strength: float | None = None


def paths_of(path: Path) -> list[Path]:
    """Return the recordings behind a path: itself, or the videos of a folder that holds some.

    Raises
    ------
    DataError : nothing is there, or the folder holds neither videos nor frames, or both.
    """
    if not path.is_dir():
        if not path.exists():
            raise DataError(f"{path.absolute()} does not exist; expected a video, or a folder of frames or videos.")
        return [path]
    videos = [path / name for name, inside in listing(path) if not inside and _ending(name) in VIDEO_ENDINGS]
    frames = number_frames(ClipPlace(path, {}, FRAMES)).frames
    if videos and frames:
        raise DataError(f"{path} holds videos ({videos[0].name}) and frames of pictures. Name what is meant.")
    if not videos and not frames:
        raise DataError(
            f"{path} holds no recording: expected videos ({', '.join(VIDEO_ENDINGS)}) or pictures "
            f"({', '.join(IMAGE_ENDINGS)}) whose names end in their number, such as img001.jpg."
        )
    return sorted(videos) or [path]


def open_recording(path: Path, fps: float | None = None) -> Recording:
    """Return a recording.

    Parameters
    ----------
    path : one of those that ``paths_of`` returns.
    fps : frames per second, where the recording does not say it, or says it wrongly.

    Raises
    ------
    ClipError : it cannot be opened, or its frame rate is not known.
    """
    files = number_frames(ClipPlace(path, {}, FRAMES)).frames if path.is_dir() else None
    if files is None:
        # The first frame tells whether it can be read at all.
        with FrameReader(Clip(path.name, video=path)) as reader:
            reader.read(0)
    rate = fps or (video_rate(path) if files is None else None)
    if rate is None:
        what = "A folder of frames does not" if files else "The video does not"
        raise ClipError(f"{path.name}: {what} say how many frames there are a second. Give it with --fps.")
    return Recording(path.name if path.is_dir() else path.stem, path, rate, files)


def frames_of(recording: Recording, notes: list[str]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield number and grey picture of every frame that can be read, one at a time, from start to end.

    Parameters
    ----------
    recording : the recording.
    notes : gets what could not be read.

    Raises
    ------
    ClipError : nothing of it can be read.
    """
    with FrameReader(recording.clip) as reader:
        if recording.files is None:
            yield from _video_frames(reader)
            return
        faults: list[ClipError] = []
        numbers = reader.numbers
        for number in numbers:
            try:
                picture = reader.read(number)
            except ClipError as error:
                faults.append(error)
                continue
            yield number, picture
    if faults and len(faults) == len(numbers):
        raise faults[0]
    if faults:
        notes.append(f"{len(faults)} frames cannot be read: {faults[0]}")


def _video_frames(reader: FrameReader) -> Iterator[tuple[int, np.ndarray]]:
    number = 0
    while True:
        try:
            picture = reader.read(number)
        except ClipError:
            # A video does not tell how long it is: its end is where nothing more can be decoded.
            if number == 0:
                raise
            return
        yield number, picture
        number += 1


def cut(recording: Recording, spans: Sequence[Span]) -> Iterator[tuple[Span, Clip]]:
    """Yield each expression as a clip of its own, in the order of their onsets.

    Of a video, the frames of an expression are written as pictures that lie there until the next one is asked for: so
    that hours of film are decoded once, and neither memory nor disk holds more than an expression.

    Parameters
    ----------
    recording : the recording.
    spans : the expressions.

    Raises
    ------
    ClipError : a frame cannot be read.
    """
    spans = sorted(spans, key=lambda one: (one.onset, one.offset))
    if recording.files is not None:
        for span in spans:
            yield span, _clip(recording, span, recording.files)
        return
    with tempfile.TemporaryDirectory(prefix="merbench-cut-") as folder, FrameReader(recording.clip, "rgb") as reader:
        files: dict[int, Path] = {}
        for span in spans:
            first, last = _with_margin(recording, span)
            for number in [one for one in files if one < first]:
                files.pop(number).unlink()
            for number in range(max(first, max(files, default=-1) + 1), last + 1):
                try:
                    files[number] = _written(Path(folder) / f"{number}.png", reader.read(number))
                except ClipError:
                    # The margin may reach beyond the end.
                    if number <= span.offset:
                        raise
                    break
            yield span, _clip(recording, span, {n: file for n, file in files.items() if first <= n <= last})


def _with_margin(recording: Recording, span: Span) -> tuple[int, int]:
    margin = round(MARGIN * recording.fps)
    return max(0, span.onset - margin), span.offset + margin


def _clip(recording: Recording, span: Span, files: Frames | dict[int, Path]) -> Clip:
    name = f"{recording.name}@{span.onset}"
    return Clip(name, files, None, span.onset, span.apex, span.offset, recording.fps)


def _written(file: Path, picture: np.ndarray) -> Path:
    import cv2

    quick = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    file.write_bytes(cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quick)[1].tobytes())
    return file


def with_apex(span: Span, apex: int) -> Span:
    """Return the expression with another apex."""
    return replace(span, apex=apex)


def _ending(name: str) -> str:
    return Path(name).suffix.removeprefix(".").lower()
