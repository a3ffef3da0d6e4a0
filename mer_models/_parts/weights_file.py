"""Settings that are the path of a file of weights: how they are told, and what they count by."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


def is_weights_file(given: str) -> bool:
    """Return whether a setting is the path of such a file, by its ending."""
    return given.endswith(SUFFIXES)


def by_content(value: Any) -> Any:
    """Return ``sha256:...`` of its bytes in the place of the path of a file of weights, and other values as they are.

    So a study's key depends on the weights, and neither on where they lie nor on what the file is called.
    """
    if not isinstance(value, str) or not is_weights_file(value):
        return value
    file = Path(value).expanduser()
    if not file.is_file():
        return value
    stat = file.stat()
    return f"sha256:{_sha256(file, stat.st_size, stat.st_mtime_ns)}"


@functools.cache
def _sha256(file: Path, size: int, changed: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
