"""What a newcomer waits for: both README commands from a fresh clone, in a fresh environment that has only pip.

    python tests/benchmarks/readme_commands.py [--checkout PATH] [--cold] [--command TEXT ...] [--repeats 1]

Every command gets its own ``git clone`` of the checkout (what is committed there) and its own virtual environment in a
temporary folder. Reported are the wall time, how much of it went by before the command's own Python started (pip, uv,
making the project's environment), and the peak of memory: the sum over all processes of the command, Ray's included, of
the proportional set size (PSS), in which a page that several processes share counts once.

Packages come from the caches of pip and uv where those hold them; ``--cold`` gives every command empty caches.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from benchmark_report import ROOT, machine_facts, median_of, print_table, run_plainly

COMMANDS = ["pip install uv && uv run python bench/run_all.py", "pip install uv && uv run pytest"]
SAMPLE_SECONDS = 0.5
# What would make the command see this Python environment, another Ray or another tracking server.
FOREIGN = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "RAY_ADDRESS", "MLFLOW_TRACKING_URI", "UV_PROJECT_ENVIRONMENT")


@dataclass
class Figures:
    """One command: exit status, seconds, seconds before its Python started, peak PSS in MiB, processes at the peak."""

    status: int
    seconds: float
    setup: float = float("nan")
    peak: float = 0.0
    processes: int = 0


class ProcessTree:
    """The processes that a command started, also those whose parent has ended since."""

    def __init__(self, root: psutil.Process) -> None:
        self._root = root
        self._known: set[psutil.Process] = {root}

    def alive(self) -> list[psutil.Process]:
        """Return the processes that are there now."""
        for process in list(self._known):
            try:
                self._known.update(process.children(recursive=True))
            except psutil.NoSuchProcess:
                self._known.discard(process)
        return list(self._known)


def run_fresh(command: str, checkout: Path, cold: bool) -> Figures:
    """Clone, make an environment, run the command there, watch its processes; print its output where it fails."""
    with tempfile.TemporaryDirectory(prefix="readme-command-") as name:
        folder = Path(name)
        clone, python = folder / "clone", folder / "python"
        subprocess.run(["git", "clone", "-q", str(checkout), str(clone)], check=True)
        subprocess.run([sys.executable, "-m", "venv", str(python)], check=True)
        environment = {key: value for key, value in os.environ.items() if key not in FOREIGN}
        environment["PATH"] = f"{python / 'bin'}{os.pathsep}{environment['PATH']}"
        if cold:
            environment |= {"UV_CACHE_DIR": str(folder / "uv-cache"), "PIP_CACHE_DIR": str(folder / "pip-cache")}
        log = folder / "output.txt"
        with log.open("w") as output:
            start = time.perf_counter()
            shell = subprocess.Popen(command, shell=True, cwd=clone, env=environment, stdout=output, stderr=output)
            figures = watch(shell, clone / ".venv", start)
        if figures.status:
            print(f"{command!r} ended with status {figures.status}:", *log.read_text().splitlines()[-30:], sep="\n")
        return figures


def watch(shell: subprocess.Popen[bytes], venv: Path, start: float) -> Figures:
    """Sample the command's processes until it ends. venv : the environment that uv makes for the project."""
    tree, figures = ProcessTree(psutil.Process(shell.pid)), Figures(0, 0.0)
    started = False
    while shell.poll() is None:
        total, processes = 0, 0
        for process in tree.alive():
            # A process may end, or its memory be gone, between the listing and the look at it.
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += process.memory_full_info().pss
                processes += 1
                if not started and process.cmdline()[:1] == [str(venv / "bin" / "python")]:
                    started, figures.setup = True, time.perf_counter() - start
        if total / 2**20 > figures.peak:
            figures.peak, figures.processes = total / 2**20, processes
        time.sleep(SAMPLE_SECONDS)
    figures.status, figures.seconds = shell.returncode, time.perf_counter() - start
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkout", type=Path, default=ROOT, help="git checkout to clone; default: this one")
    parser.add_argument("--cold", action="store_true", help="empty caches of pip and uv: everything is downloaded")
    parser.add_argument("--command", action="append", metavar="TEXT", help="default: the two README commands")
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    if shutil.which("git") is None:
        parser.error("needs git")
    facts = machine_facts()
    rows, failed = [], False
    for command in arguments.command or COMMANDS:
        runs = [run_fresh(command, arguments.checkout, arguments.cold) for _ in range(arguments.repeats)]
        failed |= any(run.status for run in runs)
        statuses = ",".join(sorted({str(run.status) for run in runs}))
        seconds, setup = median_of([run.seconds for run in runs]), median_of([run.setup for run in runs])
        processes = f"{statistics.median(run.processes for run in runs):.0f}"
        rows.append([command, statuses, seconds, setup, median_of([run.peak for run in runs], 0), processes])
    names = ["command", "status", "seconds", "of which set-up", "peak PSS, MiB", "processes then"]
    caches = "empty caches" if arguments.cold else "this machine's caches of pip and uv"
    print_table(f"README commands from a fresh clone, {caches}, {arguments.repeats} repeats", names, rows)
    print("", *facts, sep="\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    run_plainly(main)
