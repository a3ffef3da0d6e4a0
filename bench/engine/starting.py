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

Shapes = Mapping[str, tuple[int, ...]]
"""Name of a tensor of a network -> its shape."""


def without_own_start(info: ModelInfo, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the builder's arguments without the trained weights that the model itself starts from: others come."""
    return {**params, **({"pretrained": NONE} if "pretrained" in info.params else {})}


def shapes_of(info: ModelInfo, params: Mapping[str, Any], n_classes: int) -> Shapes:
    """Return the shapes of a network's tensors, without drawing a weight.

    Parameters
    ----------
    info : the model.
    params : the builder's arguments.
    n_classes : of the task.
    """
    return _shapes(info.build, tuple(sorted(without_own_start(info, params).items())), n_classes)


def head_of(info: ModelInfo, params: Mapping[str, Any], n_classes: int) -> frozenset[str]:
    """Return the names of the tensors that are made for a number of classes.

    They are those that have another shape in the network for one class more, or are there in one of the two alone.

    Parameters
    ----------
    info : the model.
    params : the builder's arguments.
    n_classes : of the task.
    """
    one, other = (shapes_of(info, params, count) for count in (n_classes, n_classes + 1))
    return frozenset(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def check_fits(shapes: Shapes, head: frozenset[str], weights: Mapping[str, np.ndarray]) -> None:
    """Check that weights are those of a network, but for its head.

    Parameters
    ----------
    shapes : of the network's tensors.
    head : the names of ``head_of``.
    weights : name -> array, of the same model for any number of classes.

    Raises
    ------
    DataError : a tensor besides the head is missing, of another shape or too many; the first one is named.
    """
    for name in sorted((shapes.keys() | weights.keys()) - head):
        wanted: object = shapes.get(name, "unknown")
        given: object = weights[name].shape if name in weights else "missing"
        if wanted != given:
            raise DataError(f"{name} is {given} in them and {wanted} in the network")


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
    DataError : as ``check_fits``.
    """
    state = model.state_dict()
    check_fits({name: tuple(value.shape) for name, value in state.items()}, head, weights)
    with torch.no_grad():
        for name in state.keys() - head:
            state[name].copy_(torch.from_numpy(weights[name].copy()).to(device))


# The folds of a study have the same, and a large network takes a second to build.
@functools.lru_cache(maxsize=64)
def _shapes(build: Callable[..., nn.Module], params: tuple[tuple[str, Any], ...], n_classes: int) -> Shapes:
    try:
        # Without memory for weights.
        state = _built(build, params, n_classes, "meta")
    except (RuntimeError, TypeError):
        # It looks at values, which such tensors do not have; an error of its own comes again.
        state = _built(build, params, n_classes, "cpu")
    return {name: tuple(value.shape) for name, value in state.items()}


def _built(
    build: Callable[..., nn.Module], params: tuple[tuple[str, Any], ...], n_classes: int, device: str
) -> dict[str, torch.Tensor]:
    with torch.random.fork_rng(devices=[]), torch.device(device):
        return build(n_classes=n_classes, **dict(params)).state_dict()
