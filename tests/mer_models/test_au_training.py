"""Systems that learn action units, trained by the engine: from the training samples alone, and to the bit again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bench.checks.drawn_features import random_samples
from bench.engine.train import FoldJob, FoldResult, score_again, train_pack
from bench.study.data import StudyData
from bench.study.folds import Fold
from mer_models.registry import MODELS
from preprocess.labels.action_units import SHARED_UNITS
from preprocess.recipes import FEATURES

LEARN_UNITS = [name for name, info in MODELS.items() if info.uses_action_units]
FOLD = Fold("s0", train=np.arange(2, 6), validation=np.arange(0), test=np.arange(2), seed=7)


def study(name: str, seed: int = 0) -> StudyData:
    info, rng = MODELS.get(name), np.random.default_rng(seed)
    n = 6
    return StudyData(
        sample_ids=np.array([f"casme2/s{row}/a" for row in range(n)]),
        subjects=np.array([f"casme2/s{row // 2}" for row in range(n)]),
        datasets=np.array(["casme2"] * n),
        splits=np.array([""] * n),
        labels=np.arange(n) % 3,
        features=dict(zip(info.features, random_samples(info, n, np.random.default_rng(0)), strict=True)),
        layouts={name: FEATURES.get(name).layout for name in info.features},
        classes=("negative", "positive", "surprise"),
        action_units=rng.integers(0, 2, (n, len(SHARED_UNITS))).astype(np.int8),
    )


def trained(name: str, data: StudyData) -> FoldResult:
    info = MODELS.get(name)
    results: list[FoldResult] = []
    errors: list[BaseException] = []
    settings = info.hyperparameters() | info.quick_params | {"epochs": 2, "batch_size": 2}
    job = FoldJob(FOLD, ("last",))
    list(
        train_pack(
            info, settings, data, [job], lambda *given: results.append(given[-1]), lambda *e: errors.append(e[-1])
        )
    )
    assert not errors
    np.testing.assert_array_equal(score_again(info, settings, data, FOLD, results[0].weights), results[0].scores)
    return results[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARN_UNITS)
def test_action_units_are_learned_from_the_training_samples_alone(name: str) -> None:
    data = study(name)
    first = trained(name, data)
    assert data.action_units is not None
    for rows, same in ((FOLD.test, True), (FOLD.train, False)):
        units = data.action_units.copy()
        units[rows] = 1 - units[rows]
        other = trained(name, dataclasses.replace(data, action_units=units))
        assert all(np.array_equal(first.weights[key], other.weights[key]) for key in first.weights) is same
        assert np.array_equal(first.scores, other.scores) is same
    unknown = trained(name, dataclasses.replace(data, action_units=np.full_like(data.action_units, -1)))
    assert np.isfinite(unknown.scores).all()
