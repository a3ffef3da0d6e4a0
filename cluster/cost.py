"""About how long a sweep takes, and what it costs: ``python -m cluster.cost --workers 64 --seeds 5 --price 1``.

The rule: the seconds a fold of each model, from the table in ``mer_models/README.md`` (quick values, one core, 141
clips), times folds, seeds and clips / 141. Where the same models were measured with 442 clips, a fold took 1.8 to 2.4
times as long, not 3.1: the rule is a bound from above. It holds neither for full recipes nor, but by ``--speed``, for
GPUs: ``tests/benchmarks/epoch_seconds.py`` and ``engine_only.py`` measure those.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from preprocess.base.errors import MerError, UsageError, did_you_mean

TABLE = Path(__file__).resolve().parents[1] / "mer_models" / "README.md"
SECTION = "## Scores on the rendered default"
CLIPS = 141
"""Of the data with which the table was measured."""

START_SECONDS = 60.0
"""Longest wait of a worker for its node and its imports; a rough figure, which only short sweeps notice."""


@dataclass(frozen=True)
class Sweep:
    """What is to be trained.

    Attributes
    ----------
    models : names or shell patterns.
    folds : of a model and a seed; with `--protocols loso,cde`, twice the number of people.
    seeds : replicates.
    clips : of all data together.
    """

    models: tuple[str, ...] = ("*",)
    folds: int = 136
    seeds: int = 1
    clips: int = 442


@dataclass(frozen=True)
class Cost:
    """What it takes.

    Attributes
    ----------
    folds : how many are trained.
    core_hours : hours of one core.
    hours : from the first fold to the last.
    worker_hours : hours that are paid, of all workers together.
    """

    folds: int
    core_hours: float
    hours: float
    worker_hours: float


def seconds_a_fold(text: str) -> dict[str, float]:
    """Return model -> seconds, from the table; models without a figure are left out."""
    section = text.partition(f"{SECTION}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    place = rows[0].index("s a fold")
    return {row[0].strip("`"): float(row[place]) for row in rows[2:] if re.fullmatch(r"[\d.]+", row[place])}


def cost(sweep: Sweep, workers: int, speed: float, seconds: dict[str, float]) -> Cost:
    """Return what a sweep takes.

    Parameters
    ----------
    workers : how many packs train at a time: cores, or GPUs times the packs that share one.
    speed : how many cores one of them is worth.
    seconds : of a fold of each model, on one core.

    Raises
    ------
    UsageError : a model that the table does not have.
    """
    names = [name for name in seconds if any(fnmatch(name, pattern) for pattern in sweep.models)]
    for pattern in sweep.models:
        if not any(fnmatch(name, pattern) for name in names):
            raise UsageError(
                f"--models {pattern!r}: {TABLE.name} has no seconds of it. {did_you_mean(pattern, seconds)}"
            )
    folds = len(names) * sweep.folds * sweep.seeds
    core = sum(seconds[name] for name in names) * sweep.folds * sweep.seeds * sweep.clips / CLIPS
    # At the end, the last fold of the slowest model is waited for, by itself.
    last = max(seconds[name] for name in names) * sweep.clips / CLIPS / speed
    hours = (core / speed / workers + last + START_SECONDS) / 3600
    # Workers go when they are idle: the last fold keeps one, the start all.
    paid = (core / speed + workers * START_SECONDS) / 3600
    return Cost(folds, core / 3600, hours, paid)


def main(arguments: Sequence[str] | None = None) -> int:
    """Say about how long a sweep with the quick values takes, and what it costs."""
    parser = argparse.ArgumentParser(prog="python -m cluster.cost", description=main.__doc__)
    plain = Sweep()
    parser.add_argument("--models", default="*", help="names or shell patterns, with commas; default: all")
    parser.add_argument("--folds", type=int, default=plain.folds, help=f"of a model and seed; default: {plain.folds}")
    parser.add_argument("--seeds", type=int, default=plain.seeds, help=f"default: {plain.seeds}")
    parser.add_argument("--clips", type=int, default=plain.clips, help=f"of all data; default: {plain.clips}")
    parser.add_argument("--workers", type=int, default=1, help="packs that train at a time; default: 1")
    parser.add_argument("--speed", type=float, default=1.0, help="cores that one of them is worth; default: 1")
    parser.add_argument("--price", type=float, default=0.0, help="of an hour of one of them")
    given = parser.parse_args(arguments)
    sweep = Sweep(tuple(given.models.split(",")), given.folds, given.seeds, given.clips)
    try:
        if min(given.folds, given.seeds, given.clips, given.workers) < 1 or given.speed <= 0:
            raise UsageError("--folds, --seeds, --clips and --workers are 1 at least, and --speed is above 0.")
        if not TABLE.is_file():
            raise UsageError(f"There is no {TABLE}: the table comes with a checkout, not with an installed package.")
        found = cost(sweep, given.workers, given.speed, seconds_a_fold(TABLE.read_text(encoding="utf-8")))
    except MerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{found.folds:,} folds, {found.core_hours:,.1f} hours of a core")
    print(f"{given.workers} at a time: {found.hours:,.2f} hours, {found.worker_hours:,.1f} paid for", end="")
    print(f", {found.worker_hours * given.price:,.2f} in all" if given.price else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
