"""Patches of maps around landmarks, through convolutions and a facial graph that finds its links itself."""

from __future__ import annotations

import torch
from torch import nn

from mer_models._parts.checks import require
from mer_models._parts.facial_graph import Blocks, FacialGraph, GraphAutoencoder, draw_convolutions
from preprocess.faces.landmark_sets import INNER_51

MAPS, LANDMARKS, PIXELS = 9, len(INNER_51), 49
PATCHES = MAPS * LANDMARKS
EDGE_BLOCKS: Blocks = ((32, 1, 2), (256, 1, 2), (512, 2, 3))
GRAPH_BLOCKS: Blocks = ((32, 1, 2), (512, 2, 3))
GRAPH_WIDTH, STREAM = 512, 128
DROPOUT = 0.25
# Values before a normalisation vary by a hundredth: with PyTorch's 0.1 the running variance, which starts at 1, is
# still far above that after the few steps of a small database, and the graph is silent outside training.
MOMENTUM = 0.3
LARGEST_CODE = 65
PUBLISHED_DIVISOR = 986


class GraphStream(nn.Module):
    """Patches (n, 459, 7, 7) in 0..1 to (n, 128).

    Parameters
    ----------
    width : values a landmark of the widest blocks, 512 as published, the others in proportion.
    patch_means : hand the mean of each patch behind the first convolutions to the last layer as well.
    as_published : what ``UnifiedFGSVS`` says of its graph.
    """

    def __init__(self, width: int, patch_means: bool = False, as_published: bool = False) -> None:
        super().__init__()
        self.scale = LARGEST_CODE / PUBLISHED_DIVISOR if as_published else 1.0
        self.front = nn.Sequential(
            nn.Conv2d(PATCHES, PATCHES, 3, padding=1, groups=PATCHES, bias=False),
            nn.BatchNorm2d(PATCHES),
            nn.ReLU(),
            nn.Conv2d(PATCHES, PATCHES, 1, bias=False),
            nn.BatchNorm2d(PATCHES),
            nn.ReLU(),
        )
        self.autoencoder = GraphAutoencoder(PIXELS, _scaled(EDGE_BLOCKS, width), LANDMARKS, as_published)
        self.network = FacialGraph(PIXELS, _scaled(GRAPH_BLOCKS, width), as_published)
        self.embed = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(width + PATCHES * patch_means, STREAM))
        self.patch_means, self.as_published = patch_means, as_published
        for part in (self.autoencoder, self.network, self.embed):
            draw_convolutions(part)
        if not as_published:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                    module.momentum = MOMENTUM

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Return (n, 128)."""
        pixels = self.front(patches * self.scale).flatten(2)
        if self.as_published:
            # The public code reads these numbers on as if pixels came first: pixels, maps and landmarks are mixed.
            nodes = pixels.reshape(-1, PIXELS, MAPS, LANDMARKS)
        else:
            nodes = pixels.unflatten(1, (MAPS, LANDMARKS)).permute(0, 3, 1, 2)
        pooled = self.network(nodes, self.autoencoder(nodes)).mean(dim=(2, 3))
        return self.embed(torch.cat([pooled, pixels.mean(dim=2)], dim=1) if self.patch_means else pooled)


def require_graph_width(setting: str, width: int) -> None:
    """Raise UsageError unless a graph can be as wide as that."""
    require(width >= 64 and width % 64 == 0, setting, width, "a multiple of 64")


def _scaled(blocks: Blocks, width: int) -> Blocks:
    return tuple((channels * width // GRAPH_WIDTH, stride, depth) for channels, stride, depth in blocks)
