"""Selection: which epoch's weights of a fold are scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from preprocess.base.registry import Registry
from results.scores.metrics import confusion, decide, uf1
from results.scores.multilabel import label_confusion, mean_f1


@dataclass(frozen=True)
class Selection:
    """A rule that picks an epoch. watches : the rows it looks at after every epoch (None: it takes the last epoch)."""

    name: str
    watches: Literal["validation", "test"] | None
    summary: str

    def curve(self, multilabel: bool) -> str:
        """Name under which the watched value of every epoch is kept in the outcome."""
        if self.watches == "validation":
            return "validation_uf1"
        return "oracle_uf1" if multilabel else "oracle_accuracy"

    def value(self, labels: np.ndarray, scores: np.ndarray) -> float:
        """Return the watched value of one epoch (higher is better; on a tie the earlier epoch stays).

        labels : (n,) class indices, or (n, n_classes) 0 and 1 of a multi-label task. scores : (n, n_classes).
        Validation: pooled UF1 of the validation subjects. Oracle: accuracy on the test subject, which is what the
        public codes that select on the test subject maximise (most test subjects hold one or two classes only).
        Multi-label: the mean of the labels' F1, for both.
        """
        multilabel = labels.ndim == 2
        predicted = decide(scores, multilabel)
        if multilabel:
            return float(mean_f1(label_confusion(labels, predicted)))
        if self.watches == "validation":
            return float(uf1(confusion(labels, predicted, scores.shape[1])))
        return float(np.mean(predicted == labels))


SELECTIONS: Registry[Selection] = Registry("selection")
for _rule in (
    Selection("last", None, "the last epoch"),
    Selection("validation", "validation", "the best epoch on training subjects set aside"),
    Selection("oracle", "test", "the best epoch on the TEST subject: shows the optimism gap, never ranked"),
):
    SELECTIONS.add(_rule.name, _rule, origin=f"bench.engine.selection.{_rule.name}")
