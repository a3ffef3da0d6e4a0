"""Starting a fold from trained weights: all but the head, which answers for other classes and is drawn anew."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from mer_models._parts.pretrained import NONE
from mer_models.registry import ModelInfo
from preprocess.base.errors import DataError


def without_own_start(info: ModelInfo, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the builder's arguments without the trained weights that the model itself starts from: others come."""
    return {**params, **({"pretrained": NONE} if "pretrained" in info.params else {})}


def head_of(info: ModelInfo, params: Mapping[str, Any], n_classes: int) -> frozenset[str]:
    """Return the names of the tensors that are made for a number of classes.

    They are found by building the network for one class more: what has another shape then, or is there in one of the
    two alone.

    Parameters
    ----------
    info : the model.
    params : the builder's arguments.
    n_classes : of the task.
    """
    return _head(info.build, tuple(sorted(without_own_start(info, params).items())), n_classes)


def start_from(model: nn.Module, head: frozenset[str], weights: Mapping[str, np.ndarray], device: str = "cpu") -> None:
    """Give a network the weights of another training; its head stays as it was drawn.

    Parameters
    ----------
    model : the network, with its initial weights.
    head : the names of ``head_of``.
    weights : name -> array, of the same model for any number of classes.
    device : where the network is.

    Raises
    ------
    DataError : a tensor besides the head is missing, of another shape or too many; the first one is named.
    """
    own = {name: value for name, value in model.state_dict().items() if name not in head}
    for name in sorted(own.keys() | weights.keys() - head):
        wanted = tuple(own[name].shape) if name in own else "unknown"
        given = weights[name].shape if name in weights else "missing"
        if wanted != given:
            raise DataError(f"{name} is {given} in them and {wanted} in the network")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(torch.from_numpy(weights[name].copy()).to(device))


# The folds of a study have the same, and a large network takes a second to build.
@functools.lru_cache(maxsize=64)
def _head(build: Callable[..., nn.Module], params: tuple[tuple[str, Any], ...], n_classes: int) -> frozenset[str]:
    with torch.random.fork_rng(devices=[]):
        one, other = (_shapes(build(n_classes=count, **dict(params))) for count in (n_classes, n_classes + 1))
    return frozenset(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}
