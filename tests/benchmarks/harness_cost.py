"""What the harness itself costs: thousands of folds of an estimator that does nothing, through the real run.

    python tests/benchmarks/harness_cost.py [--folds 2000] [--repeats 3]

A run's start-up (imports, shards, Ray, the workers) is the same for few folds as for many, so the cost of a fold is the
difference between the same command with many seeds and with one, over the difference in folds: same process layout,
same data, same studies but for their number. The times of the outcomes split both runs into three parts. Where
start-up varies from run to run by more than the folds take, the last row is the steadier figure: what happens from the
first outcome to the exit, to which only the plan of the second table is to be added.
"""

from __future__ import annotations

import argparse
import cProfile
import itertools
import math
import pstats
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark_report import RUN_ALL, finished_at, machine_facts, median_of, print_table, run_plainly, timed
from drawn_flow import write_drawn_tree

if TYPE_CHECKING:
    from bench.plan.plan import Plan
    from results.store.outcome_store import OutcomeStore

MODEL = "majority"
PROTOCOLS = ["loso", "cde"]
TARGET_MS = 10.0


@dataclass(frozen=True)
class RunTimes:
    """One run.

    Attributes
    ----------
    outcomes : how many there were.
    total, before, folds, after : seconds: of all, start to first outcome, first to last outcome, last outcome to exit.
    memory : the most MiB that the driver held.
    """

    outcomes: int
    total: float
    before: float
    folds: float
    after: float
    memory: float

    @property
    def beyond_startup(self) -> float:
        """Seconds from the first outcome to the exit."""
        return self.folds + self.after


def measured_run(seeds: int, arguments: argparse.Namespace, folder: Path) -> RunTimes:
    """Run ``seeds`` seeds of every study into a new store below ``folder`` and remove it again."""
    results = folder / f"runs-{seeds}"
    run = timed([*RUN_ALL, *run_options(seeds, arguments, results)])
    written = finished_at(results)
    shutil.rmtree(results)
    return RunTimes(
        outcomes=len(written),
        total=run.seconds,
        before=written[0] - run.started,
        folds=written[-1] - written[0],
        after=run.ended - written[-1],
        memory=run.memory,
    )


def run_options(seeds: int, arguments: argparse.Namespace, results: Path) -> list[str]:
    """Return the options of ``merbench run`` for ``seeds`` seeds."""
    options = ["--models", MODEL, "--protocols", ",".join(PROTOCOLS), "--seeds", ",".join(map(str, range(seeds)))]
    options += ["--results", str(results), "--tracking-uri", "off"]
    options += ["--data", arguments.data]
    if arguments.workers:
        options += ["--workers", str(arguments.workers)]
    return options


def without_ray(seeds: int, arguments: argparse.Namespace, folder: Path) -> list[tuple[str, int, float]]:
    """Do the same work in this process: (part, folds, seconds) of plan, cards, training into the store, leaderboard."""
    import numpy as np

    from bench.config import RunConfig
    from bench.plan.plan import make_plan
    from bench.plan.request import resolve
    from bench.study.sources import prepare_datasets, read_datasets
    from mer_models.registry import MODELS
    from results.scores.leaderboard import build_leaderboard
    from results.store.outcome_store import OutcomeStore

    config = RunConfig(data=[arguments.data], models=[MODEL], protocols=PROTOCOLS, seeds=list(range(seeds)))
    prepared = prepare_datasets(read_datasets(config), MODELS.get(MODEL).features, folder / "shards")
    # Not counted: the first fold of a process also pays for what torch imports.
    warm_up = make_plan(resolve(config.model_copy(update={"seeds": [0]})), prepared, None)
    train_all(warm_up, OutcomeStore(folder / "warm-up", create=True))
    store = OutcomeStore(folder / "alone", create=True)
    marks = [time.perf_counter()]
    plan = make_plan(resolve(config), prepared, store)
    marks.append(time.perf_counter())
    for card in plan.cards:
        store.write_card(card)
    marks.append(time.perf_counter())
    folds = train_all(plan, store)
    marks.append(time.perf_counter())
    build_leaderboard(store, plan.cards, rng=np.random.default_rng(0))
    marks.append(time.perf_counter())
    parts = ["plan", "study cards written", "folds trained and written, one after the other", "leaderboard"]
    times = [end - start for start, end in itertools.pairwise(marks)]
    return [(part, folds, took) for part, took in zip(parts, times, strict=True)]


def train_all(plan: Plan, store: OutcomeStore) -> int:
    """Train the plan's folds into the store, one after the other in this process, and return their number."""
    from bench.workers.pack import run_pack

    done = 0
    for planned in plan.trainings:
        training = planned.training
        done += sum(count for count, _ in run_pack(training, plan.data[training.data].read(), planned.todo, store))
    return done


def profile_driver(seeds: int, arguments: argparse.Namespace, folder: Path, lines: int) -> None:
    """Run once more in this process under cProfile and print the driver's costliest functions."""
    from bench.cli import main

    profiler = cProfile.Profile()
    output, sys.stdout = sys.stdout, sys.stderr
    try:
        profiler.runcall(main, ["run", *run_options(seeds, arguments, folder / "profiled")])
    except SystemExit as ended:
        if ended.code:
            raise
    finally:
        sys.stdout = output
    print("\nThe driver under cProfile, start-up included (a profiled function looks slower than it is)")
    pstats.Stats(profiler, stream=sys.stdout).strip_dirs().sort_stats("cumulative").print_stats(lines)


def report(small: Sequence[RunTimes], large: Sequence[RunTimes], alone: Sequence[tuple[str, int, float]]) -> None:
    """Print the tables and the verdict."""
    few, many = small[0].outcomes, large[0].outcomes
    parts = [
        ("whole command", "total"),
        ("start to first outcome (imports, shards, plan, Ray, workers)", "before"),
        ("first to last outcome (fan-out)", "folds"),
        ("last outcome to exit (leaderboard, Ray's end)", "after"),
        ("first outcome to exit", "beyond_startup"),
    ]
    rows = []
    for text, part in parts:
        first = [getattr(run, part) for run in small]
        second = [getattr(run, part) for run in large]
        further = (statistics.median(second) - statistics.median(first)) / (many - few) * 1000
        rows.append([text, median_of(first), median_of(second), f"{further:.2f}"])
    memory = [median_of([run.memory for run in runs], 0) for runs in (small, large)]
    rows.append(["the driver's memory, MiB", *memory, ""])
    names = ["merbench run, seconds", f"{few} folds", f"{many} folds", "ms a further fold"]
    print_table(f"Harness cost, medians of {len(small)} [range]", names, rows)
    print_table(
        "The same work in one process without Ray",
        ["part", "folds", "seconds", "ms a fold"],
        [[part, str(folds), f"{took:.2f}", f"{took / folds * 1000:.2f}"] for part, folds, took in alone],
    )
    print(f"\nOutcomes written: {many} of {many} folds. Target: at most {TARGET_MS:g} ms a fold; measured {rows[0][3]}")
    print(f"over the whole command, {rows[-2][3]} from the first outcome on.")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=int, default=2000, help="folds of the large run, at least (default 2000)")
    parser.add_argument("--repeats", type=int, default=3, help="pairs of runs, small and large in turn (default 3)")
    parser.add_argument("--workers", type=int, help="as in merbench run; default: one a core")
    parser.add_argument("--data", help="as in merbench run; default: drawn flow of 18 people")
    parser.add_argument("--profile", type=int, metavar="LINES", help="also profile the driver; print so many lines")
    arguments = parser.parse_args()
    facts = machine_facts()
    with tempfile.TemporaryDirectory(prefix="harness-cost-") as name:
        folder = Path(name)
        arguments.data = arguments.data or str(write_drawn_tree(folder / "drawn"))
        # Not counted: it fills the disk cache, and tells how many folds a seed has.
        per_seed = measured_run(1, arguments, folder).outcomes
        seeds = math.ceil(arguments.folds / per_seed)
        if seeds < 2:
            parser.error(f"--folds {arguments.folds}: one seed has {per_seed} folds; ask for more than that")
        small, large = [], []
        for _ in range(arguments.repeats):
            small.append(measured_run(1, arguments, folder))
            large.append(measured_run(seeds, arguments, folder))
        missing = [run.outcomes for run in large if run.outcomes != per_seed * seeds]
        if missing:
            raise SystemExit(f"Expected {per_seed * seeds} outcomes, found {missing[0]}.")
        report(small, large, without_ray(seeds, arguments, folder))
        print(*facts, sep="\n")
        if arguments.profile:
            profile_driver(seeds, arguments, folder, arguments.profile)


if __name__ == "__main__":
    run_plainly(main)
