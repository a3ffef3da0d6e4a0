"""What the benchmarks share: facts of the machine, timed commands, and one way to print figures."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The benchmarks are run as plain scripts, also from a checkout that is not installed, with the tests' own helpers.
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "cluster")]

RUN_ALL = [sys.executable, str(ROOT / "bench" / "run_all.py")]
"""The front door, as a command."""

PACKAGES = ("torch", "numpy", "ray")

WATCH_SECONDS = 0.05
"""How long a command is not looked at; its end shows so much too late."""


@dataclass(frozen=True)
class Timed:
    """A command that ended well.

    Attributes
    ----------
    started : time.time() before it.
    seconds : its wall time.
    core : seconds of a core that it took, with what it started and waited for.
    memory : the most MiB that its own process held, without what it started.
    """

    started: float
    seconds: float
    core: float
    memory: float

    @property
    def ended(self) -> float:
        """time.time() after it."""
        return self.started + self.seconds


def own_environment() -> dict[str, str]:
    """Return this process's variables for a run that starts its own Ray and writes to no server that it is not told."""
    others = ("RAY_ADDRESS", "MLFLOW_TRACKING_URI")
    return {name: value for name, value in os.environ.items() if name not in others}


def timed(command: Sequence[str], cwd: Path | None = None) -> Timed:
    """Run a command to its end; SystemExit with its last lines where it fails."""
    started, start, before, environment = time.time(), time.perf_counter(), _children_seconds(), own_environment()
    most = 0.0
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=printed, stderr=subprocess.STDOUT)
        while process.poll() is None:
            most = max(most, held(process.pid))
            time.sleep(WATCH_SECONDS)
        seconds = time.perf_counter() - start
        if process.returncode:
            printed.seek(0)
            tail = "\n".join(printed.read().splitlines()[-20:])
            raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}:\n{tail}")
    return Timed(started, seconds, _children_seconds() - before, most)


def held(process: int) -> float:
    """Return the most MiB that a process has held so far; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def finished_at(results: Path) -> list[float]:
    """Return when each outcome of a results folder was finished, in time.time()'s seconds, sorted."""
    from results.store.outcome_store import OutcomeStore

    store = OutcomeStore(results)
    told = [one.provenance["finished_at"] for card in store.cards() for one in store.read_outcomes(card)[0]]
    return sorted(datetime.fromisoformat(text).timestamp() for text in told)


def machine_facts(device: str = "cpu") -> list[str]:
    """Return what a reader must know to judge figures from this machine, in lines of text."""
    from bench.workers.provenance import git_state, package_versions

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    versions = {"python": platform.python_version(), **package_versions(PACKAGES)}
    facts = [
        f"machine: {_cpu_name()}, {cores} cores, {memory:.0f} GiB, {platform.platform()}",
        "packages: " + ", ".join(f"{name} {version or 'not installed'}" for name, version in versions.items()),
        f"code: {git_state() or 'outside a git checkout'}; {time.strftime('%Y-%m-%d %H:%M %Z')}",
    ]
    if device.startswith("cuda"):
        import torch

        facts.append(f"GPU: {torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}")
    load = os.getloadavg()[0]
    note = " (other work was running: these figures are no measurement of a quiet machine)" if load > cores / 2 else ""
    return [*facts, f"load before the benchmark: {load:.1f}{note}"]


def run_plainly(main: Callable[[], None]) -> None:
    """Run a benchmark; an error that the user can mend ends it with its message alone and status 2."""
    from preprocess.base.errors import MerError

    try:
        main()
    except MerError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def median_of(values: Sequence[float], digits: int = 1) -> str:
    """Return the median, with the range in brackets where there is more than one value."""
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


def print_table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table under its title: the first column aligned to the left, the others to the right."""
    from results.views.text import Header, table

    headers: list[Header] = [(name, "right" if place else "left") for place, name in enumerate(names)]
    print("", title, *table(headers, rows), sep="\n", flush=True)


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_name() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
