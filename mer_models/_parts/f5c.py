"""The F5C block of MOL: a convolution that spans the whole map, and a graph of maps that are alike."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WHOLE_KERNEL = 32
"""Length of the public code's kernels, which are cut to the side of the map; it bounds their first weights."""


class F5C(nn.Module):
    """A fully-connected convolution, and a channel correspondence convolution added to it; (n, c, s, s) to the same.

    Parameters
    ----------
    channels : of the maps, an even number.
    side : rows, and columns, of the maps.
    neighbours : links of a map, itself among them.
    as_published : see ``Correspondence``; without the 1x1 convolution after it.
    """

    def __init__(self, channels: int, side: int, neighbours: int, *, as_published: bool) -> None:
        super().__init__()
        self.spread = FullyConnectedConvolution(channels, side)
        self.relate = Correspondence(side * side, neighbours, as_published=as_published)
        self.mix = nn.Identity() if as_published else nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.spread(maps)
        return maps + self.mix(self.relate(maps.flatten(2)).view_as(maps))


class FullyConnectedConvolution(nn.Module):
    """Two depthwise convolutions as long as the map and closed to a ring, one along each axis; a residual around them.

    The first half of the channels goes along rows, then along columns, the second half the other way round. Before each
    convolution learned positions along one axis are added; batch normalisation stands between the first ones.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        half = channels // 2
        self.norms = nn.ModuleList(nn.BatchNorm2d(half) for _ in range(2))
        down, across = (half, 1, side, 1), (half, 1, 1, side)
        bound = WHOLE_KERNEL**-0.5
        shapes = (down, across, down, across)
        self.kernels = nn.ParameterList(nn.Parameter(torch.empty(shape).uniform_(-bound, bound)) for shape in shapes)
        self.biases = nn.ParameterList(nn.Parameter(torch.randn(half)) for _ in shapes)
        self.positions = nn.ParameterList(nn.Parameter(torch.randn(1, half, *shape[2:])) for shape in shapes)

    def forward(self, maps: Tensor) -> Tensor:
        halves = maps.chunk(2, dim=1)
        first = self.norms[0](halves[0] + self.positions[0])
        second = self.norms[1](halves[1] + self.positions[1])
        first, second = self._ring(first, 0), self._ring(second, 1)
        first, second = self._ring(first + self.positions[3], 3), self._ring(second + self.positions[2], 2)
        return torch.cat([halves[0] + first, halves[1] + second], dim=1)

    def _ring(self, maps: Tensor, at: int) -> Tensor:
        """Return maps convolved with a kernel along its long axis, the ends of which meet."""
        kernel = self.kernels[at]
        along = 2 if kernel.shape[2] > 1 else 3
        closed = torch.cat([maps, maps.narrow(along, 0, maps.shape[along] - 1)], dim=along)
        return functional.conv2d(closed, kernel, self.biases[at], groups=len(kernel))


class Correspondence(nn.Module):
    """Edge convolution on a graph of maps: the k maps that are most alike (cosine) are linked; (n, c, p) to the same.

    An edge is ReLU(A(own) + B(other - own)) with A and B linear over the ``places`` of a map; of a map's edges the
    greatest value counts at each place.

    Parameters
    ----------
    places : numbers of a map.
    neighbours : links of a map, itself among them.
    as_published : link places whose channels are alike in the place of maps, and subtract a map's own values twice.
    """

    def __init__(self, places: int, neighbours: int, *, as_published: bool) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.as_published = as_published
        self.own = nn.Linear(places, places)
        self.difference = nn.Linear(places, places)

    def forward(self, maps: Tensor) -> Tensor:
        if self.as_published:
            # (n, p, k) places, put into (n, k, c, p): each map takes the same ones.
            others = self._alike(maps.transpose(1, 2)).transpose(1, 2)[:, :, None]
            others = others.expand(-1, -1, maps.shape[1], -1)
            more = maps[:, None].expand(others.shape).gather(3, others) - 2 * maps[:, None]
            return functional.relu(self.own(maps)[:, None] + self.difference(more)).amax(dim=1)
        # B(other - own) is B(other) - B(own), which each map needs once; the greatest edge has the greatest B(other).
        seen = functional.linear(maps, self.difference.weight)
        others = self._alike(maps)[..., None].expand(-1, -1, -1, maps.shape[2])
        most = seen[:, None].expand(-1, maps.shape[1], -1, -1).gather(2, others).amax(dim=2)
        return functional.relu(self.own(maps) + most - seen + self.difference.bias)

    def _alike(self, vectors: Tensor) -> Tensor:
        """Return the places (n, m, k) of those among (n, m, d) vectors that point in the nearest direction to each."""
        unit = functional.normalize(vectors, dim=-1)
        return (unit @ unit.transpose(1, 2)).topk(self.neighbours, dim=-1).indices
