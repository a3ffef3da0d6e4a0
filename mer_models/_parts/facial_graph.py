"""Networks over landmarks and time: graph layers, attention over both, and an autoencoder that finds the links.

Nodes are (n, c, t, v) float32: c values of v landmarks in t frames. Links are (n, v, v), or (1, v, v) for all samples
alike; the link from landmark i to j stands in row i, column j.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

HOPS = 3
"""Groups of values that a graph layer passes on over distances 0, 1 and 2."""
REDUCTION = 4
SHORTEST = 1e-6
"""A code of less than this length is not scaled to 1, so that a blank clip has finite gradients."""

Blocks = tuple[tuple[int, int, int], ...]
"""Each block's channels, stride over time, and number of convolutions over time."""


class FacialGraph(nn.Module):
    """Blocks one after the other; (n, c, t, v) to (n, width of the last block, t over the strides, v)."""

    def __init__(self, channels: int, blocks: Blocks, as_published: bool) -> None:
        super().__init__()
        widths = (channels, *(width for width, _, _ in blocks))
        self.blocks = nn.ModuleList(
            _Block(before, width, stride, depth, as_published)
            for before, (width, stride, depth) in zip(widths, blocks, strict=False)
        )

    def forward(self, nodes: torch.Tensor, links: torch.Tensor) -> torch.Tensor:
        """Return the nodes as the last block leaves them."""
        for block in self.blocks:
            nodes = block(nodes, links)
        return nodes


class GraphAutoencoder(nn.Module):
    """Find the links between landmarks: (n, v, v).

    A facial graph in which all landmarks are linked alike gives each landmark a vector. The mean over the landmarks is
    subtracted, since at first the vectors hardly differ, and each vector is scaled to length 1. Links are the matrix of
    all inner products, multiplied by a learned matrix (v, v), the identity at the start. A landmark's link to itself is
    set to 1.

    Parameters
    ----------
    as_published : neither mean nor length is removed, inner products are summed over the batch, and the learned matrix
        starts at 0. The result is (1, v, v), and the identity as long as nothing trains this matrix.
    """

    identity: torch.Tensor

    def __init__(self, channels: int, blocks: Blocks, landmarks: int, as_published: bool) -> None:
        super().__init__()
        self.encoder = FacialGraph(channels, blocks, as_published)
        self.register_buffer("identity", torch.eye(landmarks), persistent=False)
        self.mix = nn.Parameter(torch.zeros(landmarks, landmarks) if as_published else torch.eye(landmarks))
        self.as_published = as_published

    def forward(self, nodes: torch.Tensor) -> torch.Tensor:
        """Return the links between the landmarks of each sample, (n, v, v); as published (1, v, v) for the batch."""
        codes = self.encoder(nodes, torch.ones_like(self.identity)[None]).flatten(1, 2)
        if not self.as_published:
            codes = functional.normalize(codes - codes.mean(dim=2, keepdim=True), dim=1, eps=SHORTEST)
        alike = codes.transpose(1, 2) @ codes
        alike = alike.sum(dim=0, keepdim=True) if self.as_published else alike
        return alike @ self.mix * (1 - self.identity) + self.identity


class _Block(nn.Module):
    """A graph layer, convolutions over time, attention; the published attention gives its map instead of the nodes."""

    def __init__(self, channels: int, width: int, stride: int, depth: int, as_published: bool) -> None:
        super().__init__()
        self.graph = _GraphLayer(channels, width, as_published)
        self.time = nn.Sequential(*(_TimeLayer(width, stride if first == 0 else 1) for first in range(depth)))
        self.attend = _Attention(width)
        self.as_published = as_published

    def forward(self, nodes: torch.Tensor, links: torch.Tensor) -> torch.Tensor:
        nodes = self.time(self.graph(nodes, links))
        attention = self.attend(nodes)
        return attention if self.as_published else nodes * attention


class _GraphLayer(nn.Module):
    """Three groups of values a landmark, passed on along the links no, one and two times, and added.

    What reaches a landmark is a weighted mean: links to it are divided by the sum of their sizes.
    as_published : only a landmark's link to itself is read, so that nothing is passed on.
    """

    def __init__(self, channels: int, width: int, as_published: bool) -> None:
        super().__init__()
        self.spread = nn.Conv2d(channels, HOPS * width, 1)
        self.norm = nn.BatchNorm2d(width)
        self.keep = nn.Sequential(nn.Conv2d(channels, width, 1), nn.BatchNorm2d(width))
        self.as_published = as_published

    def forward(self, nodes: torch.Tensor, links: torch.Tensor) -> torch.Tensor:
        groups = self.spread(nodes)
        if self.as_published:
            mixed = groups.unflatten(1, (HOPS, -1)).sum(dim=1) * links.diagonal(dim1=1, dim2=2)[:, None, None]
        else:
            means = (links / links.abs().sum(dim=1, keepdim=True)).transpose(1, 2)[:, None]
            # Values last, as convolutions leave them on the CPU: nothing is copied back and forth.
            none, once, twice = groups.permute(0, 2, 3, 1).chunk(HOPS, dim=3)
            mixed = (none + means @ (once + means @ twice)).permute(0, 3, 1, 2)
        return functional.relu(self.norm(mixed) + self.keep(nodes))


class _TimeLayer(nn.Module):
    """A residual convolution over three frames."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        steps = (stride, 1)
        self.change = nn.Sequential(
            nn.Conv2d(width, width, (3, 1), stride=steps, padding=(1, 0)), nn.BatchNorm2d(width)
        )
        self.keep = (
            nn.Identity()
            if stride == 1
            else nn.Sequential(nn.Conv2d(width, width, 1, stride=steps), nn.BatchNorm2d(width))
        )

    def forward(self, nodes: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.change(nodes) + self.keep(nodes))


class _Attention(nn.Module):
    """A map (n, c, t, v) in 0..1: how much each frame counts, times how much each landmark does, channel by channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        narrow = width // REDUCTION
        self.look = nn.Sequential(nn.Conv1d(width, narrow, 1), nn.BatchNorm1d(narrow), nn.Hardswish())
        self.frames = nn.Conv1d(narrow, width, 1)
        self.landmarks = nn.Conv1d(narrow, width, 1)

    def forward(self, nodes: torch.Tensor) -> torch.Tensor:
        sizes = nodes.shape[2:]
        seen = self.look(torch.cat([nodes.mean(dim=3), nodes.mean(dim=2)], dim=2))
        frames, landmarks = seen.split(sizes, dim=2)
        return torch.sigmoid(self.frames(frames))[..., None] * torch.sigmoid(self.landmarks(landmarks))[:, :, None]


def draw_convolutions(network: nn.Module) -> None:
    """Draw a network's weights as the public code does those of its graphs (He, by what leaves a layer); biases are 0.

    A layer of plain values counts as the convolution over one place that it is there.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="leaky_relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
