"""A feature's stored values as the engine takes them: a tensor, or rows that are gathered batch by batch."""

from __future__ import annotations

import math
import warnings
import weakref
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from bench.study.feature_rows import Values

JOINED_BYTES = 64 * 2**20
"""Up to so many bytes of a feature are joined in a worker's own memory: taking rows of one tensor is faster."""

UPLOADED_BYTES = 256 * 2**20
"""So many bytes of a larger feature are taken to a GPU at a time."""


class Stored(Protocol):
    """A feature of all samples of a study, as stored: a tensor, or what stands for one."""

    @property
    def device(self) -> torch.device:
        """Where rows are wanted from, and given."""

    @property
    def shape(self) -> torch.Size:
        """(n, ...)."""

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        """Return the rows, (n_rows, ...) of the stored dtype."""


class Gathered:
    """Rows on the CPU that are copied out of the blocks when they are asked for, so that no worker holds a feature."""

    device = torch.device("cpu")

    def __init__(self, values: Values, for_training: bool = False) -> None:
        self._values, self._for_training = values, for_training
        self.shape = torch.Size(values.shape)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Return the rows, images channels last where they are trained on."""
        taken = _tensor(self._values[rows.numpy()])
        return laid_out(taken, "cpu") if self._for_training else taken

    def for_training(self) -> Gathered:
        """Return the same rows, laid out for a network."""
        return Gathered(self._values, for_training=True)


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


def stored_values(values: Values) -> Stored:
    """Return a feature on the CPU: an array as it is, small rows of blocks as one tensor, large ones gathered."""
    if isinstance(values, np.ndarray):
        return _tensor(values)
    if math.prod(values.shape) * values.dtype.itemsize <= JOINED_BYTES:
        return _JOINED.of(values)
    return Gathered(values)


def on_device(values: Stored, device: str) -> Stored:
    """Return the values where a network is trained. A GPU gets all of them, and the CPU gathers what is gathered."""
    if isinstance(values, Tensor):
        return laid_out(values.to(device), device)
    if device == "cpu":
        assert isinstance(values, Gathered)
        return values.for_training()
    first = values[torch.arange(1)]
    result = torch.empty(values.shape, dtype=first.dtype, device=device)
    for rows in torch.arange(len(result)).split(max(1, UPLOADED_BYTES // max(1, first.nbytes))):
        result[rows[0] : rows[-1] + 1] = values[rows].to(device)
    return result


def laid_out(values: Tensor, device: str) -> Tensor:
    """Put images and convolution weights channels last on the CPU, where a small network's step is a fifth faster."""
    return values.contiguous(memory_format=torch.channels_last) if values.dim() == 4 and device == "cpu" else values


def _tensor(values: np.ndarray) -> Tensor:
    """Return an array as a tensor that shares its memory and is never written to."""
    with warnings.catch_warnings():
        # What is mapped from a file cannot be written; torch cannot know that nobody will.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable", category=UserWarning)
        return torch.from_numpy(values)
