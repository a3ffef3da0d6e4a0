"""Hyperbolic geometry: points of the Poincaré ball, and how far they are apart."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST = 1e-5
"""Length below which none counts, so that a vector of 0 has gradients."""
EDGE = 1e-3
"""Share of the ball's radius that stays free at its edge."""


def to_ball(vectors: Tensor, curvature: float, longest: float) -> Tensor:
    """Return points of the ball of radius 1 / sqrt(curvature): the exponential map of vectors (n, d) at its centre.

    longest : longer vectors are cut to this length first (Guo et al., CVPR 2022).
    """
    lengths = vectors.norm(dim=1, keepdim=True)
    vectors = vectors * (longest / (lengths + LEAST)).clamp(max=1.0)
    lengths = vectors.norm(dim=1, keepdim=True).clamp_min(LEAST)
    root = curvature**0.5
    reached = torch.tanh(root * lengths) / root
    return vectors / lengths * reached.clamp(max=(1 - EDGE) / root)


def distances(points: Tensor, curvature: float) -> Tensor:
    """Return the lengths (n, n) of the shortest ways between points (n, d) of the ball, 0 from a point to itself."""
    apart = (points[:, None] - points[None]).square().sum(dim=2)
    room = 1 - curvature * points.square().sum(dim=1)
    # A sine that is 0 has no finite derivative of its root; below the bound it has none, which is right for a point.
    sine = (curvature * apart / (room[:, None] * room[None])).clamp_min(LEAST**2).sqrt()
    return 2 / curvature**0.5 * torch.asinh(sine) * (apart > 0)
