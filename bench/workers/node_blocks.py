"""Blocks on a node: read from their shards by the worker that needs one first, then shared by all of its workers.

A block becomes one file in a folder of the run, and workers read the rows that they need from it: they share the
system's cache of it, which shrinks when memory is short, and a worker, driver or node that dies takes nothing along
that others need. The folder goes with the run's last worker; what a killed run has left goes when the next run's first
worker starts on that node.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO

from bench.study.feature_rows import OpenBlock
from bench.workers.row_file import RowFile
from preprocess.base.errors import StoreError
from preprocess.base.locks import lock
from preprocess.shards.block import Block

PREFIX = "merbench-blocks-"
_IN_USE = "in-use"
_SUFFIX = ".npy"


def blocks_folder(run: str) -> Path:
    """Return where a node keeps the blocks of a run."""
    return Path(tempfile.gettempdir()) / f"{PREFIX}{run}"


class NodeBlocks:
    """The blocks that a run needs on this node, as one of its workers sees them.

    Parameters
    ----------
    run : names the run; its workers on a node share what they read.
    """

    def __init__(self, run: str) -> None:
        self._folder = blocks_folder(run)
        self._in_use = _hold(self._folder)
        for other in self._folder.parent.glob(f"{PREFIX}*"):
            if other != self._folder:
                remove_unused(other)

    def open(self, block: Block) -> RowFile:
        """Return a block's values, to be read from this node's file; it is made first where there is none.

        Raises
        ------
        DataError : a shard cannot be read, or changed since it was prepared.
        StoreError : this node has no room for it.
        """
        path = self._folder / f"{block.key}{_SUFFIX}"
        if not path.exists():
            with _one_at_a_time(path):
                if not path.exists():
                    _make(block, path)
        return RowFile(path)

    def keep(self, keys: Collection[str]) -> None:
        """Remove all blocks but these; a worker that has one open goes on with it."""
        for path in self._folder.glob(f"*{_SUFFIX}"):
            if path.name.removesuffix(_SUFFIX) not in keys:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Say that this worker needs no block any more; the last one removes them all."""
        self._in_use.close()
        remove_unused(self._folder)


@contextlib.contextmanager
def blocks_of_a_command() -> Iterator[OpenBlock]:
    """Give what opens blocks in the ``with`` block, for a command that computes in its own process."""
    blocks = NodeBlocks(uuid.uuid4().hex[:12])
    try:
        yield blocks.open
    finally:
        blocks.close()


def remove_unused(folder: Path) -> None:
    """Remove a folder of blocks unless a worker that lives uses it."""
    with contextlib.suppress(FileNotFoundError, PermissionError), open(folder / _IN_USE, "rb") as file:
        try:
            unused = lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if unused:
            shutil.rmtree(folder, ignore_errors=True)


def _hold(folder: Path) -> IO[bytes]:
    """Return an open file whose lock keeps the folder; the system drops the lock when the process ends in any way."""
    while True:
        with _room(folder):
            folder.mkdir(parents=True, exist_ok=True)
            file = open(folder / _IN_USE, "ab")  # noqa: SIM115 - it is held as long as the worker lives
        if not lock(file, fcntl.LOCK_SH):
            file.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise StoreError(
                f"Node {os.uname().nodename} cannot keep features at {folder.parent}: its file system has no locks, by "
                "which workers share them. Set TMPDIR on the nodes to a folder on a disk of their own, such as /tmp."
            )
        # Its last user may have removed the folder between the two steps.
        if (folder / _IN_USE).exists() and os.path.samestat(os.fstat(file.fileno()), os.stat(folder / _IN_USE)):
            return file
        file.close()


@contextlib.contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    with _room(path), open(path.with_suffix(".making"), "ab") as file:
        lock(file)
        yield


def _make(block: Block, path: Path) -> None:
    unfinished = path.with_suffix(".unfinished")
    shape = (len(block.sample_ids), *block.shape)
    try:
        with _room(path, block.nbytes):
            # All of the room at once, so that a full disk is told before hours of reading.
            values = RowFile.create(unfinished, shape, block.dtype)
            block.fill(values)
            values.close()
            os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def _room(path: Path, size: int = 0) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        wanted = f" ({size / 2**20:.0f} MiB)" if size else ""
        raise StoreError(
            f"Node {os.uname().nodename} cannot keep a feature{wanted} at {path}: {error.strerror or error}. Free some "
            "space there, or set TMPDIR on the nodes to a folder with room for the features that are trained on."
        ) from error
