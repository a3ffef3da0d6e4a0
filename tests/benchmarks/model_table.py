"""A results store as one Markdown table, a line a model: scores of each benchmark, seconds a fold, size, features.

    python tests/benchmarks/model_table.py --results DIR [--parts]

Scores are the leaderboard's own, ``UF1 / UAR``; ``merbench leaderboard`` prints their intervals. ``--parts`` shows each
dataset of a composite as well. ``s a fold`` is the median over the folds of the leftmost benchmark that the model has,
as the outcomes' provenance tells it: seconds of the wall, so of a quiet machine only where nothing else ran.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from collections import defaultdict
from pathlib import Path

import numpy as np
from benchmark_report import run_plainly

from bench.plan.sizes import network_size
from mer_models.registry import MODELS
from results.scores.leaderboard import Row, build_leaderboard
from results.scores.pooling import FULL
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard
from results.views.columns import class_counts, number, number_ranges
from results.views.columns import selection as selection_cell

Benchmark = tuple[str, str, str, str]
"""Task, protocol, dataset and part."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="results folder of a run")
    parser.add_argument("--parts", action="store_true", help="each dataset of a composite as well")
    given = parser.parse_args()
    store = OutcomeStore(given.results)
    # The intervals are not printed here, so the fewest draws will do.
    rows = build_leaderboard(store, rng=np.random.default_rng(0), resamples=2).rows
    shown = [row for row in rows if row.part == FULL or given.parts]
    counted = {_benchmark(row): row for row in shown}
    benchmarks = sorted(counted, key=_print_order)
    print("\n".join(_markdown(store, shown, benchmarks)), end="\n\n")
    for key in benchmarks:
        row = counted[key]
        people = f"{row.n_samples} samples, {row.n_subjects} subjects ({class_counts(row)})"
        drawn = "; synthetic data, which says nothing about real faces" if row.synthetic else ""
        print(f"- {_column(key)}: {people}{drawn}.")
    for stamp in sorted({f"{selection_cell(row)} = {row.stamp}" for row in shown if row.stamp}):
        print(f"- {stamp}.")


def _benchmark(row: Row) -> Benchmark:
    return row.task, row.protocol, row.dataset, row.part


def _print_order(key: Benchmark) -> tuple[bool, str, str, str, bool, str]:
    """Composites first, each whole before its parts."""
    task, protocol, dataset, part = key
    return "+" not in dataset, task, protocol, dataset, part != FULL, part


def _column(key: Benchmark) -> str:
    task, protocol, dataset, part = key
    return f"{task} {protocol} {dataset}" + (f": {part}" if part != FULL else "")


def _markdown(store: OutcomeStore, rows: list[Row], benchmarks: list[Benchmark]) -> list[str]:
    cards = {card.key[:16]: card for card in store.cards()}
    models: dict[tuple[str, str, str], dict[Benchmark, Row]] = defaultdict(dict)
    for row in rows:
        models[row.label, selection_cell(row), number_ranges(row.seeds)][_benchmark(row)] = row
    names = ["model", *map(_column, benchmarks), "s a fold", "parameters", "features"]
    lines = [f"| {' | '.join(names)} |", f"|---|{'---:|' * (len(benchmarks) + 2)}---|"]
    for (label, selection, seeds), found in sorted(models.items(), key=lambda item: _best_first(item[1], benchmarks)):
        first = next(found[key] for key in benchmarks if key in found)
        card = cards[first.studies[0]]
        facts = [_seconds(store, [cards[key] for key in first.studies]), _parameters(card)]
        scores = [_score(found.get(key)) for key in benchmarks]
        features = ", ".join(MODELS.get(card.model).features)
        lines.append(f"| {label}, {selection}, seed {seeds} | {' | '.join([*scores, *facts, features])} |")
    return lines


def _best_first(found: dict[Benchmark, Row], benchmarks: list[Benchmark]) -> tuple[float, ...]:
    """Return a sorting key: the higher the UF1 of the leftmost benchmark, the earlier; none comes last."""
    scores = [found[key].uf1 if key in found else None for key in benchmarks]
    return tuple(1.0 if score is None else -score for score in scores)


def _score(row: Row | None) -> str:
    if row is None:
        return "-"
    if row.uf1 is None:
        return f"{row.folds_done}/{row.folds_total} folds"
    return f"{number(row.uf1)} / {number(row.uar)}"


def _seconds(store: OutcomeStore, cards: list[StudyCard]) -> str:
    outcomes = [outcome for card in cards for outcome in store.read_outcomes(card)[0]]
    seconds = [outcome.provenance["seconds"] for outcome in outcomes]
    return f"{statistics.median(seconds):.2f}" if seconds else "-"


def _parameters(card: StudyCard) -> str:
    """Return the size of the network that was trained; an estimator has none."""
    info = MODELS.get(card.model)
    if info.recipe is None:
        return "-"
    if not info.params.keys() <= card.hyperparameters.keys():
        return "unknown: the model had other settings then"
    used = {name: card.hyperparameters[name] for name in info.params}
    return f"{network_size(dataclasses.replace(info, params=used), {}, 3).parameters:,}"


if __name__ == "__main__":
    run_plainly(main)
