"""Smooth displacement fields made of bumps, and how a point moves in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Bump:
    """A displacement (dx, dy) at (x, y) that falls off as a Gaussian; radius : standard deviation. In pixels."""

    x: float
    y: float
    dx: float
    dy: float
    radius: float


def field(bumps: Sequence[Bump], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the sum of the bumps at the points (x, y), two arrays that broadcast to S: (*S, 2) float32."""
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
    """Return the points q with ``q + shift(q) = targets``, (n, 2), by fixed-point steps.

    They converge where the shift changes by less than a pixel a pixel, that is where nothing folds over.
    """
    points = targets.copy()
    for _ in range(steps):
        points = targets - shift(points)
    return points
