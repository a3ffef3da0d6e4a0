"""Ranks inside a benchmark: who is best, and who cannot be told from the best."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.scores.bootstrap import generator_of
from results.scores.metrics import Metric
from results.scores.paired import DRAWS, holm, swap_test
from results.scores.pairs import LEVEL
from results.scores.row import Row

# So many swaps a row, at least: with fewer, none of very many rows could be told from the best one.
_DRAWS_A_ROW = 40


@dataclass(frozen=True)
class Evidence:
    """What a row's score is made of.

    Attributes
    ----------
    samples : hash of the tested samples, their subjects and classes.
    subjects : the subjects, in the order of ``counts``.
    counts : (n_seeds, n_subjects, n_datasets, ...) counts, seeds in the order of the row's.
    uf1 : the function of counts that rows are ranked by.
    """

    samples: str
    subjects: Sequence[str]
    counts: np.ndarray
    uf1: Metric

    def generator(self, root_seed: int) -> np.random.Generator:
        """Return the generator of draws over these people: who is drawn depends on nothing else."""
        return generator_of(self.subjects, root_seed)


@dataclass(frozen=True)
class Scored:
    """A row and what its score is made of; None where it has none."""

    row: Row
    evidence: Evidence | None


def ranked(scored: Sequence[Scored], root_seed: int) -> list[Row]:
    """Return the rows with their ranks, in the given order.

    Ranked are rows that have a score and may compete, inside one benchmark, by UF1. The rows that cannot be told from
    the best one share its rank: whole people are swapped between the two (``swap_test``), and the p values of the rows
    against the best are corrected by Holm's method, those of its own selection together, and those of others. In 95 of
    100 studies the truly best row is one of this group. A row that cannot be tested against the best one, for it has
    other samples or no seed in common, has no tie.

    Of one selection, these are pairs that ``compare`` tests too: by the same swaps, so that each has the same p, and
    corrected for more pairs. So no row is tied that ``compare`` tells from the best one.

    Parameters
    ----------
    scored : rows of any benchmarks.
    root_seed : what the draws derive from, beside the names of the subjects.
    """
    rivals: dict[tuple[Any, ...], list[_Rival]] = defaultdict(list)
    for place, one in enumerate(scored):
        if one.row.competes and one.row.uf1 is not None and one.evidence is not None:
            rivals[one.row.benchmark].append(_Rival(place, one.row, one.row.uf1, one.evidence))
    rows = [one.row for one in scored]
    for group in rivals.values():
        tied = _tied(group, root_seed)
        for rival in group:
            shares = rival.place in tied
            above = 0 if shares else sum(other.score > rival.score for other in group)
            rows[rival.place] = dataclasses.replace(rival.row, rank=1 + above, tied=shares)
    return rows


@dataclass(frozen=True)
class _Rival:
    """A row that is ranked, and where it stands among all rows."""

    place: int
    row: Row
    score: float
    evidence: Evidence

    def shares_with(self, other: _Rival) -> list[int]:
        """Return the seeds over which two rows can be tested; none of rows of other samples."""
        if self.evidence.samples != other.evidence.samples:
            return []
        return sorted(set(self.row.seeds) & set(other.row.seeds))

    def counts(self, seeds: Sequence[int]) -> np.ndarray:
        return self.evidence.counts[[self.row.seeds.index(seed) for seed in seeds]]


def _tied(group: Sequence[_Rival], root_seed: int) -> set[int]:
    """Return the places of the best row and of those that cannot be told from it; none where there are no such."""
    best = max(group, key=lambda one: (one.score, -one.place))
    others = [one for one in group if one is not best and best.shares_with(one)]
    tied: set[int] = set()
    for own in (True, False):
        family = [one for one in others if (one.row.selection == best.row.selection) == own]
        p = holm(np.array([_p(best, one, len(family), root_seed) for one in family]))
        tied |= {one.place for one, corrected in zip(family, p, strict=True) if corrected >= LEVEL}
    return tied | {best.place} if tied else set()


def _p(best: _Rival, other: _Rival, n_rows: int, root_seed: int) -> float:
    """Return the p of two rows; where it is above the level, and so is what Holm's method makes of it, a part of it."""
    seeds = best.shares_with(other)
    one, two, metrics = best.counts(seeds), other.counts(seeds), {"uf1": best.evidence.uf1}
    draws = max(DRAWS, _DRAWS_A_ROW * n_rows)
    return swap_test(one, two, metrics, draws, best.evidence.generator(root_seed), enough=LEVEL)["uf1"]
