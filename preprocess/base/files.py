"""Local files that are either whole or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, to write to.

    When the block ends well, the file takes the place of ``path``; after an error it is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes private files; give the result the permissions an ordinary file would have.
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(path: Path | str, content: bytes, lasting: bool = False) -> None:
    """Write ``content`` to ``path`` so that a reader sees the old file or the new one, never a part.

    lasting : return when the disk has it, so that it outlives a power cut: for what takes the place of other files.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
        if lasting:
            _flush(temporary)
    if lasting:
        _flush(Path(path).parent)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
