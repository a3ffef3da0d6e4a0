"""The encoder of masked autoencoders (He et al., CVPR 2022): a picture's patches as tokens through a transformer."""

from __future__ import annotations

import functools
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)
EPSILON = 1e-6
"""Added to variances in layer normalisation by the public codes."""
DEVIATION = 0.02
"""Of the first values of tokens that stand for no patch."""


class PatchEncoder(nn.Module):
    """A token a patch and one for the whole picture, transformer layers, layer normalisation.

    Takes pictures (n, 3, side, side) and gives (n, 1 + places, width), the whole picture's token first, patches row
    after row.

    Parameters
    ----------
    side : of the pictures, a multiple of ``patch``.
    patch : side of a patch.
    width : values of a token, a multiple of 4 and of ``heads``.
    depth : layers.
    heads : of each layer's attention.
    ratio : hidden values of a layer's dense part, as many times ``width``.
    """

    pos_embed: Tensor

    def __init__(self, side: int, patch: int, width: int, depth: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.cls_token = free_token(width)
        self.register_buffer("pos_embed", code_of_places(width, side // patch))
        self.patch_embed = nn.Conv2d(3, width, patch, stride=patch)
        nn.init.xavier_uniform_(self.patch_embed.weight.view(width, -1))
        self.blocks = transformer(width, depth, heads, ratio)
        self.norm = nn.LayerNorm(width, eps=EPSILON)

    def forward(self, pictures: Tensor) -> Tensor:
        patches = self.patch_embed(pictures).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        return self.norm(self.blocks(tokens + self.pos_embed))


def transformer(width: int, depth: int, heads: int, ratio: int) -> nn.Sequential:
    """Return transformer layers that normalise before each part, with weights drawn by Xavier's rule."""
    from timm.models.vision_transformer import Block

    normalise: Any = functools.partial(nn.LayerNorm, eps=EPSILON)
    layers = nn.Sequential(
        *(Block(width, heads, mlp_ratio=ratio, qkv_bias=True, norm_layer=normalise) for _ in range(depth))
    )
    return drawn_by_xavier(layers)


def drawn_by_xavier(module: M) -> M:
    """Draw the weights of a module's dense layers by Xavier's rule, set their biases to 0, and return it."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return module


def free_token(width: int) -> nn.Parameter:
    """Return a learned token (1, 1, width)."""
    return nn.Parameter(DEVIATION * torch.randn(1, 1, width))


def code_of_places(width: int, side: int) -> Tensor:
    """Return the fixed code (1, 1 + side * side, width) of a grid's places, row after row, behind zeros.

    The first half of a code tells the column, the other half the row: sines, then cosines, of the number divided by
    10000 to the power of 0 to 1, in steps.
    """
    steps = torch.arange(width // 4, dtype=torch.float64) / (width // 4)
    angles = torch.arange(side, dtype=torch.float64)[:, None] / 10000**steps
    line = torch.cat([angles.sin(), angles.cos()], dim=1)
    columns, rows = line.repeat(side, 1), line.repeat_interleave(side, dim=0)
    places = torch.cat([columns, rows], dim=1)
    return torch.cat([torch.zeros(1, width, dtype=torch.float64), places])[None].float()
