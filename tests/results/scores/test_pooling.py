"""Honesty rules 3 and 4: pooled over all folds, joined by sample id, the task's class list, and nothing half done."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from example_studies import ExampleStudy, example_study

from preprocess.base.errors import HonestyError
from results.scores.pooling import pool, score
from results.store.outcome import Outcome

DATASETS = {"casme2": 3, "samm": 4, "smic": 2}


@pytest.fixture
def study() -> ExampleStudy:
    return example_study(datasets=DATASETS, clips=5)


def reordered(outcome: Outcome, order: np.ndarray) -> Outcome:
    names = {
        name: tuple(getattr(outcome, name)[row] for row in order) for name in ("sample_ids", "subjects", "datasets")
    }
    arrays = {name: getattr(outcome, name)[order] for name in ("y_true", "y_pred", "scores")}
    return dataclasses.replace(outcome, **names, **arrays)


def flat(outcomes: list[Outcome]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    true = np.concatenate([outcome.y_true for outcome in outcomes])
    predicted = np.concatenate([outcome.y_pred for outcome in outcomes])
    return true, predicted, np.concatenate([outcome.datasets for outcome in outcomes])


def test_scores_are_of_the_pooled_predictions_not_means_over_folds(study: ExampleStudy) -> None:
    outcomes = study.outcomes()
    true, predicted, datasets = flat(outcomes)
    scores = score(study.card, outcomes)
    assert list(scores) == ["full", "casme2", "samm", "smic"]
    for name, part in scores.items():
        mine = slice(None) if name == "full" else datasets == name
        options: dict[str, Any] = {"labels": range(3), "zero_division": 0}
        macro_f1 = sklearn.metrics.f1_score(true[mine], predicted[mine], average="macro", **options)
        macro_recall = sklearn.metrics.recall_score(true[mine], predicted[mine], average="macro", **options)
        assert part.metrics["uf1"] == pytest.approx(macro_f1)
        assert part.metrics["uar"] == pytest.approx(macro_recall)
        assert part.n_samples == len(true[mine]) == study.card.n_samples[name]
    per_fold = np.mean([sklearn.metrics.f1_score(o.y_true, o.y_pred, average="macro") for o in outcomes])
    assert abs(scores["full"].metrics["uf1"] - per_fold) > 0.01


def test_the_order_of_folds_and_rows_does_not_matter(study: ExampleStudy) -> None:
    outcomes = study.outcomes()
    expected = pool(study.card, outcomes)
    rng = np.random.default_rng(0)
    for _ in range(20):
        mixed = [reordered(outcome, rng.permutation(len(outcome.sample_ids))) for outcome in outcomes]
        pooled = pool(study.card, [mixed[place] for place in rng.permutation(len(mixed))])
        for field in dataclasses.fields(pooled):
            np.testing.assert_array_equal(getattr(pooled, field.name), getattr(expected, field.name))


def test_predictions_stay_with_their_samples(study: ExampleStudy) -> None:
    outcomes = study.outcomes()
    pooled = pool(study.card, outcomes[::-1])
    told = {
        sample: (true, predicted, scores.tolist(), subject, dataset)
        for o in outcomes
        for sample, true, predicted, scores, subject, dataset in zip(
            *(o.sample_ids, o.y_true, o.y_pred, o.scores, o.subjects, o.datasets), strict=True
        )
    }
    columns = (pooled.y_true, pooled.y_pred, pooled.scores.tolist(), pooled.subjects, pooled.datasets)
    assert dict(zip(pooled.sample_ids, zip(*columns, strict=True), strict=True)) == told


@pytest.mark.parametrize("missing", range(9))
def test_a_study_with_a_missing_fold_has_no_score(study: ExampleStudy, missing: int) -> None:
    outcomes = study.outcomes()
    left = outcomes.pop(missing).fold
    with pytest.raises(HonestyError, match=rf"8/9 folds are done.*Missing: {left}"):
        score(study.card, outcomes)


def test_no_fold_at_all_is_no_score(study: ExampleStudy) -> None:
    with pytest.raises(HonestyError, match="0/9 folds"):
        score(study.card, [])


def test_the_class_list_is_the_tasks_and_an_absent_class_counts_as_zero() -> None:
    study = example_study(labels=(0, 1), clips=6)
    perfect = score(study.card, study.outcomes(hit_rate=1))["full"]
    assert perfect.absent == ("surprise",)
    assert perfect.metrics["uf1"] == pytest.approx(2 / 3)
    assert perfect.metrics["uar"] == pytest.approx(2 / 3)
    assert perfect.f1_per_class == {"negative": 1, "positive": 1, "surprise": 0}
    assert perfect.class_counts == {"negative": 12, "positive": 12, "surprise": 0}


def broken(outcomes: list[Outcome], place: int, **changes: Any) -> list[Outcome]:
    return [dataclasses.replace(o, **changes) if number == place else o for number, o in enumerate(outcomes)]


def test_a_sample_predicted_twice_is_refused(study: ExampleStudy) -> None:
    outcomes = study.outcomes()
    ids = (outcomes[0].sample_ids[0], *outcomes[1].sample_ids[1:])
    with pytest.raises(HonestyError, match="predicted twice, such as casme2/sub00/EP00"):
        score(study.card, broken(outcomes, 1, sample_ids=ids))


def test_a_fold_that_comes_twice_is_refused(study: ExampleStudy) -> None:
    outcomes = study.outcomes()
    with pytest.raises(HonestyError, match=r"fold casme2/sub02 comes twice"):
        score(study.card, [*outcomes, outcomes[2]])


def test_another_studys_fold_is_refused(study: ExampleStudy) -> None:
    other = example_study(datasets=DATASETS, clips=5, seed=1)
    with pytest.raises(HonestyError, match="does not belong to"):
        score(study.card, [*study.outcomes()[:-1], other.outcomes()[-1]])


def test_a_fold_that_lost_predictions_is_refused(study: ExampleStudy) -> None:
    outcomes = study.outcomes()
    outcomes[3] = reordered(outcomes[3], np.arange(4))
    with pytest.raises(HonestyError, match="has 4 predictions of 5 test samples"):
        score(study.card, outcomes)


@pytest.mark.parametrize("column", ["y_true", "y_pred"])
@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_outside_the_class_list_is_refused(study: ExampleStudy, column: str, label: int) -> None:
    outcomes = study.outcomes()
    labels = getattr(outcomes[1], column).copy()
    labels[2] = label
    with pytest.raises(HonestyError, match=rf"of casme2/sub01/EP02 is {label}, expected 0 to 2"):
        score(study.card, broken(outcomes, 1, **{column: labels}))


def test_scores_of_another_number_of_classes_are_refused(study: ExampleStudy) -> None:
    outcomes = study.outcomes()
    with pytest.raises(HonestyError, match="5 samples x 3 classes"):
        score(study.card, broken(outcomes, 0, scores=outcomes[0].scores[:, :2]))


def test_labels_that_contradict_the_card_are_refused(study: ExampleStudy) -> None:
    outcomes = study.outcomes()
    with pytest.raises(HonestyError, match="card tells"):
        score(study.card, broken(outcomes, 0, y_true=(outcomes[0].y_true + 1) % 3))
    with pytest.raises(HonestyError, match="card tells"):
        score(study.card, broken(outcomes, 0, subjects=("samm/sub00",) * 5))


def test_a_part_without_predictions_is_refused(study: ExampleStudy) -> None:
    with pytest.raises(HonestyError, match=r"belongs to 'mmew'.*casme2"):
        pool(study.card, study.outcomes()).part("mmew")


def test_matrices_by_subject_add_up(study: ExampleStudy) -> None:
    pooled = pool(study.card, study.outcomes())
    names, matrices = pooled.counts_by_subject()
    assert names == sorted(set(pooled.subjects))
    np.testing.assert_array_equal(matrices.sum(axis=0), [pooled.counts()])
    assert matrices.sum(axis=(1, 2, 3)).tolist() == [5] * 9
