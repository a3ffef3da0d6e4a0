"""What grows with the number of folds once they are trained: files, listings, the leaderboard and MLflow.

    python tests/benchmarks/store_scale.py [--folds 2000 20000]

Writes studies of 68 people (three clips each) into a new store on this machine's disk and reads them again, once for
each number of folds; a figure that is the same in both columns is a slope to reckon with for more. Times are a core's,
of this process alone, which other work beside it changes little.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from benchmark_report import ROOT, machine_facts, print_table, run_plainly

PEOPLE = 68
MLFLOW_STUDIES = 6
MODELS = ("ststnet", "off_apexnet", "rcn_a", "htnet")


def measured(folds: int, folder: Path) -> list[tuple[str, float]]:
    """Return (what, its figure) for a store of about so many folds."""
    sys.path.insert(0, str(ROOT / "tests" / "results"))
    from example_studies import example_study

    from results.scores.leaderboard import build_leaderboard
    from results.store.outcome_store import OutcomeStore

    store = OutcomeStore(folder / "runs", create=True)
    number = max(MLFLOW_STUDIES, folds // PEOPLE)
    studies = [
        example_study(MODELS[place % len(MODELS)], {"casme2": PEOPLE}, seed=place // len(MODELS), clips=3)
        for place in range(number)
    ]
    outcomes = [(study.card, outcome) for study in studies for outcome in study.outcomes()]
    for study in studies:
        store.write_card(study.card)
    # Imports and first uses are not what grows.
    store.write_outcome(*outcomes[0])

    def milliseconds_each(call: Callable[[], object], count: int) -> float:
        start = time.process_time()
        call()
        return 1000 * (time.process_time() - start) / count

    writing = milliseconds_each(lambda: [store.write_outcome(*one) for one in outcomes], len(outcomes))
    size = sum(file.stat().st_size for file in Path(store.root).rglob("*.outcome.parquet"))
    cards = store.cards()
    listing = milliseconds_each(lambda: [store.state(card) for card in cards], len(outcomes))
    rng = np.random.default_rng(0)
    board = milliseconds_each(lambda: build_leaderboard(store, rng=rng), len(outcomes))
    return [
        ("write an outcome, ms", writing),
        ("an outcome's file, bytes", size / len(outcomes)),
        ("read the cards, ms a study", milliseconds_each(store.cards, len(studies))),
        ("see what is done, ms a fold", listing),
        ("the leaderboard, ms a fold", board),
        (f"MLflow in SQLite, s a study of {PEOPLE} folds", _mlflow_seconds(store.root)),
    ]


def _mlflow_seconds(root: str) -> float:
    """Return the seconds of a core that a study takes to be shown, when the database is there."""
    from results.store.outcome_store import OutcomeStore
    from results.tracking.sync import open_tracking, sync

    store = OutcomeStore(root)
    uri = open_tracking(None, root)
    assert uri is not None
    first, *others = store.cards()[:MLFLOW_STUDIES]
    for cards in ([first], others):
        start = time.process_time()
        sync(store, cards, uri, np.random.default_rng(0), lambda text: None, leaderboards=False)
    return (time.process_time() - start) / len(others)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folds", type=int, nargs="+", default=[2000, 20000], help="default: 2000 20000")
    arguments = parser.parse_args()
    facts = machine_facts()
    columns = []
    for folds in arguments.folds:
        with tempfile.TemporaryDirectory(prefix="merbench-scale-") as folder:
            columns.append(measured(folds, Path(folder)))
    rows = [[of_one[0][0], *(f"{figure:,.3f}" for _, figure in of_one)] for of_one in zip(*columns, strict=True)]
    print_table("Once folds are trained", ["figure", *(f"{folds:,} folds" for folds in arguments.folds)], rows)
    print("\n".join(facts))


if __name__ == "__main__":
    run_plainly(main)
