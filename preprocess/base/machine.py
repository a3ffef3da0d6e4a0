"""How much of this machine a process may use: its own limits, and those of its container or batch job."""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import psutil

_GROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Return how many cores this process may keep busy: those that it may run on, or fewer where time is rationed.

    A container with a part of a core, or of one core more, counts it as whole.
    """
    cores = len(os.sched_getaffinity(0))
    return max(1, min([cores, *map(math.ceil, _rations())]))


def usable_memory() -> int:
    """Return how many bytes of memory there are for us: what is built in, or what our container may use of it."""
    built_in = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([built_in, *(limit for _, limit in _memory_limits())])


def free_memory() -> int:
    """Return how many bytes of ``usable_memory`` nobody uses now; what files are held in counts as free.

    Of a container, this is what it may still take, or what its machine has left, whichever is less.
    """
    free = [int(psutil.virtual_memory().available)]
    for file, limit in _memory_limits():
        older = file.name == "memory.limit_in_bytes"
        counts = dict(line.split() for line in _lines(file.with_name("memory.stat")))
        held = int(counts.get("total_inactive_file" if older else "inactive_file", 0))
        used = _words(file.with_name("memory.usage_in_bytes" if older else "memory.current"))
        free += [limit - int(number) + held for number in used]
    return max(0, min(free))


def tight_limits() -> list[str]:
    """Return the limits of this process (``ulimit``) under which Ray may not start, a phrase each; many have none.

    Ray reserves addresses for a third of the machine's memory, and starts some 50 threads a worker.
    """
    tight = []
    for kind, enough, unit, text in (
        (resource.RLIMIT_AS, math.inf, 2**30, "{:.1f} GiB of addresses (ulimit -v)"),
        (resource.RLIMIT_NPROC, 1000, 1, "{:.0f} processes and threads (ulimit -u)"),
        (resource.RLIMIT_NOFILE, 1000, 1, "{:.0f} open files (ulimit -n)"),
    ):
        limit, _ = resource.getrlimit(kind)
        if limit != resource.RLIM_INFINITY and limit < enough:
            tight.append(text.format(limit / unit))
    return tight


def _memory_limits() -> Iterator[tuple[Path, int]]:
    """Yield the file and the number of bytes of each limit of memory that this process has."""
    for file in _files("memory", "memory.limit_in_bytes", "memory.max"):
        for number in _words(file):
            # A group without a limit says `max`; the older kind, a number beyond all memory.
            if number.isdigit():
                yield file, int(number)


def _rations() -> Iterator[float]:
    """Yield how many cores' time each of the groups of this process may take."""
    for file in _files("cpu", "cpu.cfs_quota_us", "cpu.max"):
        words = _words(file)
        if file.name == "cpu.cfs_quota_us":
            words += _words(file.with_name("cpu.cfs_period_us"))
        # A group without a limit says `max`, the older kind -1.
        if len(words) == 2 and words[0].isdigit():
            yield int(words[0]) / int(words[1])


def _files(kind: str, older: str, newer: str) -> Iterator[Path]:
    """Yield the files that hold the limits of this process's control groups (cgroups) and of those above them.

    kind : the controller. older, newer : the file's name in cgroups of version 1 and 2.
    """
    for line in _lines(Path("/proc/self/cgroup")):
        _, kinds, name = line.split(":", 2)
        if kinds and kind not in kinds.split(","):
            continue
        root, file = (_GROUPS / kind, older) if kinds else (_GROUPS, newer)
        group = Path(name.strip().lstrip("/"))
        # In a container, the group has a name that holds outside of it; inside, it is the root.
        for above in (group, *group.parents):
            yield root / above / file


def _words(file: Path) -> list[str]:
    return " ".join(_lines(file)).split()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
