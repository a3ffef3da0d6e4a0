"""One shard file: what goes in comes out, and what is no shard is refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from preprocess.base import sealed_parquet
from preprocess.base.errors import DataError
from preprocess.shards.file import Remarks, Shard, content_hash, decode, decode_parts, encode


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "int64", "float16", "float32", "float64"])
def test_round_trip(dtype: str) -> None:
    values = (np.arange(24).reshape(2, 3, 4) * 1.25).astype(dtype)
    shard = Shard(
        ("x/p/b", "x/p/a"), values, recipe_hash="r", made_from="s", content=content_hash(["x/p/b", "x/p/a"], values)
    )
    again = decode(encode(shard, {"v": 1}), "memory")
    assert (again.sample_ids, again.recipe_hash, again.made_from) == (shard.sample_ids, "r", "s")
    assert again.content == shard.content == content_hash(again.sample_ids, again.tensors)
    assert again.tensors.dtype == values.dtype
    np.testing.assert_array_equal(again.tensors, values)


def test_small_whole_numbers_take_no_more_than_their_bytes() -> None:
    """Parquet has no column of bytes; written as four bytes each, drawn values took 1.36 times their room."""
    values = np.random.default_rng(0).integers(0, 256, (8, 100, 100), dtype=np.uint8)
    written = encode(Shard(tuple("abcdefgh"), values, recipe_hash="r", made_from="s", content="c"), {"v": 1})
    assert len(written) < 1.01 * values.nbytes + 4000


def test_equal_shards_are_equal_bytes() -> None:
    shard = Shard(("x/p/a",), np.ones((1, 2, 2), np.float32), recipe_hash="r", made_from="s", content="c")
    assert encode(shard, {"v": 1, "w": 2}) == encode(shard, {"w": 2, "v": 1})


def test_a_parquet_file_of_something_else_is_refused() -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"price": [1.0, 2.0]}), sink)
    with pytest.raises(DataError, match=r"prices\.parquet is not a readable shard"):
        decode(sink.getvalue().to_pybytes(), "prices.parquet")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not Parquet at all" * 10])
def test_bytes_that_are_no_parquet_file_are_refused(content: bytes) -> None:
    with pytest.raises(DataError, match=r"part\.parquet is not a readable shard"):
        decode(content, "part.parquet")
    with pytest.raises(DataError, match=r"part\.parquet is not a readable shard"):
        list(decode_parts(content, "part.parquet", 5))


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_parts_are_the_whole(rows: int) -> None:
    ids = tuple(f"x/p/{number}" for number in range(7))
    values = np.random.default_rng(0).integers(0, 256, (7, 3, 50), dtype=np.uint8)
    shard = Shard(ids, values, "r", "s", "c", Remarks({"x": "y"}))
    parts = list(decode_parts(encode(shard, {"v": 1}), "memory", rows))
    assert [len(part.sample_ids) for part in parts] == {1: [1] * 7, 3: [3, 3, 1], 100: [7]}[rows]
    assert tuple(sample_id for part in parts for sample_id in part.sample_ids) == ids
    assert np.array_equal(np.concatenate([part.tensors for part in parts]), values)
    assert all((part.content, part.remarks) == (shard.content, shard.remarks) for part in parts)


def test_content_hash_goes_by_sample_id() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert content_hash(["a", "b"], values) == content_hash(["b", "a"], values[::-1])
    assert content_hash(["a", "b"], values) == content_hash(["a", "b"], values.astype(">f4"))
    others = (
        content_hash(["b", "a"], values),
        content_hash(["a", "c"], values),
        content_hash(["a", "b"], values + 1),
        content_hash(["a", "b"], values.view(np.int32)),
        content_hash(["a", "b"], values.reshape(2, 3, 1)),
    )
    assert content_hash(["a", "b"], values) not in others


def test_every_flipped_bit_is_found() -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    data = encode(Shard(("x/p/a", "x/p/b"), values, recipe_hash="r", made_from="s", content="c"), {"v": 1})
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << (place % 8)
        with pytest.raises(DataError, match=r"part\.parquet is not a readable shard"):
            decode(bytes(flipped), "part.parquet")


def test_a_shard_may_hold_what_looks_like_a_seal() -> None:
    mark = sealed_parquet._BEFORE_SEAL + sealed_parquet._OPEN
    values = np.stack([np.frombuffer(mark, np.uint8)])
    shard = Shard((mark.decode(),), values, "r", "s", "c", Remarks({"x": mark.decode()}))
    again = decode(encode(shard, {"v": mark.decode()}), "memory")
    assert again.tensors.tobytes() == mark
    assert (again.sample_ids, again.remarks) == (shard.sample_ids, shard.remarks)


def test_a_shard_without_clips_keeps_its_shape() -> None:
    shard = Shard((), np.empty((0, 2, 3), np.float32), recipe_hash="r", made_from="s", content="c")
    again = decode(encode(shard, {"v": 1}), "memory")
    assert (again.tensors.shape, again.tensors.dtype) == ((0, 2, 3), np.float32)
