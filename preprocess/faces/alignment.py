"""From a recording to an upright face of fixed size: one similarity transform, and pictures drawn through it.

Pixel (i, j) is a sample at its centre; coordinates are x to the right and y down, as OpenCV counts them.
"""

from __future__ import annotations

import math

import numpy as np

# Where an upright face has its eyes and the base of its nose, in distances between the eyes' centres from the middle
# between them; proportions of a mean adult face.
_ANCHORS = np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, 0.68]])
# The square that shows a face from above the brows to the chin, in the same unit: left, top and its side.
_LEFT, _TOP, _SIDE = -1.1, -0.5, 2.2
ALIGNMENTS = ("similarity", "box")


def anchor_points(landmarks: np.ndarray) -> np.ndarray:
    """Return the centres of both eyes and the base of the nose, (3, 2), of 68 landmarks; mouth and brows move more."""
    points = np.asarray(landmarks, dtype=np.float64)
    return np.stack([points[36:42].mean(axis=0), points[42:48].mean(axis=0), points[31:36].mean(axis=0)])


def face_transform(
    landmarks: np.ndarray, size: tuple[int, int], margin: float = 0.1, align: str = "similarity"
) -> np.ndarray:
    """Return the (2, 3) float64 transform from the recording to an aligned face.

    size : (width, height) of the crop. margin : what is added on each side, in parts of the face's own square.
    align : "similarity" turns and scales so that eyes and nose base come as near as they can (least squares) to their
        standard places; "box" only shifts and scales, so that the picture is not turned.
    """
    if align not in ALIGNMENTS:
        raise ValueError(f"align is {align!r}; expected one of {', '.join(ALIGNMENTS)}")
    width, height = size
    unit = min(width, height) / (_SIDE * (1 + 2 * margin))
    middle = np.array([_LEFT + _SIDE / 2, _TOP + _SIDE / 2])
    target = (_ANCHORS - middle) * unit + np.array([width, height]) / 2 - 0.5
    return _least_squares(anchor_points(landmarks), target, turn=align == "similarity")


def _least_squares(source: np.ndarray, target: np.ndarray, *, turn: bool) -> np.ndarray:
    """Return the similarity (rotation only where ``turn``) that maps source points onto target points best."""
    start, goal = source - source.mean(axis=0), target - target.mean(axis=0)
    power = float((start**2).sum())
    cosine = float((start * goal).sum()) / power
    sine = float((start[:, 0] * goal[:, 1] - start[:, 1] * goal[:, 0]).sum()) / power
    if not turn:
        cosine, sine = math.hypot(cosine, sine), 0.0
    matrix = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([matrix, target.mean(axis=0) - matrix @ source.mean(axis=0)])


def transform_points(points: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """Return points (..., 2) drawn through a (2, 3) transform, float32."""
    return (np.asarray(points, dtype=np.float64) @ transform[:, :2].T + transform[:, 2]).astype(np.float32)


def landmark_box(points: np.ndarray) -> tuple[int, int, int, int]:
    """Return a square like a detector's (left, top, right, bottom) around 68 landmarks, from the brows to the chin."""
    top, bottom = points[17:27, 1].min(), points[8, 1]
    middle, half = points[17:27, 0].mean(), (bottom - top) / 2
    return round(float(middle - half)), round(float(top)), round(float(middle + half)), round(float(bottom))


def warp(picture: np.ndarray, transform: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a picture, (H, W) or (H, W, 3) uint8, drawn through a (2, 3) transform, with ``size`` (width, height).

    A picture that shrinks is averaged over the pixels that fall together (no aliasing, less noise); what lies outside
    of it repeats its edge.
    """
    import cv2

    width, height = size
    scale = math.sqrt(abs(float(np.linalg.det(transform[:, :2]))))
    finer = min(max(1, math.ceil(1 / scale)), 16) if scale > 0 else 1
    detailed = transform * finer
    detailed[:, 2] += (finer - 1) / 2
    drawn = cv2.warpAffine(
        picture, detailed, (width * finer, height * finer), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return drawn if finer == 1 else cv2.resize(drawn, size, interpolation=cv2.INTER_AREA)
