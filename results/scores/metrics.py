"""Metrics of single-label tasks on confusion matrices, pooled over folds first.

A confusion matrix has shape (..., C, C), integer or float counts: rows are true classes, columns predicted ones. Every
metric works on all leading axes at once, so that a bootstrap calls the same function as a score. The class list is the
task's: a class without samples, or never hit, counts as 0 and is never left out of a mean.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from preprocess.base.errors import DataError
from preprocess.base.registry import Registry

Metric = Callable[[np.ndarray], np.ndarray]

METRICS: Registry[Metric] = Registry("metric")


def confusion(y_true: np.ndarray, y_pred: np.ndarray, n_classes: int) -> np.ndarray:
    """Count predictions in a confusion matrix.

    Parameters
    ----------
    y_true : (n,) class indices.
    y_pred : (n,) class indices.
    n_classes : number of the task's classes.

    Returns
    -------
    (n_classes, n_classes) int64; rows are true classes, columns predicted ones.

    Raises
    ------
    DataError : a label outside 0..n_classes-1, or arrays of different lengths.
    """
    return grouped_confusion(y_true, y_pred, np.zeros(len(y_true), dtype=np.int64), 1, n_classes)[0]


def grouped_confusion(
    y_true: np.ndarray, y_pred: np.ndarray, groups: np.ndarray, n_groups: int, n_classes: int
) -> np.ndarray:
    """Count predictions in one confusion matrix a group.

    Parameters
    ----------
    y_true : (n,) class indices.
    y_pred : (n,) class indices.
    groups : (n,) index of each sample's group.
    n_groups : number of groups.
    n_classes : number of the task's classes.

    Returns
    -------
    (n_groups, n_classes, n_classes) int64; rows are true classes, columns predicted ones.

    Raises
    ------
    DataError : a label outside 0..n_classes-1, or arrays of different lengths.
    """
    true, predicted = np.asarray(y_true), np.asarray(y_pred)
    if not true.shape == predicted.shape == np.shape(groups):
        raise DataError(
            f"{true.size} true labels, {predicted.size} predicted ones, {np.size(groups)} groups: not equal."
        )
    for name, labels in (("true", true), ("predicted", predicted)):
        wrong = sorted({int(label) for label in labels[(labels < 0) | (labels >= n_classes)]})
        if wrong:
            raise DataError(f"{name} labels {wrong} are no classes of this task; expected 0 to {n_classes - 1}.")
    cells = (np.asarray(groups) * n_classes + true) * n_classes + predicted
    return np.bincount(cells, minlength=n_groups * n_classes**2).reshape(n_groups, n_classes, n_classes)


def decide(scores: np.ndarray, multilabel: bool = False) -> np.ndarray:
    """Return the predictions that scores stand for.

    Parameters
    ----------
    scores : (n, n_classes) logits or decision values.
    multilabel : whether a sample may show any number of the classes.

    Returns
    -------
    (n,) int64 class indices, the first of equally high scores. Of a multi-label task (n, n_classes) int64, 1 where the
    score is above 0: there the sigmoid of a logit is above one half.
    """
    return (scores > 0).astype(np.int64) if multilabel else scores.argmax(axis=1).astype(np.int64)


@METRICS.register("uf1")
def uf1(matrix: np.ndarray) -> np.ndarray:
    """Unweighted F1: the mean of the classes' F1 (MEGC2019)."""
    return f1_per_class(matrix).mean(axis=-1)


@METRICS.register("uar")
def uar(matrix: np.ndarray) -> np.ndarray:
    """Unweighted average recall: the mean of the classes' recall (MEGC2019)."""
    return recall_per_class(matrix).mean(axis=-1)


@METRICS.register("accuracy")
def accuracy(matrix: np.ndarray) -> np.ndarray:
    """The share of samples that are predicted right; equals WAR, the recall weighted by class size (MEGC2018)."""
    return ratio(_hits(matrix).sum(axis=-1), np.sum(matrix, axis=(-2, -1)))


@METRICS.register("weighted_f1")
def weighted_f1(matrix: np.ndarray) -> np.ndarray:
    """The mean of the classes' F1, each weighted by its number of true samples."""
    support = np.sum(matrix, axis=-1)
    return ratio((f1_per_class(matrix) * support).sum(axis=-1), support.sum(axis=-1))


def f1_per_class(matrix: np.ndarray) -> np.ndarray:
    """Return 2 TP / (2 TP + FP + FN) of each class, (..., C)."""
    return ratio(2 * _hits(matrix), np.sum(matrix, axis=-1) + np.sum(matrix, axis=-2))


def recall_per_class(matrix: np.ndarray) -> np.ndarray:
    """Return TP / true samples of each class, (..., C)."""
    return ratio(_hits(matrix), np.sum(matrix, axis=-1))


def precision_per_class(matrix: np.ndarray) -> np.ndarray:
    """Return TP / predictions of each class, (..., C)."""
    return ratio(_hits(matrix), np.sum(matrix, axis=-2))


def _hits(matrix: np.ndarray) -> np.ndarray:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return above / below in float64, and 0 where below is 0."""
    return np.divide(above, below, out=np.zeros(np.shape(above)), where=np.asarray(below) != 0)
