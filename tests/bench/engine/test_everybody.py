"""A model that was trained on everybody says the same of a sample, whatever other samples it is shown beside it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from small_runs import assert_equal_weights, folds_of, multi_label, relabelled, resolved, study_data, trained

from bench.engine.everybody import Trained, score_new, train_on_everybody
from bench.engine.train import score_again
from bench.study.data import StudyData
from bench.study.folds import Fold
from mer_models.registry import MODELS

RANGES = ("raw", "standard")


def fitted(model: str, data: StudyData, seed: int = 0, **changes: Any) -> tuple[dict[str, Any], Trained]:
    values = resolved(model, **changes)
    return values, train_on_everybody(MODELS.get(model), values, data, seed)


def rows_of(data: StudyData, rows: np.ndarray) -> StudyData:
    features = {name: np.asarray(values[rows]) for name, values in data.features.items()}
    names = ("sample_ids", "subjects", "datasets", "splits", "labels")
    return dataclasses.replace(data, features=features, **{name: getattr(data, name)[rows] for name in names})


@pytest.mark.parametrize("input_range", RANGES)
def test_a_sample_is_scored_alike_alone_and_beside_others(tiny: str, input_range: str) -> None:
    """Nothing of the new samples enters the scaling: that is the training samples'."""
    data = study_data()
    values, model = fitted(tiny, data, epochs=2, input_range=input_range)
    assert bool(model.statistics) == (input_range == "standard")
    together = score_new(MODELS.get(tiny), values, data, model)
    alone = score_new(MODELS.get(tiny), values, rows_of(data, np.array([3, 7])), model)
    np.testing.assert_allclose(alone, together[[3, 7]], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("input_range", RANGES)
def test_it_is_the_network_that_a_run_scores(tiny: str, input_range: str) -> None:
    """Of one training, a fold that tests what it trains on and the stored model give the same bits."""
    data = study_data()
    values, model = fitted(tiny, data, epochs=2, input_range=input_range)
    everyone = np.arange(len(data))
    fold = Fold("everybody", everyone, everyone[:0], everyone, 5)
    again = score_again(MODELS.get(tiny), values, data, fold, model.weights)
    assert again.tobytes() == score_new(MODELS.get(tiny), values, data, model).tobytes()


@pytest.mark.parametrize("model", ["majority", "flow_svm"])
def test_an_estimator_is_stored_and_scores_again(model: str) -> None:
    data = study_data()
    values, trained_model = fitted(model, data)
    scores = score_new(MODELS.get(model), values, data, trained_model)
    assert scores.shape == (len(data), 3)
    if model == "flow_svm":
        assert (scores.argmax(axis=1) == data.labels).mean() > 0.9


def test_equal_seeds_give_equal_weights_and_everybody_counts(tiny: str) -> None:
    data = study_data()
    _, first = fitted(tiny, data, epochs=2)
    _, again = fitted(tiny, data, epochs=2)
    assert_equal_weights(first.weights, again.weights)
    for rows in (np.arange(6), np.arange(len(data) - 6, len(data))):
        _, other = fitted(tiny, relabelled(data, rows), epochs=2)
        assert any(other.weights[name].tobytes() != first.weights[name].tobytes() for name in first.weights)


def test_labels_of_new_samples_are_not_looked_at(tiny: str) -> None:
    data = study_data()
    values, model = fitted(tiny, data, epochs=1)
    turned = relabelled(data, np.arange(len(data)))
    info = MODELS.get(tiny)
    assert score_new(info, values, turned, model).tobytes() == score_new(info, values, data, model).tobytes()


def test_a_multi_label_task_is_trained(tiny: str) -> None:
    data = multi_label(study_data())
    values, model = fitted(tiny, data, epochs=1)
    assert score_new(MODELS.get(tiny), values, data, model).shape == data.labels.shape


def test_a_run_is_what_it_was_before_statistics_could_be_given(tiny: str) -> None:
    """The scaling of a fold is still fitted on its own training rows."""
    data = study_data()
    (fold, *_) = folds_of(data, tiny)
    result = trained(tiny, data, [fold], epochs=2, input_range="standard")[fold.name, "last"]
    again = score_again(MODELS.get(tiny), resolved(tiny, epochs=2, input_range="standard"), data, fold, result.weights)
    assert again.tobytes() == result.scores.tobytes()
