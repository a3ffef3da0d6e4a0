"""The inception block that Dual-Inception and Dual-ATME are built of."""

from __future__ import annotations

import torch
from torch import nn


class Inception(nn.Module):
    """Four parallel paths of ``width`` filters each, concatenated and halved in size: (n, 4 * width, h/2, w/2).

    The paths are 1x1; 1x1 then 3x3; 1x1 then 5x5; max-pooling 3x3 then 1x1; a ReLU follows every convolution.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.point = _convolution(channels, width, 1)
        self.three = nn.Sequential(_convolution(channels, width, 1), _convolution(width, width, 3))
        self.five = nn.Sequential(_convolution(channels, width, 1), _convolution(width, width, 5))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), _convolution(channels, width, 1))
        self.halve = nn.MaxPool2d(2)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return (n, 4 * width, h/2, w/2) of maps (n, channels, h, w)."""
        paths = (self.point, self.three, self.five, self.pooled)
        return self.halve(torch.cat([path(maps) for path in paths], dim=1))


def _convolution(channels: int, width: int, size: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, width, size, padding=size // 2), nn.ReLU())
