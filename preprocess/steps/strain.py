"""The step ``strain``: how much the skin is deformed, whatever way it moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from preprocess.steps import Work, as_before, register_step
from preprocess.steps._options import needed


@register_step("strain", version=1, pictures=as_before)
def strain(work: Work) -> Work:
    """Compute the magnitude of optical strain from the flow.

    It is sqrt(u_x^2 + v_y^2 + (u_y + v_x)^2 / 2), the norm of the infinitesimal strain tensor (Shreve et al. 2011), by
    central differences.

    Returns
    -------
    The work with these fields set:
    strain : (L, P, H, W) float32.
    """
    return replace(work, strain=optical_strain(needed(work, "strain", "flow", "flow")))


def optical_strain(flow: np.ndarray) -> np.ndarray:
    """Return the strain magnitude (..., H, W) float32 of flow (..., H, W, 2)."""
    u_y, u_x = np.gradient(flow[..., 0], axis=(-2, -1))
    v_y, v_x = np.gradient(flow[..., 1], axis=(-2, -1))
    return np.sqrt(u_x**2 + v_y**2 + 0.5 * (u_y + v_x) ** 2).astype(np.float32)
