"""Torchvision's residual networks with fewer channels, which a laptop trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from mer_models._parts.checks import require
from mer_models._parts.pretrained import DEFAULT, NONE
from mer_models.contracts import Refused

FULL_WIDTH = 64
REFUSED_WIDTHS = (
    *(Refused("width", value, "a divisor of 64") for value in (0, 48, 128)),
    Refused("width", 32, "a divisor of 64; 64 with pretrained weights", {"pretrained": DEFAULT}),
)
"""What ``require_width`` refuses of the option ``width``, for a model's registration."""
COLOURS = 3


def require_width(setting: str, width: int, pretrained: str) -> None:
    """Raise UsageError unless a residual network can have ``width`` channels in its first stage.

    Parameters
    ----------
    setting : ``model.width``, for the message.
    width : the channels that are asked for.
    pretrained : the model's option of that name; there are pretrained weights for 64 channels only.
    """
    valid = width == FULL_WIDTH or (pretrained == NONE and width >= 1 and FULL_WIDTH % width == 0)
    require(valid, setting, width, "a divisor of 64" + ("" if pretrained == NONE else "; 64 with pretrained weights"))


def narrowed(build: Callable[[], Any], width: int) -> Any:
    """Return a network that ``build`` makes with 64 channels in its first stage, with ``width`` channels there instead.

    All other channels except the colours are reduced in proportion. Convolutions and normalisations are new, and their
    weights are drawn as torchvision draws them. Other layers hold no values then: replace them or leave them out. With
    64 the network is as built.
    """
    if width == FULL_WIDTH:
        return build()
    # On this device nothing is drawn for the weights that are given up.
    with torch.device("meta"):
        network = build()

    def fewer(channels: int) -> int:
        return channels if channels == COLOURS else max(1, channels * width // FULL_WIDTH)

    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Conv2d | nn.Conv3d):
                setattr(parent, name, _convolution(layer, fewer(layer.in_channels), fewer(layer.out_channels)))
            elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
                setattr(parent, name, type(layer)(fewer(layer.num_features)))
    return network


def _convolution(layer: nn.Conv2d | nn.Conv3d, channels: int, width: int) -> nn.Module:
    kind: Any = nn.Conv3d if isinstance(layer, nn.Conv3d) else nn.Conv2d
    new = kind(channels, width, layer.kernel_size, stride=layer.stride, padding=layer.padding, bias=False)
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    return new
