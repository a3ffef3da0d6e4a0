"""A graph over a few nodes from how their vectors lie: geodesic distances, laid out in the plane; all samples at once.

Everything runs on the vectors' device and has gradients that stay finite where nodes coincide.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

SHORTEST = 0.1
"""Least length of an edge, so that no two nodes coincide and every node is reached."""
TINY = 1e-6
FLOOR = 1e-4
"""Added to squares of distances, whose root has no derivative at 0."""
EVEN = 0.05
"""Eigenvalues of a Gram matrix that are not much further apart hardly say which of their directions the plane holds."""


def manifold_distances(nodes: Tensor) -> Tensor:
    """Return the distances (n, v, v) between nodes (n, v, c) after classical scaling of their geodesics to the plane.

    Likeness is what links nodes strongly, since an edge is as long as a cosine. Tenenbaum, de Silva and Langford,
    Science 2000 (Isomap), for the geodesics and the scaling.
    """
    return _planar(region_geodesics(nodes))


def region_geodesics(nodes: Tensor) -> Tensor:
    """Return the geodesics (n, v, v) between nodes (n, v, c); an edge is as long as the cosine of its nodes' vectors.

    The cosine is taken to be at least 0.1.
    """
    directions = functional.normalize(nodes, dim=-1, eps=TINY)
    lengths = (directions @ directions.transpose(-1, -2)).clamp_min(SHORTEST)
    return geodesics(lengths * _others(lengths))


def geodesics(lengths: Tensor) -> Tensor:
    """Return the shortest paths (n, v, v) through edges of the given lengths, diagonal 0: Floyd-Warshall."""
    for over in range(lengths.shape[-1]):
        lengths = torch.minimum(lengths, lengths[..., over, None] + lengths[..., None, over, :])
    return lengths


def _planar(distances: Tensor) -> Tensor:
    nodes = distances.shape[-1]
    centre = torch.eye(nodes, device=distances.device, dtype=distances.dtype) - 1 / nodes
    gram = plane_of(-0.5 * centre @ distances.square() @ centre)
    norms = gram.diagonal(dim1=-2, dim2=-1)
    squares = norms[..., :, None] + norms[..., None, :] - 2 * gram
    return (squares.clamp_min(0) + FLOOR).sqrt() * _others(distances)


def _others(matrix: Tensor) -> Tensor:
    """Return (v, v): 0 on the diagonal, 1 elsewhere."""
    return 1 - torch.eye(matrix.shape[-1], device=matrix.device, dtype=matrix.dtype)


def plane_of(gram: Tensor) -> Tensor:
    """Return the nearest positive Gram matrix of rank two to each symmetric matrix (n, v, v)."""
    result: Tensor = _Plane.apply(gram)
    return result


class _Plane(torch.autograd.Function):
    """Keep the two largest eigenvalues, as far as they are positive.

    The derivative of ``torch.linalg.eigh`` divides by the gaps between all eigenvalues. That of what is kept (the
    formula of Daleckii and Krein) needs only the gaps between kept and dropped ones. Where such a gap is small, the
    derivative is held small too: the exact one would be large, and hold in the nearest surroundings alone, so that
    training with it is unstable.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(gram: Tensor) -> Tensor:
        _, vectors, kept, _ = _spectrum(gram)
        return (vectors * kept[..., None, :]) @ vectors.transpose(-1, -2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        values, vectors, kept, live = _spectrum(ctx.saved_tensors[0])
        gap = values[..., :, None] - values[..., None, :]
        both = live[..., :, None] * live[..., None, :]
        change = (kept[..., :, None] - kept[..., None, :]) * gap / (gap.square() + EVEN**2)
        inner = vectors.transpose(-1, -2) @ ((gradients[0] + gradients[0].transpose(-1, -2)) / 2) @ vectors
        return vectors @ (inner * (both + (1 - both) * change)) @ vectors.transpose(-1, -2)


def _spectrum(gram: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return eigenvalues, eigenvectors in columns, kept eigenvalues (others 0), and 1 where one is kept."""
    values, vectors = torch.linalg.eigh(gram)
    largest = torch.arange(gram.shape[-1], device=gram.device) >= gram.shape[-1] - 2
    live = ((values > 0) & largest).to(values.dtype)
    return values, vectors, values * live, live
