"""SAMER: separate networks for eyes and mouth, and a loss that draws samples of like expressions together."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from mer_models._parts.checks import refused_shares, require, require_share
from mer_models._parts.images import Resized
from mer_models._parts.losses import contrastive_loss
from mer_models._parts.narrow import FULL_WIDTH, REFUSED_WIDTHS, narrowed, require_width
from mer_models._parts.pretrained import DEFAULT, NONE, REFUSED_WEIGHTS, fetched
from mer_models._parts.published import accuracy_and_f1
from mer_models._parts.shuffle_attention import LEAST_CHANNELS, GroupShuffleAttention
from mer_models.contracts import Checked, Criterion, Refused, Resources, TrainingRecipe
from mer_models.registry import register_model

PUBLIC_CODE = "Justin900429/mimicking-annotation-micro-expression-recognition"
WIDTH = 512
TEMPERATURE = 0.1
CONTRAST_WEIGHT = 0.3


@register_model(
    "samer",
    features=("motion_image_224",),
    paper=(
        "B.-K. Ruan, L. Lo, H.-H. Shuai, W.-H. Cheng: Mimicking the Annotation Process for Recognizing the Micro "
        "Expressions, ACM Multimedia 2022"
    ),
    recipe=TrainingRecipe(
        epochs=100,
        batch_size=128,
        lr=3e-3,
        optimizer="adamw",
        weight_decay=1e-5,
        lr_schedule="cosine",
        lr_step=10,
        lr_stretch=2,
        class_weights=True,
        label_smoothing=0.1,
        augment="flip",
        input_range="imagenet",
    ),
    resources=Resources(cpus=1, gpu=1.0, pack=1),
    published=accuracy_and_f1(
        {
            "CASME II loso 5 classes": (0.8333, 0.8267),
            "SAMM loso 5 classes": (0.7941, 0.7582),
            "CASME II loso 3 classes": (0.932, 0.925),
            "SAMM loso 3 classes": (0.865, 0.816),
        },
        selection="oracle",
        reference=(
            "README of the authors' code (Justin900429/mimicking-annotation-micro-expression-recognition), which picks "
            "the best epoch on the test subject"
        ),
    ),
    checked=(
        Checked(
            against=f"{PUBLIC_CODE}@b0317b94142c, model/samer.py: SAMER",
            form={"image_size": 64},
            inputs=((4, 3, 64, 64),),
            outputs=(
                -15.280014,
                0.839643,
                -1.287339,
                -15.281685,
                0.845494,
                -1.287329,
                -15.281610,
                0.852757,
                -1.287776,
                -15.281971,
                0.856443,
                -1.285061,
            ),
            difference=0.0,
        ),
    ),
    quick={"width": 8, "image_size": 64, "batch_size": 32, "epochs": 4, "lr_step": 0, "lr_stretch": 1},
    refused=(
        *REFUSED_WEIGHTS,
        *REFUSED_WIDTHS,
        Refused("width", 4, "at least 8"),
        *(Refused("image_size", value, "an even number of at least 64") for value in (62, 65)),
        *refused_shares(below="0.9"),
    ),
)
class SAMER(nn.Module):
    """The early stages of a ResNet-18 for both halves of the face, the late ones and a classifier for each half.

    In each residual block, four groups of channels are weighed against each other and the channels shuffled, before the
    shortcut is added.
    Each half becomes 512 values of length 1. Two layers of 1024 look at both and weigh each of the 1024 values by a
    sigmoid; as in the public code, the gradients of the weighing stop before the halves' networks. Each half's weighted
    values pass a layer of 512 to logits of their own; the two are added.

    Inputs
    ------
    motion_image_224 : (n, 3, 224, 224) float32: grey apex, motion from onset to apex, motion from offset to apex. The
        upper half shows the eyes, the lower half the mouth.

    Parameters
    ----------
    image_size : side that images are resized to, even, at least 64.
    width : channels of the first stage, a divisor of 64, at least 8, the others and a half's values in proportion.
        Fewer are faster; there are pretrained weights for 64 only.
    dropout : share of values dropped in training in the stages, 0.1 more in the dense layers, half of it of the
        compared values, 0 <= dropout < 0.9.
    pretrained : ``none`` draws random weights; ``default`` takes torchvision's ImageNet weights. Weights that cannot be
        had are a UsageError.

    Notes
    -----
    ``loss`` is 0.7 times the sum of the engine's losses of the eyes' logits and of the mouth's, plus 0.3 times the
    supervised contrastive loss of the weighted values (temperature 0.1), of which training drops a share.

    With three classes it has 24,311,462 parameters, as the public code
    (Justin900429/mimicking-annotation-micro-expression-recognition). What differs from that code:

    ==================  ===========================================  ===============================================
    part                here                                         there
    ==================  ===========================================  ===============================================
    which pairs are     samples of one class; where labels are       samples by how similar their action units are
    alike               action units, by how similar they are
    sample with itself  no pair                                      a pair; it does not count among those that a
                                                                     pair is compared with
    augmentation        mirrored                                     mirrored, a rectangle is erased, and half of the
                                                                     samples get the mouth of another one of a class
    apex                as recorded                                  magnified by a learned network
    start               random weights, or ``pretrained=default``    weights from ImageNet
    ==================  ===========================================  ===============================================
    """

    def __init__(
        self,
        n_classes: int,
        image_size: int = 224,
        width: int = FULL_WIDTH,
        dropout: float = 0.2,
        pretrained: str = NONE,
    ) -> None:
        super().__init__()
        valid = image_size >= 64 and image_size % 2 == 0
        require(valid, "samer.image_size", image_size, "an even number of at least 64")
        require_share("samer.dropout", dropout, below="0.9")
        require(pretrained in (NONE, DEFAULT), "samer.pretrained", pretrained, f"{NONE} or {DEFAULT}")
        require_width("samer.width", width, pretrained)
        require(width >= LEAST_CHANNELS, "samer.width", width, f"at least {LEAST_CHANNELS}")
        self.dropout = dropout / 2
        self.reductions = (Resized((image_size, image_size)),)
        half = WIDTH * width // FULL_WIDTH
        early, eyes, mouth = (_attentive(narrowed(lambda: _resnet(pretrained), width)) for _ in range(3))
        self.early = nn.Sequential(
            *(early.conv1, early.bn1, early.relu, early.maxpool, early.layer1, nn.Dropout(dropout)),
            *(early.layer2, nn.Dropout(dropout)),
        )
        self.eyes, self.mouth = (_late(whole, dropout) for whole in (eyes, mouth))
        self.weigh = nn.Sequential(
            *_dense(2 * half, dropout + 0.1), nn.Linear(2 * half, 2 * half), nn.LayerNorm(2 * half), nn.Sigmoid()
        )
        self.classify_eyes, self.classify_mouth = (
            nn.Sequential(*_dense(half, dropout + 0.1), nn.Linear(half, n_classes)) for _ in range(2)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of motion images (n, 3, h, w)."""
        eyes, mouth = self._logits(self._values(images))
        return eyes + mouth

    def loss(self, *features: torch.Tensor, labels: torch.Tensor, criterion: Criterion) -> torch.Tensor:
        """Return the engine's losses of both halves and the contrastive one, weighted; of one sample no contrast."""
        values = self._values(*features)
        halves = sum((criterion(logits, labels) for logits in self._logits(values)), start=values.new_zeros(()))
        if len(values) == 1:
            return halves
        compared = functional.dropout(functional.normalize(values, dim=1), self.dropout, self.training)
        contrast = contrastive_loss(compared, labels, TEMPERATURE)
        return (1 - CONTRAST_WEIGHT) * halves + CONTRAST_WEIGHT * contrast

    def _values(self, images: torch.Tensor) -> torch.Tensor:
        """Return the weighted values (n, 1024), those of the eyes first."""
        upper, lower = self.reductions[0](images).chunk(2, dim=2)
        values = torch.cat([self.eyes(self.early(upper)), self.mouth(self.early(lower))], dim=1)
        return values * self.weigh(values.detach())

    def _logits(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        eyes, mouth = values.chunk(2, dim=1)
        return self.classify_eyes(eyes), self.classify_mouth(mouth)


class _Unit(nn.Module):
    """Scale vectors (n, d) to length 1."""

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return functional.normalize(vectors, dim=1)


def _late(whole: Any, dropout: float) -> nn.Sequential:
    return nn.Sequential(whole.layer3, nn.Dropout(dropout), whole.layer4, whole.avgpool, nn.Flatten(), _Unit())


def _attentive(network: Any) -> Any:
    """Put the attention between the last normalisation of each residual block and its shortcut."""
    for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
        for block in stage:
            block.bn2 = nn.Sequential(block.bn2, GroupShuffleAttention(block.bn2.num_features))
    return network


def _dense(width: int, dropout: float) -> tuple[nn.Module, ...]:
    return nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(), nn.Dropout(dropout)


def _resnet(pretrained: str) -> Any:
    from torchvision.models import get_model

    if pretrained == NONE:
        return get_model("resnet18", weights=None)
    return fetched(
        "samer.pretrained", pretrained, "PyTorch's download server", lambda: get_model("resnet18", weights="DEFAULT")
    )
