"""torch's optimisers without torch's compiler.

Their methods import the compiler (``torch._dynamo``) to keep out of its way, which takes about as long as importing
torch. Nothing here is compiled, so the methods inside of theirs are called.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn

from mer_models.contracts import TrainingRecipe


def make_optimizer(recipe: TrainingRecipe, model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimiser of a recipe for a network's weights, but for frozen ones."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # The fused kernels do the same arithmetic in one pass; on a small network the optimiser is a third of a step.
    common: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay, "fused": True}
    if recipe.optimizer == "adam":
        return Adam(trained, **common)
    if recipe.optimizer == "adamw":
        return AdamW(trained, **common)
    return SGD(trained, momentum=recipe.momentum, **common)


def _plain(method: Any) -> Any:
    return inspect.unwrap(method)


class _Uncompiled(torch.optim.Optimizer):
    add_param_group = _plain(torch.optim.Optimizer.add_param_group)
    zero_grad = _plain(torch.optim.Optimizer.zero_grad)
    state_dict = _plain(torch.optim.Optimizer.state_dict)
    load_state_dict = _plain(torch.optim.Optimizer.load_state_dict)


class Adam(_Uncompiled, torch.optim.Adam):
    """``torch.optim.Adam``."""

    step = torch.no_grad()(_plain(torch.optim.Adam.step))


class AdamW(_Uncompiled, torch.optim.AdamW):
    """``torch.optim.AdamW``."""

    step = torch.no_grad()(_plain(torch.optim.AdamW.step))


class SGD(_Uncompiled, torch.optim.SGD):
    """``torch.optim.SGD``."""

    step = torch.no_grad()(_plain(torch.optim.SGD.step))
