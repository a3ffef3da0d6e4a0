"""Transformer layers over the eye and lip-corner areas of a 28x28 picture: what HTNet and CausalNet share."""

from __future__ import annotations

import torch
from torch import nn

# (x, y) of left eye, right eye, left and right lip corner on a 28x28 aligned face, clipped to 7..21 so that
# a crop stays inside: the constants that the public code falls back on where its detector finds no face.
AREA_CENTRES = ((9, 11), (21, 10), (10, 21), (20, 21))
AREA_REACH = 7
PATCH = 7


def mosaic(pictures: torch.Tensor, *, exchanged: bool) -> torch.Tensor:
    """Return the four 14x14 face areas of pictures (n, c, 28, 28) as one picture each, eyes above lip corners.

    Parameters
    ----------
    pictures : of aligned, upright faces.
    exchanged : cut the areas with x and y exchanged, as the public code of both networks does.
    """
    areas = [
        pictures[..., row - AREA_REACH : row + AREA_REACH, column - AREA_REACH : column + AREA_REACH]
        for column, row in (centre[::-1] if exchanged else centre for centre in AREA_CENTRES)
    ]
    return torch.cat([torch.cat(areas[:2], dim=-1), torch.cat(areas[2:], dim=-1)], dim=-2)


class Level(nn.Module):
    """Transformer layers inside the blocks of a square map; (n, side, side, width) to the same shape."""

    def __init__(
        self, width: int, side: int, blocks_a_side: int, depth: int, heads: int, *, scalar_position: bool
    ) -> None:
        super().__init__()
        self.grid = (blocks_a_side, side // blocks_a_side, blocks_a_side, side // blocks_a_side)
        patches = (side // blocks_a_side) ** 2
        self.position = nn.Parameter(torch.randn(patches, 1) if scalar_position else 0.02 * torch.randn(patches, width))
        self.layers = nn.Sequential(*(_Layer(width, heads, patches) for _ in range(depth)))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        # (n, block row, row in block, block column, column in block, width): its middle axes swap into blocks and back.
        blocks = maps.unflatten(2, self.grid[2:]).unflatten(1, self.grid[:2]).transpose(2, 3)
        patches = blocks.flatten(3, 4).flatten(1, 2)
        patches = self.layers(patches + self.position)
        return patches.reshape(blocks.shape).transpose(2, 3).flatten(3, 4).flatten(1, 2)


class _Layer(nn.Module):
    """One transformer layer, normalised before each part; (..., patches, width) to the same shape."""

    def __init__(self, width: int, heads: int, patches: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width), _Attention(width, heads, patches))
        self.dense = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        patches = patches + self.attention(patches)
        return patches + self.dense(patches)


class _Attention(nn.Module):
    """Self-attention among the patches of a block, each head ``width // heads`` wide; plain matrix products."""

    def __init__(self, width: int, heads: int, patches: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = width // heads
        inner = heads * self.head_width
        self.alone = patches == 1
        self.project = nn.Linear(width, inner if self.alone else 3 * inner, bias=False)
        self.merge = nn.Linear(inner, width)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        projected = self.project(patches)
        return self.merge(projected if self.alone else self._attend(projected))

    def _attend(self, projected: torch.Tensor) -> torch.Tensor:
        split = projected.unflatten(-1, (3, self.heads, self.head_width)).unbind(-3)
        query, key, value = (part.transpose(-2, -3) for part in split)
        weights = torch.softmax(query @ key.transpose(-1, -2) * self.head_width**-0.5, dim=-1)
        return (weights @ value).transpose(-2, -3).flatten(-2)


class Aggregation(nn.Module):
    """3x3 convolution, layer normalisation over channels, max-pooling; (n, s, s, width) to (n, s/2, s/2, width_out).

    Parameters
    ----------
    width, width_out : channels before and after.
    pool : False leaves the pooling out, and the map as large as it was.
    """

    def __init__(self, width: int, width_out: int, *, pool: bool = True) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(width, width_out, kernel_size=3, padding=1)
        self.norm = nn.LayerNorm(width_out)
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1) if pool else nn.Identity()

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        mixed = self.norm(self.convolution(maps.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        return self.pool(mixed.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
