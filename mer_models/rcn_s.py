"""RCN-S: a recurrent convolution block with shortcuts from every step to every later one."""

from __future__ import annotations

import torch
from torch import nn

from mer_models._parts.checks import require, require_share
from mer_models._parts.rcn import (
    PAPER,
    QUICK,
    RECIPE,
    REFUSED,
    RecurrentBlock,
    average_down,
    enlarged,
    start_weights,
    stem,
)
from mer_models.contracts import Checked, Resources
from mer_models.registry import register_model

POOLED_SIDE = 7


@register_model(
    "rcn_s",
    features=("flow_uvs_28",),
    paper=PAPER,
    recipe=RECIPE,
    resources=Resources(cpus=1, gpu=0.25, pack=4),
    checked=(
        Checked(
            against="xiazhaoqiang/ParameterFreeRCNs-MicroExpressionRec@0c516cb67d39, MeNets.py: RCN_S",
            form={"feature_maps": 16},
            inputs=((4, 3, 28, 28),),
            outputs=(
                0.711355,
                0.742268,
                -0.106958,
                0.685951,
                0.761594,
                -0.125111,
                0.657996,
                0.756746,
                -0.162045,
                0.648439,
                0.741672,
                -0.160085,
            ),
            difference=0.0,
        ),
    ),
    quick=QUICK,
    refused=REFUSED,
)
class RCNS(nn.Module):
    """Convolution stem and one recurrent block whose steps are densely connected; no attention.

    Stem : as in ``rcn_a``.
    Recurrent block : y1 = ReLU(BN(1x1(x))), then with one shared 3x3 convolution y2 = f(x + y1), y3 = f(x + y1 + y2),
    y4 = f(x + y1 + y2 + y3), max-pooling 2 (14x14), dropout; averaged to 7x7.

    Inputs
    ------
    flow_uvs_28 : (n, 3, 28, 28) float32, resized bilinearly to 60x60 inside ``forward``, because the paper's input is
        60x60. Detail finer than 28x28 is therefore missing.

    Parameters
    ----------
    feature_maps : filters of every convolution, 1 or more.
    dropout : share of the maps' values dropped in training, 0 <= dropout < 1.

    Notes
    -----
    The shortcuts have no parameters: with 64 maps and three classes it has 55,747 parameters, as many as ``rcn_a``. The
    public code (xiazhaoqiang/ParameterFreeRCNs-MicroExpressionRec) holds a third convolution that it never uses.
    """

    def __init__(self, n_classes: int, feature_maps: int = 64, dropout: float = 0.5) -> None:
        super().__init__()
        require(feature_maps >= 1, "rcn_s.feature_maps", feature_maps, "a whole number of at least 1")
        require_share("rcn_s.dropout", dropout)
        self.stem = stem(feature_maps, dropout)
        self.block = RecurrentBlock(feature_maps, dropout, dense=True)
        self.classifier = nn.Linear(feature_maps * POOLED_SIDE**2, n_classes)
        self.apply(start_weights)

    def forward(self, flow: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of flow images (n, 3, 28, 28)."""
        maps = self.block(self.stem(enlarged(flow)))
        return self.classifier(average_down(maps, POOLED_SIDE).flatten(1))
