"""Blocks on a node: one file for all of its workers, which outlives each of them and none of the run."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from bench.workers.node_blocks import NodeBlocks, blocks_folder, blocks_of_a_command
from bench.workers.row_file import RowFile
from preprocess.base.errors import DataError, StoreError
from preprocess.base.storage import LocalStorage
from preprocess.shards import block as shards_block
from preprocess.shards.block import Block, Rows
from preprocess.shards.prepared import PreparedDataset

FEATURE = "flow_uvs_28"


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture
def block(synthetic: list[PreparedDataset]) -> Block:
    return synthetic[0].block(FEATURE)


def everything(values: RowFile) -> np.ndarray:
    return values[np.arange(values.shape[0])]


def test_workers_read_one_file_that_the_first_of_them_has_made(
    block: Block, synthetic: list[PreparedDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = NodeBlocks("run"), NodeBlocks("run")
    values, expected = first.open(block), synthetic[0].load(FEATURE)
    monkeypatch.setattr(Block, "fill", None)
    again = second.open(block)
    assert [path.suffix for path in blocks_folder("run").iterdir()].count(".npy") == 1
    for one in (values, again):
        assert np.array_equal(everything(one), expected)
        with pytest.raises(OSError, match="Bad file descriptor"):
            one[[0]] = expected[:1]


def test_a_block_that_is_no_longer_needed_goes_and_may_come_back(block: Block) -> None:
    blocks = NodeBlocks("run")
    opened = blocks.open(block)
    kept = everything(opened)
    blocks.keep([])
    assert list(blocks_folder("run").glob("*.npy")) == []
    assert np.array_equal(everything(opened), kept), "who has it open goes on with it"
    assert np.array_equal(everything(blocks.open(block)), kept)
    blocks.keep([block.key])
    assert len(list(blocks_folder("run").glob("*.npy"))) == 1


def test_the_last_worker_removes_the_folder(block: Block) -> None:
    first, second = NodeBlocks("run"), NodeBlocks("run")
    first.open(block)
    first.close()
    assert np.array_equal(everything(second.open(block)), block.read())
    second.close()
    assert not blocks_folder("run").exists()


@pytest.mark.slow
def test_what_a_killed_run_has_left_goes_when_the_next_begins(block: Block) -> None:
    code = (
        "import sys, time; from bench.workers.node_blocks import NodeBlocks\n"
        "blocks = NodeBlocks(sys.argv[1]); print(flush=True); time.sleep(60)"
    )
    others = {
        name: subprocess.Popen([sys.executable, "-c", code, name], stdout=subprocess.PIPE)
        for name in ("killed", "alive")
    }
    try:
        for process in others.values():
            assert process.stdout is not None
            process.stdout.readline()
        (blocks_folder("killed") / "some.npy").write_bytes(bytes(10))
        others["killed"].send_signal(signal.SIGKILL)
        others["killed"].wait()
        NodeBlocks("mine")
        assert not blocks_folder("killed").exists()
        assert blocks_folder("alive").exists(), "another run's worker lives"
    finally:
        for process in others.values():
            process.kill()
            process.wait()


def test_a_damaged_shard_is_told_and_leaves_no_half_a_block(block: Block) -> None:
    missing = dataclasses.replace(block, shards={**block.shards, "gone.parquet": "0"})
    blocks = NodeBlocks("run")
    with pytest.raises(DataError, match=r"gone.parquet is not there. Run again"):
        blocks.open(missing)
    assert [path.suffix for path in blocks_folder("run").iterdir() if path.suffix in (".npy", ".unfinished")] == []
    assert np.array_equal(everything(blocks.open(block)), block.read())


def test_a_node_without_room_says_what_it_wants(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StoreError, match=r"cannot keep a feature \(\d+ MiB\) at .*No space left on device. Free some"):
        NodeBlocks("run").open(block)
    assert not list(blocks_folder("run").glob("*.unfinished"))


def test_two_processes_that_want_the_same_block_make_it_once(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    fill = Block.fill

    def slow(self: Block, into: Rows) -> None:
        made.append(self.key)
        time.sleep(0.2)
        fill(self, into)

    monkeypatch.setattr(Block, "fill", slow)
    opened: list[RowFile] = []
    threads = [threading.Thread(target=lambda: opened.append(NodeBlocks("run").open(block))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [block.key]
    assert len(opened) == 3


@pytest.mark.parametrize(("held", "cores", "at_a_time"), [(2**30, 3, 3), (2**30, 1, 1), (1, 3, 1)])
def test_small_shards_are_read_a_few_at_a_time(
    held: int, cores: int, at_a_time: int, block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, read = block.read(), LocalStorage.read
    reading: list[str] = []
    most: list[int] = []

    def slowly(storage: LocalStorage, name: str) -> bytes:
        reading.append(name)
        # On a busy machine, the other threads may take long to begin.
        deadline = time.monotonic() + 5
        while max(most, default=0) < at_a_time > len(reading) and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)
        most.append(len(reading))
        reading.remove(name)
        return read(storage, name)

    monkeypatch.setattr(shards_block, "HELD_BYTES", held)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    monkeypatch.setattr(LocalStorage, "read", slowly)
    assert np.array_equal(block.read(), expected)
    assert len(most) == len(block.shards) > 3
    assert max(most) == at_a_time


def test_a_block_without_a_sample_is_empty(block: Block) -> None:
    nobody = dataclasses.replace(block, key="nobody", sample_ids=())
    assert NodeBlocks("run").open(nobody).shape == (0, 3, 28, 28)


def test_a_command_leaves_no_block_behind(block: Block) -> None:
    def interrupted() -> None:
        with blocks_of_a_command() as open_block:
            values = open_block(block)
            assert np.array_equal(values[np.array([2, 0])], block.read()[[2, 0]])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(Path(tempfile.gettempdir()).glob("merbench-blocks-*"))
