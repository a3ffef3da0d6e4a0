"""torchvision's 18-layer video networks on flow clips: ``video/r3d_18``, ``video/mc3_18``, ``video/r2plus1d_18``."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mer_models._parts.checks import require
from mer_models._parts.images import FewerSmallerFrames
from mer_models._parts.narrow import FULL_WIDTH, REFUSED_WIDTHS, narrowed, require_width
from mer_models._parts.pretrained import DEFAULT, NONE, REFUSED_WEIGHTS, fetched
from mer_models.contracts import PublishedScore, Refused, Resources, TrainingRecipe
from mer_models.registry import MODELS, ModelInfo, describe_model
from preprocess.base.errors import UsageError, did_you_mean

CLIP = 16
ARCHITECTURES = ("mc3_18", "r2plus1d_18", "r3d_18")
_LOG = (
    "a public experiment log on CASME II (246 clips, 26 folds, pooled); about 40 configurations were compared on the "
    "same folds; TV-L1 flow referenced to the onset, "
)
QUICK = {"image_size": 32, "frames": 8, "width": 4, "epochs": 3, "lr": 3e-3, "input_range": "unit", "batch_size": 8}
QUICK_OF: dict[str, dict[str, Any]] = {
    "r3d_18": {"epochs": 2},
    "r2plus1d_18": {"epochs": 5, "lr": 6e-3, "lr_schedule": "cosine", "class_weights": True},
}
PUBLISHED = {
    "r2plus1d_18": (
        PublishedScore(
            "CASME II loso 5 classes",
            uf1=0.660,
            uar=0.675,
            accuracy=0.638,
            selection="unknown",
            reference=_LOG + "112x112",
        ),
    ),
    "r3d_18": (
        PublishedScore(
            "CASME II loso 5 classes",
            uf1=0.672,
            uar=0.685,
            accuracy=0.646,
            selection="unknown",
            reference=_LOG + "128x128, 16 frames, five-fold test augmentation, second seed",
        ),
    ),
}


class VideoNetwork(nn.Module):
    """A residual network of 18 layers over space and time, with a new classifier.

    Inputs
    ------
    flow_clip_16_112 : (n, 3, 16, 112, 112) float32: u, v and strain from the onset to 16 later frames. Other sizes work
        as well, since maps are averaged at the end.

    Parameters
    ----------
    pretrained : ``none`` draws random weights; ``default`` takes torchvision's, trained on Kinetics-400. Weights that
        cannot be had are a UsageError.
    image_size : side in pixels that frames are resized to; 0 leaves them as they are.
    frames : how many of a clip's are used, evenly spaced; a divisor of 16 of at least 2.
    width : channels of the first stage, a divisor of 64, the others in proportion. Fewer are faster; there are
        pretrained weights for 64 only.

    Notes
    -----
    With three classes ``r3d_18`` has 33,167,811 parameters, ``mc3_18`` 11,491,779 and ``r2plus1d_18`` 31,301,664: those
    of torchvision less its 400 classes. The recipe (AdamW, standardised channels) is this benchmark's own.
    """

    architecture: str

    def __init__(
        self, n_classes: int, pretrained: str = NONE, image_size: int = 0, frames: int = CLIP, width: int = FULL_WIDTH
    ) -> None:
        super().__init__()
        name = f"video/{self.architecture}"
        require(pretrained in (NONE, DEFAULT), f"{name}.pretrained", pretrained, f"{NONE} or {DEFAULT}")
        require(image_size >= 0, f"{name}.image_size", image_size, "0, or a number of pixels")
        require(frames >= 2 and CLIP % frames == 0, f"{name}.frames", frames, "a divisor of 16 of at least 2")
        require_width(f"{name}.width", width, pretrained)
        self.reductions = (FewerSmallerFrames(frames, image_size),)
        self.network = narrowed(lambda: _create(self.architecture, f"{name}.pretrained", pretrained), width)
        self.network.fc = nn.Linear(self.network.fc.in_features * width // FULL_WIDTH, n_classes)

    def forward(self, flow: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of flow clips (n, 3, t, h, w)."""
        return self.network(self.reductions[0](flow))


def describe(architecture: str) -> ModelInfo:
    """Return the entry of ``video/<architecture>``; UsageError for one that does not exist."""
    if architecture not in ARCHITECTURES:
        raise UsageError(f"No video network is called {architecture!r}. {did_you_mean(architecture, ARCHITECTURES)}")
    cls = type(
        f"Video_{architecture}",
        (VideoNetwork,),
        {"architecture": architecture, "__doc__": VideoNetwork.__doc__, "__module__": __name__},
    )
    return describe_model(
        cls,
        f"video/{architecture}",
        features=("flow_clip_16_112",),
        paper=(
            "D. Tran, H. Wang, L. Torresani, J. Ray, Y. LeCun, M. Paluri: A Closer Look at Spatiotemporal Convolutions "
            "for Action Recognition, CVPR 2018, arXiv:1711.11248; as in torchvision"
        ),
        recipe=TrainingRecipe(
            epochs=30, batch_size=16, lr=1e-4, optimizer="adamw", weight_decay=0.05, input_range="standard"
        ),
        resources=Resources(cpus=1, gpu=1.0, pack=1),
        published=PUBLISHED.get(architecture, ()),
        quick={**QUICK, **QUICK_OF.get(architecture, {})},
        refused=(
            *REFUSED_WEIGHTS,
            *REFUSED_WIDTHS,
            Refused("image_size", -1, "0, or a number of pixels"),
            *(Refused("frames", value, "a divisor of 16 of at least 2") for value in (-2, 0, 1, 5, 32)),
        ),
    )


def _create(architecture: str, setting: str, pretrained: str) -> Any:
    from torchvision.models import get_model

    if pretrained == NONE:
        return get_model(architecture, weights=None)
    return fetched(setting, pretrained, "PyTorch's download server", lambda: get_model(architecture, weights="DEFAULT"))


MODELS.add_family("video", describe)
for _architecture in ARCHITECTURES:
    MODELS.add(f"video/{_architecture}", describe(_architecture), origin=__name__)
