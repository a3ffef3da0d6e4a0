"""A tensor in a file, a row a sample, of which nobody holds more than the rows that are asked for.

The file is read, not mapped: pages that are mapped count as the memory of each process that looks at them. What was
read before stays in the system's cache, for all workers of a node and only as long as nobody else needs the memory.
"""

from __future__ import annotations

import itertools
import math
import os
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from preprocess.base.errors import StoreError


class RowFile:
    """Rows of a tensor in a ``.npy`` file.

    Parameters
    ----------
    path : the file; it may be removed while this object lives.
    writable : whether rows may be set.

    Attributes
    ----------
    shape : (n, ...).
    dtype : of the values.
    close : closes the file; it is called when the object is gone, too.
    """

    def __init__(self, path: Path, writable: bool = False) -> None:
        self._path = path
        with open(path, "rb+" if writable else "rb", buffering=0) as file:
            np.lib.format.read_magic(file)
            self.shape, _, self.dtype = np.lib.format.read_array_header_1_0(file)
            self._start = file.tell()
            self._file = os.dup(file.fileno())
        self.close = weakref.finalize(self, os.close, self._file)
        self._row = math.prod(self.shape[1:]) * self.dtype.itemsize

    @classmethod
    def create(cls, path: Path, shape: tuple[int, ...], dtype: str) -> RowFile:
        """Return a new file, which has all of its room already.

        Raises
        ------
        OSError : there is not enough.
        """
        kind = np.dtype(dtype)
        described = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
        with open(path, "wb") as file:
            np.lib.format.write_array_header_1_0(file, described)
            file.flush()
            os.posix_fallocate(file.fileno(), 0, file.tell() + math.prod(shape) * kind.itemsize)
        return cls(path, writable=True)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Return the values of some rows.

        Parameters
        ----------
        rows : (k,) int64 row numbers from 0.

        Returns
        -------
        (k, ...), C-contiguous.

        Raises
        ------
        StoreError : the file cannot be read, or was cut short.
        """
        values = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for part, at in self._runs(values, rows):
            while len(part):
                try:
                    got = os.preadv(self._file, [part], at)
                except OSError as error:
                    raise self._unreadable(error.strerror or str(error)) from error
                if not got:
                    raise self._unreadable("it was cut short")
                part, at = part[got:], at + got
        return values

    def __setitem__(self, rows: Sequence[int], values: np.ndarray) -> None:
        """Write the values (k, ...) of some rows; OSError where that fails."""
        for part, at in self._runs(np.ascontiguousarray(values, self.dtype), np.asarray(rows, dtype=np.int64)):
            while len(part):
                put = os.pwrite(self._file, part, at)
                part, at = part[put:], at + put

    def _runs(self, values: np.ndarray, rows: np.ndarray) -> Iterator[tuple[memoryview[Any], int]]:
        """Yield the bytes of rows that lie one after the other, and where in the file they lie."""
        if not values.nbytes:
            return
        view = values.reshape(-1).view(np.uint8).data
        edges = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
        for first, end in itertools.pairwise(edges):
            yield view[first * self._row : end * self._row], self._start + int(rows[first]) * self._row

    def _unreadable(self, why: str) -> StoreError:
        return StoreError(
            f"Node {os.uname().nodename} cannot read a feature from {self._path}: {why}. Something else than this run "
            "must have touched it, or its disk fails. Run again: the file is made anew."
        )
