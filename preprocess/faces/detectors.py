"""dlib's detectors and landmark fit on single grey pictures, each with the checks that a caller needs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.faces.model_files import CNN, LANDMARKS, model_file

if TYPE_CHECKING:
    import numpy as np

Box = tuple[int, int, int, int]

# Faces are fitted in a window of this many pixels across the box: dlib rounds landmarks to whole pixels.
FIT_SIZE = 256
# The rectangles of one fit, as shifts and growths in parts of the box's size. A face pulls all fits to the same points;
# where there is none, the points follow their rectangle.
_JITTER = ((0.0, 0.0, 0.0), (0.04, 0.0, 0.0), (-0.04, 0.0, 0.0), (0.0, 0.04, 0.05), (0.0, -0.04, -0.05))


@dataclass(frozen=True)
class Fit:
    """The landmarks fitted to one face.

    Attributes
    ----------
    landmarks : (68, 2) float32, the mean of several fits.
    spread : how far the fits differ on average, as a share of the distance between the eyes.
    """

    landmarks: np.ndarray
    spread: float

    def plausible(self, max_spread: float) -> bool:
        """Whether the fits agree and form an upright face: brows above eyes above nose above mouth above chin."""
        points = self.landmarks
        eyes = (points[36:42].mean(axis=0) + points[42:48].mean(axis=0)) / 2
        across = points[42:48].mean(axis=0) - points[36:42].mean(axis=0)
        heights = [points[17:27, 1].mean(), eyes[1], points[31:36, 1].mean(), points[48:60, 1].mean(), points[8, 1]]
        upright = all(upper < lower for upper, lower in itertools.pairwise(heights))
        return bool(self.spread < max_spread and upright and across[0] > 2 * abs(across[1]))


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
        import dlib

        return dlib.get_frontal_face_detector()

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

    def fit(self, picture: np.ndarray, box: Box) -> Fit:
        """Fit landmarks to a face: the mean of the fits from slightly different rectangles.

        Parameters
        ----------
        picture : (H, W) uint8.
        box : left, top, right and bottom of the face.
        """
        import dlib
        import numpy as np

        from preprocess.faces.alignment import warp

        left, top, right, bottom = box
        side = max(right - left, bottom - top, 1)
        scale = FIT_SIZE / side
        # A window twice as wide as the box, the box in its middle.
        shift = [FIT_SIZE - scale * (left + right) / 2, FIT_SIZE - scale * (top + bottom) / 2]
        transform = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
        window = warp(picture, transform, (2 * FIT_SIZE, 2 * FIT_SIZE))
        points = []
        for x, y, growth in _JITTER:
            middle_x, middle_y, half = FIT_SIZE * (1 + x), FIT_SIZE * (1 + y), FIT_SIZE * (1 + growth) / 2
            edges = (middle_x - half, middle_y - half, middle_x + half, middle_y + half)
            shape = self._predictor(window, dlib.rectangle(*(round(edge) for edge in edges)))
            points.append([(part.x, part.y) for part in shape.parts()])
        fits = np.asarray(points, dtype=np.float64)
        mean = fits.mean(axis=0)
        eyes = np.linalg.norm(mean[42:48].mean(axis=0) - mean[36:42].mean(axis=0))
        spread = np.linalg.norm(fits - mean, axis=2).mean() / max(eyes, 1.0)
        landmarks = (mean - np.asarray(shift)) / scale
        return Fit(landmarks.astype(np.float32), float(spread))


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


def _box(found: Any, scale: float) -> Box:
    edges = (found.left(), found.top(), found.right(), found.bottom())
    left, top, right, bottom = (round(edge * scale) for edge in edges)
    return left, top, right, bottom


def _largest_first(boxes: list[Box]) -> list[Box]:
    return sorted(boxes, key=lambda box: (-(box[2] - box[0]) * (box[3] - box[1]), box))
