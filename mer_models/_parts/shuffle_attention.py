"""The attention that SAMER puts into a residual network: groups of channels compete with each other."""

from __future__ import annotations

import torch
from torch import nn

GROUPS = 4
LEAST_CHANNELS = 2 * GROUPS


class GroupShuffleAttention(nn.Module):
    """Weigh the four groups of the channels of (n, c, h, w) against each other, then shuffle the channels.

    Half of a group's channels is weighed by its means over the picture, the other half position by position by its
    normalised values; each of these passes a scale and a shift of its own, and a softmax over the four groups makes
    weights of them. At the start every group weighs a quarter.

    Parameters
    ----------
    channels : a multiple of 8.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // (2 * GROUPS)
        shape = (1, GROUPS, half, 1, 1)
        self.mean_scale, self.mean_shift = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.ones(shape))
        self.place_scale, self.place_shift = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.ones(shape))
        self.norm = nn.GroupNorm(half, half)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return maps of the same shape."""
        by_mean, by_place = maps.unflatten(1, (GROUPS, -1)).chunk(2, dim=2)
        means = self.mean_scale * by_mean.mean(dim=(3, 4), keepdim=True) + self.mean_shift
        places = self.norm(by_place.flatten(0, 1)).unflatten(0, by_place.shape[:2])
        places = self.place_scale * places + self.place_shift
        weighed = torch.cat([by_mean * means.softmax(dim=1), by_place * places.softmax(dim=1)], dim=2)
        # Two halves of the channels take turns.
        return weighed.flatten(1, 2).unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)
