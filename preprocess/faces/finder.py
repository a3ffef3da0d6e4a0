"""Finds the face of a clip, falling back step by step, and says which way it took."""

from __future__ import annotations

import functools
import hashlib
import itertools
import threading
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from preprocess.base.errors import UsageError, did_you_mean
from preprocess.base.recent import Recent
from preprocess.faces.alignment import landmark_box
from preprocess.faces.detectors import Box, Detectors
from preprocess.faces.face import Face
from preprocess.faces.settling import SURE, Settled, agreeing, looks_alike, settled, settled_in_crop
from preprocess.samples.clip import Clip, ClipError
from preprocess.samples.frames import FrameReader

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")

DETECTORS = ("hog", "cnn")
# HOG wants faces of 80 pixels: at this length of the longer side it sees those that fill an eighth of it.
HOG_SIDE = 640
CNN_SIDE = 480
# The turns, in degrees clockwise, at which HOG looks for a face that nothing else finds.
TURNS = (90.0, -90.0, 180.0, 45.0, -45.0, 135.0, -135.0)
# How many frames beside the onset are looked at.
NEIGHBOURS = 6
# A fit is compared with another frame, so many frames away where there are so many; with two of them where it differs.
COMPARED = 4
# Width over height of a picture that may be a cropped face; recordings are wider, or telephone-narrow.
CROP_SHAPES = (0.65, 1.15)
# The rectangles to try on a crop: what they leave free on each side, in parts of the picture.
CROP_INSETS = (0.0, 0.08, 0.16)


# A face that is turned by more degrees is noted.
TURNED = 30.0


class NoFaceError(ClipError):
    """No face was found in a clip whose frames can be read; the message says what was tried."""


@dataclass(frozen=True)
class Trial:
    """What one detector found in one frame.

    Attributes
    ----------
    way : the detector.
    frame : the frame's number.
    picture : (H, W) uint8, the frame.
    boxes : what was found, largest first.
    turn : degrees clockwise by which the faces are turned.
    """

    way: str
    frame: int
    picture: np.ndarray
    boxes: list[Box]
    turn: float = 0.0


class _Seen:
    """What was made of the pictures of one search.

    A film that is stored at more frames a second than it was taken at holds each picture several times.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Hashable, ...], Any] = {}

    def once(self, picture: np.ndarray, what: tuple[Hashable, ...], make: Callable[[], T]) -> T:
        """Return what ``make`` makes of a picture, made once for all pictures that equal it."""
        key = (picture.shape, hashlib.sha256(picture.tobytes()).digest(), *what)
        if key not in self._known:
            self._known[key] = make()
        made: T = self._known[key]
        return made


class DlibFaceFinder:
    """A FaceFinder that uses dlib. It remembers faces, and clips without one, for as long as it lives.

    It tries in this order, and stops at the first face:

    1. HOG on the onset,
    2. HOG on frames near the onset,
    3. HOG on the onset with a border around it,
    4. the CNN detector on the onset and on one other frame,
    5. for a picture shaped like a crop: landmarks fitted to the picture itself,
    6. HOG on the onset turned by 45, 90, 135 and 180 degrees.

    A detection counts only where the fitted landmarks agree with each other and form a face, region by region, and
    where the same regions are found in another frame.

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

    def landmarks(self, picture: np.ndarray, box: Box, turn: float = 0.0) -> np.ndarray:
        """Fit the 68 points to the face in ``box`` of a grey uint8 picture.

        Returns
        -------
        (68, 2) float32, x and y, which cannot be written.
        """
        import numpy as np

        def fitted() -> np.ndarray:
            points = self._detectors.fit(np.ascontiguousarray(picture), box, turn, fine=True).landmarks
            points.setflags(write=False)
            return points

        content = hashlib.sha256(picture.tobytes()).digest()
        return _FITS.get((self._detectors, picture.shape, content, box, turn), fitted)

    def _search(self, clip: Clip, detector: str) -> Face:
        tried: list[str] = []
        seen = _Seen()
        with FrameReader(clip) as reader:
            onset = clip.onset if clip.onset is not None else reader.numbers[0]
            number, picture = reader.read_nearest(onset)
            for trial in self._trials(reader, number, picture, detector, seen):
                face = self._face(reader, trial, seen)
                if isinstance(face, Face):
                    return face
                tried.append(f"{trial.way} on frame {trial.frame}" + (f" ({face})" if face else ""))
            for turn in TURNS:
                boxes = self._detectors.hog_turned(picture, HOG_SIDE, turn)
                face = self._face(reader, Trial("hog_turned", number, picture, boxes, turn), seen)
                if isinstance(face, Face):
                    return face
        raise NoFaceError(
            f"{clip.sample_id}: no face was found; tried {', '.join(tried)}. The picture was also turned by "
            f"{', '.join(f'{turn:.0f}' for turn in sorted(TURNS))} degrees. Look at the frames; a face must fill at "
            "least an eighth of the picture, with both eyes, nose and mouth in it."
        )

    def _trials(
        self, reader: FrameReader, onset: int, picture: np.ndarray, detector: str, seen: _Seen
    ) -> Iterator[Trial]:
        """Yield one detection after the other, the cheap and the sure ones first."""
        find = self._detectors

        def hog(frame: np.ndarray) -> list[Box]:
            return seen.once(frame, ("hog",), lambda: find.hog(frame, HOG_SIDE))

        def cnn(frame: np.ndarray) -> list[Box]:
            return seen.once(frame, ("cnn",), lambda: find.cnn(frame, CNN_SIDE))

        if detector == "cnn":
            yield Trial("cnn", onset, picture, cnn(picture))
        yield Trial("hog", onset, picture, hog(picture))
        if max(picture.shape) > HOG_SIDE:
            yield Trial("hog", onset, picture, find.hog(picture, 2 * HOG_SIDE))
        last = None
        for number in _spread(reader.numbers, onset):
            try:
                last = number, reader.read(number)
            except ClipError:
                # A damaged frame shows no face; whoever needs that very frame will report it.
                continue
            yield Trial("hog", number, last[1], hog(last[1]))
        yield Trial("hog_padded", onset, picture, find.hog_padded(picture, HOG_SIDE))
        for number, candidate in [(onset, picture), *([last] if last else [])]:
            yield Trial("cnn", number, candidate, cnn(candidate))
        if _like_a_crop(picture):
            yield Trial("rectangle", onset, picture, [_inner_square(picture, inset) for inset in CROP_INSETS])

    def _face(self, reader: FrameReader, trial: Trial, seen: _Seen) -> Face | str:
        """Return the largest of the boxes in which landmarks are those of a face, or why there is none."""
        if trial.way == "rectangle":
            found = settled_in_crop(self._detectors, trial.picture, trial.boxes)
            return found if isinstance(found, str) else self._compared(reader, trial, trial.boxes[0], found, faces=1)
        reasons = []
        for rank, box in enumerate(trial.boxes):
            fit = functools.partial(settled, self._detectors, trial.picture, box, trial.way, trial.turn)
            found = seen.once(trial.picture, (box, trial.way, trial.turn), fit)
            if isinstance(found, Settled):
                face = self._compared(reader, trial, box, found, faces=len(trial.boxes) - rank)
                if isinstance(face, Face):
                    return face
                found = face
            reasons.append(found)
        return "; ".join(reasons[:1])

    def _compared(self, reader: FrameReader, trial: Trial, box: Box, found: Settled, faces: int) -> Face | str:
        """Return the face where another frame shows the same; otherwise that of the frame which most others agree with.

        Frames that show no face there have no say. Where every frame shows another face, that is said.
        """
        fits, notes = {trial.frame: found.fit}, found.notes
        others = self._others(reader, trial.frame)
        first = next(others, None)
        if first is None:
            notes = (*notes, "only one frame can be read: no other one confirms the landmarks")
        elif not looks_alike(self._detectors, found.fit, first[1]):
            around = landmark_box(found.fit.landmarks)
            for number, picture in [first, *itertools.islice(others, 1)]:
                fit = self._detectors.fit(picture, around, found.fit.turn)
                if fit.plausible(SURE):
                    fits[number] = fit
        chosen = agreeing(list(fits.values())) if len(fits) > 1 else 0
        if chosen is None:
            return f"frames {', '.join(str(number) for number in fits)} show its regions in different places"
        frame, fit = list(fits.items())[chosen]
        if frame != trial.frame:
            notes = (*notes, f"landmarks of frame {trial.frame} lie elsewhere than in other frames: {frame} taken")
        if abs(fit.turn) > TURNED:
            notes = (*notes, f"the face is turned by {fit.turn:.0f} degrees clockwise")
        return Face(fit.landmarks, box, frame, trial.way, faces, fit.turn, fit.regions, notes)

    def _others(self, reader: FrameReader, frame: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield readable frames other than a frame: first one that is a few away, then the nearest ones."""
        near = sorted((number for number in reader.numbers if number != frame), key=lambda one: (abs(one - frame), one))
        chosen = near[COMPARED - 1 : COMPARED] or near[-1:]
        for number in [*chosen, *(one for one in near if one not in chosen)]:
            try:
                yield number, reader.read(number)
            except ClipError:
                # Whoever needs that very frame will report it.
                continue


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


# The landmarks that were fitted last, (68, 2) float32 that cannot be written: features often look at the same frames.
# A picture is known by its hash. The pictures themselves, of which those of a film may be large, are not kept.
_FITS: Recent[np.ndarray] = Recent(256)
