"""How much of a machine a process may use: what there is, less what its container or batch job may not take."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from preprocess.base import machine
from preprocess.base.machine import free_memory, tight_limits, usable_cores, usable_memory

GIB = 2**30
GROUPS = Path("/sys/fs/cgroup")


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Let the node have 16 cores, 64 GiB and no limits; return its files, which a test may fill."""
    files: dict[str, str] = {}
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 64 * GIB // 4096}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.setattr(machine, "_lines", lambda path: files.get(str(path), "").splitlines())
    return files


def test_without_limits_it_is_all_that_there_is(node: dict[str, str]) -> None:
    assert (usable_cores(), usable_memory()) == (16, 64 * GIB)


def test_a_container_s_limits_count(node: dict[str, str]) -> None:
    node["/proc/self/cgroup"] = "0::/\n"
    node["/sys/fs/cgroup/memory.max"] = "max\n"
    node["/sys/fs/cgroup/cpu.max"] = "max 100000\n"
    assert (usable_cores(), usable_memory()) == (16, 64 * GIB)
    node["/sys/fs/cgroup/memory.max"] = f"{4 * GIB}\n"
    node["/sys/fs/cgroup/cpu.max"] = "200000 100000\n"
    assert (usable_cores(), usable_memory()) == (2, 4 * GIB)


@pytest.mark.parametrize(("ration", "cores"), [("50000 100000", 1), ("150000 100000", 2), ("9900000 100000", 16)])
def test_a_part_of_a_core_counts_as_whole_and_no_more_than_there_are(
    node: dict[str, str], ration: str, cores: int
) -> None:
    node["/proc/self/cgroup"] = "0::/\n"
    node["/sys/fs/cgroup/cpu.max"] = ration
    assert usable_cores() == cores


def test_a_group_may_use_no_more_than_those_above_it(node: dict[str, str]) -> None:
    node["/proc/self/cgroup"] = "12:cpu,cpuacct:/jobs/mine\n9:memory:/jobs/mine\n0::/jobs/mine\n"
    node["/sys/fs/cgroup/memory/jobs/mine/memory.limit_in_bytes"] = "9223372036854771712"
    node["/sys/fs/cgroup/memory/jobs/memory.limit_in_bytes"] = f"{8 * GIB}"
    node["/sys/fs/cgroup/cpu/jobs/mine/cpu.cfs_quota_us"] = "-1\n"
    node["/sys/fs/cgroup/cpu/jobs/mine/cpu.cfs_period_us"] = "100000\n"
    assert (usable_cores(), usable_memory()) == (16, 8 * GIB)
    node["/sys/fs/cgroup/jobs/memory.max"] = f"{2 * GIB}"
    node["/sys/fs/cgroup/cpu/jobs/cpu.cfs_quota_us"] = "400000\n"
    node["/sys/fs/cgroup/cpu/jobs/cpu.cfs_period_us"] = "50000\n"
    assert (usable_cores(), usable_memory()) == (8, 2 * GIB)


def test_free_is_what_a_container_may_still_take_or_what_its_node_has_left(
    node: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = 20 * GIB
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=left))
    assert free_memory() == 20 * GIB
    node["/proc/self/cgroup"] = "9:memory:/jobs/mine\n0::/jobs/mine\n"
    node["/sys/fs/cgroup/memory/jobs/memory.limit_in_bytes"] = f"{8 * GIB}\n"
    node["/sys/fs/cgroup/memory/jobs/memory.usage_in_bytes"] = f"{7 * GIB}\n"
    assert free_memory() == GIB
    node["/sys/fs/cgroup/memory/jobs/memory.stat"] = f"cache {4 * GIB}\ntotal_inactive_file {3 * GIB}\n"
    assert free_memory() == 4 * GIB
    node["/sys/fs/cgroup/jobs/mine/memory.max"] = f"{4 * GIB}\n"
    node["/sys/fs/cgroup/jobs/mine/memory.current"] = f"{3 * GIB}\n"
    node["/sys/fs/cgroup/jobs/mine/memory.stat"] = f"anon {GIB}\ninactive_file {GIB}\n"
    assert free_memory() == 2 * GIB
    left = GIB
    assert free_memory() == GIB


def test_limits_of_a_shell_are_told_where_they_are_tight() -> None:
    code = "from preprocess.base.machine import tight_limits; print(tight_limits())"
    words = ["bash", "-c", 'ulimit -v 8388608 -n 500; exec "$@"', "bash", sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == "['8.0 GiB of addresses (ulimit -v)', '500 open files (ulimit -n)']\n"


def test_wide_limits_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = {resource.RLIMIT_AS: resource.RLIM_INFINITY, resource.RLIMIT_NPROC: 4096, resource.RLIMIT_NOFILE: 1024}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (wide[kind], resource.RLIM_INFINITY))
    assert tight_limits() == []


def test_this_machine_has_cores_and_memory() -> None:
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert 0 < free_memory() < usable_memory() <= total + 2**20
    assert 1 <= usable_cores() <= len(os.sched_getaffinity(0))


@contextlib.contextmanager
def rationed(microseconds: int) -> Iterator[Path]:
    """Make a real control group that may take so many microseconds of each 100,000; skip where that is not allowed."""
    older = GROUPS / "cpu"
    group = (older if older.is_dir() else GROUPS) / f"merbench-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        if older.is_dir():
            (group / "cpu.cfs_quota_us").write_text(str(microseconds))
        else:
            (group / "cpu.max").write_text(f"{microseconds} 100000")
    except OSError as error:
        group.rmdir()
        pytest.skip(f"a control group here takes no CPU limit: {error}")
    yield group
    group.rmdir()


def test_in_a_real_group_of_one_core_there_is_one() -> None:
    with rationed(100_000) as group:
        code = f"open({str(group / 'cgroup.procs')!r}, 'w').write('0'); from preprocess.base import machine as m; "
        code += "print(m.usable_cores())"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "1\n"
