"""How predictions are counted and scored: one way for single-label tasks, one for multi-label tasks.

Counts are (..., C, C) confusion matrices or (..., C, 2, 2) matrices a class. They add up over samples, folds and
people, and every score is worked out from sums of them; so pooling and resampling are the same for both kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from preprocess.base.registry import Registry
from results.scores import multilabel
from results.scores.metrics import (
    METRICS,
    Metric,
    f1_per_class,
    grouped_confusion,
    precision_per_class,
    recall_per_class,
)

Count = Callable[[np.ndarray, np.ndarray, np.ndarray, int, int], np.ndarray]


@dataclass(frozen=True)
class Counting:
    """The functions of one kind of task.

    Attributes
    ----------
    count : (y_true, y_pred, group of each sample, n_groups, n_classes) -> (n_groups, ...) counts.
    metrics : name -> a function of counts that returns a score.
    f1 : counts -> (..., C), the F1 of each class.
    recall : counts -> (..., C), the recall of each class.
    precision : counts -> (..., C), the precision of each class.
    support : counts -> (..., C), the number of samples of each class.
    right : counts -> how many answers are right.
    answers : counts -> how many answers there are.
    """

    count: Count
    metrics: Registry[Metric]
    f1: Metric
    recall: Metric
    precision: Metric
    support: Metric
    right: Metric
    answers: Metric


SINGLE_LABEL = Counting(
    count=grouped_confusion,
    metrics=METRICS,
    f1=f1_per_class,
    recall=recall_per_class,
    precision=precision_per_class,
    support=lambda counts: np.sum(counts, axis=-1),
    right=lambda counts: np.trace(counts, axis1=-2, axis2=-1),
    answers=lambda counts: np.sum(counts, axis=(-2, -1)),
)

MULTI_LABEL = Counting(
    count=multilabel.grouped_label_confusion,
    metrics=multilabel.LABEL_METRICS,
    f1=multilabel.f1_of_presence,
    recall=multilabel.recall_of_presence,
    precision=multilabel.precision_of_presence,
    support=multilabel.presences,
    right=lambda counts: np.trace(counts, axis1=-2, axis2=-1).sum(axis=-1),
    answers=lambda counts: np.sum(counts, axis=(-3, -2, -1)),
)
