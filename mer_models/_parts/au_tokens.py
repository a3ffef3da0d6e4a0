"""Landmark patches as tokens of brows and mouth, for the networks that meet them with a graph of action units (AUs)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from preprocess.faces.landmark_sets import BROWS_MOUTH_30

BROW_UNITS = (1, 2, 4)
MOUTH_UNITS = (10, 12, 14, 15, 17, 25)
"""AU 25 is not among the units that the databases share: nobody's annotation of it is handed over."""
UNITS = (*BROW_UNITS, *MOUTH_UNITS)

LANDMARKS, BROW_LANDMARKS = len(BROWS_MOUTH_30), 10
PATCH_VALUES = 49
REGION_VALUES = 160
HEADS, HEAD_VALUES = 8, 16
SLOPE = 0.2
EPSILON = 1e-6
"""Added to variances by the public codes' layer normalisation; a number without a deviation of its own shows it."""
DROPOUT = 0.1


class TokenEncoder(nn.Sequential):
    """Transformer layers, normalised after each part; (n, tokens, width) to the same shape."""

    def __init__(self, width: int, dense: int, depth: int) -> None:
        super().__init__(*(_Layer(width, dense) for _ in range(depth)))


class _Layer(nn.Module):
    """Attention of 8 heads of 16 values, then a dense part; each added to what it was given, and normalised."""

    def __init__(self, width: int, dense: int) -> None:
        super().__init__()
        inner = HEADS * HEAD_VALUES
        self.project = nn.Linear(width, 3 * inner, bias=False)
        self.merge = nn.Sequential(nn.Linear(inner, width), nn.Dropout(DROPOUT))
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.dense = nn.Sequential(nn.Linear(width, dense), nn.ReLU(), nn.Linear(dense, width), nn.Dropout(DROPOUT))
        self.dense_norm = nn.LayerNorm(width, eps=EPSILON)

    def forward(self, tokens: Tensor) -> Tensor:
        split = self.project(tokens).unflatten(-1, (3, HEADS, HEAD_VALUES)).unbind(-3)
        query, key, value = (part.transpose(-2, -3) for part in split)
        weights = (query @ key.transpose(-1, -2) * HEAD_VALUES**-0.5).softmax(dim=-1)
        tokens = self.norm(tokens + self.merge((weights @ value).transpose(-2, -3).flatten(-2)))
        return self.dense_norm(tokens + self.dense(tokens))


def graph_weights(width: int, width_out: int) -> Tensor:
    """Return a matrix (width, width_out) of a graph layer, drawn as the public codes draw it: by what it gives."""
    reach = width_out**-0.5
    return torch.empty(width, width_out).uniform_(-reach, reach)


def perceptron(*widths: int) -> nn.Sequential:
    """Return layers from each width to the next with a ReLU after each; half of the first one's values dropped."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    layers.insert(2, nn.Dropout(0.5))
    return nn.Sequential(nn.Flatten(), *layers)
