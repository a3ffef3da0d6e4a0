"""The step ``strain``: how much the skin is deformed, whatever way it moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from preprocess.motion.valid import gradient
from preprocess.steps import Work, as_before, register_step
from preprocess.steps._options import needed


@register_step("strain", version=2, pictures=as_before)
def strain(work: Work) -> Work:
    """Compute the magnitude of optical strain from the flow.

    It is sqrt(u_x^2 + v_y^2 + (u_y + v_x)^2 / 2), the norm of the infinitesimal strain tensor (Shreve et al. 2011), by
    central differences; over valid pixels only, and 0 elsewhere.

    Returns
    -------
    The work with these fields set:
    strain : (L, P, H, W) float32.
    """
    return replace(work, strain=optical_strain(needed(work, "strain", "flow", "flow"), work.valid))


def optical_strain(flow: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Return the strain magnitude (..., H, W) float32 of flow (..., H, W, 2), over ``valid`` pixels (H, W) only."""
    u_y, u_x = gradient(flow[..., 0], valid)
    v_y, v_x = gradient(flow[..., 1], valid)
    return np.sqrt(u_x**2 + v_y**2 + 0.5 * (u_y + v_x) ** 2).astype(np.float32)
