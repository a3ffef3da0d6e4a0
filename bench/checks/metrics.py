"""What scores, intervals and ranks rely on of a metric, of single-label and of multi-label tasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.checks.check import expect
from preprocess.base.docs import first_line
from results.scores.bootstrap import subject_bootstrap
from results.scores.counting import Counting
from results.scores.metrics import Metric

DRAWS = 50
SAMPLES = 40
CLASSES = 3


@dataclass(frozen=True)
class MetricCase:
    """A metric, and how the tasks that it is for are counted.

    Attributes
    ----------
    metric : what is checked.
    counting : of single-label or of multi-label tasks.
    multilabel : which of them.
    """

    metric: Metric
    counting: Counting
    multilabel: bool

    def score(self, truth: np.ndarray, predicted: np.ndarray) -> float:
        """Return the metric of some predictions."""
        groups = np.zeros(len(truth), dtype=np.int64)
        return float(self.metric(self.counting.count(truth, predicted, groups, 1, CLASSES)[0]))

    def drawn(self, seed: int, absent: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return labels, and predictions drawn without looking at them.

        Parameters
        ----------
        seed : of what is drawn.
        absent : a class that nobody shows; None for no such class.
        """
        rng = np.random.default_rng(seed)
        if self.multilabel:
            truth, predicted = rng.integers(0, 2, (2, SAMPLES, CLASSES))
            if absent is not None:
                truth[:, absent] = 0
            return truth, predicted
        truth, predicted = rng.integers(0, CLASSES, (2, SAMPLES))
        if absent is not None:
            truth[truth == absent] = (absent + 1) % CLASSES
        return truth, predicted


def check_one_number(case: MetricCase) -> None:
    """It gives one finite number."""
    for seed in range(DRAWS):
        value = np.asarray(case.metric(_counts(case, seed)))
        expect(
            value.shape == () and np.isfinite(value),
            f"Of one confusion matrix it gives {value!r}; expected one number.",
        )


def check_best(case: MetricCase) -> None:
    """Scores lie within -1..1, and perfect predictions have the highest."""
    for seed in range(DRAWS):
        truth, predicted = case.drawn(seed)
        best, score = case.score(truth, truth), case.score(truth, predicted)
        for value in (best, score):
            expect(-1 <= value <= 1, f"Random predictions, or perfect ones, score {value:.6g}; expected within -1..1.")
        expect(score < best, f"Random predictions score {score:.6g}, perfect ones {best:.6g}. Higher must be better.")


def check_order(case: MetricCase) -> None:
    """The order of the samples does not count."""
    for seed in range(DRAWS):
        truth, predicted = case.drawn(seed)
        order = np.random.default_rng(seed).permutation(SAMPLES)
        first, other = case.score(truth, predicted), case.score(truth[order], predicted[order])
        expect(first == other, f"The same samples in another order score {other:.6g} instead of {first:.6g}.")


def check_absent_class(case: MetricCase) -> None:
    """Where nobody shows a class, the score is finite; without any samples it is 0. Nothing warns."""
    for absent in range(CLASSES):
        truth, predicted = case.drawn(absent, absent)
        with np.errstate(all="raise"):
            score = case.score(truth, predicted)
        expect(
            np.isfinite(score),
            f"Where nobody shows a class, it gives {score}. Divide with results.scores.metrics.ratio.",
        )
    with np.errstate(all="raise"):
        empty = float(case.metric(np.zeros_like(_counts(case, 0))))
    expect(empty == 0, f"Of no samples at all it gives {empty}; expected 0. Divide with results.scores.metrics.ratio.")


def check_leading_axes(case: MetricCase) -> None:
    """It scores many confusion matrices at once, as the bootstrap asks for."""
    counts = np.stack([np.stack([_counts(case, 10 * i + j) for j in range(4)]) for i in range(3)])
    together = np.asarray(case.metric(counts))
    expect(
        together.shape == (3, 4),
        f"Of counts {counts.shape}, (3, 4) matrices, it gives {together.shape}; expected (3, 4). Work on the last axes "
        "only, with axis=-1.",
    )
    alone = [[float(case.metric(counts[i, j])) for j in range(4)] for i in range(3)]
    expect(np.allclose(together, alone, rtol=1e-12, atol=0), "Matrices score differently together and alone.")


def check_interval(case: MetricCase) -> None:
    """Its interval, from resampled people, lies within -1..1."""
    people = np.stack([_counts(case, seed) for seed in range(6)])[None, :, None]
    low, high = subject_bootstrap(people, case.metric, 200, np.random.default_rng(0))
    expect(-1 <= low <= high <= 1, f"Its interval over six people is {low:.6g} to {high:.6g}; expected within -1..1.")


def check_shares(case: MetricCase) -> None:
    """Counts may be whole numbers or floats."""
    for seed in range(DRAWS):
        counts = _counts(case, seed)
        score, floats = (float(case.metric(one)) for one in (counts, counts.astype(np.float64)))
        expect(np.isclose(score, floats, rtol=1e-12), f"Counts as floats score {floats:.6g} instead of {score:.6g}.")


def check_input_unchanged(case: MetricCase) -> None:
    """It leaves the confusion matrix as it was."""
    counts = _counts(case, 0)
    before = counts.copy()
    case.metric(counts)
    expect(np.array_equal(counts, before), "It changes the confusion matrix that it is given. Work on a copy.")


def check_documented(case: MetricCase) -> None:
    """Its docstring says in one sentence what it is."""
    expect(first_line(case.metric), "It has no docstring. `merbench list metrics` shows the first line.")
    expect(first_line(case.metric).endswith((".", ")")), "The first line of its docstring is no sentence.")


def _counts(case: MetricCase, seed: int) -> np.ndarray:
    truth, predicted = case.drawn(seed)
    return case.counting.count(truth, predicted, np.zeros(SAMPLES, dtype=np.int64), 1, CLASSES)[0]
