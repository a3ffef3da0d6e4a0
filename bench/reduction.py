"""Features as a network looks at them (smaller, fewer frames), made once for the folds that follow one another."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Change = Callable[[Tensor], Tensor]


class LatestReduction:
    """What was reduced last, kept while the same is asked for again: the folds of a study come one after the other."""

    def __init__(self) -> None:
        self._of: weakref.ref[np.ndarray] | None = None
        self._by: tuple[Change, str] | None = None
        self._values = torch.empty(0)

    def of(self, array: np.ndarray, values: Tensor, reduce: Change, device: str, at_a_time: int) -> Tensor:
        """Return what ``reduce`` makes of all values, float32 on the device.

        array : where the values come from; two calls with the same one have the same values. reduce : equal to others
        that do the same.
        """
        if self._of is None or self._of() is not array or self._by != (reduce, device):
            # Two of them at once may be too much.
            self._of, self._values = None, torch.empty(0)
            parts = [reduce(part.to(device).float()) for part in values.split(at_a_time)]
            self._of, self._by, self._values = weakref.ref(array), (reduce, device), torch.cat(parts)
        return self._values


def saves_memory(values: Tensor, reduce: Change) -> bool:
    """Return whether the reduced values take at most half of the memory of the stored ones.

    Stored ones are shared by all workers of a node and stay where they are; each worker reduces for itself.
    """
    stored, reduced = values[:1], reduce(values[:1].float())
    return 2 * reduced.numel() * reduced.element_size() <= stored.numel() * stored.element_size()


def unchanged(values: Tensor) -> Tensor:
    """Return the values: the reduction of networks that look at a feature as it is."""
    return values
