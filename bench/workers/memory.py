"""Keeping a worker's memory between training steps."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # names of glibc's mallopt(3) without their M_


def keep_freed_memory() -> bool:
    """Tell the C library to keep freed memory for the next allocation.

    A training step takes and frees the same megabytes again and again. By default, glibc returns them to the kernel
    and has to ask for new pages each time. Keeping them makes a step of a small network up to a third faster on the
    CPU.

    Returns
    -------
    Whether this C library has the setting (glibc on Linux has it).
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    settings = {_MMAP_THRESHOLD: 32 * 2**20, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 64 * 2**20}
    return all(library.mallopt(name, value) == 1 for name, value in settings.items())
