"""Selection: which epoch's weights of a fold are scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.base.registry import Registry
from results.scores.metrics import confusion, decide, uf1
from results.scores.multilabel import label_confusion, mean_f1
from results.store.watched import INNER, NOTHING, TEST, VALIDATION, Watched, check_watched

Measure = Callable[[np.ndarray, np.ndarray], float]
"""(labels, scores) of the watched samples -> how good an epoch is; higher is better."""


@dataclass(frozen=True)
class Selection:
    """A rule that picks an epoch.

    Attributes
    ----------
    name : as ``--selection`` takes it.
    watches : the samples it looks at; a rule that watches none after an epoch takes the last one.
    summary : a line for ``merbench list selections``.
    measure : what it maximises; None for what ``value`` says.

    Raises
    ------
    UsageError : ``watches`` is an unknown word, or there is a measure and nothing to measure.
    """

    name: str
    watches: Watched
    summary: str
    measure: Measure | None = None

    def __post_init__(self) -> None:
        try:
            check_watched(self.watches)
        except ValueError as error:
            raise UsageError(f"Selection {self.name!r}: {error}.") from error
        if self.measure and not self.each_epoch:
            raise UsageError(f"Selection {self.name!r} has a measure but watches nothing: say what it is measured on.")

    @property
    def each_epoch(self) -> bool:
        """Whether the rule looks at samples after every epoch, to pick one."""
        return self.watches in (VALIDATION, TEST)

    def curve(self, multilabel: bool) -> str:
        """Return the name under which the watched value of every epoch is kept in the outcome."""
        if self.measure:
            return f"{self.watches}_{self.measure.__name__}"
        if self.watches == VALIDATION:
            return "validation_uf1"
        return "oracle_uf1" if multilabel else "oracle_accuracy"

    def value(self, labels: np.ndarray, scores: np.ndarray) -> float:
        """Return how good one epoch is. On a tie the earlier epoch stays.

        Without a measure of its own, a rule maximises the mean F1 of a multi-label task's classes. Of a single-label
        task it maximises the UF1 of the validation subjects, or the accuracy on the test subject. The latter is what
        the public codes do that select on the test subject: most of these show one or two classes only.

        Parameters
        ----------
        labels : (n,) class indices; of a multi-label task (n, n_classes) of 0 and 1.
        scores : (n, n_classes).
        """
        if self.measure:
            return float(self.measure(labels, scores))
        multilabel = labels.ndim == 2
        predicted = decide(scores, multilabel)
        if multilabel:
            return float(mean_f1(label_confusion(labels, predicted)))
        if self.watches == VALIDATION:
            return float(uf1(confusion(labels, predicted, scores.shape[1])))
        return float(np.mean(predicted == labels))


SELECTIONS: Registry[Selection] = Registry("selection")


def register_selection(
    name: str, *, watches: Literal["validation", "test"], summary: str
) -> Callable[[Measure], Measure]:
    """Return a decorator that registers a rule which maximises the decorated function.

    Parameters
    ----------
    name : as ``--selection`` takes it.
    watches : the samples that are measured after every epoch. Studies whose rule watches "test" are never ranked.
    summary : a line for ``merbench list selections``.
    """

    def decorate(measure: Measure) -> Measure:
        origin = f"{measure.__module__}.{measure.__qualname__}"
        SELECTIONS.add(name, Selection(name, watches, summary, measure), origin=origin)
        return measure

    return decorate


for _rule in (
    Selection("last", NOTHING, "the last epoch"),
    Selection("validation", VALIDATION, "the best epoch on training subjects set aside"),
    Selection("tuned", INNER, "the last epoch, with hyper-parameters that inner folds of training subjects chose"),
    Selection("oracle", TEST, "the best epoch on the TEST subject: shows the optimism gap, never ranked"),
):
    SELECTIONS.add(_rule.name, _rule, origin=f"{__name__}.{_rule.name}")
