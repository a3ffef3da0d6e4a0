"""dlib's detectors and landmark fit on single grey pictures, each with the checks that a caller needs."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from preprocess.faces.alignment import landmark_box, placement, warp
from preprocess.faces.fit import Fit
from preprocess.faces.model_files import CNN, LANDMARKS, model_file

Box = tuple[int, int, int, int]

# The rectangles of a fit, as shifts and growths in parts of the face's box. A face pulls all fits to the same points;
# where there is none, the points follow their rectangle.
_ROUGH = ((0.0, 0.0, 0.0),)
_USUAL = ((0.0, 0.0, 0.0), (0.04, 0.0, 0.0), (-0.04, 0.0, 0.0), (0.0, 0.04, 0.05), (0.0, -0.04, -0.05))
# So near to each other that no fit ends elsewhere, and so many that their trembling averages out.
_FINE = tuple((x, y, 0.0) for x in (-0.03, -0.01, 0.01, 0.03) for y in (-0.03, -0.01, 0.01, 0.03))
# What is added around a picture that is turned, in parts of its shorter side.
TURNED_MARGIN = 0.2
# A face that is found to be turned by more degrees than this against its window is fitted once more, a few times.
_TURNED, _TURNS = 8.0, 3


@dataclass(frozen=True)
class _Way:
    """How a window is drawn and how often a face is fitted in it.

    Attributes
    ----------
    rectangles : shifts and growths of the face's box.
    across : pixels across the box: dlib rounds landmarks to whole pixels, and looks at whole pixels.
    blur : standard deviation in pixels; without noise fits tremble less.
    """

    rectangles: tuple[tuple[float, float, float], ...]
    across: int
    blur: float = 0.0


# The window's width in parts of the box: dlib looks a little beyond it.
_WINDOW = 1.6
_LOOK = _Way(_ROUGH, 256)
_FIND = _Way(_USUAL, 256)
_FOLLOW = _Way(_FINE, 512, blur=4.0)


class Detectors:
    """dlib's HOG and CNN face detectors and its 68-point predictor, each loaded when first used.

    Copies and pickles load them again.

    Parameters
    ----------
    models : the folder of the two model files; None looks where ``model_file`` does.
    """

    def __init__(self, models: Path | str | None = None) -> None:
        self.models = models

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.models,)

    @cached_property
    def _hog(self) -> Any:
        return pickle.loads(_pickled_hog())

    @cached_property
    def _cnn(self) -> Any:
        import dlib

        return dlib.cnn_face_detection_model_v1(str(model_file(CNN, self.models)))

    @cached_property
    def _predictor(self) -> Any:
        return _load_predictor(model_file(LANDMARKS, self.models))

    def hog(self, picture: np.ndarray, longest: int) -> list[Box]:
        """Return the boxes that the HOG detector finds, largest first.

        Parameters
        ----------
        picture : (H, W) uint8.
        longest : the picture is resized first, so that its longer side has so many pixels; the detector then finds
            faces of at least 80 pixels.
        """
        small, scale = _scaled(picture, longest)
        return _largest_first([_box(one, scale) for one in self._hog(small, 0)])

    def hog_padded(self, picture: np.ndarray, longest: int, margin: float = 0.4) -> list[Box]:
        """Return what HOG finds after a border is added: without one it misses faces that fill the picture.

        Parameters
        ----------
        picture, longest : as for ``hog``.
        margin : the width of the border, as a share of the picture's size.
        """
        import cv2

        height, width = picture.shape
        right, down = round(width * margin), round(height * margin)
        padded = cv2.copyMakeBorder(picture, down, down, right, right, cv2.BORDER_REPLICATE)
        boxes = self.hog(padded, longest)
        return [(left - right, top - down, end - right, low - down) for left, top, end, low in boxes]

    def hog_turned(self, picture: np.ndarray, longest: int, turn: float) -> list[Box]:
        """Return what HOG finds in a picture that is turned back: it finds faces turned by 40 degrees at most.

        Parameters
        ----------
        picture, longest : as for ``hog``.
        turn : degrees by which the face is turned clockwise.

        Returns
        -------
        Boxes in the picture as it is, each about the middle of a face that lies turned in it.
        """
        height, width = picture.shape
        angle = math.radians(turn)
        back = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ back.T
        # Room around the picture, as for ``hog_padded``.
        room = TURNED_MARGIN * min(width, height)
        low, size = corners.min(axis=0) - room, np.ptp(corners, axis=0) + 2 * room
        drawn = warp(picture, np.column_stack([back, -low]), (round(size[0]), round(size[1])), _median(picture))
        boxes = []
        for left, top, right, bottom in self.hog(drawn, longest):
            x, y = (np.array([(left + right) / 2, (top + bottom) / 2]) + low) @ back
            half = (right - left) / 2
            boxes.append((round(x - half), round(y - half), round(x + half), round(y + half)))
        return boxes

    def cnn(self, picture: np.ndarray, longest: int) -> list[Box]:
        """Return the boxes that the CNN detector finds, largest first.

        It takes half a second a picture without a GPU.

        Parameters
        ----------
        picture, longest : as for ``hog``.
        """
        import cv2

        small, scale = _scaled(picture, longest)
        found = self._cnn(cv2.cvtColor(small, cv2.COLOR_GRAY2RGB), 0)
        return _largest_first([_box(one.rect, scale) for one in found])

    def fit(self, picture: np.ndarray, box: Box, turn: float = 0.0, *, fine: bool = False) -> Fit:
        """Fit landmarks to a face: first roughly in the box, then in the box where dlib's mean face lies on that fit.

        Parameters
        ----------
        picture : (H, W) uint8. What lies outside of it is filled with one grey level, that of the box's median. Edges
            that are repeated look like parts of a face; black looks like the outline of the jaw.
        box : left, top, right and bottom of the face.
        turn : degrees by which the face is turned clockwise about the middle of the box; up to 40 more are found.
        fine : True for points that follow the face by tenths of a pixel, in three times the time.

        Returns
        -------
        The mean of the fits from slightly different rectangles.
        """
        left, top, right, bottom = box
        outside = _grey_level(picture, box)
        middle, side = np.array([(left + right) / 2, (top + bottom) / 2]), float(max(right - left, bottom - top, 1))
        fits = self._fits(picture, _window(middle, side, turn, _LOOK), outside, _LOOK)
        way = _FOLLOW if fine else _FIND
        for _ in range(_TURNS):
            before = turn
            middle, side, turn = placement(fits.mean(axis=0))
            fits = self._fits(picture, _window(middle, side, turn, way), outside, way)
            if abs((turn - before + 180) % 360 - 180) < _TURNED:
                break
        return Fit.of(fits, turn)

    def look(self, picture: np.ndarray, fit: Fit) -> np.ndarray:
        """Return landmarks, (68, 2) float64, fitted once to the face that lies in a picture where it lay in another."""
        middle, side, turn = placement(fit.landmarks)
        outside = _grey_level(picture, landmark_box(fit.landmarks))
        looked: np.ndarray = self._fits(picture, _window(middle, side, turn, _LOOK), outside, _LOOK)[0]
        return looked

    def _fits(self, picture: np.ndarray, transform: np.ndarray, outside: float, way: _Way) -> np.ndarray:
        """Return the fits, (n, 68, 2) float64 in pixels of the picture, in the window that a transform draws."""
        import cv2
        import dlib

        size = round(way.across * _WINDOW)
        window = warp(picture, transform, (size, size), outside)
        if way.blur:
            window = cv2.GaussianBlur(window, (0, 0), way.blur)
        points = []
        for x, y, growth in way.rectangles:
            middle_x, middle_y, half = (
                size / 2 + way.across * x,
                size / 2 + way.across * y,
                way.across * (1 + growth) / 2,
            )
            edges = (middle_x - half, middle_y - half, middle_x + half, middle_y + half)
            shape = self._predictor(window, dlib.rectangle(*(round(edge) for edge in edges)))
            points.append([(part.x, part.y) for part in shape.parts()])
        back = np.linalg.inv(transform[:, :2])
        fits: np.ndarray = (np.asarray(points, dtype=np.float64) - transform[:, 2]) @ back.T
        return fits


@cache
def _pickled_hog() -> bytes:
    """Return the HOG detector that dlib brings, 150 kB: each thread needs its own, which dlib takes 0.4 s to unpack."""
    import dlib

    return pickle.dumps(dlib.get_frontal_face_detector())


@cache
def _load_predictor(file: Path) -> Any:
    """Return the predictor of a file, 100 MB that take half a second: one for all threads, which only read it."""
    import dlib

    return dlib.shape_predictor(str(file))


def _scaled(picture: np.ndarray, longest: int) -> tuple[np.ndarray, float]:
    """Return the picture with its longer side at ``longest`` pixels, and the factor back to its own pixels."""
    import cv2

    height, width = picture.shape
    scale = longest / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(picture, size, interpolation=way), 1 / scale


def _window(middle: np.ndarray, side: float, turn: float, way: _Way) -> np.ndarray:
    """Return the transform (2, 3) into a window with the box, turned by so many degrees, upright in its middle."""
    scale, angle = way.across / side, math.radians(turn)
    upright = scale * np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return np.column_stack([upright, round(way.across * _WINDOW) / 2 - upright @ middle])


def _grey_level(picture: np.ndarray, box: Box) -> float:
    """Return the median of a box's pixels; of the whole picture where it shows none of the box."""
    left, top, right, bottom = (max(edge, 0) for edge in box)
    part = picture[top:bottom, left:right]
    return _median(part if part.size else picture)


def _median(picture: np.ndarray) -> float:
    """Return the median of every fourth row and column of a picture."""
    return float(np.median(picture[::4, ::4]))


def _box(found: Any, scale: float) -> Box:
    edges = (found.left(), found.top(), found.right(), found.bottom())
    left, top, right, bottom = (round(edge * scale) for edge in edges)
    return left, top, right, bottom


def _largest_first(boxes: list[Box]) -> list[Box]:
    return sorted(boxes, key=lambda box: (-(box[2] - box[0]) * (box[3] - box[1]), box))
