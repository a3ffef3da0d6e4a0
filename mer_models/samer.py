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
from mer_models.contracts import Criterion, Refused, Resources, TrainingRecipe
from mer_models.registry import register_model

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
        input_range="standard",
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
    quick={"width": 8, "image_size": 64, "batch_size": 32, "epochs": 6, "lr_step": 0, "lr_stretch": 1},
    refused=(
        *REFUSED_WEIGHTS,
        *REFUSED_WIDTHS,
        *(Refused("image_size", value, "an even number of at least 64") for value in (62, 65)),
        *refused_shares(below="0.9"),
    ),
)
class SAMER(nn.Module):
    """The early stages of a ResNet-18 for both halves of the face, the late ones and a classifier for each half.

    Each half becomes 512 values of length 1. Two layers of 1024 look at both and weigh each of the 1024 values by a
    sigmoid; as in the public code, the gradients of the weighing stop before the halves' networks. Each half's weighted
    values pass a layer of 512; the two results are added.

    Inputs
    ------
    motion_image_224 : (n, 3, 224, 224) float32: grey apex, motion from onset to apex, motion from apex to offset. The
        upper half shows the eyes, the lower half the mouth.

    Parameters
    ----------
    image_size : side that images are resized to, even, at least 64.
    width : channels of the first stage, a divisor of 64, the others and a half's values in proportion. Fewer are
        faster; there are pretrained weights for 64 only.
    dropout : share of values dropped in training in the stages, and 0.1 more in the dense layers, 0 <= dropout < 0.9.
    pretrained : ``none`` draws random weights; ``default`` takes torchvision's ImageNet weights. Weights that cannot be
        had are a UsageError.

    Notes
    -----
    ``loss`` adds 0.3 times the supervised contrastive loss of the weighted values (temperature 0.1) to the engine's.
    The publication weighs pairs by how similar their action units are. So does this network where labels are action
    units; else samples of one class are similar.

    With three classes it has 24,303,686 parameters. The recipe is the public code's, which also erases rectangles of
    the image and gives half of the samples the mouth of another one of their class. There each half's logits have a
    cross-entropy of their own; here their sum has one.
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
        self.reductions = (Resized((image_size, image_size)),)
        half = WIDTH * width // FULL_WIDTH
        early, eyes, mouth = (narrowed(lambda: _resnet(pretrained), width) for _ in range(3))
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
        return self._classify(self._values(images))

    def loss(self, *features: torch.Tensor, labels: torch.Tensor, criterion: Criterion) -> torch.Tensor:
        """Return the engine's loss of a batch plus the weighted contrastive one."""
        values = self._values(*features)
        contrast = contrastive_loss(functional.normalize(values, dim=1), labels, TEMPERATURE)
        return criterion(self._classify(values), labels) + CONTRAST_WEIGHT * contrast

    def _values(self, images: torch.Tensor) -> torch.Tensor:
        """Return the weighted values (n, 1024), those of the eyes first."""
        upper, lower = self.reductions[0](images).chunk(2, dim=2)
        values = torch.cat([self.eyes(self.early(upper)), self.mouth(self.early(lower))], dim=1)
        return values * self.weigh(values.detach())

    def _classify(self, values: torch.Tensor) -> torch.Tensor:
        eyes, mouth = values.chunk(2, dim=1)
        return self.classify_eyes(eyes) + self.classify_mouth(mouth)


class _Unit(nn.Module):
    """Scale vectors (n, d) to length 1."""

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return functional.normalize(vectors, dim=1)


def _late(whole: Any, dropout: float) -> nn.Sequential:
    return nn.Sequential(whole.layer3, nn.Dropout(dropout), whole.layer4, whole.avgpool, nn.Flatten(), _Unit())


def _dense(width: int, dropout: float) -> tuple[nn.Module, ...]:
    return nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(), nn.Dropout(dropout)


def _resnet(pretrained: str) -> Any:
    from torchvision.models import get_model

    if pretrained == NONE:
        return get_model("resnet18", weights=None)
    return fetched(
        "samer.pretrained", pretrained, "PyTorch's download server", lambda: get_model("resnet18", weights="DEFAULT")
    )
