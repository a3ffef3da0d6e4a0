"""Smooth displacement fields made of bumps, and how a point moves in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Bump:
    """A displacement that falls off around a point as a Gaussian does. All values are in pixels.

    Attributes
    ----------
    x, y : the point.
    dx, dy : the displacement there.
    radius : standard deviation of the Gaussian.
    """

    x: float
    y: float
    dx: float
    dy: float
    radius: float


def field(bumps: Sequence[Bump], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the sum of the bumps at some points.

    Parameters
    ----------
    bumps : the bumps.
    x, y : the points' coordinates, two arrays that broadcast to a shape S.

    Returns
    -------
    (*S, 2) float32.
    """
    import numpy as np

    total = np.zeros((*np.broadcast_shapes(x.shape, y.shape), 2), dtype=np.float32)
    for bump in bumps:
        scale = -0.5 / bump.radius**2
        # A Gaussian is the product of one along x and one along y: cheap where x is a row and y a column.
        weight = np.exp(scale * (x - bump.x) ** 2) * np.exp(scale * (y - bump.y) ** 2)
        total[..., 0] += bump.dx * weight
        total[..., 1] += bump.dy * weight
    return total


def solve(shift: Callable[[np.ndarray], np.ndarray], targets: np.ndarray, steps: int = 20) -> np.ndarray:
    """Return the points q for which ``q + shift(q) = targets``, found by fixed-point steps.

    They are found where the shift changes by less than a pixel from one pixel to the next, so that nothing folds over.

    Parameters
    ----------
    shift : points (n, 2) -> their displacement (n, 2).
    targets : (n, 2).
    steps : number of steps.

    Returns
    -------
    (n, 2).
    """
    points = targets.copy()
    for _ in range(steps):
        points = targets - shift(points)
    return points
