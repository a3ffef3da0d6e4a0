"""A face as one frame shows it, found again in other frames by points that no expression moves much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from preprocess.faces.alignment import compose, inverse, similarity, transform_points, warp
from preprocess.faces.head_way import MARGIN, SIDE, distance

# Another frame shows the face where so many of its points are found again, come back from there to within so many
# pixels, and the parts around them are alike (correlation).
FEWEST, SHARE, BACK, ALIKE = 8, 0.3, 1.0, 0.6
# So many pixels apart points still agree on where the face went.
AGREE = 2.5
# How points are tracked; how often at most the face is drawn anew from where they were found, until it is so close.
TRACKING: dict[str, Any] = {"winSize": (15, 15), "maxLevel": 3, "criteria": (3, 10, 0.03)}
PASSES, CLOSE = 4, 0.5
# For a glance every third point will do.
SPARSE = 3
# The size of a face that is searched for, in pixels.
SEARCH = 32
STILL = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True)
class Found:
    """A face found in another frame.

    Attributes
    ----------
    transform : (2, 3), from that frame to the face.
    alike : how alike the two are (correlation).
    error : standard error of where the face is, in parts of the side of its square.
    """

    transform: np.ndarray
    alike: float
    error: float


class Sight:
    """The face in one frame.

    Parameters
    ----------
    picture : (H, W) uint8, the frame.
    transform : (2, 3), from the frame to a face of SIDE x SIDE.
    landmarks : (68, 2), dlib's points in that face.
    """

    def __init__(self, picture: np.ndarray, transform: np.ndarray, landmarks: np.ndarray) -> None:
        import cv2

        self.picture, self.transform, self.landmarks = picture, transform, landmarks
        self.face = warp(picture, transform, (SIDE, SIDE))
        self._firm = firm_parts(landmarks)
        found = cv2.goodFeaturesToTrack(self.face, 120, 0.005, 3, mask=self._firm.astype(np.uint8))
        self._points = np.empty((0, 1, 2), np.float32) if found is None else found

    def glance_at(self, picture: np.ndarray, guess: np.ndarray) -> np.ndarray | None:
        """Return about where the face is in another frame, as a transform from it; None where it is not seen."""
        face = self._in_this_light(warp(picture, guess, (SIDE, SIDE)))
        tracked = self._tracked(face, np.ascontiguousarray(self._points[::SPARSE]))
        return None if tracked is None else compose(inverse(similarity(*tracked)), guess)

    def search(self, picture: np.ndarray) -> np.ndarray:
        """Return where another frame looks most like this face, wherever that is, as a transform from it."""
        import cv2

        share = SEARCH / SIDE
        height, width = picture.shape
        corners = transform_points(np.array([[0, 0], [width, 0], [0, height], [width, height]]), self.transform)
        low, high = np.floor(share * corners.min(axis=0)), np.ceil(share * corners.max(axis=0))
        size = (high - low).astype(int)
        if size.min() < SEARCH:
            return self.transform
        # All of the frame, as upright as this face, so small that the face is of SEARCH pixels.
        to_map = compose(np.column_stack([share * np.eye(2), (share - 1) / 2 - low]), self.transform)
        small = cv2.resize(self.face, (SEARCH, SEARCH), interpolation=cv2.INTER_AREA)
        match = cv2.matchTemplate(warp(picture, to_map, tuple(size.tolist())), small, cv2.TM_CCOEFF_NORMED)
        place = np.array(cv2.minMaxLoc(match)[3])
        return compose(np.column_stack([np.eye(2), -(low + place) / share]), self.transform)

    def find_in(self, picture: np.ndarray, guess: np.ndarray) -> Found | None:
        """Return where the face is in another frame; None where it is not seen.

        Parameters
        ----------
        picture : (H, W) uint8, the frame.
        guess : (2, 3), about how the frame goes to the face: that of the frame before.
        """
        for _ in range(PASSES):
            face = self._in_this_light(warp(picture, guess, (SIDE, SIDE)))
            tracked = self._tracked(face, self._points)
            if tracked is None:
                return None
            moved, error = _robust(*tracked)
            guess = compose(inverse(moved), guess)
            if distance(moved, STILL) * SIDE < CLOSE:
                break
        alike = float(np.corrcoef(self.face[self._firm], face[self._firm])[0, 1])
        return Found(guess, alike, error) if alike >= ALIKE else None

    def _in_this_light(self, face: np.ndarray) -> np.ndarray:
        """Return another frame's face with the brightness and the contrast of this one."""
        mine, other = self.face[self._firm], face[self._firm]
        gain = mine.std() / max(float(other.std()), 1.0)
        return np.clip(np.rint((face - other.mean()) * gain + mine.mean()), 0, 255).astype(np.uint8)

    def _tracked(self, face: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the points that agree where they went, and where; None where they are too few."""
        import cv2

        if len(points) < FEWEST:
            return None
        track: Any = cv2.calcOpticalFlowPyrLK
        there, found, _ = track(self.face, face, points, None, **TRACKING)
        back, found_back, _ = track(face, self.face, there, None, **TRACKING)
        sure = (found & found_back).astype(bool)[:, 0] & (np.abs(back - points).max(axis=(1, 2)) < BACK)
        enough = max(FEWEST, SHARE * len(points))
        if sure.sum() < enough:
            return None
        source, target = (ends[sure, 0].astype(np.float64) for ends in (points, there))
        _, agree = cv2.estimateAffinePartial2D(source, target, ransacReprojThreshold=AGREE)
        if agree is None or agree.sum() < enough:
            return None
        inside = agree[:, 0].astype(bool)
        return source[inside], target[inside]


def firm_parts(points: np.ndarray) -> np.ndarray:
    """Return the mask of the nose between the eyes, and of the sides of the face from the eyes to the ears.

    Cheeks are left out, which rise with a smile: the further apart the parts are that hold still, the surer are turn
    and growth.

    Parameters
    ----------
    points : (68, 2), dlib's points in a face of SIDE x SIDE.

    Returns
    -------
    (SIDE, SIDE) bool.
    """
    mask = np.zeros((SIDE, SIDE), bool)
    _fill(mask, points[[39, 42, 27, 33]], (0, 2, 0, 3), True)
    _fill(mask, points[[0, 2, 36]], (0, 5, -3, 0), True)
    _fill(mask, points[[14, 16, 45]], (-3, 5, 0, 0), True)
    for eye in (points[36:42], points[42:48]):
        _fill(mask, eye, (3, 5, 3, 5), False)
    return mask


def _fill(mask: np.ndarray, points: np.ndarray, more: tuple[int, int, int, int], value: bool) -> None:
    """Set the points' bounding box, with ``more`` pixels on its left, top, right and bottom."""
    left, top = np.floor(points.min(axis=0)).astype(int) - more[:2]
    right, bottom = np.ceil(points.max(axis=0)).astype(int) + more[2:]
    mask[max(top, 0) : max(bottom + 1, 0), max(left, 0) : max(right + 1, 0)] = value


def _robust(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the similarity that most points obey, and its standard error in parts of the face's side.

    Points that an expression moves besides count little.
    """
    weights = np.ones(len(source))
    for _ in range(4):
        fit = similarity(source, target, weights)
        apart = np.linalg.norm(transform_points(source, fit) - target, axis=1)
        # Tukey's weights: nothing beyond 4.7 standard deviations, which the median tells.
        reach = 4.7 * max(0.05, 1.4826 * float(np.median(apart[weights > 0])))
        weights = np.where(apart < reach, (1 - (apart / reach) ** 2) ** 2, 0.0)
    error = float(np.sqrt((weights * apart**2).sum() / weights.sum() / weights.sum()))
    return similarity(source, target, weights), error * (1 + 2 * MARGIN) / SIDE
