"""The step ``strain``: how much the skin is deformed, whatever way it moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from preprocess.motion.valid import cleared, gradient
from preprocess.steps import Work, as_before, register_step
from preprocess.steps._options import needed, one_of

DERIVATIVES = ("central", "sobel")
SOBEL_SUM = 8
"""How many times a central difference a Sobel derivative is."""
ACROSS = np.array([[1, 2, 1]], np.float32)
"""The weights with which a Sobel filter averages neighbouring slopes along y; those along x are its columns."""


@register_step("strain", version=2, pictures=as_before)
def strain(work: Work, *, derivative: str = "central") -> Work:
    """Compute the magnitude of optical strain from the flow.

    It is sqrt(u_x^2 + v_y^2 + (u_y + v_x)^2 / 2), the norm of the infinitesimal strain tensor; over valid pixels only,
    and 0 elsewhere.

    Parameters
    ----------
    derivative : "central", by central differences, or "sobel", by Sobel filters of 3x3, which are about eight times as
        large and smoother.

    Returns
    -------
    The work with these fields set:
    strain : (L, P, H, W) float32.

    References
    ----------
    Shreve et al., Macro- and micro-expression spotting in long videos using spatio-temporal strain, FG 2011.

    Checked
    -------
    Derivative sobel: equal to xiazhaoqiang/Benchmark-MicroExpressionRec@78d418c5fa06, core/Features.py: BiWOOF.
    Derivative central: not checked, since Shreve et al. have no public code.
    """
    one_of("strain", "derivative", derivative, DERIVATIVES)
    flow = needed(work, "strain", "flow", "flow")
    return replace(work, strain=optical_strain(flow, work.valid, derivative))


def optical_strain(flow: np.ndarray, valid: np.ndarray | None = None, derivative: str = "central") -> np.ndarray:
    """Return the strain magnitude (..., H, W) float32 of flow (..., H, W, 2).

    Parameters
    ----------
    flow : u and v.
    valid : (H, W) bool, the pixels that count; None for all.
    derivative : as the step's option.
    """
    derivatives = gradient if derivative == "central" else _sobel
    u_y, u_x = derivatives(flow[..., 0], valid)
    v_y, v_x = derivatives(flow[..., 1], valid)
    return np.sqrt(u_x**2 + v_y**2 + 0.5 * (u_y + v_x) ** 2).astype(np.float32)


def _sobel(planes: np.ndarray, valid: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the Sobel derivatives of planes along y and along x, each (..., H, W).

    Without invalid pixels they are OpenCV's, whose borders mirror the picture. With some, they are central differences
    of valid pixels, averaged over valid neighbours with the filter's weights.
    """
    import cv2

    flat = planes.reshape(-1, *planes.shape[-2:]).astype(np.float32)
    if valid is None:
        along_y, along_x = (
            np.stack([cv2.Sobel(np.ascontiguousarray(one), -1, *order, ksize=3) for one in flat])
            for order in ((0, 1), (1, 0))
        )
    else:
        down, right = gradient(flat, valid)
        along_y, along_x = _averaged(down, valid, ACROSS), _averaged(right, valid, ACROSS.T)
    return along_y.reshape(planes.shape), along_x.reshape(planes.shape)


def _averaged(slopes: np.ndarray, valid: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted means of slopes (n, H, W) over valid neighbours, as large as a Sobel filter's sums."""
    import cv2

    def total(plane: np.ndarray) -> np.ndarray:
        return cv2.filter2D(plane, -1, weights, borderType=cv2.BORDER_CONSTANT)

    means = np.stack([total(one) for one in cleared(slopes, valid)]) / np.maximum(total(valid.astype(np.float32)), 1)
    return cleared(SOBEL_SUM * means, valid)
