"""Every image network of the library timm, on flow images or frames: ``timm/<name>`` and ``timm/<name>@<feature>``."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn

from mer_models._parts.checks import require
from mer_models._parts.images import Resized
from mer_models._parts.pretrained import DEFAULT, NONE, fetched_from_hub
from mer_models.contracts import Refused, Resources, TrainingRecipe
from mer_models.registry import MODELS, ModelInfo, describe_model
from preprocess.base.errors import UsageError, did_you_mean

DEFAULT_FEATURE = "flow_uvs_28"
# Pattern of the features that can be fed -> channels of the network's first convolution.
CHANNELS = {
    r"flow_uvs_\d+": 3,
    r"roi_mosaic_\d+": 3,
    r"motion_image_\d+": 3,
    r"apex_rgb_\d+": 3,
    r"onset_apex_rgb_\d+": 6,
}
LISTED = ("resnet18",)


class TimmNetwork(nn.Module):
    """An image network of timm by its name there, its first convolution and its classifier made to fit.

    Inputs
    ------
    The feature after ``@``, flow_uvs_28 where none is named : flow images (n, 3, h, w) or the like; or onset and apex
        frames (n, 2, 3, h, w), which become 6 channels. They are resized bilinearly inside ``forward``.

    Parameters
    ----------
    pretrained : ``none`` draws random weights; ``default`` takes those that timm prefers; another word is the tag of
        others (``augreg_in21k``). The first convolution's weights are then summed or repeated over the channels, as
        timm does. Weights that cannot be had, or that timm does not list for the network, are a UsageError.
    image_size : side in pixels that images are resized to; 0 is the size that timm lists for the network (most often
        224). A smaller one is faster; where the network divides images into patches it must be a multiple of them.

    Notes
    -----
    With three classes ``timm/resnet18`` has 11,178,051 parameters. The recipe (AdamW, standardised channels) is this
    benchmark's own.
    """

    architecture: str
    feature: str

    def __init__(self, n_classes: int, pretrained: str = NONE, image_size: int = 0) -> None:
        super().__init__()
        name = member_name(self.architecture, self.feature)
        require(image_size >= 0, f"{name}.image_size", image_size, "0, or a number of pixels")
        self.network = _create(name, self.architecture, pretrained, image_size, _channels(self.feature), n_classes)
        listed: int = self.network.default_cfg["input_size"][-1]
        side = image_size or listed
        self.reductions = (Resized((side, side)),)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of images (n, 3, h, w), or of onset and apex frames (n, 2, 3, h, w)."""
        return self.network(self.reductions[0](images).flatten(1, -3))


def member_name(architecture: str, feature: str) -> str:
    """Return the model's name in the registry: with the feature where it is not the default."""
    return f"timm/{architecture}" + (f"@{feature}" if feature != DEFAULT_FEATURE else "")


def describe(member: str) -> ModelInfo:
    """Return the entry of ``timm/<member>``.

    Parameters
    ----------
    member : timm's name of the architecture, with ``@<feature>`` or without.

    Raises
    ------
    UsageError : an architecture that timm does not know, or a feature that is no picture.
    """
    architecture, _, feature = member.partition("@")
    feature = feature or DEFAULT_FEATURE
    _channels(feature)
    if architecture not in LISTED:
        _check_architecture(architecture)
    cls = type(
        f"Timm_{architecture}",
        (TimmNetwork,),
        {"architecture": architecture, "feature": feature, "__doc__": TimmNetwork.__doc__, "__module__": __name__},
    )
    return describe_model(
        cls,
        member_name(architecture, feature),
        features=(feature,),
        paper=(
            "R. Wightman: PyTorch Image Models (timm), doi:10.5281/zenodo.4414861; any of its architectures as "
            "timm/NAME or timm/NAME@FEATURE"
        ),
        recipe=TrainingRecipe(
            epochs=50, batch_size=32, lr=1e-4, optimizer="adamw", weight_decay=0.05, input_range="standard"
        ),
        resources=Resources(cpus=1, gpu=0.5, pack=1),
        quick={"image_size": 32, "epochs": 2, "lr": 2e-3, "lr_schedule": "cosine", "balance": True},
        refused=(
            Refused("image_size", -1, "0, or a number of pixels"),
            *(Refused("pretrained", value, "none(, default or one of: .*|, since .*)") for value in ("mine", "")),
        ),
    )


def _check_architecture(architecture: str) -> None:
    import timm

    if "." in architecture:
        name, _, tag = architecture.partition(".")
        raise UsageError(
            f"timm/{architecture}: the tag of trained weights is a setting, not a part of the name. "
            f"Use model timm/{name} with --set timm/{name}.pretrained={tag}."
        )
    if not timm.is_model(architecture):
        raise UsageError(f"timm has no architecture {architecture!r}. {did_you_mean(architecture, timm.list_models())}")


def _channels(feature: str) -> int:
    for pattern, channels in CHANNELS.items():
        if re.fullmatch(pattern, feature):
            return channels
    known = ", ".join(pattern.replace(r"\d+", "SIZE") for pattern in CHANNELS)
    raise UsageError(f"A timm network cannot take feature {feature!r}. Expected images: {known}.")


def _create(name: str, architecture: str, pretrained: str, image_size: int, channels: int, n_classes: int) -> Any:
    import timm

    if pretrained != NONE:
        _check_tag(name, architecture, pretrained)
    options: dict[str, Any] = {"in_chans": channels, "num_classes": n_classes}
    listed = timm.get_pretrained_cfg(architecture)
    if image_size and listed is not None and listed.fixed_input_size:
        options["img_size"] = image_size
    if pretrained == NONE:
        return timm.create_model(architecture, **options)
    tagged = architecture if pretrained == DEFAULT else f"{architecture}.{pretrained}"
    return fetched_from_hub(
        f"{name}.pretrained", pretrained, lambda: timm.create_model(tagged, pretrained=True, **options)
    )


def _check_tag(name: str, architecture: str, pretrained: str) -> None:
    """Raise UsageError unless timm lists such weights; where it has none at all, it would warn and draw random ones."""
    import timm

    tags = [listed.partition(".")[2] for listed in timm.list_pretrained(f"{architecture}.*")]
    valid = pretrained in tags or (pretrained == DEFAULT and bool(tags))
    known = f"{NONE}, {DEFAULT} or one of: {', '.join(tags)}"
    require(valid, f"{name}.pretrained", pretrained, known if tags else f"{NONE}, since timm has no trained weights")


MODELS.add_family("timm", describe)
for _architecture in LISTED:
    MODELS.add(f"timm/{_architecture}", describe(_architecture), origin=__name__)
