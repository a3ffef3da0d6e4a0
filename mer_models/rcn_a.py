"""RCN-A: a recurrent convolution block whose features are weighted by a parameter-free attention map."""

from __future__ import annotations

import torch
from torch import nn

from mer_models._parts.checks import require, require_share
from mer_models._parts.published import megc2019_cde
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
    "rcn_a",
    features=("flow_uvs_28",),
    paper=PAPER,
    recipe=RECIPE,
    resources=Resources(cpus=1, gpu=0.25, pack=4),
    published=megc2019_cde(
        full=(0.7432, 0.7190),
        casme2=(0.8512, 0.8123),
        samm=(0.7601, 0.6715),
        smic=(0.6326, 0.6441),
        selection="last",
        reference=(
            "comparison table of the HTNet paper (wangzhifengharrison/HTNet, images/state_of_art.png); the authors' "
            "code (xiazhaoqiang/ParameterFreeRCNs-MicroExpressionRec) scores the last epoch"
        ),
    ),
    checked=(
        Checked(
            against="xiazhaoqiang/ParameterFreeRCNs-MicroExpressionRec@0c516cb67d39, MeNets.py: RCN_A",
            form={"feature_maps": 16},
            inputs=((4, 3, 28, 28),),
            outputs=(
                0.711694,
                0.469754,
                0.178968,
                0.715985,
                0.479233,
                0.165187,
                0.710454,
                0.489563,
                0.155153,
                0.694218,
                0.504872,
                0.141824,
            ),
            difference=6e-8,
        ),
    ),
    quick=QUICK,
    refused=REFUSED,
)
class RCNA(nn.Module):
    """Convolution stem, one recurrent block, and features multiplied by the classifier's own activation maps.

    Stem : convolution 5x5 without padding, batch normalisation, ReLU, max-pooling 2 (28x28), dropout.
    Recurrent block : y = ReLU(BN(1x1(x))), then twice y = ReLU(BN(3x3(x + y))) with one shared 3x3 convolution,
    max-pooling 2 (14x14), dropout. Stem and block are averaged down to 7x7.
    Attention : the stem's maps weighted by each class row of the classifier, averaged over channels, scaled to 0..1 per
    sample, averaged over classes. It has no parameters of its own.

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
    The first weights are drawn as in the public code: He normal (fan out) for convolutions, normal with deviation 0.01
    for the classifier, zero for its bias. With 64 maps and three classes it has 55,747 parameters.
    """

    def __init__(self, n_classes: int, feature_maps: int = 64, dropout: float = 0.5) -> None:
        super().__init__()
        require(feature_maps >= 1, "rcn_a.feature_maps", feature_maps, "a whole number of at least 1")
        require_share("rcn_a.dropout", dropout)
        self.stem = stem(feature_maps, dropout)
        self.block = RecurrentBlock(feature_maps, dropout)
        self.classifier = nn.Linear(feature_maps * POOLED_SIDE**2, n_classes)
        self.apply(start_weights)

    def forward(self, flow: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of flow images (n, 3, 28, 28)."""
        first = self.stem(enlarged(flow))
        features = average_down(self.block(first), POOLED_SIDE)
        attention = self._attention(average_down(first, POOLED_SIDE))
        return self.classifier((features * attention).flatten(1))

    def _attention(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the attention map (n, 1, 7, 7) of the averaged stem maps (n, feature_maps, 7, 7)."""
        weights = self.classifier.weight.unflatten(1, maps.shape[1:])
        activation = torch.einsum("nfhw,cfhw->nchw", maps, weights) / maps.shape[1]
        low = activation.amin(dim=(2, 3), keepdim=True)
        height = activation.amax(dim=(2, 3), keepdim=True) - low
        # A flat map (a blank image, a dead stem) has no height; it gets no attention instead of NaN.
        scaled = (activation - low) / height.clamp_min(torch.finfo(height.dtype).tiny)
        return scaled.mean(dim=1, keepdim=True)
