"""Workers that train one network together: each takes its part of every batch, and their gradients are added up.

The batch of all is the batch of one: the same samples in the same order, augmented and mixed before it is shared out;
batch normalisation looks at all of it. So the loss is that of one worker, but for the order of summation, and for
what is drawn inside of the network (dropout), of which each worker has its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from preprocess.base.errors import UsageError

_PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class Team:
    """The workers that train one network, as one of them sees it.

    Attributes
    ----------
    rank : this worker's number, from 0.
    size : how many workers there are.
    add : replaces a tensor, in place, by the sum of all workers' tensors.
    """

    rank: int = 0
    size: int = 1
    add: Callable[[Tensor], None] = lambda tensor: None

    def part(self, length: int) -> slice:
        """Return which samples of a batch are this worker's.

        A batch that has not two samples for every worker is computed by all of them, which gives the same mean.

        Parameters
        ----------
        length : of the batch.
        """
        if self.size == 1 or length < 2 * self.size:
            return slice(0, length)
        first, more = divmod(length, self.size)
        start = self.rank * first + min(self.rank, more)
        return slice(start, start + first + (self.rank < more))

    def mean_gradients(self, model: nn.Module, loss: Tensor, weight: Tensor) -> Tensor:
        """Give every parameter the gradient of the whole batch, and return the whole batch's loss.

        Parameters
        ----------
        model : the network, after its backward pass.
        loss : the mean over this worker's samples.
        weight : how much these samples weigh.
        """
        gradients = [one.grad for one in model.parameters() if one.grad is not None]
        own = torch.cat([loss.reshape(1), *(one.reshape(-1) for one in gradients)]) * weight
        whole = torch.cat([own, weight.reshape(1).to(own)])
        self.add(whole)
        whole = whole[:-1] / whole[-1]
        for one, mean in zip(gradients, whole[1:].split([one.numel() for one in gradients]), strict=True):
            one.copy_(mean.reshape(one.shape))
        return whole[0]

    def joined(self, model: nn.Module) -> nn.Module:
        """Let the network's batch normalisation look at the batch of all workers; return the network.

        Raises
        ------
        UsageError : it has a normalisation of its own kind, of which nobody here knows how it is done together.
        """
        for name, module in model.named_modules() if self.size > 1 else ():
            if not isinstance(module, _BatchNorm):
                continue
            if type(module) not in _PLAIN:
                raise UsageError(
                    f"{name} of the network is a {type(module).__name__}, which cannot look at the batch of several "
                    "workers. Train with one worker: --workers 1."
                )
            module.forward = _Together(module, self)  # type: ignore[method-assign,assignment]
        return model


ALONE = Team()


class _Together:
    """The forward pass of a batch normalisation over the batch of all workers."""

    def __init__(self, module: nn.Module, team: Team) -> None:
        self._module: Any = module
        self._team, self._alone = team, module.forward

    def __call__(self, values: Tensor) -> Tensor:
        module = self._module
        if not module.training:
            return self._alone(values)
        axes = [axis for axis in range(values.dim()) if axis != 1]
        shape = [1, -1, *(1,) * (values.dim() - 2)]
        count = values.new_tensor([values.numel() / values.shape[1]])
        sums = _Sum.apply(torch.cat([values.sum(axes), count]), self._team)
        mean, total = sums[:-1] / sums[-1], sums[-1].detach()
        centred = values - mean.reshape(shape)
        variance = _Sum.apply(centred.square().sum(axes), self._team) / total
        if module.track_running_stats:
            self._remember(mean.detach(), variance.detach() * total / (total - 1).clamp_min(1))
        scaled = centred * torch.rsqrt(variance + module.eps).reshape(shape)
        if not module.affine:
            return scaled
        return scaled * module.weight.reshape(shape) + module.bias.reshape(shape)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        module = self._module
        module.num_batches_tracked.add_(1)
        share = module.momentum if module.momentum is not None else 1.0 / float(module.num_batches_tracked)
        module.running_mean.lerp_(mean, share)
        module.running_var.lerp_(variance, share)


class _Sum(torch.autograd.Function):
    """The sum over all workers, whose gradient is the sum of all workers' gradients."""

    @staticmethod
    def forward(context: Any, values: Tensor, team: Team) -> Tensor:
        context.team = team
        total = values.clone()
        team.add(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        context.team.add(total)
        return total, None
