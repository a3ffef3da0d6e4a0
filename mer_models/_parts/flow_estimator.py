"""A network that estimates optical flow between two pictures: FlowNetC, with maps of another network beside it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.1
REACH = 10
"""Steps of a displacement either way."""
STEP = 2
"""Cells of the map in one step of a displacement."""


class FlowEstimator(nn.Module):
    """FlowNetC (Fischer et al., ICCV 2015) of grey pictures, in MOL's form; pictures in, flow of the same size out.

    Convolutions of 6x6, 4x4 and 2x2 shrink both pictures to an eighth. How alike they are at 21x21 displacements of two
    cells, the first one's maps and the given maps go through further convolutions down to a sixty-fourth, then up
    again, each time beside the maps of that size and the flow found so far. The convolutions on the way down have batch
    normalisation.

    Parameters
    ----------
    width : channels of the first convolution; FlowNetC has 64.
    beside : channels of the given maps.
    side : rows, and columns, of the map at an eighth.
    """

    inside: Tensor
    meeting: Tensor

    def __init__(self, width: int, beside: int, side: int) -> None:
        super().__init__()
        displacements = (2 * REACH + 1) ** 2
        self.shrink = nn.ModuleList(
            [
                _convolution(1, width, 6, 2),
                _convolution(width, 2 * width, 4, 2),
                _convolution(2 * width, 4 * width, 2, 2),
            ]
        )
        self.reduce = _convolution(4 * width, width // 2, 1)
        self.join = _convolution(width // 2 + displacements + beside, 4 * width)
        self.deeper = nn.ModuleList(
            nn.Sequential(_convolution(before, after, stride=2), _convolution(after, after))
            for before, after in ((4 * width, 8 * width), (8 * width, 8 * width), (8 * width, 16 * width))
        )
        skipped = (8 * width, 8 * width, 4 * width, 2 * width, width, 1)
        risen = (8 * width, 4 * width, 2 * width, 2 * width, width, width // 2)
        both = [16 * width, *(one + other + 2 for one, other in zip(skipped, risen, strict=True))]
        self.predict = nn.ModuleList(nn.Conv2d(one, 2, kernel_size=3, padding=1, bias=False) for one in both)
        self.rise = nn.ModuleList(
            nn.Sequential(_enlarging(before, after), nn.LeakyReLU(SLOPE))
            for before, after in zip(both[:-1], risen, strict=True)
        )
        self.enlarge = nn.ModuleList(_enlarging(2, 2) for _ in risen)
        meeting, inside = _meetings(side)
        self.register_buffer("meeting", meeting, persistent=False)
        self.register_buffer("inside", inside, persistent=False)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(layer.weight, SLOPE)

    def forward(self, first: Tensor, second: Tensor, beside: Tensor) -> Tensor:
        """Return the flow (n, 2, s, s) from first to second picture.

        first, second : (n, 1, s, s). beside : (n, channels, s/8, s/8).
        """
        sizes = [first]
        for layer in self.shrink:
            sizes.append(layer(sizes[-1]))
            second = layer(second)
        alike = functional.leaky_relu(self._likeness(sizes[-1], second), SLOPE)
        sizes[-1] = self.join(torch.cat([self.reduce(sizes[-1]), alike, beside], dim=1))
        for layer in self.deeper:
            sizes.append(layer(sizes[-1]))
        maps = sizes.pop()
        for predict, rise, enlarge in zip(self.predict, self.rise, self.enlarge, strict=False):
            maps = torch.cat([sizes.pop(), rise(maps), enlarge(predict(maps))], dim=1)
        return self.predict[-1](maps)

    def _likeness(self, first: Tensor, second: Tensor) -> Tensor:
        """Return mean products of each cell with those at all displacements in the other, 0 outside; (n, 441, h, w)."""
        products = first.flatten(2).transpose(1, 2) @ second.flatten(2) / first.shape[1]
        moved = products.take_along_dim(self.meeting[None], dim=2) * self.inside
        return moved.transpose(1, 2).unflatten(2, first.shape[2:])


def _meetings(side: int) -> tuple[Tensor, Tensor]:
    """Return the cell that each cell meets at each displacement, and whether it lies in the map; (cells, 441) each."""
    cells = torch.arange(side)
    steps = STEP * torch.arange(-REACH, REACH + 1)
    moved = cells[:, None] + steps
    within = (moved >= 0) & (moved < side)
    rows, columns = moved.clamp(0, side - 1)[:, None, :, None], moved.clamp(0, side - 1)[None, :, None, :]
    inside = within[:, None, :, None] & within[None, :, None, :]
    cell = (rows * side + columns).expand(inside.shape)
    return cell.flatten(2).flatten(0, 1), inside.flatten(2).flatten(0, 1).float()


def _convolution(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Module:
    layer = nn.Conv2d(before, after, kernel, stride=stride, padding=(kernel - 1) // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(after), nn.LeakyReLU(SLOPE))


def _enlarging(before: int, after: int) -> nn.Module:
    return nn.ConvTranspose2d(before, after, kernel_size=4, stride=2, padding=1, bias=False)
