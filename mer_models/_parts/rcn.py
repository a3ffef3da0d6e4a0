"""Parts that the recurrent convolutional networks (RCN-A, RCN-S, RCN-W) have in common."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mer_models._parts.checks import refused_shares
from mer_models.contracts import Refused, TrainingRecipe

PAPER = (
    "Z. Xia, W. Peng, H.-Q. Khor, X. Feng, G. Zhao: Revealing the Invisible with Model and Data Shrinking for "
    "Composite-database Micro-expression Recognition, IEEE Transactions on Image Processing 29, 2020, "
    "doi:10.1109/TIP.2020.3018222, arXiv:2006.09674"
)
RECIPE = TrainingRecipe(
    epochs=100,
    batch_size=64,
    lr=5e-4,
    optimizer="sgd",
    momentum=0.9,
    lr_step=10,
    lr_gamma=0.5,
    input_range="unit",
)
QUICK = {"feature_maps": 16, "epochs": 8, "batch_size": 16, "lr": 2e-2}
REFUSED = (Refused("feature_maps", 0, "a whole number of at least 1"), *refused_shares())
INPUT_SIDE = 60


def enlarged(flow: torch.Tensor) -> torch.Tensor:
    """Resize flow images (n, 3, h, w) bilinearly to the paper's 60x60."""
    return functional.interpolate(flow, size=(INPUT_SIDE, INPUT_SIDE), mode="bilinear", align_corners=False)


def average_down(maps: torch.Tensor, side: int) -> torch.Tensor:
    """Average equal tiles of square maps (n, f, s, s) down to (n, f, side, side); s is a multiple of ``side``."""
    return functional.avg_pool2d(maps, kernel_size=maps.shape[-1] // side)


def stem(width: int, dropout: float) -> nn.Sequential:
    """Return convolution 5x5 without padding, batch normalisation, ReLU, max-pooling 2, dropout: 60x60 to 28x28."""
    return nn.Sequential(*convolution(3, width, size=5, padding=0), nn.MaxPool2d(2), nn.Dropout(dropout))


class RecurrentBlock(nn.Module):
    """A 1x1 convolution, then one 3x3 convolution that is applied several times; halves the size.

    Parameters
    ----------
    width : channels of input and output.
    dropout : share of the values dropped in training.
    dense : False applies the 3x3 convolution twice, to the sum of the input and its last output. True applies it three
        times, to the sum of the input and of all outputs so far. Both have the same parameters.
    """

    def __init__(self, width: int, dropout: float, dense: bool = False) -> None:
        super().__init__()
        self.dense = dense
        self.enter = nn.Sequential(*convolution(width, width, size=1, padding=0))
        self.recur = nn.Sequential(*convolution(width, width, size=3, padding=1))
        self.leave = nn.Sequential(nn.MaxPool2d(2), nn.Dropout(dropout))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return (n, width, s/2, s/2) of maps (n, width, s, s)."""
        total = maps
        state = self.enter(maps)
        for _ in range(3 if self.dense else 2):
            total = total + state if self.dense else maps + state
            state = self.recur(total)
        return self.leave(state)


def convolution(channels: int, width: int, size: int, padding: int) -> tuple[nn.Module, ...]:
    """Return convolution, batch normalisation and ReLU."""
    return nn.Conv2d(channels, width, size, padding=padding), nn.BatchNorm2d(width), nn.ReLU()


def start_weights(module: nn.Module) -> None:
    """Draw weights as the public code: He normal for convolutions; deviation 0.01, zero bias for the classifier."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)
