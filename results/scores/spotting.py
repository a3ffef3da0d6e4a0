"""Spotting scored as the field does: intervals that overlap by half count as found; then what was recognised in them.

Counts are pooled over all recordings, and precision, recall and F1 come from the pooled counts (MEGC 2019 and later).
The score of spotting and recognising, STRS, is the F1 of spotting times the unweighted F1 of the classes over the
intervals that were found (MEGC 2022 and later).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from results.scores.bootstrap import generator_of, subject_bootstrap
from results.scores.counted import CountedPart
from results.scores.metrics import Metric, confusion, uf1

SHARE = 0.5
"""Share of the union of two intervals that they must have in common."""

Interval = tuple[float, float]
"""Onset and offset, in frames or in seconds."""


@dataclass(frozen=True)
class SpottingScore:
    """The counts of one recording or of many.

    Attributes
    ----------
    found : spotted intervals that are true ones.
    false : spotted intervals that are not.
    missed : true intervals that were not spotted.
    """

    found: int
    false: int
    missed: int

    def __add__(self, other: SpottingScore) -> SpottingScore:
        """Return the counts of both."""
        return SpottingScore(self.found + other.found, self.false + other.false, self.missed + other.missed)

    @property
    def precision(self) -> float:
        """Share of the spotted intervals that are true ones; 0 where nothing was spotted."""
        return self.found / max(1, self.found + self.false)

    @property
    def recall(self) -> float:
        """Share of the true intervals that were spotted; 0 where there are none."""
        return self.found / max(1, self.found + self.missed)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        return 2 * self.found / max(1, 2 * self.found + self.false + self.missed)


def in_common(one: Interval, other: Interval) -> float:
    """Return the share of two intervals' union that they have in common."""
    both = max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
    union = (one[1] - one[0]) + (other[1] - other[0]) - both
    return both / union if union > 0 else 0.0


def match(spotted: Sequence[Interval], true: Sequence[Interval], share: float = SHARE) -> list[tuple[int, int]]:
    """Return which spotted interval is which true one, (place among the spotted, place among the true), each once.

    Pairs are taken by how much they have in common, the most first.
    """
    pairs = [(in_common(one, other), i, j) for i, one in enumerate(spotted) for j, other in enumerate(true)]
    taken: list[tuple[int, int]] = []
    for common, i, j in sorted(pairs, key=lambda pair: (-pair[0], *pair[1:])):
        if common >= share and all(i != first and j != second for first, second in taken):
            taken.append((i, j))
    return sorted(taken)


def spotting_score(spotted: Sequence[Interval], true: Sequence[Interval], share: float = SHARE) -> SpottingScore:
    """Return the counts of one recording."""
    found = len(match(spotted, true, share))
    return SpottingScore(found, len(spotted) - found, len(true) - found)


def strs(score: SpottingScore, y_true: np.ndarray, y_pred: np.ndarray, n_classes: int) -> float:
    """Return the score of spotting, then recognising.

    Parameters
    ----------
    score : the counts of spotting.
    y_true : (n_found,) class indices of the intervals that were found.
    y_pred : (n_found,) what was recognised in them.
    n_classes : number of the task's classes; one without an interval counts as 0.
    """
    return score.f1 * float(uf1(confusion(y_true, y_pred, n_classes)))


@dataclass(frozen=True)
class SpotThenRecognise:
    """What a study is worth whose tested clips were spotted.

    Attributes
    ----------
    found, false, missed : counts of expressions, of everybody who was recorded.
    precision, recall, f1 : of spotting, from the pooled counts.
    strs : F1 of spotting times UF1 of recognising those that were found, mean over the seeds; None without a score.
    strs_low, strs_high : its 95 % interval over people; None without a score or with a single person.
    """

    found: int
    false: int
    missed: int
    precision: float
    recall: float
    f1: float
    strs: float | None = None
    strs_low: float | None = None
    strs_high: float | None = None


def spotted_by(people: Mapping[str, Sequence[int]]) -> SpotThenRecognise | None:
    """Return the score of spotting alone; None where nobody was recorded.

    Parameters
    ----------
    people : person -> counts of found, false and missed expressions.
    """
    if not people:
        return None
    total = SpottingScore(*np.sum([list(one) for one in people.values()], axis=0).tolist())
    return SpotThenRecognise(total.found, total.false, total.missed, total.precision, total.recall, total.f1)


def spotted_and_recognised(
    people: Mapping[str, Sequence[int]],
    recognised: Sequence[CountedPart],
    metric: Metric,
    root_seed: int,
    resamples: int,
) -> SpotThenRecognise | None:
    """Return the score of spotting, then recognising, with an interval that resamples people as a whole.

    A person brings what was found, falsely found and missed in his or her recordings, and how the found expressions
    were recognised.

    Parameters
    ----------
    people : as for ``spotted_by``.
    recognised : of each seed, the counts of those who have a found expression.
    metric : the UF1 of such counts.
    root_seed : what the draws derive from, beside the names of the people.
    resamples : bootstrap draws.
    """
    alone = spotted_by(people)
    if alone is None:
        return None
    names = sorted({*people, *(name for one in recognised for name in one.subjects)})
    shape = recognised[0].counts.shape[2:]
    width = math.prod(shape)
    counts = np.zeros((len(recognised), len(names), 1, 1, width + 3), dtype=np.int64)
    for seed, one in enumerate(recognised):
        rows = [names.index(name) for name in one.subjects]
        counts[seed, rows, 0, 0, :width] = one.counts.reshape(len(rows), width)
    counts[:, [names.index(name) for name in people], 0, 0, width:] = [list(one) for one in people.values()]

    def score(both: np.ndarray) -> np.ndarray:
        told, spotted = both[..., 0, :width], both[..., 0, width:]
        found, false, missed = np.moveaxis(spotted, -1, 0)
        f1 = 2 * found / np.maximum(1, 2 * found + false + missed)
        product: np.ndarray = f1 * metric(told.reshape(*told.shape[:-1], *shape))
        return product

    low, high = subject_bootstrap(counts, score, resamples, generator_of(names, root_seed))
    total = float(score(counts.sum(axis=1)).mean())
    ends = (None, None) if math.isnan(low) else (low, high)
    return dataclasses.replace(alone, strs=total, strs_low=ends[0], strs_high=ends[1])
