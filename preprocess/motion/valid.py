"""Arithmetic over valid pixels: those that every frame of a clip really has.

Where a face's square reaches outside of the recording there is no picture. What stands there is no data, so nothing is
measured from it: flow is computed inside only, derivatives, means and ranges leave it out, and results are 0 there.
``valid`` is (H, W) bool everywhere, or None where all pixels are valid.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# A pixel of a smaller picture is valid where at least this share of what falls into it is.
ENOUGH = 0.5


def box_of(valid: np.ndarray | None, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns of the smallest box that holds all valid pixels; the whole where none is valid.

    Parameters
    ----------
    valid : (H, W) bool, or None.
    shape : (H, W).
    """
    if valid is None or not valid.any():
        return slice(0, shape[0]), slice(0, shape[1])
    rows, columns = np.flatnonzero(valid.any(axis=1)), np.flatnonzero(valid.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def within(clip: np.ndarray, valid: np.ndarray | None, run: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Run something on the box of a clip's valid pixels, so that it sees the border of a picture there.

    Parameters
    ----------
    clip : (T, H, W, C).
    valid : (H, W) bool, or None.
    run : takes frames and returns frames (..., T', H', W', C) of the same height and width.

    Returns
    -------
    What ``run`` returns, (..., T', H, W, C); the edge of the box is repeated outside of it.
    """
    if valid is None:
        return run(clip)
    height, width = valid.shape
    rows, columns = box_of(valid, (height, width))
    inner = run(np.ascontiguousarray(clip[:, rows, columns]))
    sides = ((rows.start, height - rows.stop), (columns.start, width - columns.stop), (0, 0))
    return np.pad(inner, ((0, 0),) * (inner.ndim - 3) + sides, mode="edge")


def cleared(planes: np.ndarray, valid: np.ndarray | None, axis: int = -2) -> np.ndarray:
    """Return planes with 0 in the place of pixels that are not valid.

    Parameters
    ----------
    planes : (..., H, W), or with more axes behind.
    valid : (H, W) bool, or None, which returns ``planes`` itself.
    axis : where H stands among the axes of ``planes``, counted from the end.
    """
    if valid is None:
        return planes
    mask = valid.reshape(valid.shape + (1,) * (-axis - 2))
    return np.where(mask, planes, np.zeros((), planes.dtype))


def gradient(planes: np.ndarray, valid: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the derivatives of planes along y and along x, each (..., H, W).

    Differences are central; one-sided at the border of the picture and beside pixels that are not valid; 0 where a
    pixel has no valid neighbour on the axis, or is not valid itself.

    Parameters
    ----------
    planes : (..., H, W).
    valid : (H, W) bool, or None.
    """
    if valid is None:
        along_y, along_x = np.gradient(planes, axis=(-2, -1))
        return along_y, along_x
    down = _along_last(planes.swapaxes(-2, -1), valid.T).swapaxes(-2, -1)
    return down, _along_last(planes, valid)


def _along_last(planes: np.ndarray, valid: np.ndarray) -> np.ndarray:
    steps = np.diff(planes, axis=-1)
    known = valid[:, 1:] & valid[:, :-1]
    steps = np.where(known, steps, 0)
    total, count = np.zeros_like(planes), np.zeros(valid.shape, planes.dtype)
    total[..., :-1] += steps
    total[..., 1:] += steps
    count[:, :-1] += known
    count[:, 1:] += known
    return total / np.maximum(count, 1)


def way_to(shape: tuple[int, ...], size: tuple[int, int]) -> int:
    """Return OpenCV's way to bring pictures of (H, W) to (width, height): shrinking averages what falls together."""
    import cv2

    height, width = shape
    return cv2.INTER_AREA if size[0] <= width and size[1] <= height else cv2.INTER_LINEAR


def resized(planes: np.ndarray, valid: np.ndarray | None, size: tuple[int, int], way: int) -> np.ndarray:
    """Resize planes; a pixel of the result is the mean of the valid pixels that fall into it.

    Parameters
    ----------
    planes : (..., H, W), float.
    valid : (H, W) bool, or None.
    size : (width, height) of the result.
    way : OpenCV's interpolation.

    Returns
    -------
    (..., height, width) float32, 0 where ``resized_valid`` is False.
    """
    import cv2

    flat = planes.reshape(-1, *planes.shape[-2:])
    if valid is None:
        drawn = np.stack([cv2.resize(np.ascontiguousarray(one), size, interpolation=way) for one in flat])
    else:
        weight = cv2.resize(valid.astype(np.float32), size, interpolation=way)
        inside = weight >= ENOUGH
        share = np.where(inside, weight, np.float32(1))
        flat = cleared(flat, valid)
        drawn = np.stack([cv2.resize(np.ascontiguousarray(one), size, interpolation=way) / share for one in flat])
        drawn = cleared(drawn, inside)
    return drawn.reshape(*planes.shape[:-2], size[1], size[0]).astype(np.float32)


def resized_valid(valid: np.ndarray | None, size: tuple[int, int], way: int) -> np.ndarray | None:
    """Return which pixels of a resized picture are valid: those that at least ``ENOUGH`` valid ones fall into."""
    import cv2

    if valid is None:
        return None
    return cv2.resize(valid.astype(np.float32), size, interpolation=way) >= ENOUGH


def lowest_and_span(
    planes: np.ndarray, valid: np.ndarray | None, axes: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the least value over valid pixels, and how far above it the greatest lies; both 0 without valid pixels.

    Parameters
    ----------
    planes : (..., H, W).
    valid : (H, W) bool, or None.
    axes : the axes to go over; H and W among them. They stay, of length 1.
    """
    if valid is None:
        low = planes.min(axis=axes, keepdims=True)
        return low, planes.max(axis=axes, keepdims=True) - low
    low = planes.min(axis=axes, keepdims=True, initial=np.inf, where=valid)
    high = planes.max(axis=axes, keepdims=True, initial=-np.inf, where=valid)
    low, high = (np.where(np.isfinite(one), one, 0).astype(planes.dtype) for one in (low, high))
    return low, high - low


def shrunk(valid: np.ndarray | None, reach: int) -> np.ndarray | None:
    """Return the pixels of which all neighbours up to ``reach`` away, on both axes, are valid or off the picture."""
    import cv2

    if valid is None or reach < 1:
        return valid
    side = 2 * reach + 1
    return cv2.erode(valid.astype(np.uint8), np.ones((side, side), np.uint8)).astype(bool)
