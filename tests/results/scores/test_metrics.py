"""Metrics against a published log, against scikit-learn, and on the edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
from registered import every, passes

from bench.checks.check import Check
from preprocess.base.errors import DataError
from results.scores.metrics import (
    METRICS,
    confusion,
    f1_per_class,
    grouped_confusion,
    precision_per_class,
    recall_per_class,
    uar,
    uf1,
)

# Pooled confusion matrices of STSTNet's published log (repository christy1206/STSTNet, STSTNet_logfile.txt: 442 clips
# of MEGC2019; rows: true negative, positive, surprise), and the scores that follow from them.
STSTNET_LOG = {
    "casme2": ([[83, 5, 0], [12, 19, 1], [2, 0, 23]], {"uf1": 0.8382, "uar": 0.8190, "accuracy": 0.8621}),
    "samm": ([[82, 7, 3], [11, 13, 2], [5, 2, 8]], {"uf1": 0.6588, "uar": 0.6415, "accuracy": 0.7744}),
    "smic": ([[54, 10, 6], [17, 30, 4], [14, 1, 28]], {"uf1": 0.6801, "uar": 0.6703, "accuracy": 0.6829}),
    "full": ([[219, 22, 9], [40, 62, 7], [21, 3, 59]], {"uf1": 0.7353, "uar": 0.7186, "accuracy": 0.7692}),
}
# What the paper prints as UAR: macro precision, from swapped arguments.
PUBLISHED_AS_UAR = {"casme2": 0.8686, "samm": 0.6810, "smic": 0.7013, "full": 0.7605}

SKLEARN = {
    "uf1": lambda true, predicted, labels: sklearn.metrics.f1_score(
        true, predicted, labels=labels, average="macro", zero_division=0
    ),
    "uar": lambda true, predicted, labels: sklearn.metrics.recall_score(
        true, predicted, labels=labels, average="macro", zero_division=0
    ),
    "accuracy": lambda true, predicted, labels: sklearn.metrics.accuracy_score(true, predicted),
    "weighted_f1": lambda true, predicted, labels: sklearn.metrics.f1_score(
        true, predicted, labels=labels, average="weighted", zero_division=0
    ),
}


@pytest.mark.parametrize("part", STSTNET_LOG)
def test_the_published_log_gives_its_scores(part: str) -> None:
    matrix, scores = STSTNET_LOG[part]
    for name, expected in scores.items():
        assert float(METRICS.get(name)(np.array(matrix))) == pytest.approx(expected, abs=5e-5), name


@pytest.mark.parametrize("part", STSTNET_LOG)
def test_uar_is_recall_not_the_precision_that_was_published(part: str) -> None:
    matrix = np.array(STSTNET_LOG[part][0])
    assert float(precision_per_class(matrix).mean()) == pytest.approx(PUBLISHED_AS_UAR[part], abs=5e-5)
    assert abs(float(uar(matrix)) - PUBLISHED_AS_UAR[part]) > 0.03
    assert float(uar(matrix.T)) == pytest.approx(PUBLISHED_AS_UAR[part], abs=5e-5)


def test_the_parts_of_the_log_add_up() -> None:
    parts = [np.array(STSTNET_LOG[name][0]) for name in ("casme2", "samm", "smic")]
    np.testing.assert_array_equal(sum(parts), STSTNET_LOG["full"][0])


def test_the_log_has_the_classes_of_the_real_set(megc2019_flow: Path) -> None:
    shapes = {"casme2": "sub", "smic": "s", "samm": ""}
    counts = {name: [0, 0, 0] for name in shapes}
    for image in megc2019_flow.glob("*/*/u_test/*/*.png"):
        subject = image.parents[2].name
        name = next(name for name, start in shapes.items() if subject.rstrip("0123456789") == start)
        counts[name][int(image.parent.name)] += 1
    assert counts == {name: np.sum(STSTNET_LOG[name][0], axis=1).tolist() for name in shapes}


def random_labels(seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    rng = np.random.default_rng(seed)
    n_classes, n = int(rng.integers(2, 8)), int(rng.integers(1, 60))
    # Small sets often lack a class, in truth, in prediction, or in both.
    return rng.integers(0, n_classes, n), rng.integers(0, n_classes, n), n_classes


@pytest.mark.slow
@pytest.mark.parametrize("check", [*every("metric"), *every("label_metric")])
def test_every_metric_passes_its_checks(check: Check) -> None:
    passes(check)


@pytest.mark.slow
@pytest.mark.parametrize("name", SKLEARN)
def test_metrics_equal_scikit_learns(name: str) -> None:
    for seed in range(200):
        true, predicted, n_classes = random_labels(seed)
        ours = float(METRICS.get(name)(confusion(true, predicted, n_classes)))
        assert ours == pytest.approx(SKLEARN[name](true, predicted, range(n_classes)), abs=1e-12), seed


def test_values_per_class_equal_scikit_learns() -> None:
    for seed in range(50):
        true, predicted, n_classes = random_labels(seed)
        matrix = confusion(true, predicted, n_classes)
        precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(
            true, predicted, labels=range(n_classes), zero_division=0
        )
        np.testing.assert_allclose(precision_per_class(matrix), precision)
        np.testing.assert_allclose(recall_per_class(matrix), recall)
        np.testing.assert_allclose(f1_per_class(matrix), f1)
        np.testing.assert_array_equal(matrix.sum(axis=1), support)


def test_an_absent_class_counts_as_zero() -> None:
    matrix = confusion(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), 3)
    assert float(uf1(matrix)) == pytest.approx(2 / 3)
    assert float(uar(matrix)) == pytest.approx(2 / 3)


def test_confusion_equals_scikit_learns_and_is_true_by_predicted() -> None:
    true, predicted = np.array([0, 0, 2, 1]), np.array([1, 0, 2, 1])
    assert confusion(true, predicted, 3).tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    for seed in range(50):
        true, predicted, n_classes = random_labels(seed)
        expected = sklearn.metrics.confusion_matrix(true, predicted, labels=range(n_classes))
        np.testing.assert_array_equal(confusion(true, predicted, n_classes), expected)


def test_groups_split_the_matrix() -> None:
    true, predicted, n_classes = random_labels(3)
    groups = np.random.default_rng(1).integers(0, 5, len(true))
    matrices = grouped_confusion(true, predicted, groups, 6, n_classes)
    for group in range(6):
        mine = groups == group
        np.testing.assert_array_equal(matrices[group], confusion(true[mine], predicted[mine], n_classes))


@pytest.mark.parametrize(
    ("true", "predicted", "words"),
    [
        ([0, 3], [0, 1], r"true labels \[3\].*expected 0 to 2"),
        ([0, 1], [-1, 5], r"predicted labels \[-1, 5\]"),
        ([0, 1], [0], "2 true labels, 1 predicted"),
    ],
)
def test_labels_that_cannot_be(true: list[int], predicted: list[int], words: str) -> None:
    with pytest.raises(DataError, match=words):
        confusion(np.array(true), np.array(predicted), 3)
