"""Linear Eulerian video magnification (Wu et al. 2012)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

TemporalFilter = Callable[[np.ndarray], np.ndarray]


def magnify_eulerian(clip: np.ndarray, factors: Sequence[float], changes: TemporalFilter) -> list[np.ndarray]:
    """Multiply the temporal change of a clip.

    Each level of a Laplacian pyramid is filtered in time, multiplied by factor - 1 and added to the clip. The finest
    level, whose wavelengths are those of the sensor's noise, is left as it is once the picture has four levels or more.

    Parameters
    ----------
    clip : (T, H, W, C) float32.
    factors : how many times as large the change becomes; 1 leaves the clip as it is.
    changes : takes a signal (T, ...) and returns how it differs from its first frame, filtered in time.

    Returns
    -------
    A clip (T, H, W, C) float32 for each factor.
    """
    pyramids = [_laplacian(frame) for frame in clip]
    depth = len(pyramids[0])
    moved: list[np.ndarray] = []
    for level in range(depth):
        change = changes(np.stack([pyramid[level] for pyramid in pyramids]))
        moved.append(np.zeros_like(change) if level == 0 and depth >= 4 else change)
    rise = np.stack([_collapse([level[index] for level in moved]) for index in range(len(clip))])
    rise = rise.reshape(clip.shape)
    return [clip + np.float32(factor - 1) * rise for factor in factors]


def _laplacian(frame: np.ndarray) -> list[np.ndarray]:
    """Return the Laplacian pyramid of (H, W, C), finest first, down to a picture of less than 16 pixels."""
    import cv2

    levels = []
    while min(frame.shape[:2]) >= 16:
        smaller = cv2.pyrDown(frame)
        levels.append(_flat(frame) - _flat(cv2.pyrUp(smaller, dstsize=(frame.shape[1], frame.shape[0]))))
        frame = smaller
    return [*levels, _flat(frame)]


def _collapse(levels: list[np.ndarray]) -> np.ndarray:
    import cv2

    picture = levels[-1]
    for level in reversed(levels[:-1]):
        picture = _flat(cv2.pyrUp(picture, dstsize=(level.shape[1], level.shape[0]))) + level
    return picture


def _flat(picture: np.ndarray) -> np.ndarray:
    """Return (H, W, C) without an axis of one channel: OpenCV drops it here and there."""
    return picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture
