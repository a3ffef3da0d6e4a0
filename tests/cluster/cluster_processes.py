"""The processes of a simulated cluster, and how one of them is killed."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Sequence

import psutil


def of_cluster(head: int) -> list[psutil.Process]:
    """Return the processes of a head and its nodes.

    Parameters
    ----------
    head : the process of ``ray start``, whose session holds them all.
    """
    return [process for process in psutil.process_iter() if _session(process.pid) == head]


def listening_on(head: int) -> set[str]:
    """Return the addresses on which the processes of a cluster listen, of IPv6 mapped ones the IPv4 part."""
    found = set()
    for process in of_cluster(head):
        # Workers that nobody needs end meanwhile.
        with contextlib.suppress(psutil.NoSuchProcess):
            listening = [one for one in process.net_connections() if one.status == psutil.CONN_LISTEN]
            found |= {one.laddr.ip.removeprefix("::ffff:") for one in listening}
    return found


def workers_of(head: int) -> list[psutil.Process]:
    """Return the workers that train packs."""
    return [one for one in of_cluster(head) if name_of(one).startswith("ray::") and _trains(one)]


def nodes_of(head: int) -> list[psutil.Process]:
    """Return the process that makes a node of each node but the head."""
    return [one for one in of_cluster(head) if name_of(one) == "raylet" and "--head" not in _words(one)]


def kill_one(processes: Sequence[psutil.Process], draw: random.Random) -> int:
    """Kill one of the processes, if there is any; return how many were killed."""
    if not processes:
        return 0
    with contextlib.suppress(psutil.NoSuchProcess):
        draw.choice(sorted(processes, key=lambda process: process.pid)).kill()
    return 1


def name_of(process: psutil.Process) -> str:
    """Return a process's name; none where it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return str(process.name())
    return ""


def _trains(process: psutil.Process) -> bool:
    """Return whether a worker is one of Tune's."""
    return "Trainable" in " ".join(_words(process))


def _words(process: psutil.Process) -> list[str]:
    """Return a process's command line; none where it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return list(process.cmdline())
    return []


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None
