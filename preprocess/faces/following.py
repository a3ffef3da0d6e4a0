"""Where the head goes: a transform for every frame of a clip whose head moves too far for one.

One transform suits a head in a chin rest, and adds no motion of its own. A head that goes further leaves the square of
its face, and what is then taken for an expression is the head's. Such a head is followed from the frame in which its
face was found, by the parts of the face that no expression moves much.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from preprocess.faces.alignment import (
    compose,
    face_transform,
    inverse,
    landmark_box,
    similarity,
    transform_points,
    warp,
)
from preprocess.faces.head_way import MARGIN, SIDE, HeadPath, distance, share_of, smooth, spans
from preprocess.faces.sight import STILL, Sight
from preprocess.samples.clip import Clip, ClipError
from preprocess.samples.frames import FrameReader

if TYPE_CHECKING:
    from preprocess.faces.face import Face, FaceFinder

# A head is followed where it goes further than this share of the face's square: from here on the spotted apex goes
# astray, and in small motions the flow is mostly the head's. Heads in rendered databases sway by less than 0.015.
FAR = 0.02
# Whether it does is seen from frames so many seconds apart; a clip without a frame rate is taken for one of 25 frames a
# second.
GLANCE, USUAL_RATE = 0.2, 25.0
# Below this correlation with the first face, later ones are compared with the one before them.
CHANGED = 0.85
# What drifts then is set right by landmarks where they disagree by more than the first share of the face's side, about
# what single fits tremble by. They are believed where eyes and nose fit on those of the first face within the second.
TREMBLE, WRONG = 0.015, 0.035
# Frames held at a time on the way back.
BLOCK = 32
MIDDLE = np.full(2, (SIDE - 1) / 2)


def head_path(clip: Clip, face: Face, finder: FaceFinder) -> HeadPath | None:
    """Return the way of the head; None where it holds still enough for one transform.

    It is remembered for the clip's other features.

    Parameters
    ----------
    clip : the clip.
    face : its face.
    finder : fits landmarks where a face changes so much that its way could drift.

    Raises
    ------
    ClipError : the clip has no frame.
    """
    known = f"{clip.fingerprint()} {face.frame} {face.way}"
    return _remembered(_Question(clip.sample_id, known, face.landmarks.tobytes(), clip, face, finder))


@dataclass(frozen=True)
class _Question:
    """What ``head_path`` is asked; files and finder do not count when two are compared."""

    sample_id: str
    known: str
    landmarks: bytes = field(repr=False)
    clip: Clip = field(compare=False)
    face: Face = field(compare=False)
    finder: FaceFinder = field(compare=False)


@lru_cache(maxsize=32)
def _remembered(question: _Question) -> HeadPath | None:
    clip, face = question.clip, question.face
    with FrameReader(clip) as reader:
        try:
            first = _sight(reader.read(face.frame), face.landmarks)
        except ClipError:
            # Damaged since the face was found; whoever needs that very frame will report it.
            return None
        if _holds_still(reader, face.frame, first):
            return None
        return _Follower(reader, question.finder, face, first).path()


def _sight(picture: np.ndarray, landmarks: np.ndarray) -> Sight:
    transform = face_transform(landmarks, (SIDE, SIDE), MARGIN)
    return Sight(picture, transform, transform_points(landmarks, transform))


def _holds_still(reader: FrameReader, start: int, first: Sight) -> bool:
    """Tell from a few frames whether one transform will do; where that is not clear it will not."""
    there, clip = reader.numbers, reader.clip
    count = max(1, int((there[-1] - there[0]) / (GLANCE * (clip.fps or USUAL_RATE))))
    numbers = {there[round(place)] for place in np.linspace(0, len(there) - 1, count + 1)}
    numbers.add(clip.apex if clip.apex in there else there[len(there) // 2])
    transform = first.transform
    for _, picture in _readable(reader, sorted(numbers - {start})):
        seen = first.glance_at(picture, transform)
        if seen is None or distance(first.transform, seen) > FAR:
            return False
        transform = seen
    return True


class _Follower:
    """Follows a head from the frame in which its face was found to both ends of the clip."""

    def __init__(self, reader: FrameReader, finder: FaceFinder, face: Face, first: Sight) -> None:
        self._reader, self._finder, self._face, self._first = reader, finder, face, first
        self._seen = {face.frame: first.transform}
        self._errors = {face.frame: 0.0}
        self._lost: list[int] = []
        # The frames since landmarks were last held against the way.
        self._since: list[int] = []

    def path(self) -> HeadPath | None:
        """Return the way; None where the head turns out to hold still and is always seen."""
        numbers, start = self._reader.numbers, self._face.frame
        self._go(_readable(self._reader, [number for number in numbers if number > start]))
        self._go(_backwards(self._reader, [number for number in numbers if number < start]))
        to_face = self._first.transform
        middle = transform_points(MIDDLE, inverse(to_face)).astype(np.float64)
        known = {number: compose(inverse(seen), to_face) for number, seen in sorted(self._seen.items())}
        side = SIDE / (1 + 2 * MARGIN) / float(np.linalg.norm(to_face[:, 0]))
        every, poses = smooth(known, self._errors, middle, side)
        anchor = inverse(poses[every.index(start)])
        poses = np.stack([compose(pose, anchor) for pose in poses])
        seen = [pose for number, pose in zip(every, poses, strict=True) if number in self._seen]
        extent = max(distance(to_face, compose(to_face, inverse(pose))) for pose in seen)
        if extent <= FAR:
            poses = np.broadcast_to(STILL, poses.shape)
        lost = spans(self._lost, numbers)
        return HeadPath(tuple(every), poses, extent, extent > FAR, lost) if lost or extent > FAR else None

    def _go(self, frames: Iterator[tuple[int, np.ndarray]]) -> None:
        latest = known = self._first
        self._since = []
        for number, picture in frames:
            found = known.find_in(picture, latest.transform)
            if (found is None or found.alike < CHANGED) and latest is not known:
                # The face looks different by now: from here on it is compared with the frame before.
                latest = known = self._set_right(latest)
                found = known.find_in(picture, latest.transform)
            found = found or known.find_in(picture, known.search(picture))
            if found is None:
                self._lost.append(number)
                continue
            latest = Sight(picture, found.transform, known.landmarks)
            self._since.append(number)
            self._seen[number], self._errors[number] = latest.transform, found.error

    def _set_right(self, latest: Sight) -> Sight:
        """Return the last sight with its drift taken away, and take it from the frames before, bit by bit."""
        points = self._landmarks(latest)
        correction = face_transform(points, (SIDE, SIDE), MARGIN)
        apart = distance(STILL, correction)
        if apart > TREMBLE and _same_shape(points, latest.landmarks):
            correction = share_of(correction, 1 - TREMBLE / apart, MIDDLE)
            for place, number in enumerate(self._since, start=1):
                part = share_of(correction, place / len(self._since), MIDDLE)
                self._seen[number] = compose(part, self._seen[number])
            latest = Sight(latest.picture, compose(correction, latest.transform), latest.landmarks)
        self._since = []
        return latest

    def _landmarks(self, sight: Sight) -> np.ndarray:
        """Return the landmarks (68, 2) fitted to a face, which are looked for in more than its square."""
        around = SIDE // 2
        wider = compose(np.array([[1.0, 0.0, around], [0.0, 1.0, around]]), sight.transform)
        picture = warp(sight.picture, wider, (2 * SIDE, 2 * SIDE))
        return self._finder.landmarks(picture, landmark_box(sight.landmarks + around)) - around


def _same_shape(points: np.ndarray, others: np.ndarray) -> bool:
    """Tell whether eyes and nose of two sets of landmarks fit on each other, wherever they are."""
    firm = slice(27, 48)
    there = transform_points(others[firm], similarity(others[firm], points[firm]))
    return float(np.linalg.norm(there - points[firm], axis=1).mean()) < WRONG * SIDE


def _readable(reader: FrameReader, numbers: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the frames that can be read; whoever needs a damaged one will report it."""
    for number in numbers:
        try:
            yield number, reader.read(number)
        except ClipError:
            continue


def _backwards(reader: FrameReader, numbers: list[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield frames from the last to the first; in blocks, for a video is only read forwards."""
    for end in range(len(numbers), 0, -BLOCK):
        yield from reversed(list(_readable(reader, numbers[max(0, end - BLOCK) : end])))
