"""A feature's values as the engine takes them: a tensor where they are held, else rows that are taken batch by batch.

The engine reads no file. It takes rows from ``Values``: an array is one, and so is what reads them from somewhere. Held
or not, a batch has the same bits.
"""

from __future__ import annotations

import math
import warnings
import weakref
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from bench.study.feature_rows import Values, bytes_of

JOINED_BYTES = 64 * 2**20
"""Up to so many bytes of a feature are joined in a worker's own memory: taking rows of one tensor is faster."""

UPLOADED_BYTES = 256 * 2**20
"""So many bytes of a larger feature are taken to a GPU at a time."""


class Stored(Protocol):
    """A feature of all samples of a study, as stored or reduced: a tensor, or what stands for one."""

    @property
    def device(self) -> torch.device:
        """Where rows are wanted from, and given."""

    @property
    def shape(self) -> torch.Size:
        """(n, ...)."""

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        """Return the rows, (n_rows, ...), images channels last on the CPU."""


class Gathered:
    """Rows as they are stored, which are taken and brought to the device when they are asked for."""

    def __init__(self, values: Values, device: str) -> None:
        self._values, self._on = values, device
        self.device, self.shape = torch.device(device), torch.Size(values.shape)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Return the rows, laid out for a network."""
        return laid_out(_taken(self._values, rows, self._on), self._on)


class Reduced:
    """What a network looks at of a feature, float32, made of the rows that are asked for.

    Parameters
    ----------
    values : the feature; not empty.
    reduce : makes of float32 values what the network looks at, of each sample by itself.
    device : where that is done.
    """

    def __init__(self, values: Values, reduce: Callable[[Tensor], Tensor], device: str) -> None:
        self._values, self._reduce, self._on = values, reduce, device
        one = reduce(_taken(values, torch.arange(1), "cpu").float())
        self.device, self.shape = torch.device(device), torch.Size((values.shape[0], *one.shape[1:]))
        self.nbytes = math.prod(self.shape) * one.element_size()

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Return the rows, laid out for a network."""
        return laid_out(self._reduce(_taken(self._values, rows, self._on).float()), self._on)


class _Joined:
    """Features that were joined, kept as long as their study's data: its folds come one after the other."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[weakref.ref[Values], Tensor]] = {}

    def of(self, values: Values) -> Tensor:
        self._kept = {key: kept for key, kept in self._kept.items() if kept[0]() is not None}
        if id(values) not in self._kept:
            self._kept[id(values)] = weakref.ref(values), _tensor(values[:])
        return self._kept[id(values)][1]


_JOINED = _Joined()


def held(values: Values, device: str) -> Stored:
    """Return all of a feature on the device.

    On the CPU, large ones that are no arrays are gathered nevertheless: what they are read from is in the system's
    cache, once for all workers of a node.
    """
    if isinstance(values, np.ndarray):
        return laid_out(_tensor(values).to(device), device)
    if bytes_of(values) <= JOINED_BYTES:
        return laid_out(_JOINED.of(values).to(device), device)
    return Gathered(values, device) if device == "cpu" else _uploaded(values, device)


def held_bytes(values: Stored) -> int:
    """Return how many bytes of a feature are held on the device."""
    return values.nbytes if isinstance(values, Tensor) else 0


def laid_out(values: Tensor, device: str) -> Tensor:
    """Put images and convolution weights channels last on the CPU, where a small network's step is a fifth faster."""
    return values.contiguous(memory_format=torch.channels_last) if values.dim() == 4 and device == "cpu" else values


def empty(shape: torch.Size, dtype: torch.dtype, device: str) -> Tensor:
    """Return a new tensor in the layout of ``laid_out``, whose values are not set yet."""
    images = len(shape) == 4 and device == "cpu"
    layout = torch.channels_last if images else torch.contiguous_format
    return torch.empty(shape, dtype=dtype, device=device, memory_format=layout)


def _uploaded(values: Values, device: str) -> Tensor:
    first = _taken(values, torch.arange(1), "cpu")
    result = empty(torch.Size(values.shape), first.dtype, device)
    for rows in torch.arange(len(result)).split(max(1, UPLOADED_BYTES // max(1, first.nbytes))):
        result[rows[0] : rows[-1] + 1] = _taken(values, rows, device)
    return result


def _taken(values: Values, rows: Tensor, device: str) -> Tensor:
    """Return some rows of a feature on the device, as they are stored."""
    return _tensor(values[rows.cpu().numpy()]).to(device)


def _tensor(values: np.ndarray) -> Tensor:
    """Return an array as a tensor that shares its memory and is never written to."""
    with warnings.catch_warnings():
        # A caller's array may be read-only; torch cannot know that nobody will write to it.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable", category=UserWarning)
        return torch.from_numpy(values)
