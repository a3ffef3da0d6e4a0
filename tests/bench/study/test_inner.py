"""Inner folds: groups of training people, whom the outer fold holds out in none of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from small_runs import folds_of, hand_fold, multi_label, study_data

from bench.study import inner
from bench.study.data import Copy
from bench.study.folds import classes_shown
from bench.study.inner import check_apart, inner_folds
from preprocess.base.errors import DataError, HonestyError

DATA = study_data(subjects=7, clips=3)


def people(rows: np.ndarray) -> set[str]:
    return set(DATA.subjects[rows].tolist())


def test_each_training_person_is_tested_once_by_the_others_and_the_held_out_one_never() -> None:
    folds = folds_of(DATA)
    found = inner_folds(folds, 3, DATA)
    assert len(found) == 3 * len(folds)
    for place, fold in enumerate(folds):
        own = found[3 * place : 3 * place + 3]
        assert sorted(person for one in own for person in people(one.test)) == sorted(people(fold.train))
        assert [len(people(one.test)) for one in own] == [2, 2, 2]
        for one in own:
            assert people(one.train) | people(one.test) == people(fold.train)
            assert one.name.startswith(fold.name)
            one.check(DATA.subjects)
    assert len({one.name for one in found}) == len({one.seed for one in found}) == len(found)


def test_groups_are_those_of_the_folds_own_seed() -> None:
    def tests(model: str, seed: int, place: slice = slice(None)) -> list[list[int]]:
        return [one.test.tolist() for one in inner_folds(folds_of(DATA, model, seed=seed)[place], 3, DATA)]

    assert tests("tiny", 0) == tests("tiny", 0)
    assert tests("tiny", 0) != tests("tiny", 1)
    assert tests("tiny", 0, slice(2, 3)) == tests("tiny", 0)[6:9], "other folds change nothing"


@pytest.mark.parametrize("multilabel", [False, True])
def test_a_class_of_two_people_is_trained_on_in_every_inner_fold(multilabel: bool) -> None:
    labels = np.where(np.isin(DATA.subjects, ["one/p01", "one/p02"]), DATA.labels, DATA.labels % 2)
    data = dataclasses.replace(DATA, labels=labels)
    data = multi_label(data) if multilabel else data
    for seed in range(10):
        fold = folds_of(data, seed=seed)[0]
        for one in inner_folds([fold], 3, data):
            assert classes_shown(data.labels[one.train]) == classes_shown(data.labels[fold.train])


def test_a_class_of_one_person_keeps_nobody_from_choosing() -> None:
    labels = np.where(DATA.subjects == "one/p01", DATA.labels, DATA.labels % 2)
    data = dataclasses.replace(DATA, labels=labels)
    lacking = [one for one in inner_folds(folds_of(data)[:1], 3, data) if len(classes_shown(labels[one.train])) < 3]
    assert len(lacking) == 1


def test_fewer_people_than_groups_are_named() -> None:
    few = study_data(subjects=3, clips=3)
    with pytest.raises(
        DataError, match=r"Fold 'one/p00' of one has 2 people to train on \(one/p01, one/p02\); --inner 3"
    ):
        inner_folds(folds_of(few), 3, few)
    assert inner_folds(folds_of(few), 2, few)


def test_one_class_left_to_train_on_is_refused() -> None:
    labels = np.where(DATA.subjects == "one/p01", 1, 0)
    data = dataclasses.replace(DATA, labels=labels)
    with pytest.raises(DataError, match="leaves a single class to train on, of negative, positive"):
        inner_folds(folds_of(data)[:1], 3, data)


def test_groups_that_share_somebody_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cutting clips in place of people is found when the inner folds are made: on the driver, and on every worker."""
    monkeypatch.setattr(inner, "_groups", lambda fold, number, data, persons: np.arange(len(fold.train)) % number + 1)
    with pytest.raises(HonestyError, match=r"Subject 'one/p01' is in one/p00, inner 1 and in one/p00, inner 2"):
        inner_folds(folds_of(DATA), 3, DATA)


def test_a_held_out_person_in_a_group_is_refused() -> None:
    fold = hand_fold(DATA, list(range(3, 21)), [], [0, 1, 2])
    first = hand_fold(DATA, list(range(9, 21)), [], [2, 3, 4, 5, 6, 7, 8])
    second = hand_fold(DATA, list(range(3, 9)), [], list(range(9, 21)))
    with pytest.raises(HonestyError, match=r"Subject 'one/p00' is in .* and in what 'made' holds out"):
        check_apart(fold, [dataclasses.replace(first, name="a"), dataclasses.replace(second, name="b")], DATA.subjects)
    lost = hand_fold(DATA, list(range(9, 21)), [], [3, 4, 5])
    with pytest.raises(HonestyError, match="'one/p02' is trained on and in no inner fold"):
        check_apart(fold, [dataclasses.replace(lost, name="a"), dataclasses.replace(second, name="b")], DATA.subjects)


@pytest.mark.parametrize("role", ["train", "test"])
def test_an_inner_fold_is_checked_against_whom_the_outer_one_holds_out(role: str) -> None:
    """As the engine checks every fold before it trains."""
    honest = inner_folds(folds_of(DATA)[:1], 3, DATA)[0]
    leaky = dataclasses.replace(honest, **{role: np.sort(np.append(getattr(honest, role), honest.held_out[:1]))})
    with pytest.raises(HonestyError, match=f"'one/p00' is in {role} and in what the outer fold holds out"):
        leaky.check(DATA.subjects)


def test_a_picture_of_a_held_out_person_under_another_name_is_found() -> None:
    honest = inner_folds(folds_of(DATA)[:1], 3, DATA)[0]
    copy = Copy((int(honest.train[0]), int(honest.held_out[0])), ("one", "other"))
    with pytest.raises(HonestyError, match="the same picture is trained on and held out by the outer fold"):
        honest.check(DATA.subjects, [copy])
