"""One feature of a study's samples: rows of blocks, which nobody joins."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from preprocess.shards.block import Block

OpenBlock = Callable[["Block"], "Values"]
"""Returns a block's (n, ...) values: an array, or what reads rows of a file when they are asked for."""

UNLIMITED = sys.maxsize
"""So many bytes of features may be held where nothing else is said."""


class Values(Protocol):
    """A feature of all samples of a study: an array, or what stands for one. Batches are taken through it alone.

    Attributes
    ----------
    shape : (n, ...).
    dtype : as stored.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all samples."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """As stored."""

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        """Return the values of the rows."""


@dataclass(frozen=True, eq=False)
class FeatureRows:
    """A feature of a study's samples, by reference.

    Attributes
    ----------
    blocks : where its values come from, a block a dataset.
    part : (n,) int32, the block of each row of the study.
    place : (n,) int64, the row of that block.
    arrays : the blocks' values, once they are opened; nothing before. They are asked for row numbers.
    """

    blocks: tuple[Block, ...]
    part: np.ndarray
    place: np.ndarray
    arrays: tuple[Values, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, ...), known before anything is read."""
        return (len(self.place), *self.blocks[0].shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """As stored."""
        return np.dtype(self.blocks[0].dtype)

    def opened(self, open_block: OpenBlock) -> FeatureRows:
        """Return the same rows, whose values can be taken."""
        return replace(self, arrays=tuple(map(open_block, self.blocks)))

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return a copy of the values of some rows, which the study must have opened.

        Parameters
        ----------
        rows : what indexes an array of n: numbers, a slice or one number.

        Returns
        -------
        (n_rows, ...), C-contiguous; without the first axis for one number.
        """
        assert self.arrays, "the blocks are not opened"
        part, place = self.part[rows], self.place[rows]
        if np.ndim(place) == 0:
            return np.ascontiguousarray(self.arrays[int(part)][np.array([place])][0])
        if len(self.arrays) == 1:
            return np.ascontiguousarray(self.arrays[0][place])
        values = np.empty((len(place), *self.shape[1:]), self.dtype)
        for number, array in enumerate(self.arrays):
            mine = part == number
            values[mine] = array[place[mine]]
        return values


@dataclass(frozen=True, eq=False)
class ChosenRows:
    """Some rows of a feature: row i is that of ``rows[i]``.

    Attributes
    ----------
    values : the feature.
    rows : (n,) int64 row numbers.
    """

    values: Values
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, ...)."""
        return (len(self.rows), *self.values.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """As stored."""
        return self.values.dtype

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return a copy of the values of some of the rows."""
        return self.values[self.rows[rows]]


@dataclass(frozen=True, eq=False)
class FlippedRows:
    """A feature in the opposite order along an axis.

    Attributes
    ----------
    values : the feature.
    axis : of (n, ...), another than the first.
    """

    values: Values
    axis: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, ...)."""
        return tuple(self.values.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """As stored."""
        return self.values.dtype

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return a copy of the values of the rows.

        Parameters
        ----------
        rows : numbers or a slice; one number would take an axis away.
        """
        return np.ascontiguousarray(np.flip(self.values[rows], axis=self.axis))


def bytes_of(values: Values) -> int:
    """Return how many bytes a feature of all samples takes, as stored."""
    return math.prod(values.shape) * values.dtype.itemsize


def rows_of(blocks: Sequence[Block], sample_ids: Sequence[str], part: np.ndarray) -> FeatureRows:
    """Return where a study's samples lie in blocks.

    Parameters
    ----------
    blocks : a block a dataset.
    sample_ids : n ids, the study's.
    part : (n,), the block of each.
    """
    rows = [{sample_id: row for row, sample_id in enumerate(block.sample_ids)} for block in blocks]
    place = [rows[number][sample_id] for number, sample_id in zip(part.tolist(), sample_ids, strict=True)]
    return FeatureRows(tuple(blocks), part.astype(np.int32), np.array(place, dtype=np.int64))
