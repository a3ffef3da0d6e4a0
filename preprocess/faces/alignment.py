"""From a recording to an upright face of fixed size: one similarity transform, and pictures drawn through it.

Pixel (i, j) is a sample at its centre; coordinates are x to the right and y down, as OpenCV counts them.
"""

from __future__ import annotations

import math

import numpy as np

from preprocess.faces.mean_shape import mean_shape

# Where an upright face has its eyes and the base of its nose, in distances between the eyes' centres from the middle
# between them; proportions of a mean adult face.
_ANCHORS = np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, 0.68]])
# The square that shows a face from above the brows to the chin, in the same unit: left, top and its side.
_LEFT, _TOP, _SIDE = -1.1, -0.5, 2.2
ALIGNMENTS = ("similarity", "box")


def anchor_points(landmarks: np.ndarray) -> np.ndarray:
    """Return the three points by which a face is aligned; mouth and brows move too much to serve.

    Parameters
    ----------
    landmarks : (68, 2), dlib's points.

    Returns
    -------
    (3, 2) float64: the centres of both eyes and the base of the nose.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    return np.stack([points[36:42].mean(axis=0), points[42:48].mean(axis=0), points[31:36].mean(axis=0)])


def face_transform(
    landmarks: np.ndarray, size: tuple[int, int], margin: float = 0.1, align: str = "similarity"
) -> np.ndarray:
    """Return the transform from the recording to an aligned face.

    Parameters
    ----------
    landmarks : (68, 2), dlib's points in the recording.
    size : (width, height) of the aligned picture.
    margin : what is added on each side, as a share of the face's own square.
    align : "similarity" shifts, scales and turns so that eyes and nose come closest to their standard places (least
        squares); "box" shifts and scales only, so that the picture is not turned.

    Returns
    -------
    (2, 3) float64, as ``cv2.warpAffine`` takes it.

    Raises
    ------
    ValueError : another value of ``align``.
    """
    if align not in ALIGNMENTS:
        raise ValueError(f"align is {align!r}; expected one of {', '.join(ALIGNMENTS)}")
    width, height = size
    unit = min(width, height) / (_SIDE * (1 + 2 * margin))
    middle = np.array([_LEFT + _SIDE / 2, _TOP + _SIDE / 2])
    target = (_ANCHORS - middle) * unit + np.array([width, height]) / 2 - 0.5
    return similarity(anchor_points(landmarks), target, turn=align == "similarity")


def similarity(
    source: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None, *, turn: bool = True
) -> np.ndarray:
    """Return the similarity that maps points onto others best (least squares).

    Parameters
    ----------
    source : (N, 2), the points.
    target : (N, 2), where they should go.
    weights : (N,), how much each counts; None for equal weights.
    turn : False for one that shifts and scales only.

    Returns
    -------
    (2, 3) float64.
    """
    middle, aim = (np.average(points, axis=0, weights=weights) for points in (source, target))
    start, goal = source - middle, target - aim
    counts = np.ones(len(source)) if weights is None else weights
    power = float((counts[:, None] * start**2).sum())
    cosine = float((counts[:, None] * start * goal).sum()) / power
    sine = float((counts * (start[:, 0] * goal[:, 1] - start[:, 1] * goal[:, 0])).sum()) / power
    if not turn:
        cosine, sine = math.hypot(cosine, sine), 0.0
    matrix = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([matrix, aim - matrix @ middle])


def compose(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Return the (2, 3) transform that is ``before`` and then ``after``."""
    return np.column_stack([after[:, :2] @ before[:, :2], after[:, :2] @ before[:, 2] + after[:, 2]])


def inverse(transform: np.ndarray) -> np.ndarray:
    """Return the (2, 3) transform that goes back."""
    back = np.linalg.inv(transform[:, :2])
    return np.column_stack([back, -back @ transform[:, 2]])


def picture_transform(picture: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Return the transform that draws a whole picture into another size, stretched where their shapes differ.

    Parameters
    ----------
    picture : (width, height) of the picture.
    size : (width, height) of the result.

    Returns
    -------
    (2, 3) float64, as ``cv2.warpAffine`` takes it.
    """
    scale = np.array(size) / np.array(picture)
    # Pixels are squares: corners fall on corners, not centres on centres.
    return np.column_stack([np.diag(scale), (scale - 1) / 2])


def pixels_inside(transform: np.ndarray, picture: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Return which pixels of an aligned picture lie inside the recording with all of their surface.

    Parameters
    ----------
    transform : (2, 3), from the recording to the aligned picture.
    picture : (width, height) of the recording.
    size : (width, height) of the aligned picture.

    Returns
    -------
    (height, width) bool.
    """
    import cv2

    width, height = size
    back = cv2.invertAffineTransform(transform)
    x, y = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    # Half a pixel's extent along each axis of the recording; a pixel may be turned.
    reach = np.abs(back[:, :2]).sum(axis=1) / 2
    tolerance = 1e-6
    result = np.ones((height, width), bool)
    for axis, length in enumerate(picture):
        at = back[axis, 0] * x + back[axis, 1] * y + back[axis, 2]
        result &= (at - reach[axis] >= -0.5 - tolerance) & (at + reach[axis] <= length - 0.5 + tolerance)
    return result


def transform_points(points: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """Return points (..., 2) moved by a (2, 3) transform, as float32."""
    return (np.asarray(points, dtype=np.float64) @ transform[:, :2].T + transform[:, 2]).astype(np.float32)


def placement(points: np.ndarray, of: slice = slice(68)) -> tuple[np.ndarray, float, float]:
    """Return where dlib's mean face must lie so that it comes closest to a face.

    Parameters
    ----------
    points : (68, 2), the face.
    of : the points that count.

    Returns
    -------
    middle : (2,) float64, the middle of the mean face's box.
    side : of the box, at least a pixel.
    turn : degrees by which the box is turned clockwise.
    """
    placed = similarity(mean_shape()[of], np.asarray(points, dtype=np.float64)[of])
    middle = placed[:, :2] @ [0.5, 0.5] + placed[:, 2]
    return middle, max(math.hypot(*placed[:, 0]), 1.0), math.degrees(math.atan2(placed[1, 0], placed[0, 0]))


def landmark_box(points: np.ndarray) -> tuple[int, int, int, int]:
    """Return the box in which dlib's fit begins closest to a face: where it follows best what the face does.

    Parameters
    ----------
    points : (68, 2), dlib's points.

    Returns
    -------
    Its left, top, right and bottom edges; a face that is turned lies turned about its middle (``landmark_turn``).
    """
    (x, y), side, _ = placement(points)
    return round(x - side / 2), round(y - side / 2), round(x + side / 2), round(y + side / 2)


def landmark_turn(points: np.ndarray) -> float:
    """Return by how many degrees a face, (68, 2), is turned clockwise."""
    return placement(points)[2]


def warp(picture: np.ndarray, transform: np.ndarray, size: tuple[int, int], outside: float | None = None) -> np.ndarray:
    """Return a picture moved by a transform.

    A picture that shrinks is averaged over the pixels that fall together, which avoids aliasing and lowers noise.

    Parameters
    ----------
    picture : (H, W) or (H, W, 3) uint8.
    transform : (2, 3), from the picture to the result.
    size : (width, height) of the result.
    outside : the grey level outside of the picture; None repeats the picture's edge.
    """
    import cv2

    width, height = size
    scale = math.sqrt(abs(float(np.linalg.det(transform[:, :2]))))
    finer = min(max(1, math.ceil(1 / scale)), 16) if scale > 0 else 1
    detailed = transform * finer
    detailed[:, 2] += (finer - 1) / 2
    border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    drawn = cv2.warpAffine(
        picture,
        detailed,
        (width * finer, height * finer),
        flags=cv2.INTER_LINEAR,
        borderMode=border,
        borderValue=(outside or 0.0,) * 3,
    )
    return drawn if finer == 1 else cv2.resize(drawn, size, interpolation=cv2.INTER_AREA)
