"""The face of a stream of pictures: found in one of them, followed through the next ones, brought to one place."""

from __future__ import annotations

import numpy as np

from preprocess.faces.alignment import compose, face_transform, inverse, landmark_box, pixels_inside, warp
from preprocess.faces.alignment import transform_points as moved
from preprocess.faces.detectors import Box, Detectors
from preprocess.faces.following import CHANGED
from preprocess.faces.head_way import MARGIN, SIDE
from preprocess.faces.settling import Settled, settled
from preprocess.faces.sight import Sight
from preprocess.steps._apex_spotting import BLUR, SIZE

LONGEST = 640
"""Pixels of the longer side of the pictures that are looked at: HOG then finds faces that fill an eighth of it."""
TURNS = (90.0, -90.0, 180.0)
"""Degrees clockwise at which a face is looked for where none is upright: a telephone that was held otherwise."""
SAME = 0.3
"""Share of two boxes' union that they have in common, from which on they are one face."""


def shrunk_picture(picture: np.ndarray) -> np.ndarray:
    """Return a picture whose longer side is at most LONGEST pixels."""
    import cv2

    height, width = picture.shape
    scale = LONGEST / max(height, width)
    if scale >= 1:
        return picture
    return cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)


class Looking:
    """Looks for a face in single pictures.

    Attributes
    ----------
    looks : in how many pictures it looked.
    most : the most faces that one of them showed.
    """

    def __init__(self) -> None:
        self._detectors = Detectors()
        self._last: tuple[np.ndarray, np.ndarray | None] | None = None
        self.looks = self.most = 0

    def face(self, picture: np.ndarray, near: Box | None) -> np.ndarray | None:
        """Return the landmarks (68, 2) of a face, or None.

        Parameters
        ----------
        picture : (H, W) uint8.
        near : where the face was seen before; of several faces that one is taken, else the largest.
        """
        if self._last is None or self._last[0] is not picture:
            self._last = picture, self._found(picture, near)
        return self._last[1]

    def _found(self, picture: np.ndarray, near: Box | None) -> np.ndarray | None:
        find = self._detectors
        self.looks += 1
        for way, turn in (("hog", 0.0), ("hog_padded", 0.0), *(("hog_turned", turn) for turn in TURNS)):
            if way == "hog_turned":
                boxes = find.hog_turned(picture, LONGEST, turn)
            else:
                boxes = getattr(find, way)(picture, LONGEST)
            if near is not None:
                boxes = sorted(boxes, key=lambda box: common(box, near) < SAME)
            for box in boxes:
                fit = settled(find, picture, box, way, turn)
                if isinstance(fit, Settled):
                    self.most = max(self.most, len(boxes))
                    return fit.fit.landmarks
        return None


class Follower:
    """Follows a face through pictures that come one after the other.

    Parameters
    ----------
    picture : (H, W) uint8, the first one.
    landmarks : (68, 2), the face in it.
    """

    def __init__(self, picture: np.ndarray, landmarks: np.ndarray) -> None:
        transform = face_transform(landmarks, (SIDE, SIDE), MARGIN)
        self._points = moved(landmarks, transform)
        self._known = Sight(picture, transform, self._points)
        self._latest = picture, transform
        self._fresh = True
        self._to_small = compose(face_transform(landmarks, (SIZE, SIZE)), inverse(transform))
        self.points = moved(landmarks, face_transform(landmarks, (SIZE, SIZE)))
        self.valid = np.ones((SIZE, SIZE), bool)

    def box(self) -> Box:
        """Return where the face was seen last."""
        return landmark_box(moved(self._points, inverse(self._latest[1])))

    def see(self, picture: np.ndarray) -> np.ndarray | None:
        """Return the next picture's face, (SIZE, SIZE) float32, aligned and smoothed; None where it is not seen."""
        _, transform = self._latest
        found = self._known.find_in(picture, transform)
        if (found is None or found.alike < CHANGED) and not self._fresh:
            # The face looks different by now: from here on it is compared with the picture before.
            self._known, self._fresh = Sight(*self._latest, self._points), True
            found = self._known.find_in(picture, transform)
        found = found or self._known.find_in(picture, self._known.search(picture))
        if found is None:
            return None
        self._latest, self._fresh = (picture, found.transform), False
        return self.drawn(picture, found.transform)

    def first(self) -> np.ndarray:
        """Return the face of the first picture."""
        return self.drawn(*self._latest)

    def drawn(self, picture: np.ndarray, transform: np.ndarray) -> np.ndarray:
        """Return a picture's face, and note the pixels that lie outside of the recording."""
        import cv2

        small = compose(self._to_small, transform)
        height, width = picture.shape
        corners = moved(np.array([[-1, -1], [SIZE, -1], [-1, SIZE], [SIZE, SIZE]]), inverse(small))
        if corners.min() < 0 or corners[:, 0].max() > width - 1 or corners[:, 1].max() > height - 1:
            self.valid &= pixels_inside(small, (width, height), (SIZE, SIZE))
        return cv2.GaussianBlur(warp(picture, small, (SIZE, SIZE)).astype(np.float32), (0, 0), BLUR)


def common(one: Box, other: Box) -> float:
    """Return the share of two boxes' union that they have in common."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = float(width * height)
    return both / (sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - both)
