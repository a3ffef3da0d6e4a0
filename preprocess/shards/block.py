"""A block: all samples of one dataset that have one feature, by reference: where its shards lie, not what they hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from preprocess.base.errors import DataError, StoreError
from preprocess.base.machine import usable_cores
from preprocess.base.storage import Storage, open_storage
from preprocess.shards.file import Shard, decode_parts

if TYPE_CHECKING:
    import numpy as np

DECODED_BYTES = 16 * 2**20
"""About so many bytes of shards' tensors are decoded at a time, which takes several times their memory."""

HELD_BYTES, MOST_THREADS = 64 * 2**20, 4
"""Shards are read in several threads as long as their tensors take no more than this together."""


class Rows(Protocol):
    """Takes the values of some rows: an array, or what writes them to a file."""

    def __setitem__(self, rows: Any, values: Any, /) -> None:
        """Take the values (k, ...) of the row numbers (k,)."""


@dataclass(frozen=True)
class Block:
    """What a node needs to know to read a feature of a dataset from its shards.

    Attributes
    ----------
    title : ``dataset/feature``.
    key : names its content: equal keys, equal bytes.
    sample_ids : n ids, in the order of the samples table; row i belongs to ``sample_ids[i]``.
    shape : of one sample's tensor.
    dtype : numpy's name of its type.
    root : path or address of all shards.
    shards : the name of each shard below it -> the content hash of its tensors.
    """

    title: str
    key: str
    sample_ids: tuple[str, ...] = field(repr=False)
    shape: tuple[int, ...]
    dtype: str
    root: str
    shards: Mapping[str, str] = field(repr=False)

    @property
    def nbytes(self) -> int:
        """How many bytes its tensors take."""
        import math

        import numpy as np

        return len(self.sample_ids) * math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def read(self) -> np.ndarray:
        """Return all values, (n, *shape), C-contiguous; DataError as for ``fill``."""
        import numpy as np

        result = np.empty((len(self.sample_ids), *self.shape), self.dtype)
        self.fill(result)
        return result

    def fill(self, into: Rows) -> None:
        """Read all shards, each checked against its content hash.

        Small ones are read a few at a time, in as many threads: workers that need the block wait for it anyway. Of
        large ones, a file is held at a time. Of a file's tensors, a few are.

        Parameters
        ----------
        into : takes the values of all rows.

        Raises
        ------
        DataError : a shard changed since it was prepared, cannot be read, or a sample is in none of them.
        """
        rows = {sample_id: row for row, sample_id in enumerate(self.sample_ids)}
        storage = open_storage(self.root)
        size = max(1, self.nbytes // max(1, len(self.shards)))
        threads = max(1, min(MOST_THREADS, usable_cores(), HELD_BYTES // size))
        at_a_time = max(1, DECODED_BYTES // threads * len(rows) // max(1, self.nbytes))

        def fill_from(name: str, content: str) -> None:
            for part in _parts(storage, name, content, at_a_time):
                chosen = [index for index, sample_id in enumerate(part.sample_ids) if sample_id in rows]
                into[[rows.pop(part.sample_ids[index]) for index in chosen]] = part.tensors[chosen]

        with ThreadPoolExecutor(threads) as pool:
            # Asked for one by one, so that the first error is the one that is raised.
            for _ in pool.map(fill_from, self.shards.keys(), self.shards.values()):
                pass
        if rows:
            raise DataError(
                f"Sample {next(iter(rows))} is in no shard of {self.title}. Run `prepare` with its samples table."
            )


def _parts(storage: Storage, name: str, content: str, rows: int) -> Iterator[Shard]:
    """Read a shard whose tensors have this content hash, so many rows at a time; its seal answers for its bytes."""
    where = storage.where(name)
    try:
        for part in decode_parts(storage.read(name), where, rows):
            if part.content != content:
                break
            yield part
        else:
            return
    except FileNotFoundError as error:
        raise DataError(
            f"Shard {where} is not there. Run again to make it anew; on a cluster, let the results lie in a folder "
            "that all nodes share, or at an address such as s3://bucket/folder."
        ) from error
    except StoreError as error:
        raise DataError(f"{error} Run again to make the shard anew.") from error
    except DataError as error:
        raise DataError(f"{_changed(storage, where)} ({error})") from error
    raise DataError(_changed(storage, where))


def _changed(storage: Storage, where: str) -> str:
    # A shard behind an address is not read when it is judged: see FeatureFolder.
    remedy = "Remove it and run again" if storage.remote else "Run again"
    return f"Shard {where} was changed or damaged after it was prepared. {remedy} to make it anew."
