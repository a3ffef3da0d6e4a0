"""Spotting scored as the field does: intervals that overlap by half count as found; then what was recognised in them.

Counts are pooled over all recordings, and precision, recall and F1 come from the pooled counts (MEGC 2019 and later).
The score of spotting and recognising, STRS, is the F1 of spotting times the unweighted F1 of the classes over the
intervals that were found (MEGC 2022 and later).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from results.scores.metrics import confusion, uf1

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
