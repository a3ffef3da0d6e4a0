"""Freezing: which parts of a network a training leaves as they are."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from torch import nn

from preprocess.base.errors import UsageError, did_you_mean


def freeze(model: nn.Module, patterns: str) -> Sequence[nn.Module]:
    """Take parameters out of the training, and return the parts of the network that are to stay as in use.

    A part all of whose own parameters are frozen is one of them: batch normalisation then keeps its running mean.

    Parameters
    ----------
    model : the network.
    patterns : names of parameters, or of parts of the network, as shell patterns separated by commas; "" for none.

    Raises
    ------
    UsageError : a pattern fits nothing, or nothing is left to train.
    """
    wanted = [pattern.strip() for pattern in patterns.split(",") if pattern.strip()]
    if not wanted:
        return ()
    names = [name for name, _ in model.named_parameters()]
    for pattern in wanted:
        if not any(_fits(name, pattern) for name in names):
            parts = {name.rpartition(".")[0] for name in names} - {""}
            raise UsageError(f"freeze={patterns}: {pattern!r} fits no parameter. {did_you_mean(pattern, parts)}")
    frozen = {name for name in names if any(_fits(name, pattern) for pattern in wanted)}
    if len(frozen) == len(names):
        raise UsageError(f"freeze={patterns}: that is the whole network, and nothing would be trained. Name less.")
    for name, parameter in model.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    return [module for module in model.modules() if _is_frozen(module)]


def _fits(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, f"{pattern}.*")


def _is_frozen(module: nn.Module) -> bool:
    own = list(module.parameters(recurse=False))
    return bool(own) and not any(parameter.requires_grad for parameter in own)
