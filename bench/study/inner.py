"""Inner folds: the training people of every fold cut into groups, each of which is tested once by the others.

On these a tuned study tries its configurations. The people whom the outer fold holds out are in none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from bench.study.data import StudyData
from bench.study.folds import Fold, classes_shown
from preprocess.base.errors import DataError, HonestyError
from preprocess.base.hashing import digest

_DRAWS = 200
"""How many ways of cutting the people are tried before one is taken in which a class goes untrained somewhere."""


def inner_folds(folds: Sequence[Fold], inner: int, data: StudyData) -> list[Fold]:
    """Return the inner folds of all folds of a study, those of the first fold first.

    People are cut into groups of about equal number, as the fold's own seed draws. Of 200 draws the first is taken
    whose groups all leave every class to train on that the fold trains on; else the one that leaves most.

    Parameters
    ----------
    folds : the study's, in order.
    inner : number of groups of people.
    data : the study's samples.

    Raises
    ------
    DataError : a fold has fewer people to train on than groups, or no draw leaves two classes to train on everywhere.
    HonestyError : somebody is in two groups, or in one and held out.
    """
    found: list[Fold] = []
    persons = np.unique(data.subjects, return_inverse=True)[1]
    for fold in folds:
        groups = _groups(fold, inner, data, persons[fold.train])
        own = [
            Fold(
                f"{fold.name}, inner {number}",
                train=fold.train[groups != number],
                validation=np.empty(0, dtype=np.int64),
                test=fold.train[groups == number],
                seed=int(digest(["inner", fold.seed, number])[:16], 16) >> 1,
                held_out=fold.test,
            )
            for number in range(1, inner + 1)
        ]
        check_apart(fold, own, data.subjects)
        found += own
    return found


def check_apart(fold: Fold, inner: Sequence[Fold], subjects: np.ndarray) -> None:
    """Assert that the groups of a fold's inner folds have nobody in common, with each other and with who is held out.

    Parameters
    ----------
    fold : the outer fold.
    inner : its inner folds.
    subjects : (n_samples,) the subject of each row of the study.

    Raises
    ------
    HonestyError : somebody is in two groups, or in one and held out, and is named; or somebody is in no group.
    """
    people = {one.name: set(subjects[one.test].tolist()) for one in inner}
    people[f"what {fold.name!r} holds out"] = set(subjects[fold.test].tolist())
    for first, second in combinations(people, 2):
        if shared := sorted(people[first] & people[second]):
            raise HonestyError(
                f"Subject {shared[0]!r} is in {first} and in {second}. Hyper-parameters must be chosen by people who "
                "are not tested on; this is a fault of the program, or of the protocol that made this fold."
            )
    lost = set(subjects[fold.train].tolist()) - set().union(*people.values())
    if lost:
        raise HonestyError(f"Fold {fold.name!r}: subject {min(lost)!r} is trained on and in no inner fold.")


def _groups(fold: Fold, inner: int, data: StudyData, persons: np.ndarray) -> np.ndarray:
    """Return the number of the group, from 1, of each of a fold's training rows. persons : a number for each row's."""
    known, person = np.unique(persons, return_inverse=True)
    people = len(known)
    if people < inner:
        names = ", ".join(sorted(set(data.subjects[fold.train].tolist())))
        raise DataError(
            f"{_named(fold, data)} has {people} people to train on ({names}); --inner {inner} takes at least {inner}. "
            "Give a smaller --inner, more data, or another selection than tuned; or leave it out with --datasets."
        )
    shown = _classes_of_people(person, people, data.labels[fold.train], len(data.classes))
    rng = np.random.default_rng([fold.seed, 3])
    best, fewest = np.empty(0, dtype=np.int64), shown.size + 1
    for _ in range(_DRAWS):
        group = np.empty(people, dtype=np.int64)
        group[rng.permutation(people)] = np.arange(people) % inner + 1
        trained = [shown[group != number].any(axis=0) for number in range(1, inner + 1)]
        lacking = sum(int((shown.any(axis=0) & ~classes).sum()) for classes in trained)
        if lacking < fewest and (data.multilabel or min(classes.sum() for classes in trained) > 1):
            best, fewest = group, lacking
        if not fewest:
            break
    if not len(best):
        names = ", ".join(data.classes[index] for index in sorted(classes_shown(data.labels[fold.train])))
        raise DataError(
            f"{_named(fold, data)}: however its {people} training people are cut into {inner} inner folds, one of them "
            f"leaves a single class to train on, of {names}. Give more data, or another selection than tuned."
        )
    return best[person]


def _named(fold: Fold, data: StudyData) -> str:
    return f"Fold {fold.name!r} of {'+'.join(sorted(set(data.datasets.tolist())))}"


def _classes_of_people(person: np.ndarray, people: int, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Return (people, n_classes) bool: who shows which class."""
    shown = np.zeros((people, n_classes), dtype=bool)
    if labels.ndim == 2:
        np.logical_or.at(shown, person, labels.astype(bool))
    else:
        shown[person, labels] = True
    return shown
