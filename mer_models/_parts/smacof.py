"""Points of the plane whose distances come near given ones, by repeated majorisation of the stress (SMACOF)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

STARTS, STEPS, ENOUGH, SEED = 4, 300, 1e-3, 42
COINCIDENT = 1e-5
"""Stands for a distance of 0, by which nothing can be divided."""


def smacof_distances(distances: Tensor) -> Tensor:
    """Return the distances (n, v, v) of the points that SMACOF lays out for given distances (n, v, v), in float64.

    De Leeuw's majorisation as scikit-learn 1.2 to 1.6 carries it out with ``random_state=42``: four starts, the same
    ones for each sample; at most 300 steps, ended when the stress over the size of the layout falls by less than a
    thousandth; the start with the least stress is taken. All samples and starts move at once, and those that have ended
    stay where they are. It has no gradients.
    """
    wanted = distances.detach().to(torch.float64)[:, None]
    nodes = wanted.shape[-1]
    draw = np.random.RandomState(SEED).uniform(size=(STARTS, nodes, 2))
    points = torch.from_numpy(draw).to(wanted.device).expand(len(wanted), STARTS, nodes, 2)
    shape = points.shape[:2]
    last = torch.full(shape, torch.inf, device=wanted.device, dtype=torch.float64)
    stress, moving = torch.zeros_like(last), torch.ones_like(last, dtype=torch.bool)
    for _ in range(STEPS):
        apart = _distances(points)
        now = (apart - wanted).square().sum(dim=(2, 3)) / 2
        ratio = wanted / torch.where(apart == 0, COINCIDENT, apart)
        moved = (ratio.sum(dim=3, keepdim=True) * points - ratio @ points) / nodes
        relative = now / moved.square().sum(dim=3).sqrt().sum(dim=2)
        points = torch.where(moving[..., None, None], moved, points)
        stress = torch.where(moving, now, stress)
        moving = moving & (last - relative >= ENOUGH)
        last = relative
        if not moving.any():
            break
    best = stress.argmin(dim=1)[:, None, None, None]
    return _distances(points.take_along_dim(best, dim=1)[:, 0])


def _distances(points: Tensor) -> Tensor:
    """Return (..., v, v) of points (..., v, 2)."""
    return (points[..., :, None, :] - points[..., None, :, :]).square().sum(dim=-1).sqrt()
