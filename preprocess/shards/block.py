"""A block: all samples of one dataset that have one feature, by reference: where its shards lie, not what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from preprocess.base.errors import DataError, StoreError
from preprocess.base.storage import Storage, open_storage
from preprocess.shards.file import Shard, decode

if TYPE_CHECKING:
    import numpy as np


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

    def read(self, into: np.ndarray | None = None) -> np.ndarray:
        """Read all shards, one after the other, each checked against its content hash.

        Parameters
        ----------
        into : (n, *shape) of the dtype, to be filled; None for a new array.

        Returns
        -------
        (n, *shape), C-contiguous where it is new.

        Raises
        ------
        DataError : a shard changed since it was prepared, cannot be read, or a sample is in none of them.
        """
        import numpy as np

        result = np.empty((len(self.sample_ids), *self.shape), self.dtype) if into is None else into
        rows = {sample_id: row for row, sample_id in enumerate(self.sample_ids)}
        storage = open_storage(self.root)
        for name, content in self.shards.items():
            shard = _shard(storage, name, content)
            chosen = [index for index, sample_id in enumerate(shard.sample_ids) if sample_id in rows]
            result[[rows.pop(shard.sample_ids[index]) for index in chosen]] = shard.tensors[chosen]
        if rows:
            raise DataError(
                f"Sample {next(iter(rows))} is in no shard of {self.title}. Run `prepare` with its samples table."
            )
        return result


def _shard(storage: Storage, name: str, content: str) -> Shard:
    """Read a shard whose tensors have this content hash; its seal answers for its bytes."""
    where = storage.where(name)
    try:
        shard = decode(storage.read(name), where)
    except FileNotFoundError as error:
        raise DataError(
            f"Shard {where} is not there. Run again to make it anew; on a cluster, let the results lie in a folder "
            "that all nodes share, or at an address such as s3://bucket/folder."
        ) from error
    except StoreError as error:
        raise DataError(f"{error} Run again to make the shard anew.") from error
    except DataError as error:
        raise DataError(f"{_changed(storage, where)} ({error})") from error
    if shard.content != content:
        raise DataError(_changed(storage, where))
    return shard


def _changed(storage: Storage, where: str) -> str:
    # A shard behind an address is not read when it is judged: see FeatureFolder.
    remedy = "Remove it and run again" if storage.remote else "Run again"
    return f"Shard {where} was changed or damaged after it was prepared. {remedy} to make it anew."
