"""File systems without locks: what needs none goes on, what needs one says so, and nobody's files are removed."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from pathlib import Path

import pytest

from bench.workers.node_blocks import NodeBlocks, blocks_folder, remove_unused
from bench.workers.turn import turn
from preprocess.base.errors import StoreError
from preprocess.base.locks import lock
from preprocess.synth.trees import _alone


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let no file be locked, as on Lustre without ``flock``; return where temporary files lie."""

    def refused(file: object, operation: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", refused)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_who_holds_a_lock_is_seen_by_others(tmp_path: Path) -> None:
    with open(tmp_path / "file", "ab") as one, open(tmp_path / "file", "ab") as other:
        assert lock(one)
        with pytest.raises(BlockingIOError):
            lock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_other_errors_are_not_taken_for_it(tmp_path: Path) -> None:
    with open(tmp_path / "file", "ab") as file:
        number = file.fileno()
    with pytest.raises(OSError, match="Bad file descriptor"):
        lock(number)


def test_workers_begin_without_turns(no_locks: Path) -> None:
    with turn(no_locks, 0, 1), turn(no_locks, 0, 1):
        pass


def test_a_node_that_cannot_share_features_says_where_and_what_to_do(no_locks: Path) -> None:
    with pytest.raises(StoreError, match=r"has no locks.*Set TMPDIR on the nodes to a folder on a disk of their own"):
        NodeBlocks("run")
    assert not blocks_folder("run").exists()


def test_nobody_elses_files_are_taken_for_left_ones(no_locks: Path) -> None:
    folder = blocks_folder("other")
    folder.mkdir()
    (folder / "in-use").touch()
    remove_unused(folder)
    assert folder.exists()
    out = no_locks / "faces"
    (no_locks / ".faces.123.tmp").mkdir()
    with _alone(out):
        assert (no_locks / ".faces.123.tmp").exists()


def test_what_fails_as_a_worker_imports_ahead_does_not_end_it() -> None:
    """A worker that ends as it starts is replaced by Ray, for ever, and can say nothing."""
    import bench.workers.preloaded as ahead

    with pytest.raises(AssertionError, match="only workers import this"):
        ahead._preload()
