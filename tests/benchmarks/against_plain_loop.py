"""Is the harness faster than the loop a researcher writes? Both on the same data, epochs and machine, in turn.

    python tests/benchmarks/against_plain_loop.py --data TREE [--model ststnet] [--epochs 30] [--folds N] [--repeats 3]

``merbench run`` trains every fold of ``cde`` in a subprocess, once a ``--selections`` setting: ``last`` trains and
scores the last epoch, ``last,oracle`` also evaluates the test subject after every epoch, as the plain loop does.
``plain_loop.py`` does the same folds one after the other. With ``--folds N`` it trains N subjects only, spread evenly,
and its training time is scaled to all of them: every fold sees the same 442 clips an epoch, so folds cost the same.

whole : the command, from start to exit. training : the folds alone; of the harness, from the start of the first to the
end of the last.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmark_report import RUN_ALL, machine_facts, median_of, print_table, run_plainly, timed

PLAIN_LOOP = Path(__file__).with_name("plain_loop.py")


@dataclass(frozen=True)
class Figures:
    """One run: seconds of the whole command and of its training, folds, share of correct predictions."""

    whole: float
    training: float
    folds: int
    accuracy: float


def harness(arguments: argparse.Namespace, selection: str, folder: Path) -> Figures:
    """Run ``merbench run`` into a new store below ``folder`` and remove it again."""
    from results.store.outcome_store import OutcomeStore

    results = folder / "runs"
    options = ["--data", str(arguments.data), "--models", arguments.model, "--protocols", "cde"]
    options += ["--selection", selection, "--epochs", str(arguments.epochs)]
    run = timed([*RUN_ALL, *options, "--results", str(results), "--tracking-uri", "off"])
    store = OutcomeStore(results)
    card = next(card for card in store.cards() if card.selection == "last")
    outcomes, damaged = store.read_outcomes(card)
    if damaged or len(outcomes) != len(card.folds):
        raise SystemExit(f"{len(outcomes)} of {len(card.folds)} outcomes; {damaged}")
    ends = [datetime.fromisoformat(outcome.provenance["finished_at"]).timestamp() for outcome in outcomes]
    starts = [end - outcome.provenance["seconds"] for end, outcome in zip(ends, outcomes, strict=True)]
    correct = sum(int((outcome.y_pred == outcome.y_true).sum()) for outcome in outcomes)
    shutil.rmtree(results)
    return Figures(run.seconds, max(ends) - min(starts), len(outcomes), correct / card.n_samples["full"])


def plain(arguments: argparse.Namespace) -> Figures:
    """Run the plain loop and scale its training to all subjects.

    The first fold also pays for what torch imports when it is first used, so it counts in the whole command only.
    """
    command = [sys.executable, str(PLAIN_LOOP), "--data", str(arguments.data), "--model", arguments.model]
    command += ["--epochs", str(arguments.epochs)]
    if arguments.folds:
        command += ["--folds", str(arguments.folds)]
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    whole = time.perf_counter() - start
    printed = json.loads(done.stdout)
    _, *others = printed["folds"]
    fold = statistics.mean(others)
    scaled = whole - sum(others) + fold * (printed["subjects"] - 1)
    return Figures(scaled, fold * printed["subjects"], 1 + len(others), printed["accuracy"])


def report(loops: list[Figures], runs: dict[str, list[Figures]], arguments: argparse.Namespace) -> None:
    """Print the medians and the ratios of the medians."""
    rows = [_row("plain loop", loops, loops)]
    rows += [_row(f"merbench run --selection {name}", figures, loops) for name, figures in runs.items()]
    names = ["medians [range]", "folds", "whole, s", "training, s", "accuracy", "times whole", "times training"]
    print_table(f"{arguments.model}, cde, {arguments.epochs} epochs, {arguments.repeats} repeats in turn", names, rows)
    folds = next(iter(runs.values()))[0].folds
    if loops[0].folds < folds:
        print(f"The plain loop trained {loops[0].folds} of {folds} folds; its seconds are scaled to {folds}.")
    print("times: the plain loop's median over this row's. Accuracy shows that both learn; seeds differ.")


def _row(name: str, figures: list[Figures], loops: list[Figures]) -> list[str]:
    whole, training = [one.whole for one in figures], [one.training for one in figures]
    faster_whole = statistics.median(loop.whole for loop in loops) / statistics.median(whole)
    faster_training = statistics.median(loop.training for loop in loops) / statistics.median(training)
    accuracy = median_of([one.accuracy for one in figures], 3)
    times = [median_of(whole), median_of(training), accuracy, f"{faster_whole:.2f}", f"{faster_training:.2f}"]
    return [name, str(figures[0].folds), *times]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="flow-image tree")
    parser.add_argument("--model", default="ststnet")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--folds", type=int, help="folds of the plain loop, scaled to all; default: all")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--selections", nargs="+", default=["last", "last,oracle"], help="each must hold `last`")
    arguments = parser.parse_args()
    if any("last" not in selection.split(",") for selection in arguments.selections):
        parser.error(f"--selections {' '.join(arguments.selections)}: each must hold `last`")
    if arguments.folds == 1:
        parser.error("--folds 1: the first fold also pays for imports; give 2 or more")
    facts = machine_facts()
    loops: list[Figures] = []
    runs: dict[str, list[Figures]] = {selection: [] for selection in arguments.selections}
    with tempfile.TemporaryDirectory(prefix="against-plain-loop-") as name:
        for repeat in range(arguments.repeats):
            # The order turns with every repeat, so that neither side always has the warmer machine.
            if repeat % 2 == 0:
                loops.append(plain(arguments))
            for selection, figures in runs.items():
                figures.append(harness(arguments, selection, Path(name)))
            if repeat % 2:
                loops.append(plain(arguments))
    report(loops, runs, arguments)
    print(*facts, sep="\n")
    if "OMP_NUM_THREADS" in os.environ:
        print(f"OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']}: the plain loop did not have torch's default threads")


if __name__ == "__main__":
    run_plainly(main)
