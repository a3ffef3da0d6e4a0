"""One shard file: the tensors of one feature for one subject's samples, as Parquet bytes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from preprocess.base.errors import DataError
from preprocess.base.hashing import canonical_json, digest, digest_bytes
from preprocess.base.sealed_parquet import sealed, unsealed, unsealed_parts

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_PREFIX = "merbench."


@dataclass(frozen=True)
class Remarks:
    """What a person should know about a shard's clips. Each field is keyed by sample id.

    Attributes
    ----------
    skipped : why the clip has no row.
    notes : what the steps noted.
    faces : how the face was found.
    quality : what steps measured of the clip (``preprocess/samples/quality.py``).
    """

    skipped: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    faces: dict[str, str] = field(default_factory=dict)
    quality: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Shard:
    """What a shard file holds.

    Attributes
    ----------
    sample_ids : n ids.
    tensors : (n, ...) of the feature's dtype; row i belongs to ``sample_ids[i]``.
    recipe_hash : the hash of the feature's recipe.
    made_from : fingerprint of the data that the tensors were made from.
    content : the ``content_hash`` of the tensors.
    remarks : what to know about the clips.
    """

    sample_ids: tuple[str, ...]
    tensors: np.ndarray
    recipe_hash: str
    made_from: str
    content: str
    remarks: Remarks = Remarks()


def content_hash(sample_ids: Sequence[str], tensors: np.ndarray) -> str:
    """Return a sha256 of the tensors with their sample ids.

    It is equal on every platform and for any order of the samples.
    """
    return content_of(tensor_hashes(sample_ids, tensors))


def content_of(hashes: Mapping[str, str]) -> str:
    """Return the ``content_hash`` of tensors from the hash of each."""
    return digest(sorted([sample_id, tensor] for sample_id, tensor in hashes.items()))


def tensor_hashes(sample_ids: Sequence[str], tensors: np.ndarray) -> dict[str, str]:
    """Return sample id -> a sha256 of its tensor, equal on every platform."""
    portable = tensors.dtype.newbyteorder("<")
    kind = canonical_json([tensors.dtype.name, list(tensors.shape[1:])]).encode()
    return {
        sample_id: digest_bytes(kind, tensor.astype(portable, copy=False).tobytes())
        for sample_id, tensor in zip(sample_ids, tensors, strict=True)
    }


def encode(shard: Shard, recipe: Mapping[str, Any]) -> bytes:
    """Return the bytes of a shard's Parquet file.

    Its columns are ``sample_id`` and ``tensor``, of a fixed-shape tensor type. The recipe, its hash, the fingerprint of
    what the tensors were made from, the content hash and the remarks are metadata of the file's schema.
    """
    import pyarrow as pa

    facts = {"recipe_hash": shard.recipe_hash, "made_from": shard.made_from, "content": shard.content}
    texts = {"recipe": canonical_json(recipe), "remarks": canonical_json(dataclasses.asdict(shard.remarks))}
    metadata = {f"{_PREFIX}{key}": value for key, value in {**facts, **texts}.items()}
    columns = {"sample_id": pa.array(shard.sample_ids, pa.string()), "tensor": _tensor_column(shard.tensors)}
    return sealed(pa.table(columns), metadata, compression="zstd")


def decode(content: bytes, place: str) -> Shard:
    """Read a shard from the bytes that ``encode`` returned.

    Parameters
    ----------
    content : the bytes.
    place : where they come from, for the message.

    Raises
    ------
    DataError : the bytes are no such file.
    """
    with _readable(place):
        return _shard(*unsealed(content))


def decode_parts(content: bytes, place: str, rows: int) -> Iterator[Shard]:
    """Yield what ``decode`` returns, so many rows at a time; all else of each part is that of the whole shard."""
    with _readable(place):
        for table, metadata in unsealed_parts(content, rows):
            yield _shard(table, metadata)


def _shard(table: pa.Table, metadata: Mapping[str, str]) -> Shard:
    return Shard(
        sample_ids=tuple(table["sample_id"].to_pylist()),
        tensors=table["tensor"].combine_chunks().to_numpy_ndarray(),
        recipe_hash=metadata[f"{_PREFIX}recipe_hash"],
        made_from=metadata[f"{_PREFIX}made_from"],
        content=metadata[f"{_PREFIX}content"],
        remarks=Remarks(**json.loads(metadata.get(f"{_PREFIX}remarks", "{}"))),
    )


@contextlib.contextmanager
def _readable(place: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{place} is not a readable shard ({type(error).__name__}: {error}).") from error


def _tensor_column(tensors: np.ndarray) -> Any:
    import numpy as np
    import pyarrow as pa

    if len(tensors):
        return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(tensors))
    kind = pa.fixed_shape_tensor(pa.from_numpy_dtype(tensors.dtype), tensors.shape[1:])
    return pa.ExtensionArray.from_storage(kind, pa.array([], kind.storage_type))
