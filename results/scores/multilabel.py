"""Metrics of multi-label tasks, in which a sample may show any number of the classes (action units).

Each class is a yes-or-no question with a 2 x 2 matrix of its own: counts have shape (..., C, 2, 2), integer or float;
rows are true (absent, present), columns predicted. They are pooled over folds first, as for single-label tasks; a class
that nobody shows counts as F1 = 0 and recall = 0 and is never left out of a mean.
"""

from __future__ import annotations

import numpy as np

from preprocess.base.errors import DataError
from preprocess.base.registry import Registry
from results.scores.metrics import Metric, f1_per_class, ratio, recall_per_class

LABEL_METRICS: Registry[Metric] = Registry("label_metric")


def label_confusion(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Count the answers to each class.

    Parameters
    ----------
    y_true : (n, C) of 0 and 1.
    y_pred : (n, C) of 0 and 1.

    Returns
    -------
    (C, 2, 2) int64; rows are true (absent, present), columns predicted.

    Raises
    ------
    DataError : other shapes or values.
    """
    groups = np.zeros(len(y_true), dtype=np.int64)
    return grouped_label_confusion(y_true, y_pred, groups, 1, np.shape(y_true)[-1])[0]


def grouped_label_confusion(
    y_true: np.ndarray, y_pred: np.ndarray, groups: np.ndarray, n_groups: int, n_classes: int
) -> np.ndarray:
    """Count the answers to each class, group by group.

    Parameters
    ----------
    y_true : (n, C) of 0 and 1.
    y_pred : (n, C) of 0 and 1.
    groups : (n,) index of each sample's group.
    n_groups : number of groups.
    n_classes : number of the task's classes, C.

    Returns
    -------
    (n_groups, C, 2, 2) int64; rows are true (absent, present), columns predicted.

    Raises
    ------
    DataError : other shapes or values.
    """
    true, predicted = np.asarray(y_true), np.asarray(y_pred)
    if not true.shape == predicted.shape == (len(groups), n_classes):
        raise DataError(
            f"true labels {true.shape}, predicted ones {predicted.shape}; expected both ({len(groups)}, {n_classes})."
        )
    for name, labels in (("true", true), ("predicted", predicted)):
        if not np.isin(labels, (0, 1)).all():
            raise DataError(f"{name} labels {sorted(set(np.unique(labels).tolist()) - {0, 1})}; expected 0 and 1.")
    cells = ((np.asarray(groups)[:, None] * n_classes + np.arange(n_classes)) * 2 + true) * 2 + predicted
    return np.bincount(cells.reshape(-1), minlength=n_groups * n_classes * 4).reshape(n_groups, n_classes, 2, 2)


@LABEL_METRICS.register("uf1")
def mean_f1(counts: np.ndarray) -> np.ndarray:
    """The mean over the classes of the F1 of "present" (CD6ME's binary F1)."""
    return f1_of_presence(counts).mean(axis=-1)


@LABEL_METRICS.register("uar")
def mean_recall(counts: np.ndarray) -> np.ndarray:
    """The mean over the classes of the recall of "present"."""
    return recall_of_presence(counts).mean(axis=-1)


@LABEL_METRICS.register("accuracy")
def label_accuracy(counts: np.ndarray) -> np.ndarray:
    """The share of right answers, over all samples and classes."""
    return ratio(np.trace(counts, axis1=-2, axis2=-1).sum(axis=-1), np.sum(counts, axis=(-3, -2, -1)))


@LABEL_METRICS.register("weighted_f1")
def weighted_label_f1(counts: np.ndarray) -> np.ndarray:
    """The mean over the classes of the F1 of "present", each weighted by its number of samples that show it."""
    support = presences(counts)
    return ratio((f1_of_presence(counts) * support).sum(axis=-1), support.sum(axis=-1))


@LABEL_METRICS.register("micro_f1")
def micro_f1(counts: np.ndarray) -> np.ndarray:
    """The F1 of "present" over the answers to all classes together."""
    return f1_per_class(np.sum(counts, axis=-3))[..., 1]


@LABEL_METRICS.register("macro_f1")
def macro_f1(counts: np.ndarray) -> np.ndarray:
    """The mean over the classes of the mean F1 of "absent" and "present" (CD6ME's macro F1)."""
    return f1_per_class(counts).mean(axis=(-2, -1))


def f1_of_presence(counts: np.ndarray) -> np.ndarray:
    """Return 2 TP / (2 TP + FP + FN) of each class, (..., C)."""
    return f1_per_class(counts)[..., 1]


def recall_of_presence(counts: np.ndarray) -> np.ndarray:
    """Return TP / samples that show the class, (..., C)."""
    return recall_per_class(counts)[..., 1]


def precision_of_presence(counts: np.ndarray) -> np.ndarray:
    """Return TP / samples predicted to show the class, (..., C)."""
    return ratio(np.asarray(counts)[..., 1, 1], np.sum(counts, axis=-2)[..., 1])


def presences(counts: np.ndarray) -> np.ndarray:
    """Return the number of samples that show each class, (..., C)."""
    return np.sum(counts, axis=-1)[..., 1]
