"""Finds the face of a clip, falling back step by step, and says which way it took."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from preprocess.base.errors import UsageError, did_you_mean
from preprocess.faces.detectors import Box, Detectors
from preprocess.faces.face import Face
from preprocess.samples.clip import Clip, ClipError
from preprocess.samples.frames import FrameReader

if TYPE_CHECKING:
    import numpy as np

DETECTORS = ("hog", "cnn")
# HOG wants faces of 80 pixels: at this length of the longer side it sees those that fill an eighth of it.
HOG_SIDE = 640
CNN_SIDE = 480
# How far landmarks may disagree (see ``Fit``). Faces stay below 0.03, other pictures above 0.065; a detector's own word
# allows for hard light and glasses.
MAX_SPREAD = {"hog": 0.1, "hog_padded": 0.1, "cnn": 0.1, "rectangle": 0.05}
# How many frames beside the onset are looked at.
NEIGHBOURS = 6
# Width over height of a picture that may be a cropped face; recordings are wider, or telephone-narrow.
CROP_SHAPES = (0.65, 1.15)
# The rectangles to try on a crop: what they leave free on each side, in parts of the picture.
CROP_INSETS = (0.0, 0.08, 0.16)


class NoFaceError(ClipError):
    """No face was found in a clip whose frames can be read; the message says what was tried."""


class DlibFaceFinder:
    """A FaceFinder that uses dlib. It remembers faces, and clips without one, for as long as it lives.

    It tries in this order, and stops at the first face:

    1. HOG on the onset,
    2. HOG on frames near the onset,
    3. HOG on the onset with a border around it,
    4. the CNN detector on the onset and on one other frame,
    5. for a picture shaped like a crop: landmarks fitted to the picture itself.

    A detection counts only where the fitted landmarks agree with each other and form an upright face.

    Parameters
    ----------
    models : the folder of dlib's model files; None takes the installed ones.
    """

    def __init__(self, models: Path | str | None = None) -> None:
        self._known: dict[tuple[str, str, str], Face | str] = {}
        self._detectors = Detectors(models)

    def find(self, clip: Clip, detector: str = "hog") -> Face:
        """Return the largest face of a clip.

        Parameters
        ----------
        clip : the clip to look at.
        detector : "hog", or "cnn" to begin with the CNN detector.

        Raises
        ------
        UsageError : an unknown detector.
        NoFaceError : no face was found; the message lists what was tried.
        ClipError : a frame cannot be read.
        """
        if detector not in DETECTORS:
            raise UsageError(f"Unknown face detector {detector!r}. {did_you_mean(detector, DETECTORS)}")
        key = (clip.sample_id, clip.fingerprint(), detector)
        known = self._known.get(key)
        if known is None:
            try:
                known = self._search(clip, detector)
            except NoFaceError as error:
                known = str(error)
            self._known[key] = known
        if isinstance(known, str):
            raise NoFaceError(known)
        return known

    def landmarks(self, picture: np.ndarray, box: Box) -> np.ndarray:
        """Fit the 68 points, (68, 2) float32 x and y, to the face in ``box`` of a grey uint8 picture."""
        return self._detectors.fit(picture, box).landmarks

    def _search(self, clip: Clip, detector: str) -> Face:
        tried: list[str] = []
        with FrameReader(clip) as reader:
            onset = clip.onset if clip.onset is not None else reader.numbers[0]
            number, picture = reader.read_nearest(onset)
            for way, frame, candidate, boxes in self._trials(reader, number, picture, detector):
                tried.append(f"{way} on frame {frame}")
                face = self._face(candidate, boxes, frame, way)
                if face is not None:
                    return face
        raise NoFaceError(
            f"{clip.sample_id}: no face was found; tried {', '.join(tried)}. Look at the frames; a face must be "
            "upright and fill at least an eighth of the picture."
        )

    def _trials(
        self, reader: FrameReader, onset: int, picture: np.ndarray, detector: str
    ) -> Iterator[tuple[str, int, np.ndarray, list[Box]]]:
        """Yield (way, frame, picture, boxes), one detection after the other, the cheap and the sure ones first."""
        find = self._detectors
        if detector == "cnn":
            yield "cnn", onset, picture, find.cnn(picture, CNN_SIDE)
        yield "hog", onset, picture, find.hog(picture, HOG_SIDE)
        if max(picture.shape) > HOG_SIDE:
            yield "hog", onset, picture, find.hog(picture, 2 * HOG_SIDE)
        last = None
        for number in _spread(reader.numbers, onset):
            try:
                last = number, reader.read(number)
            except ClipError:
                # A damaged frame shows no face; whoever needs that very frame will report it.
                continue
            yield "hog", number, last[1], find.hog(last[1], HOG_SIDE)
        yield "hog_padded", onset, picture, find.hog_padded(picture, HOG_SIDE)
        for number, candidate in [(onset, picture), *([last] if last else [])]:
            yield "cnn", number, candidate, find.cnn(candidate, CNN_SIDE)
        if _like_a_crop(picture):
            for inset in CROP_INSETS:
                yield "rectangle", onset, picture, [_inner_square(picture, inset)]

    def _face(self, picture: np.ndarray, boxes: list[Box], frame: int, way: str) -> Face | None:
        """Return the largest of the boxes in which landmarks are plausible; larger ones were no faces."""
        for rank, box in enumerate(boxes):
            fit = self._detectors.fit(picture, box)
            if fit.plausible(MAX_SPREAD[way]):
                return Face(fit.landmarks, box, frame, way, faces=len(boxes) - rank)
        return None


def _spread(numbers: list[int], onset: int) -> list[int]:
    """Return up to NEIGHBOURS other frames, the nearest first, each about twice as far from the onset as the last."""
    others = sorted((number for number in numbers if number != onset), key=lambda one: (abs(one - onset), one))
    if len(others) <= NEIGHBOURS:
        return others
    chosen = {round(len(others) ** (step / (NEIGHBOURS - 1))) - 1 for step in range(NEIGHBOURS)}
    return [others[index] for index in sorted(chosen)]


def _like_a_crop(picture: np.ndarray) -> bool:
    height, width = picture.shape
    return CROP_SHAPES[0] <= width / height <= CROP_SHAPES[1]


def _inner_square(picture: np.ndarray, inset: float) -> Box:
    """Return the square in the middle of a crop that leaves ``inset`` of the shorter side free on each side."""
    height, width = picture.shape
    half = min(height, width) * (0.5 - inset)
    left, top = width / 2 - half, height / 2 - half
    return round(left), round(top), round(left + 2 * half), round(top + 2 * half)


_THREAD = threading.local()


def face_finder() -> DlibFaceFinder:
    """Return this thread's face finder: dlib's detectors have working memory and cannot be shared."""
    if not hasattr(_THREAD, "finder"):
        _THREAD.finder = DlibFaceFinder()
    finder: DlibFaceFinder = _THREAD.finder
    return finder
