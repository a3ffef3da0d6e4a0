"""Processes are killed, and waited for no longer than they run."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from preprocess.base.processes import kill_all


@pytest.fixture
def neglected() -> Iterator[psutil.Process]:
    """Return a process whose parent, like the first one of many containers, never asks how its children ended."""
    parent = subprocess.Popen(["sh", "-c", "sleep 300 & exec sleep 300"])
    while not (children := psutil.Process(parent.pid).children()):
        time.sleep(0.01)
    yield children[0]
    parent.kill()
    parent.wait()


def test_what_runs_is_killed_and_what_has_ended_is_left_alone() -> None:
    running, over = (subprocess.Popen(["sleep", seconds]) for seconds in ("300", "0"))
    processes = [psutil.Process(running.pid), psutil.Process(over.pid)]
    over.wait()
    kill_all(processes, 60)
    assert not any(process.is_running() for process in processes)


def test_one_that_nobody_takes_the_status_of_is_not_waited_for(neglected: psutil.Process) -> None:
    waiting = threading.Thread(target=kill_all, args=([neglected], float("inf")), daemon=True)
    waiting.start()
    waiting.join(60)
    assert not waiting.is_alive()
    assert neglected.status() == psutil.STATUS_ZOMBIE
