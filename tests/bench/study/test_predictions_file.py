"""A file of predictions, read as it was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_runs import folds_of, hand_fold, multi_label, study_data

from bench.study.predictions import check_samples, unshown
from bench.study.predictions_file import Predictions, read_predictions, read_table
from preprocess.base.errors import DataError
from results.scores.pooling import Pooled
from results.store.outcome import Outcome
from results.views.predictions import predictions_csv, predictions_parquet


@pytest.fixture
def given(tmp_path: Path) -> Predictions:
    """Return the predictions of a multi-label study, written and read."""
    data = multi_label(study_data())
    rng = np.random.default_rng(0)
    scores = rng.normal(size=data.labels.shape).astype(np.float32)
    names = [tuple(column.tolist()) for column in (data.sample_ids, data.subjects, data.datasets)]
    y_pred = 1 - data.labels
    outcomes = [
        Outcome("", "", fold.name, tuple(data.sample_ids[fold.test]), (), (), y_pred, y_pred, scores, 0, {}, {})
        for fold in folds_of(data)
    ]
    file = tmp_path / "predictions"
    pooled = Pooled(data.classes, *names, data.labels, y_pred, scores)
    forms = [predictions_csv(pooled, outcomes), predictions_parquet(pooled, outcomes)]
    read = []
    for content in forms:
        file.write_bytes(content)
        read.append(read_predictions(read_table(file, data.classes, True), data.classes, True))
    assert all(np.array_equal(one.scores, scores) and np.array_equal(one.y_pred, y_pred) for one in read)
    return read[0]


def test_several_classes_a_sample_come_back_to_the_bit(given: Predictions) -> None:
    data = multi_label(study_data())
    folds, rows = folds_of(data), range(len(data))
    check_samples(given, rows, data, folds, "loso")
    assert unshown(given, rows, data, folds) == ""
    data.labels[3, 1] = 1 - data.labels[3, 1]
    with pytest.raises(DataError, match=r"row 5: true_positive of one/p00/c03"):
        check_samples(given, rows, data, folds, "loso")


def test_a_sample_that_the_protocol_only_trains_on_is_named(given: Predictions) -> None:
    data = multi_label(study_data())
    fold = hand_fold(data, list(range(6, 24)), [], list(range(6)))
    with pytest.raises(DataError, match=r"row 8: sample_id 'one/p01/c00' is not tested under official"):
        check_samples(given, range(len(data)), data, [fold], "official")
