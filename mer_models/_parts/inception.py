"""The inception block that Dual-Inception and Dual-ATME are built of."""

from __future__ import annotations

import torch
from torch import nn


class Inception(nn.Module):
    """Four parallel paths of ``width`` filters each, concatenated and halved in size: (n, 4 * width, h/2, w/2).

    The paths are 1x1; 1x1 then 3x3; 1x1 then 5x5; max-pooling 3x3 then 1x1; a ReLU follows every convolution.

    Parameters
    ----------
    channels : of the input.
    width : filters of a path.
    narrow : filters of the 1x1 convolutions before 3x3 and 5x5; 0 is as many as ``width``.
    normalised : put batch normalisation between each convolution and its ReLU.
    """

    def __init__(self, channels: int, width: int, narrow: int = 0, normalised: bool = False) -> None:
        super().__init__()
        before = narrow or width

        def convolution(channels: int, width: int, size: int) -> nn.Sequential:
            norm = (nn.BatchNorm2d(width),) if normalised else ()
            return nn.Sequential(nn.Conv2d(channels, width, size, padding=size // 2), *norm, nn.ReLU())

        self.point = convolution(channels, width, 1)
        self.three = nn.Sequential(convolution(channels, before, 1), convolution(before, width, 3))
        self.five = nn.Sequential(convolution(channels, before, 1), convolution(before, width, 5))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), convolution(channels, width, 1))
        self.halve = nn.MaxPool2d(2)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return (n, 4 * width, h/2, w/2) of maps (n, channels, h, w)."""
        paths = (self.point, self.three, self.five, self.pooled)
        return self.halve(torch.cat([path(maps) for path in paths], dim=1))
