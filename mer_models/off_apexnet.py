"""OFF-ApexNet: one small convolution stream for horizontal and one for vertical flow, fused by two dense layers."""

from __future__ import annotations

import torch
from torch import nn

from mer_models._parts.checks import refused_shares, require_share
from mer_models._parts.published import megc2019_cde
from mer_models.contracts import Checked, Resources, TrainingRecipe
from mer_models.registry import register_model
from mer_models.search import loguniform

MEB_REFERENCE = (
    "the pair of Varanka et al. (arXiv:2211.11425, table 3; a notebook in tvaranka/meb): the last of 3000 epochs, and"
    " the best epoch on the test subject; their class of that name is another network, one stream of 3x3 convolutions"
    " over u and v, on another flow algorithm"
)


@register_model(
    "off_apexnet",
    features=("flow_uvs_28",),
    paper=(
        "Y. S. Gan, S.-T. Liong, W.-C. Yau, Y.-C. Huang, L.-K. Tan: OFF-ApexNet on Micro-expression Recognition "
        "System, Signal Processing: Image Communication, 2019, arXiv:1805.08699"
    ),
    recipe=TrainingRecipe(epochs=3000, batch_size=64, lr=1e-4, optimizer="adam", input_range="standard"),
    resources=Resources(cpus=1, gpu=0.125, pack=8),
    published=(
        *megc2019_cde(
            full=(0.7196, 0.7096),
            casme2=(0.8764, 0.8681),
            samm=(0.5409, 0.5392),
            smic=(0.6817, 0.6695),
            selection="unknown",
            reference="comparison table of the HTNet paper (wangzhifengharrison/HTNet, images/state_of_art.png)",
        ),
        *megc2019_cde(
            full=(0.7032, None),
            casme2=(0.7744, None),
            samm=(0.6052, None),
            smic=(0.6832, None),
            selection="last",
            reference=MEB_REFERENCE,
        ),
        *megc2019_cde(
            full=(0.8390, None),
            casme2=(0.9283, None),
            samm=(0.7898, None),
            smic=(0.7818, None),
            selection="oracle",
            reference=MEB_REFERENCE,
        ),
    ),
    checked=(
        Checked(
            against="ECNU-Cross-Innovation-Lab/PRICAI2021-Off-TANet@b6149babd1b1, models/off_apexnet.py: OffApexNet",
            form={},
            inputs=((4, 3, 28, 28),),
            outputs=(
                0.642073,
                0.127105,
                -0.047179,
                0.637782,
                0.123997,
                -0.039042,
                0.632993,
                0.138655,
                -0.041484,
                0.635062,
                0.144827,
                -0.053560,
            ),
            difference=0.0,
        ),
    ),
    quick={"epochs": 12, "batch_size": 32, "lr": 1e-3},
    refused=refused_shares(),
    search={"lr": loguniform(1e-5, 1e-2), "dropout": (0.0, 0.3, 0.5)},
)
class OffApexNet(nn.Module):
    """Two streams of two 5x5 convolutions, one over u and one over v; 1568 values through two layers of 1024.

    A stream is convolution 1 to 6 (5x5, padding 2), max-pooling 2, convolution 6 to 16, max-pooling 2, which gives 16
    maps of 7x7. As in the public PyTorch copy of ECNU-Cross-Innovation-Lab/PRICAI2021-Off-TANet, max-pooling is the
    only non-linearity between the convolutions.

    Inputs
    ------
    flow_uvs_28 : (n, 3, 28, 28) float32; the optical strain is not used.

    Parameters
    ----------
    dropout : share of the values dropped after each layer of 1024 in training, 0 <= dropout < 1.

    Notes
    -----
    With three classes it has 2,664,475 parameters, the 2.66 M printed by that repository. Its training recipe is the
    default here too: Adam 1e-4, 3000 epochs, batches of 64. It feeds flow in pixels, which lies around 0; 8-bit flow
    images come close to that when they are standardised, hence the recipe's input range.
    """

    def __init__(self, n_classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        require_share("off_apexnet.dropout", dropout)
        self.stream_u = _stream()
        self.stream_v = _stream()
        self.classifier = nn.Sequential(
            nn.Linear(2 * 16 * 7 * 7, 1024),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(1024, 1024),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(1024, n_classes),
        )

    def forward(self, flow: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of flow images (n, 3, 28, 28)."""
        u, v = flow[:, 0:1], flow[:, 1:2]
        maps = torch.cat([self.stream_u(u), self.stream_v(v)], dim=1)
        return self.classifier(maps.flatten(1))


def _stream() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=2),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, kernel_size=5, padding=2),
        nn.MaxPool2d(2),
    )
