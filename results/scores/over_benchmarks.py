"""Ranks of models over several benchmarks: Friedman's test, and which models it can tell apart (Demsar, 2006)."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.scores.gathered import Benchmark, Gathered, LeftOut, gather
from results.scores.pairs import LEVEL
from results.scores.pooling import FULL
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard

SCHEMA_VERSION = 1

FEW_BENCHMARKS = 5
"""Of fewer benchmarks than this, mean ranks say little."""

# Equal scores may differ in their last digits where their sums were taken in another order.
_DIGITS = 12


@dataclass(frozen=True)
class MeanRank:
    """A model over all benchmarks.

    Attributes
    ----------
    model : its label.
    mean_rank : the mean of ``ranks``.
    mean_uf1 : the mean of ``uf1``.
    groups : numbers of the groups that it belongs to; models that share one cannot be told apart.
    ranks : by UF1 on each benchmark, 1 is best; equal scores share the mean of their ranks.
    uf1 : on each benchmark, the mean over its seeds.
    """

    model: str
    mean_rank: float
    mean_uf1: float
    groups: list[int]
    ranks: list[float]
    uf1: list[float]


@dataclass(frozen=True)
class OverBenchmarks:
    """Models that have a score on every benchmark, ranked over all of them.

    Attributes
    ----------
    benchmarks : what they were tested on, in words.
    people : number of tested subjects of each benchmark.
    models : the best first.
    statistic : Friedman's chi square; None for fewer than three models or two benchmarks.
    p : of Friedman's test, that all models are alike.
    critical_difference : of mean ranks, from which on Nemenyi's test tells two models apart.
    p_pairs : model -> other model -> p of Nemenyi's test.
    left_out : the studies that are not ranked.
    notes : how to read the rest.
    """

    benchmarks: list[str]
    people: list[int]
    models: list[MeanRank]
    statistic: float | None
    p: float | None
    critical_difference: float | None
    p_pairs: dict[str, dict[str, float]]
    left_out: list[LeftOut]
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, the fields by their names beside ``"schema_version": 1``."""
        return {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}


def rank_over_benchmarks(
    store: OutcomeStore, cards: Sequence[StudyCard], parts: Sequence[str] = (FULL,)
) -> OverBenchmarks:
    """Rank the models that have a score on every benchmark, and test whether they differ.

    A benchmark is a dataset, task, protocol, selection and part, with its samples. Benchmarks on which only one model
    has a score are left out.

    Parameters
    ----------
    store : where the outcomes lie.
    cards : the studies.
    parts : names or shell patterns of the parts; each is a benchmark of its own.

    Raises
    ------
    HonestyError : a complete study's predictions contradict its card or each other.
    StoreError : the store cannot be read.
    UsageError : a part that none of the studies has.
    """
    gathered = gather(store, cards, parts)
    left_out = list(gathered.left_out)
    benchmarks = [one for one in gathered.benchmarks if len(one.entries) > 1]
    alone = (one for one in gathered.benchmarks if len(one.entries) == 1)
    left_out += [_left_out(one, label, "no other model of the same samples") for one in alone for label in one.entries]
    everywhere = set.intersection(*(set(one.entries) for one in benchmarks)) if benchmarks else set()
    for one in benchmarks:
        missing = f"no score on {{}} of the {len(benchmarks)} benchmarks"
        for label in sorted(set(one.entries) - everywhere):
            lacking = sum(label not in other.entries for other in benchmarks)
            left_out.append(_left_out(one, label, missing.format(lacking)))
    labels = sorted(everywhere)
    scores = np.array([[one.scores("uf1")[label] for label in labels] for one in benchmarks])
    ranked = _ranked(
        [one.title for one in benchmarks], [len(one.tested.subjects) for one in benchmarks], labels, scores
    )
    return dataclasses.replace(ranked, left_out=left_out, notes=_notes(ranked, benchmarks, gathered))


def _left_out(benchmark: Benchmark, label: str, reason: str) -> LeftOut:
    return LeftOut(label, benchmark.title, sorted(benchmark.entries[label].counts), reason)


def _ranked(titles: list[str], people: list[int], labels: list[str], scores: np.ndarray) -> OverBenchmarks:
    """Return the ranks of some models. scores : (benchmarks, models)."""
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    if len(labels) < 2:
        return OverBenchmarks(titles, people, [], None, None, None, {}, [], [])
    ranks = np.atleast_2d(rankdata(-np.round(scores, _DIGITS), axis=1))
    order = sorted(range(len(labels)), key=lambda place: (ranks[:, place].mean(), labels[place]))
    labels, scores, ranks = [labels[place] for place in order], scores[:, order], ranks[:, order]
    n_benchmarks, n_models = ranks.shape
    statistic = p = difference = None
    pairs = np.ones((n_models, n_models))
    if n_benchmarks > 1 and n_models > 2:
        # Imported here: it brings much along.
        from scikit_posthocs import posthoc_nemenyi_friedman

        # Where all models are equal everywhere, there is nothing to divide by.
        statistic, p = (0.0, 1.0) if (ranks == ranks[0, 0]).all() else map(float, friedmanchisquare(*ranks.T))
        pairs = posthoc_nemenyi_friedman(-ranks).to_numpy()
        reach = float(studentized_range.ppf(1 - LEVEL, n_models, np.inf)) / math.sqrt(2)
        difference = reach * math.sqrt(n_models * (n_models + 1) / (6 * n_benchmarks))
    groups = _groups(pairs, tested=p is not None and p < LEVEL)
    models = [
        MeanRank(
            label,
            float(ranks[:, place].mean()),
            float(scores[:, place].mean()),
            [number for number, (first, last) in enumerate(groups, 1) if first <= place <= last],
            ranks[:, place].tolist(),
            scores[:, place].tolist(),
        )
        for place, label in enumerate(labels)
    ]
    p_pairs = {
        one: {other: float(pairs[i, j]) for j, other in enumerate(labels) if i != j} for i, one in enumerate(labels)
    }
    return OverBenchmarks(titles, people, models, statistic, p, difference, p_pairs if difference else {}, [], [])


def _groups(p: np.ndarray, tested: bool) -> list[tuple[int, int]]:
    """Return the first and last place of each group of models that cannot be told apart, none inside another.

    Pairs are looked at only where Friedman's test finds that models differ at all. p : of pairs, the best model first;
    Nemenyi's p falls with the distance of mean ranks, so that a group has no gaps.
    """
    last_place = len(p) - 1
    if not tested:
        return [(0, last_place)]
    groups: list[tuple[int, int]] = []
    for first in range(len(p)):
        last = max(other for other in range(first, len(p)) if other == first or p[first, other] >= LEVEL)
        if not groups or last > groups[-1][1]:
            groups.append((first, last))
    return groups


def _notes(ranked: OverBenchmarks, benchmarks: Sequence[Benchmark], gathered: Gathered) -> list[str]:
    notes = []
    n = len(benchmarks)
    if not ranked.models:
        notes.append(
            f"No two models have a score on all {n} benchmarks: name models or benchmarks that go together."
            if n
            else "No benchmark has scores of two models."
        )
    elif ranked.p is None:
        notes.append(
            f"{len(ranked.models)} models on {n} benchmarks: Friedman's test needs three models and two benchmarks."
        )
    elif ranked.p >= LEVEL:
        notes.append(f"Friedman's test finds no difference (p {ranked.p:.2g}): none of these models can be told apart.")
    if ranked.models and n < FEW_BENCHMARKS:
        notes.append(
            f"{n} benchmark{'' if n == 1 else 's'}: of fewer than {FEW_BENCHMARKS}, mean ranks say little, whatever p "
            "is."
        )
    sharing = [
        f"{one.title} and {other.title}"
        for one, other in itertools.combinations(benchmarks, 2)
        if set(one.tested.subjects) & set(other.tested.subjects)
    ]
    if sharing and ranked.models:
        more = f", and {len(sharing) - 1} more pairs" if len(sharing) > 1 else ""
        notes.append(
            f"Benchmarks that share people ({sharing[0]}{more}): the test takes benchmarks for independent, so that "
            "its p is too small. Choose with --benchmark and --part."
        )
    if any(one.card.synthetic for one in benchmarks):
        notes.append("Synthetic data is drawn by this program: its scores say nothing about real faces.")
    return notes + gathered.notes()
