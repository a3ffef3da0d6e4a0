"""Dual-ATME: two inception branches with attention, over the whole flow image and over a mosaic of face regions."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mer_models._parts.checks import refused_shares, require_share
from mer_models._parts.inception import Inception
from mer_models._parts.losses import focal_loss
from mer_models.contracts import Checked, Criterion, Resources, TrainingRecipe
from mer_models.registry import register_model

WIDTH = 48
NARROW = 6
REDUCTION = 16
BRANCH_VALUES = WIDTH * 7 * 7
LIKENESS_WEIGHT = 0.01


@register_model(
    "dual_atme",
    features=("flow_uvs_28", "roi_mosaic_28"),
    paper=(
        "H. Zhou, S. Huang, J. Li, S.-J. Wang: Dual-ATME: Dual-Branch Attention Network for Micro-Expression "
        "Recognition, Entropy 25(3), 2023"
    ),
    recipe=TrainingRecipe(
        epochs=60, batch_size=128, lr=1e-3, optimizer="adam", lr_step=10, lr_gamma=0.5, input_range="signed"
    ),
    resources=Resources(cpus=1, gpu=0.25, pack=4),
    checked=(
        Checked(
            against="HaoliangZhou/Dual-ATME@5f2480fbbc83, Me_Model_att.py: MEROIInception",
            form={},
            inputs=((4, 3, 28, 28), (4, 3, 28, 28)),
            outputs=(
                -0.173802,
                0.084379,
                -0.048129,
                -0.174851,
                0.082269,
                -0.047006,
                -0.175465,
                0.077627,
                -0.048168,
                -0.174205,
                0.072299,
                -0.052816,
            ),
            difference=0.0,
        ),
    ),
    quick={"epochs": 3, "batch_size": 16},
    refused=refused_shares(),
)
class DualATME(nn.Module):
    """A branch for the whole face and one for its regions; 4704 values through a layer of 1024.

    A branch is two inception blocks (24 maps of 14x14, 48 of 7x7), whose 1x1 convolutions before 3x3 and 5x5 have 6
    filters and which normalise every convolution's batch. One convolutional block attention serves both branches: it
    weighs the channels (mean and maximum through one bottleneck, a sixteenth wide), then the positions (3x3
    convolution). The branches' 2 x 2352 values pass a layer of 1024 with batch normalisation, ReLU and dropout.

    Inputs
    ------
    flow_uvs_28 : (n, 3, 28, 28) float32.
    roi_mosaic_28 : (n, 3, 28, 28) float32.

    Parameters
    ----------
    dropout : share of the 1024 values dropped in training, 0 <= dropout < 1.

    Notes
    -----
    ``loss`` is the published one: focal loss (gamma 2) plus 0.01 (1 - cosine between the two branches' values). A
    training batch of a single sample is normalised with the running statistics, since it has no variance of its own.

    With three classes it has 4,833,193 parameters, as the public code (HaoliangZhou/Dual-ATME, MEROIInception). What
    differs from that code:

    ================  =============================================  ===============================================
    part              here                                           there
    ================  =============================================  ===============================================
    learning rate     halved every 10 epochs                         a schedule is made so, and never stepped: 0.001
                                                                     throughout
    mosaic            of the regions that ``roi_mosaic`` chooses     ready-made pictures; the code that cuts them
                                                                     is not public
    ================  =============================================  ===============================================

    ``--set dual_atme.lr_step=0`` keeps the rate as it was there.
    """

    def __init__(self, n_classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        require_share("dual_atme.dropout", dropout)
        self.face, self.regions = _branch(), _branch()
        self.attend = nn.Sequential(_ChannelAttention(), _SpatialAttention(), nn.Flatten())
        self.fuse = nn.Linear(2 * BRANCH_VALUES, 1024)
        self.norm = _BatchNorm(1024)
        self.classifier = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(1024, n_classes))

    def forward(self, flow: torch.Tensor, mosaic: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of flow images and mosaics, (n, 3, 28, 28) each."""
        return self._classify(*self._values(flow, mosaic))

    def loss(self, *features: torch.Tensor, labels: torch.Tensor, criterion: Criterion) -> torch.Tensor:
        """Return the published loss of a batch. It replaces ``criterion``, so class weights do not count."""
        face, regions = self._values(*features)
        likeness = functional.cosine_similarity(face, regions, dim=1).mean()
        return focal_loss(self._classify(face, regions), labels) + LIKENESS_WEIGHT * (1 - likeness)

    def _values(self, flow: torch.Tensor, mosaic: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the values (n, 2352) of the face and of its regions."""
        return self.attend(self.face(flow)), self.attend(self.regions(mosaic))

    def _classify(self, face: torch.Tensor, regions: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.norm(self.fuse(torch.cat([face, regions], dim=1))))


def _branch() -> nn.Sequential:
    """Return what turns (n, 3, 28, 28) into (n, 48, 7, 7)."""
    return nn.Sequential(
        *(Inception(channels, width, NARROW, normalised=True) for channels, width in ((3, 6), (24, 12)))
    )


class _ChannelAttention(nn.Module):
    """Weights for the channels of (n, 48, h, w), from their means and maxima."""

    def __init__(self) -> None:
        super().__init__()
        narrow = WIDTH // REDUCTION
        self.weigh = nn.Sequential(nn.Linear(WIDTH, narrow), nn.ReLU(), nn.Linear(narrow, WIDTH))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        weights = torch.sigmoid(self.weigh(maps.mean(dim=(2, 3))) + self.weigh(maps.amax(dim=(2, 3))))
        return maps * weights[:, :, None, None]


class _SpatialAttention(nn.Module):
    """Weights for the positions of (n, c, h, w), from means and maxima over the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.weigh = nn.Conv2d(2, 1, kernel_size=3, padding=1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        summary = torch.cat([maps.mean(dim=1, keepdim=True), maps.amax(dim=1, keepdim=True)], dim=1)
        return maps * torch.sigmoid(self.weigh(summary))


class _BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that takes its running statistics for a batch of one sample."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if self.training and len(values) == 1:
            return functional.batch_norm(values, self.running_mean, self.running_var, self.weight, self.bias)
        return super().forward(values)
