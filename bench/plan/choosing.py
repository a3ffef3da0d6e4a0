"""How inner folds of a fold's training people choose among configurations. Nothing here sees the held-out people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.scores.counted import counting_of
from results.store.outcome import Outcome
from results.store.study_card import StudyCard

KEPT = 3
"""With halving, of so many configurations one goes on, and is trained for so many times as many epochs."""


@dataclass(frozen=True)
class Choice:
    """What the training people of one fold chose.

    Attributes
    ----------
    changed : the hyper-parameters of the chosen configuration that differ from the default.
    audit : what was tried and what it scored, as plain JSON values; it goes into the outcome's provenance.
    """

    changed: Mapping[str, Any]
    audit: Mapping[str, Any]


def rung_sizes(configurations: int, halving: bool) -> list[int]:
    """Return how many configurations are tried in each rung, the first one first; without halving there is one rung.

    A third of them, rounded up, goes on, until three or fewer are left, which are trained for all epochs.
    """
    sizes = [configurations]
    while halving and sizes[-1] > KEPT:
        sizes.append(math.ceil(sizes[-1] / KEPT))
    return sizes


def rung_epochs(epochs: int, rung: int, rungs: int) -> int:
    """Return for how many epochs a rung trains: the last one for all, each other for a third of the next."""
    return max(1, round(epochs / KEPT ** (rungs - 1 - rung)))


def inner_score(card: StudyCard, outcome: Outcome) -> float:
    """Return the UF1 of an inner fold; of a multi-label task, the mean F1 of its classes."""
    counting = counting_of(card)
    groups = np.zeros(len(outcome.y_true), dtype=np.int64)
    counts = counting.count(outcome.y_true, outcome.y_pred, groups, 1, len(card.classes))[0]
    return float(counting.metrics.get("uf1")(counts))


def best(scores: Mapping[int, Sequence[float] | None], size: int) -> list[int]:
    """Return the configurations of the highest mean score, best first; of equal ones the one that was drawn earlier.

    Parameters
    ----------
    scores : number of a configuration -> its score in each inner fold; None where it cannot be trained.
    size : the most that are returned.
    """
    means = {number: sum(own) / len(own) for number, own in scores.items() if own is not None}
    return sorted(means, key=lambda number: (-means[number], number))[:size]
