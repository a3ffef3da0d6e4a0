"""What the harness relies on of a classical estimator: shapes, the same bits again, and that it can learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from safetensors.numpy import load, save

from bench.checks.check import NotTried, expect
from bench.checks.drawn_features import easy_samples
from mer_models.registry import ModelInfo
from preprocess.base.errors import DataError

CLASSES = 3
TRAINED, TESTED = 30, 12
HARD = 90.0
"""Noise with which not all samples are told apart."""


class EstimatorCase:
    """An estimator with its default settings, and features drawn for it."""

    def __init__(self, info: ModelInfo) -> None:
        self.info = info

    def build(self, n_classes: int = CLASSES) -> Any:
        """Return an estimator that is not fitted."""
        return self.info.build(n_classes=n_classes, **self.info.params)

    def samples(self, n: int, noise: float = 20.0, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
        """Return features of n samples, all classes in turn, and their classes."""
        labels = np.arange(n, dtype=np.int64) % CLASSES
        return easy_samples(self.info, labels, CLASSES, np.random.default_rng(seed), noise), labels

    def fitted(self, features: list[np.ndarray], y: np.ndarray, n_classes: int = CLASSES) -> Any:
        """Return an estimator that was fitted on these samples."""
        estimator = self.build(n_classes)
        estimator.fit(*features, y=y, rng=np.random.default_rng(0))
        return estimator


def check_scores(case: EstimatorCase) -> None:
    """Scores are finite float32 (n, n_classes) for one sample and for several."""
    estimator = case.fitted(*case.samples(TRAINED))
    for n in (1, 7):
        _check_scores(estimator.scores(*case.samples(n, seed=1)[0]), 1 if _is_blind(case) else n, CLASSES)


def check_learns(case: EstimatorCase) -> None:
    """It tells easy samples apart that it was not fitted on."""
    if _is_blind(case):
        raise NotTried("it takes no feature: all samples have the same scores")
    test, y = case.samples(TRAINED, seed=1)
    right = (case.fitted(*case.samples(TRAINED)).scores(*test).argmax(axis=1) == y).sum()
    expect(right == len(y), f"It tells {right} of {len(y)} easy samples right; expected all.")


def check_repeats(case: EstimatorCase) -> None:
    """A second fit with the same rng gives the same bits."""
    test = case.samples(9, seed=1)[0]
    # Drawing from numpy's own generator moves it on, so that a second fit would draw something else.
    first, again = (case.fitted(*case.samples(TRAINED, HARD)).scores(*test) for _ in range(2))
    expect(np.array_equal(first, again), "A second fit scores differently. Draw from the rng that fit is given, only.")


def check_refit(case: EstimatorCase) -> None:
    """Fitted again, it forgets the first fit."""
    test = case.samples(9, seed=1)[0]
    estimator = case.fitted(*case.samples(TRAINED, HARD))
    features, y = case.samples(24, HARD, seed=5)
    estimator.fit(*features, y=y, rng=np.random.default_rng(0))
    same = np.array_equal(estimator.scores(*test), case.fitted(features, y).scores(*test))
    expect(same, "Fitted a second time, it scores unlike a new one. Start from nothing in fit.")


def check_state(case: EstimatorCase) -> None:
    """Its state can be stored and loaded, also where classes were missing: the same scores to the bit."""
    features, y = case.samples(TRAINED, HARD)
    test = case.samples(TESTED, HARD, seed=1)[0]
    for classes in ((0, 1, 2), (0, 2), (1,)):
        kept = np.isin(y, classes)
        _check_round_trip(case, case.fitted([x[kept] for x in features], y[kept]), test, CLASSES)


def check_foreign_state(case: EstimatorCase) -> None:
    """A state of something else is refused with a DataError that names the model."""
    try:
        case.build().load_state({"other": np.zeros(3)})
    except DataError as error:
        expect(case.info.name in str(error), f"It refuses a foreign state without its name: {error}")
    else:
        expect(False, "load_state takes arrays of other names. Raise DataError (mer_models/_parts/checks.py helps).")


def check_absent_class(case: EstimatorCase) -> None:
    """A class without training samples is never predicted."""
    features, y = case.samples(TRAINED)
    for classes in ((0, 2), (1,)):
        kept = np.isin(y, classes)
        scores = case.fitted([x[kept] for x in features], y[kept]).scores(*case.samples(TRAINED, seed=1)[0])
        _check_scores(scores, 1 if _is_blind(case) else TRAINED, CLASSES)
        wrong = set(scores.argmax(axis=1).tolist()) - set(classes)
        expect(not wrong, f"Fitted on classes {classes}, it predicts {sorted(wrong)}.")


def check_multilabel(case: EstimatorCase) -> None:
    """Where samples may show several classes, those with scores above 0 are predicted, and rightly."""
    if not case.info.multilabel:
        raise NotTried("it is for one class a sample")
    features, y = case.samples(TRAINED)
    test, truth = case.samples(TESTED, seed=1)
    estimator = case.fitted(features, _shown(y), n_classes=4)
    scores = estimator.scores(*test)
    _check_scores(scores, 1 if _is_blind(case) else TESTED, 4)
    # The last two are shown by nobody and by everybody: that must be known even without looking at a feature.
    known = slice(2, None) if _is_blind(case) else slice(None)
    right = bool(((scores > 0)[:, known] == (_shown(truth)[:, known] == 1)).all())
    expect(right, "Of four labels that are easy to tell, some are wrong. A score above 0 says that the label is shown.")
    _check_round_trip(case, estimator, test, 4)


def check_neighbours(case: EstimatorCase) -> None:
    """A sample does not see the others that are scored with it."""
    if _is_blind(case):
        raise NotTried("it takes no feature: all samples have the same scores")
    estimator = case.fitted(*case.samples(TRAINED, HARD))
    test = case.samples(9, HARD, seed=1)[0]
    alone = np.concatenate([estimator.scores(*(x[row : row + 1] for x in test)) for row in range(9)])
    same = np.array_equal(estimator.scores(*test), alone)
    expect(same, "A sample has other scores alone. Fit means and the like in fit, never in scores.")


def check_input_unchanged(case: EstimatorCase) -> None:
    """It leaves features and labels as they were."""
    features, y = case.samples(TESTED)
    for values in (*features, y):
        values.setflags(write=False)
    case.fitted(features, y).scores(*features)


def _shown(classes: np.ndarray) -> np.ndarray:
    """Return four labels a sample: two shown by classes, one by nobody, one by everybody."""
    nobody = np.zeros(len(classes), dtype=np.int64)
    return np.stack([classes == 0, classes != 1, nobody, nobody + 1], axis=1).astype(np.int64)


def _is_blind(case: EstimatorCase) -> bool:
    """Return whether the model takes no feature: it then has one row of scores for every sample."""
    return not case.info.features


def _check_scores(scores: np.ndarray, n: int, n_classes: int) -> None:
    right = scores.shape == (n, n_classes) and scores.dtype == np.float32
    expect(right, f"scores gives {scores.shape} {scores.dtype} of {n} sample(s); expected ({n}, {n_classes}) float32.")
    expect(np.isfinite(scores).all(), "Some scores are not finite.")


def _check_round_trip(case: EstimatorCase, estimator: Any, test: list[np.ndarray], n_classes: int) -> None:
    loaded = case.build(n_classes)
    loaded.load_state(load(save(estimator.state())))
    same = loaded.scores(*test).tobytes() == estimator.scores(*test).tobytes()
    expect(same, "With its stored state loaded, it scores differently. state() must hold all that scores needs.")
