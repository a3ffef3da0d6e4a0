"""RCN-W: three parallel convolutions of growing reach in front of a recurrent convolution block."""

from __future__ import annotations

import torch
from torch import nn

from mer_models._parts.checks import refused_shares, require, require_share
from mer_models._parts.rcn import PAPER, QUICK, RECIPE, RecurrentBlock, average_down, enlarged, start_weights
from mer_models.contracts import Checked, Refused, Resources
from mer_models.registry import register_model

POOLED_SIDE = 5
STRIDE = 3
DILATIONS = (1, 2, 3)


@register_model(
    "rcn_w",
    features=("flow_uvs_28",),
    paper=PAPER,
    recipe=RECIPE,
    resources=Resources(cpus=1, gpu=0.25, pack=4),
    checked=(
        Checked(
            against="xiazhaoqiang/ParameterFreeRCNs-MicroExpressionRec@0c516cb67d39, MeNets.py: RCN_W",
            form={"feature_maps": 16},
            inputs=((4, 3, 28, 28),),
            outputs=(
                0.513552,
                -0.736172,
                -0.184969,
                0.501968,
                -0.732471,
                -0.200466,
                0.481173,
                -0.732898,
                -0.214333,
                0.483046,
                -0.741340,
                -0.193965,
            ),
            difference=0.0,
        ),
    ),
    quick=QUICK,
    refused=(
        *(Refused("feature_maps", value, "a multiple of 4 of at least 4") for value in (0, 30)),
        *refused_shares(),
    ),
)
class RCNW(nn.Module):
    """Three 3x3 convolutions with stride 3 side by side, concatenated, and one recurrent block; no attention.

    Streams : dilation 1, 2 and 3 with a half, a quarter and a quarter of the feature maps, each followed by ReLU, batch
    normalisation and dropout; 20x20 maps.
    Recurrent block : as in ``rcn_a``; 10x10, averaged down to 5x5.

    Inputs
    ------
    flow_uvs_28 : (n, 3, 28, 28) float32, resized bilinearly to 60x60 inside ``forward``, because the paper's input is
        60x60. Detail finer than 28x28 is therefore missing.

    Parameters
    ----------
    feature_maps : filters of the three streams together, a multiple of 4.
    dropout : share of the maps' values dropped in training, 0 <= dropout < 1.

    Notes
    -----
    With 64 maps and three classes it has 48,067 parameters: the streams are 3x3 where the stem of ``rcn_a`` is 5x5. The
    classifier sees 5x5 positions, the size in the public code's README, since 10x10 has no equal tiles for 7x7.
    """

    def __init__(self, n_classes: int, feature_maps: int = 64, dropout: float = 0.5) -> None:
        super().__init__()
        valid = feature_maps >= 4 and feature_maps % 4 == 0
        require(valid, "rcn_w.feature_maps", feature_maps, "a multiple of 4 of at least 4")
        require_share("rcn_w.dropout", dropout)
        widths = (feature_maps // 2, feature_maps // 4, feature_maps // 4)
        self.streams = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(3, width, kernel_size=3, stride=STRIDE, padding=dilation, dilation=dilation),
                nn.ReLU(),
                nn.BatchNorm2d(width),
                nn.Dropout(dropout),
            )
            for width, dilation in zip(widths, DILATIONS, strict=True)
        )
        self.block = RecurrentBlock(feature_maps, dropout)
        self.classifier = nn.Linear(feature_maps * POOLED_SIDE**2, n_classes)
        self.apply(start_weights)

    def forward(self, flow: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of flow images (n, 3, 28, 28)."""
        resized = enlarged(flow)
        maps = self.block(torch.cat([stream(resized) for stream in self.streams], dim=1))
        return self.classifier(average_down(maps, POOLED_SIDE).flatten(1))
