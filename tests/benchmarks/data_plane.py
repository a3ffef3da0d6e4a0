"""How much memory does the driver of a run take, and how soon is the first fold done, when features are large?

Two drawn databases with three features each, six studies (a network that looks at little, one epoch, LOSO). Features
are made first; then the run alone is watched: the most memory of the driver (resident, without what it shares), of one
worker, of the node's block files, and the time from the command to the first outcome. Everything is done again with
features of twice the size: what the driver takes must not follow.

``--code FOLDER`` runs another checkout's code on the same features, for comparison.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from benchmark_report import ROOT, finished_at, machine_facts, own_environment, print_table, run_plainly

PLUG_IN = Path(__file__).with_name("drawn_database.py")
FEATURES, DATABASES, PEOPLE = 3, 2, 24
WATCH_SECONDS = 0.1


@dataclass
class Watched:
    """What a run took. Memory in bytes, times in seconds."""

    driver: int = 0
    worker: int = 0
    blocks: int = 0
    first: float = 0.0
    total: float = 0.0
    folds: int = 0


def main() -> None:
    """Read the options, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=4.0, help="of all features together, at first; then twice")
    parser.add_argument("--samples", type=int, default=360, help="of each database")
    parser.add_argument("--code", type=Path, action="append", default=[], help="another checkout to run; may repeat")
    arguments = parser.parse_args()
    print("\n".join(machine_facts()))
    rows = []
    with tempfile.TemporaryDirectory(prefix="merbench-plane-") as folder:
        for gigabytes in (arguments.gigabytes, 2 * arguments.gigabytes):
            data = write_sizes(Path(folder) / f"{gigabytes:g}", gigabytes, arguments.samples)
            for code in (ROOT, *arguments.code):
                results = data / "runs"
                command([*front_door(code, "prepare", data, results), "--features", "drawn_*"], code)
                watched = watch([*front_door(code, "run", data, results), *run_options()], code, results)
                rows.append([f"{gigabytes:g} GB", str(code) if code != ROOT else "this code", *told(watched)])
                shutil.rmtree(results)
    print_table(
        "what a run takes",
        ["features", "code", "driver", "a worker", "blocks", "first fold", "whole run", "folds"],
        rows,
    )


def write_sizes(folder: Path, gigabytes: float, samples: int) -> Path:
    """Write the file that tells the drawn databases their sizes; return its folder."""
    folder.mkdir()
    size = int(gigabytes * 1e9 / (FEATURES * DATABASES * samples))
    sizes = {"samples": samples, "subjects": PEOPLE, "features": FEATURES, "bytes": size}
    (folder / "drawn.json").write_text(json.dumps(sizes))
    return folder


def front_door(code: Path, name: str, data: Path, results: Path) -> list[str]:
    """Return a command line of the code, up to what all commands take."""
    options = ["--data", f"drawn={data}", "--plugins", str(PLUG_IN), "--results", str(results)]
    return [sys.executable, "-m", "bench", name, *options]


def run_options() -> list[str]:
    """Return what else the run takes."""
    return ["--models", "looks_at_*", "--tasks", "megc3", "--protocols", "loso", "--tracking-uri", "off"]


def environment(code: Path) -> dict[str, str]:
    """Return the environment in which a checkout finds its own rooms."""
    return {**own_environment(), "PYTHONPATH": str(code), "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}


def command(words: list[str], code: Path) -> None:
    """Run a command to its end; SystemExit with its last lines where it fails."""
    done = subprocess.run(words, cwd=code, env=environment(code), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} ended with status {done.returncode}:\n{done.stderr[-2000:]}")


def watch(words: list[str], code: Path, results: Path) -> Watched:
    """Run a command and watch its processes, its blocks and its outcomes."""
    watched, start = Watched(), time.monotonic()
    process = psutil.Popen(words, cwd=code, env=environment(code), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None:
        look(process, results, watched, start)
        time.sleep(WATCH_SECONDS)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with status {process.returncode}:\n{process.stderr.read()[-2000:]}")
    watched.total = time.monotonic() - start
    watched.folds = len(finished_at(results))
    return watched


def look(process: psutil.Process, results: Path, watched: Watched, start: float) -> None:
    """Note what is taken now."""
    try:
        watched.driver = max(watched.driver, own_memory(process))
        workers = [own_memory(child) for child in process.children(recursive=True) if "ray::" in child.name()]
        watched.worker = max([watched.worker, *workers])
    except psutil.NoSuchProcess:
        return
    files = Path(tempfile.gettempdir()).glob("merbench-blocks-*/*.npy")
    watched.blocks = max(watched.blocks, sum(size_of(file) for file in files))
    if not watched.first and next(results.rglob("*.outcome.parquet"), None):
        watched.first = time.monotonic() - start


def own_memory(process: psutil.Process) -> int:
    """Return the resident memory of a process without the pages that it shares with others."""
    memory = process.memory_info()
    return int(memory.rss - memory.shared)


def size_of(file: Path) -> int:
    """Return a file's size; 0 where it has gone."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def told(watched: Watched) -> list[str]:
    """Return the cells of a row."""
    memory = [f"{size / 1e9:.2f} GB" for size in (watched.driver, watched.worker, watched.blocks)]
    return [*memory, f"{watched.first:.1f} s", f"{watched.total:.1f} s", str(watched.folds)]


if __name__ == "__main__":
    run_plainly(main)
