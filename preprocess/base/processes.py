"""Ending other processes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable

import psutil

LOOK_SECONDS = 0.01
"""How long it is waited between two looks whether killed processes are gone."""


def kill_all(processes: Iterable[psutil.Process], patience: float) -> None:
    """Kill processes and wait until none of them runs.

    One that has ended stays listed until its parent asks for its status. For children of this process that is done
    here. Where the parent is gone, the machine's first process does it, some time later, and in a container often
    never: such a one counts as gone.

    Parameters
    ----------
    processes : those of this user; what has ended already is left alone.
    patience : how many seconds they are waited for.
    """
    left = list(processes)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + patience
    while left and time.monotonic() < deadline:
        _, listed = psutil.wait_procs(left, timeout=LOOK_SECONDS)
        left = [process for process in listed if not _has_ended(process)]


def _has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
