"""Shards behind S3's protocol: what a second machine, with nothing of the first but the address, finds there."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from flow_trees import FlowTree

from preprocess.base.errors import DataError
from preprocess.base.storage import open_storage
from preprocess.datasets import RawDataset, read_source
from preprocess.shards.prepare import prepare

FEATURE = "flow_uvs_28"
READ_ELSEWHERE = """
import pickle, sys
block = pickle.loads(sys.stdin.buffer.read())
print(block.read().sum())
"""


def casme2(tree: FlowTree) -> RawDataset:
    (dataset,) = (one for one in read_source(tree.root) if one.name == "casme2")
    return dataset


@pytest.mark.slow
def test_shards_in_a_bucket_are_made_once_and_read_anywhere(
    tree: FlowTree, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pickle

    root = f"s3://lab/me/shards?{endpoint}"
    raw = casme2(tree)
    first = prepare(raw, root, [FEATURE])
    assert (first.made, first.reused) == (2, 0)

    def unmade(sample_id: str) -> np.ndarray:
        raise AssertionError(f"{sample_id} is made again")

    feature = dataclasses.replace(raw.features[FEATURE], compute=unmade)
    again = prepare(dataclasses.replace(raw, features={FEATURE: feature}), root, [FEATURE])
    assert (again.made, again.reused) == (0, 2)
    assert again.features[FEATURE].fingerprint == first.features[FEATURE].fingerprint

    block = again.block(FEATURE)
    done = subprocess.run(
        [sys.executable, "-c", READ_ELSEWHERE], input=pickle.dumps(block), capture_output=True, check=True
    )
    assert int(done.stdout) == int(first.load(FEATURE).sum())


@pytest.mark.slow
def test_a_lost_or_damaged_shard_in_a_bucket_is_told_and_made_again(tree: FlowTree, endpoint: str) -> None:
    root = f"s3://lab/other/shards?{endpoint}"
    raw = casme2(tree)
    prepared = prepare(raw, root, [FEATURE])
    storage = open_storage(root)
    first, second = sorted(prepared.contents[FEATURE])
    storage.delete(first)
    with pytest.raises(DataError, match=r"part.parquet.* is not there. Run again to make it anew"):
        prepared.load(FEATURE)
    assert prepare(raw, root, [FEATURE]).repaired == 1
    storage.write(second, storage.read(second)[:-7])
    with pytest.raises(DataError, match=r"damaged after it was prepared\. Remove it and run again"):
        prepared.load(FEATURE)
    storage.delete(second)
    assert np.array_equal(prepare(raw, root, [FEATURE]).load(FEATURE), prepared.load(FEATURE))


def test_shards_of_people_who_are_gone_leave_the_bucket(tree: FlowTree, endpoint: str) -> None:
    root = f"s3://lab/gone/shards?{endpoint}"
    raw = casme2(tree)
    prepare(raw, root, [FEATURE])
    one = raw.samples["subject"].iloc[0]
    fewer = raw.samples[raw.samples["subject"] == one].reset_index(drop=True)
    kept = prepare(dataclasses.replace(raw, samples=fewer), root, [FEATURE])
    assert any("removed the shards of subjects no longer in the source" in warning for warning in kept.warnings)
    partitions = [name for name in open_storage(root).names(f"casme2/{FEATURE}") if name.startswith("subject=")]
    assert partitions == [f"subject={one.partition('/')[2]}"]
