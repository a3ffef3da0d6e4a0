"""How much memory does a worker take, and how long, when features are four times what it may take?

One drawn database with one feature of ``--times`` the limit, and a network that looks at little of it; its range is
fitted to the training people. The same fold is trained in processes of their own: with the limit and batches from disk;
with the limit and the feature in memory, which must fail; without a limit and the feature in memory. The limit is the
system's (RLIMIT_DATA), beyond what a worker takes that has imported torch: who allocates more gets an error. Outcomes
must be equal to the bit. At the end, ``merbench run`` with Ray and ``--feature-memory`` of a quarter of the limit,
watched from outside.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmark_report import ROOT, machine_facts, print_table, run_plainly
from data_plane import PLUG_IN, command, environment, front_door, watch
from peak_memory import PeakMemory

SAMPLE_BYTES, PEOPLE = 16 * 3 * 64 * 64, 24
MODEL, DATASET = "looks_at_0", "drawn_a"
SETTINGS = {"input_range": "standard"}
STREAMED, HELD = "from disk", "in memory"


def main() -> None:
    """Read the options, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=0.5, help="GB that a worker may take beyond its imports")
    parser.add_argument("--times", type=float, default=4.0, help="how many times the limit the feature takes")
    parser.add_argument("--folds", type=int, default=1, help="folds that each process trains")
    parser.add_argument("--worker", choices=(STREAMED, HELD), help=argparse.SUPPRESS)
    parser.add_argument("--limited", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    limit = int(arguments.limit * 1e9)
    if arguments.worker:
        told = work(arguments.worker, arguments.data, limit, arguments.limited, arguments.folds)
        print(json.dumps(told))
        return
    print("\n".join(machine_facts()))
    with tempfile.TemporaryDirectory(prefix="merbench-streams-") as folder:
        data = write_sizes(Path(folder), int(arguments.times * limit))
        chosen = ["--features", "drawn_0", "--datasets", DATASET]
        command([*front_door(ROOT, "prepare", data, data / "runs"), *chosen], ROOT)
        show(data, limit, arguments)


def show(data: Path, limit: int, arguments: argparse.Namespace) -> None:
    """Measure and print."""
    ways = ((STREAMED, True), (HELD, True), (HELD, False))
    told = [in_a_process(way, data, limited, arguments) for way, limited in ways]
    rows = []
    for (way, limited), one in zip(ways, told, strict=True):
        rows.append([way, gb(limit) if limited else "none", *cells_of(one)])
    size = arguments.times * limit
    print_table(
        f"one worker, {arguments.folds} fold(s), a feature of {gb(size)}",
        ["feature", "limit", "took beyond its imports", "resident in all", "seconds"],
        rows,
    )
    print("equal outcomes:", told[0].get("outcomes") == told[2].get("outcomes") != {})
    chosen = ["--datasets", DATASET, "--models", MODEL, "--protocols", "loso", "--tracking-uri", "off"]
    memory = ["--feature-memory", str(limit // 4), "--workers", "1"]
    settings = [word for key, value in SETTINGS.items() for word in ("--set", f"{MODEL}.{key}={value}")]
    words = [*front_door(ROOT, "run", data, data / "runs"), *chosen, *memory, *settings]
    watched = watch(words, ROOT, data / "runs")
    cells = [gb(watched.driver), gb(watched.worker), gb(watched.blocks), f"{watched.total:.1f} s", str(watched.folds)]
    print_table("merbench run, one worker", ["driver", "worker", "blocks on disk", "whole run", "folds"], [cells])


def cells_of(told: dict[str, Any]) -> list[str]:
    """Return what a process told as cells of a row."""
    if "error" in told:
        return [told["error"], "", ""]
    return [gb(told["grown"]), gb(told["resident"]), f"{told['seconds']:.1f} s"]


def write_sizes(folder: Path, size: int) -> Path:
    """Write the file that tells the drawn database its size; return its folder."""
    sizes = {"samples": size // SAMPLE_BYTES, "subjects": PEOPLE, "features": 1, "bytes": SAMPLE_BYTES}
    (folder / "drawn.json").write_text(json.dumps(sizes))
    return folder


def in_a_process(way: str, data: Path, limited: bool, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what a process of its own tells of training the folds."""
    own = [str(Path(__file__)), "--worker", way, "--data", str(data), "--limit", str(arguments.limit)]
    words = [sys.executable, *own, "--folds", str(arguments.folds), *(["--limited"] if limited else [])]
    done = subprocess.run(words, env=environment(ROOT), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def work(way: str, data: Path, limit: int, limited: bool, folds: int) -> dict[str, Any]:
    """Train some folds in this process, and tell what it took.

    Parameters
    ----------
    way : whether the feature is read from disk batch by batch, or held.
    data : folder of the drawn database.
    limit : bytes that this process may take beyond what it has when all is imported.
    limited : whether that is enforced.
    folds : how many to train.
    """
    import bench.engine.train  # noqa: F401 - what a worker imports counts before
    from bench.study.feature_rows import UNLIMITED
    from bench.workers.node_blocks import blocks_of_a_command
    from bench.workers.pack import run_pack
    from results.store.outcome_file import result_digest
    from results.store.outcome_store import OutcomeStore

    plan = planned(data)
    training = plan.trainings[0].training
    with tempfile.TemporaryDirectory() as folder, blocks_of_a_command() as open_block, PeakMemory() as memory:
        store = OutcomeStore(folder, create=True)
        if limited:
            most = allocated() + limit
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        start = time.monotonic()
        samples, held = plan.data[training.data], limit // 4 if way == STREAMED else UNLIMITED
        try:
            samples = samples.opened(open_block) if way == STREAMED else samples.read()
        except MemoryError:
            return {"error": "no memory"}
        list(run_pack(training, samples, range(folds), store, memory=held))
        seconds = time.monotonic() - start
        (card,) = training.cards
        failed = [one.error for one in store.failures(card)]
        outcomes = {one.key: result_digest(one) for one in store.read_outcomes(card)[0]}
    if failed:
        return {"error": failed[0][:40]}
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"grown": memory.grown, "resident": resident, "seconds": seconds, "outcomes": outcomes}


def planned(data: Path) -> Any:
    """Return the plan of one study of the drawn database."""
    from bench.config import RunConfig
    from bench.plan.plan import make_plan
    from bench.plan.request import resolve
    from bench.study.sources import prepare_datasets, read_datasets, shards_root
    from preprocess.base.plugins import load_plugins

    load_plugins([str(PLUG_IN)])
    chosen = {"data": [f"drawn={data}"], "datasets": [DATASET], "models": [MODEL], "protocols": ["loso"]}
    config = RunConfig(**chosen, set={f"{MODEL}.{key}": value for key, value in SETTINGS.items()})
    request = resolve(config)
    prepared = prepare_datasets(read_datasets(config), request.features, shards_root(str(data / "runs")))
    return make_plan(request, prepared, None)


def allocated() -> int:
    """Return how many bytes count against RLIMIT_DATA now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (int(line.split()[1]) for line in lines if line.startswith("VmData:"))
    return kilobytes * 1024


def gb(size: float) -> str:
    """Return a number of bytes in words."""
    return f"{size / 1e9:.2f} GB"


if __name__ == "__main__":
    run_plainly(main)
