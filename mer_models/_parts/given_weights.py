"""Weights that somebody else trained, brought to a network's own names, and every difference told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mer_models.contracts import PublicWeights
from preprocess.base.errors import DataError

COUNTER = ".num_batches_tracked"
"""Batch normalisation counts its batches; older files lack the count, and no prediction depends on it."""

_SHOWN = 3


def is_public(names: Iterable[str], public: PublicWeights | None) -> bool:
    """Return whether a file with these names is of the form that a model declares."""
    return public is not None and any(re.fullmatch(pattern, name) for name in names for pattern, _ in public.names)


def fitted(
    held: Mapping[str, Tensor], wanted: Mapping[str, Tensor], public: PublicWeights | None
) -> dict[str, np.ndarray]:
    """Return the weights of a file under the network's names, in its shapes.

    Parameters
    ----------
    held : tensors by the file's names: the network's own ones, or those of ``public``.
    wanted : the network's tensors by its names, in its order.
    public : how published files become the network's; None where the model declares none.

    Raises
    ------
    DataError : naming the first of the network's tensors that is missing or has another shape, else the first tensor of
        the file that the network does not have, or a value that is not a finite number.
    """
    parts = _our_names(held, public if is_public(held, public) else None)
    found: dict[str, np.ndarray] = {}
    for name, expected in wanted.items():
        if name in parts:
            found[name] = _array(name, parts[name], held, expected)
        elif name.endswith(COUNTER):
            found[name] = expected.numpy()
        else:
            others = [theirs for ours, of in parts.items() if ours not in wanted for theirs in of]
            raise DataError(f"{name} is missing, expected {_shape(expected)}{_instead(others)}")
    for name, of in parts.items():
        if name not in wanted:
            raise DataError(f"{of[0]}, {_shape(held[of[0]])}, is in the file and not in the network")
    return found


def _our_names(held: Mapping[str, Tensor], public: PublicWeights | None) -> dict[str, list[str]]:
    """Return our name -> the file's names of the tensors that it is joined of, in order."""
    if public is None:
        return {name: [name] for name in held}
    found: dict[str, list[tuple[int, list[int], str]]] = {}
    for name in held:
        place, ours = _our_name(name, public)
        if ours:
            # As numbers: the tenth of several heads comes after the second, however the file is sorted.
            found.setdefault(ours, []).append((place, [int(digits) for digits in re.findall(r"\d+", name)], name))
    return {ours: [name for *_, name in sorted(of)] for ours, of in found.items()}


def _our_name(name: str, public: PublicWeights) -> tuple[int, str]:
    for place, (pattern, ours) in enumerate(public.names):
        if match := re.fullmatch(pattern, name):
            return place, match.expand(ours)
    return len(public.names), name


def _array(name: str, of: Sequence[str], held: Mapping[str, Tensor], expected: Tensor) -> np.ndarray:
    known = f"{name}{'' if list(of) == [name] else f' (in the file {_listed(of)})'}"
    values = [held[one].detach() for one in of]
    if any(value.layout is not torch.strided or value.is_quantized or value.is_complex() for value in values):
        raise DataError(f"{known} is no plain tensor of numbers")
    # Parts without axes are counters, all the same.
    sizes = {value.shape[1:] for value in values if value.dim()}
    if len(values) > 1 and len(sizes) > 1:
        shapes = ", ".join(_shape(value) for value in values)
        raise DataError(f"{known} is in parts of {shapes}, expected parts of {_shape(expected)}")
    whole = torch.cat(values) if len(values) > 1 and sizes else values[0]
    renamed = list(of) != [name]
    if renamed and _without_ones(whole) == _without_ones(expected):
        whole = whole.reshape(expected.shape)
    if whole.shape != expected.shape:
        raise DataError(f"{known} is {_shape(whole)} in the file, expected {_shape(expected)}")
    if not torch.isfinite(whole).all():
        raise DataError(f"{known} holds values that are no finite numbers")
    # numpy has no 16-bit brain floats.
    return (whole.float() if whole.dtype == torch.bfloat16 else whole).numpy()


def _instead(names: Sequence[str]) -> str:
    return f"; the file has {_listed(names)} instead" if names else ""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _shape(value: Tensor) -> str:
    return str(tuple(value.shape))


def _without_ones(value: Tensor) -> list[int]:
    return [length for length in value.shape if length != 1]
