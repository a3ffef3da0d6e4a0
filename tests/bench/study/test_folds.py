"""Folds: the subject check, the seed, and the inner validation split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_runs import folds_of, hand_fold, study_data

from bench.study.folds import VALIDATION_SHARE, fold_seed, split_validation
from preprocess.base.errors import DataError, HonestyError

DATA = study_data(subjects=4, clips=3)  # rows 0-2 are p00, 3-5 p01, 6-8 p02, 9-11 p03


@pytest.mark.parametrize(
    ("train", "validation", "test", "roles"),
    [
        ([3, 4, 5, 6, 7, 8], [9, 10, 11], [0, 1, 2, 8], ("train", "test")),
        ([6, 7, 8], [2, 3, 4, 5], [0, 1], ("validation", "test")),
        ([3, 4, 6, 7, 8], [5], [0, 1, 2], ("train", "validation")),
    ],
)
def test_a_subject_in_two_roles_is_named(
    train: list[int], validation: list[int], test: list[int], roles: tuple[str, str]
) -> None:
    with pytest.raises(HonestyError) as caught:
        hand_fold(DATA, train, validation, test, name="leaky").check(DATA.subjects)
    shared = set(DATA.subjects[train if roles[0] == "train" else validation].tolist())
    shared &= set(DATA.subjects[test if roles[1] == "test" else validation].tolist())
    message = str(caught.value)
    assert "'leaky'" in message
    assert repr(shared.pop()) in message
    assert f"is in {roles[0]} and in {roles[1]}" in message


def test_how_many_more_subjects_leak_is_told() -> None:
    with pytest.raises(HonestyError, match=r"'one/p00' is in train and in test \(and 1 more\)"):
        hand_fold(DATA, [0, 3, 6], [], [1, 4]).check(DATA.subjects)


@pytest.mark.parametrize(("train", "test"), [([], [0, 1, 2]), ([3, 4, 5], [])])
def test_a_fold_with_nothing_to_train_or_test_on_is_refused(train: list[int], test: list[int]) -> None:
    with pytest.raises(HonestyError, match=f"{len(train)} training and {len(test)} test samples"):
        hand_fold(DATA, train, [], test).check(DATA.subjects)


def test_honest_folds_pass() -> None:
    for validate in (False, True):
        for fold in folds_of(DATA, validate=validate):
            fold.check(DATA.subjects)


def test_a_folds_seed_depends_on_seed_model_and_held_out_samples_only() -> None:
    seed = fold_seed(0, "ststnet", ["a/1", "a/2"])
    assert seed == fold_seed(0, "ststnet", ["a/2", "a/1"])
    assert 0 <= seed < 2**63
    others = {fold_seed(1, "ststnet", ["a/1", "a/2"]), fold_seed(0, "rcn_a", ["a/1", "a/2"])}
    others.add(fold_seed(0, "ststnet", ["a/1"]))
    assert len(others | {seed}) == 4


def test_the_seed_of_a_fold_does_not_move_with_its_neighbours() -> None:
    """Neither its place among the folds nor their number counts."""
    seeds = {fold.name: fold.seed for fold in folds_of(study_data(subjects=6))}
    few = study_data(subjects=6)
    left = np.flatnonzero(~np.isin(few.subjects, ["one/p00", "one/p03"]))
    kept = replace(
        few, sample_ids=few.sample_ids[left], subjects=few.subjects[left], datasets=few.datasets[left], labels=left % 3
    )
    folds = folds_of(kept)
    assert [fold.name for fold in folds] == ["one/p01", "one/p02", "one/p04", "one/p05"]
    assert all(seeds[fold.name] == fold.seed for fold in folds)


def rows_of(subjects: int, clips: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    data = study_data(subjects=subjects, clips=clips)
    return np.arange(len(data)), data.subjects, data.labels


@pytest.mark.parametrize("people", [2, 5, 6, 11])
def test_validation_sets_a_fifth_of_the_subjects_aside(people: int) -> None:
    rows, subjects, labels = rows_of(people)
    train, validation = split_validation(rows, subjects, labels, 7, "x")
    assert len(set(subjects[validation].tolist())) == max(1, int(np.ceil(VALIDATION_SHARE * people)))
    assert set(subjects[train].tolist()).isdisjoint(subjects[validation].tolist())
    assert sorted([*train.tolist(), *validation.tolist()]) == rows.tolist()
    assert (np.diff(train) > 0).all()


def test_the_validation_split_comes_from_its_seed_alone() -> None:
    rows, subjects, labels = rows_of(10)
    first = split_validation(rows, subjects, labels, 7, "x")[1].tolist()
    np.random.seed(0)  # noqa: NPY002 - a caller's global state must not count
    assert split_validation(rows, subjects, labels, 7, "x")[1].tolist() == first
    drawn = {tuple(split_validation(rows, subjects, labels, seed, "x")[1].tolist()) for seed in range(20)}
    assert len(drawn) > 5


def test_no_class_leaves_the_training_rows_for_validation() -> None:
    """One person alone shows surprise: that person must stay in training, whatever the seed."""
    rows, subjects, _ = rows_of(5)
    labels = np.where(subjects == "one/p02", 2, np.arange(len(rows)) % 2)
    for seed in range(30):
        train, validation = split_validation(rows, subjects, labels, seed, "x")
        assert set(labels[train].tolist()) == {0, 1, 2}
        assert "one/p02" not in subjects[validation]


def test_a_class_missing_from_all_training_rows_is_not_asked_for() -> None:
    rows, subjects, labels = rows_of(5)
    train, _ = split_validation(rows, subjects, labels % 2, 0, "x")
    assert set((labels % 2)[train].tolist()) == {0, 1}


def test_an_impossible_validation_split_says_so() -> None:
    rows, subjects, _ = rows_of(3, clips=2)
    labels = np.repeat([0, 1, 2], 2)  # each person shows a class of their own
    with pytest.raises(DataError, match=r"'one/held'.*3 training subjects.*--selection last"):
        split_validation(rows, subjects, labels, 0, "one/held")


def test_one_training_subject_cannot_be_split() -> None:
    rows, subjects, labels = rows_of(1)
    with pytest.raises(DataError, match="1 training subjects"):
        split_validation(rows, subjects, labels, 0, "x")
