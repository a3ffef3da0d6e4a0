"""Parquet files that carry the sha256 of their own bytes, so that any changed byte is found by whoever reads them.

pyarrow is imported by the functions: the command line's help stands on this room, too, and should not wait for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa

_SEAL_KEY = "merbench_seal"
_SEAL_MARK = b"sha256-of-this-file-with-zeros-here:"
_OPEN = b"0" * 64
# As the footer holds it: a field's type and length stand before its text (Thrift's compact protocol). No JSON text has
# these bytes, so that nothing which somebody else has written is taken for the seal.
_BEFORE_SEAL = _SEAL_KEY.encode() + bytes([0x18, len(_SEAL_MARK) + len(_OPEN)]) + _SEAL_MARK


class BrokenSeal(ValueError):
    """Bytes that are no whole sealed file; the message says in a few words what is wrong with them."""


def sealed(table: pa.Table, metadata: Mapping[str, str], compression: Literal["none", "zstd"] = "none") -> bytes:
    """Return a table as a sealed Parquet file, which any Parquet reader opens.

    Parameters
    ----------
    table : the rows.
    metadata : texts that go into the file's metadata.
    compression : of the columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Tensor columns need Arrow's own schema in the file, and then readers look for metadata there. It makes a small
    # file a good deal larger.
    store_schema = any(isinstance(field.type, pa.BaseExtensionType) for field in table.schema)
    if store_schema:
        table, metadata = table.replace_schema_metadata(dict(metadata)), {}
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        table.schema,
        store_schema=store_schema,
        write_page_checksum=True,
        use_dictionary=False,
        column_encoding=_tensor_encodings(table.schema) or None,
        compression=compression,
    ) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({**metadata, _SEAL_KEY: (_SEAL_MARK + _OPEN).decode()})
    data = sink.getvalue().to_pybytes()
    start = _seal_start(data)
    return data[:start] + _seal_of(data, start) + data[start + len(_OPEN) :]


def _tensor_encodings(schema: pa.Schema) -> dict[str, str]:
    """Return the encoding of each tensor column: the first bytes of all numbers, then the second ones, and so on.

    Parquet writes small whole numbers as four bytes, of which three are zero. Apart, they take a third of the time to
    be written, half of it to be read, and compress to three quarters and less.
    """
    import pyarrow as pa

    columns = {}
    for field in schema:
        if not isinstance(field.type, pa.FixedShapeTensorType):
            continue
        kind = field.type.value_type
        if pa.types.is_integer(kind) or pa.types.is_float32(kind) or pa.types.is_float64(kind):
            columns[f"{field.name}.list.element"] = "BYTE_STREAM_SPLIT"
    return columns


def unsealed(data: bytes) -> tuple[pa.Table, dict[str, str]]:
    """Return what ``sealed`` was given: the table and the metadata.

    Raises
    ------
    BrokenSeal : a byte changed, the file was cut short, or it is another kind of file.
    """
    checked_seal(data)
    return unchecked(data)


def unchecked(data: bytes) -> tuple[pa.Table, dict[str, str]]:
    """Return what ``unsealed`` does, of a file whose seal may be broken: for whoever checks each row by itself.

    Raises
    ------
    BrokenSeal : it can no longer be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
        return table, _texts(table.schema)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BrokenSeal(f"it is no Parquet file ({error})") from error


def _texts(schema: pa.Schema) -> dict[str, str]:
    """Return the metadata of a file, without its seal."""
    metadata = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    metadata.pop(_SEAL_KEY, None)
    return metadata


def unsealed_parts(data: bytes, rows: int) -> Iterator[tuple[pa.Table, dict[str, str]]]:
    """Yield what ``unsealed`` returns, so many rows at a time: the table as a whole may take several times the memory.

    Raises
    ------
    BrokenSeal : as for ``unsealed``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    checked_seal(data)
    try:
        for batch in pq.ParquetFile(pa.BufferReader(data)).iter_batches(rows, use_threads=False):
            yield pa.Table.from_batches([batch]), _texts(batch.schema)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BrokenSeal(f"it is no Parquet file ({error})") from error


def checked_seal(data: bytes) -> str:
    """Return the sha256 that a sealed file carries of itself, without reading its rows.

    Raises
    ------
    BrokenSeal : a byte changed, the file was cut short, or it is another kind of file.
    """
    start = _seal_start(data)
    seal = _seal_of(data, start)
    if seal != data[start : start + len(_OPEN)]:
        raise BrokenSeal("its bytes are not the ones that were written (sha256 differs)")
    return seal.decode()


def _seal_start(data: bytes) -> int:
    place = data.rfind(_BEFORE_SEAL)
    if place < 0:
        raise BrokenSeal(f"it has {len(data)} bytes and no seal among them")
    return place + len(_BEFORE_SEAL)


def _seal_of(data: bytes, start: int) -> bytes:
    """Return the seal of a file: the sha256 of its bytes with zeros where the seal stands."""
    view = memoryview(data)
    state = hashlib.sha256(view[:start])
    state.update(_OPEN)
    state.update(view[start + len(_OPEN) :])
    return state.hexdigest().encode()
