"""Rows of a tensor in a file: those of the array that was written, and an error where the file is not whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.workers.row_file import RowFile
from preprocess.base.errors import StoreError


def written(path: Path, values: np.ndarray) -> RowFile:
    """Write values in parts, out of order, and return them opened anew."""
    made = RowFile.create(path, values.shape, values.dtype.name)
    order = np.random.default_rng(0).permutation(len(values)).tolist()
    for part in (order[: len(order) // 3], order[len(order) // 3 :]):
        made[part] = values[part]
    made.close()
    return RowFile(path)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16", "bool"])
@pytest.mark.parametrize("shape", [(9, 3, 5), (9,), (9, 0), (0, 4)])
def test_any_rows_are_those_of_the_array(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    values = np.random.default_rng(1).integers(0, 200, shape).astype(dtype)
    opened = written(tmp_path / "rows.npy", values)
    assert (opened.shape, opened.dtype) == (values.shape, values.dtype)
    assert np.array_equal(np.load(tmp_path / "rows.npy"), values), "numpy reads it, too"
    for rows in ([0, 1, 2], [8, 0, 3, 4, 5, 3], [7], []):
        wanted = np.array(rows, dtype=np.int64) if len(values) else np.empty(0, np.int64)
        taken = opened[wanted]
        assert taken.dtype == values.dtype
        assert taken.flags.c_contiguous
        assert np.array_equal(taken, values[wanted])


def test_a_file_that_was_cut_short_is_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    opened = written(path, np.ones((6, 1000), np.uint8))
    with open(path, "rb+") as file:
        file.truncate(3500)
    assert opened[np.array([2])].all()
    with pytest.raises(StoreError, match=r"cannot read a feature from .*rows.npy: it was cut short.*Run again"):
        opened[np.array([1, 4])]


def test_rows_are_read_and_no_page_of_the_file_is_mapped(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    opened = written(path, np.ones((6, 100_000), np.uint8))
    assert opened[np.arange(6)].all()
    assert str(path) not in Path("/proc/self/maps").read_text()
