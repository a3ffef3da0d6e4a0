"""Folds: who is trained on, validated on and tested on, and the check that nobody is in two of these groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from bench.study.data import Copy
from preprocess.base.errors import DataError, HonestyError
from preprocess.base.hashing import digest

VALIDATION_SHARE = 0.2
"""Share of the training subjects that ``validation`` selection sets aside (rounded up)."""

_OUTSIDE = "what the outer fold holds out"

_DRAWS = 200
"""How many random inner splits are tried before a fold is declared impossible to validate."""


@dataclass(frozen=True)
class Fold:
    """One split of a study.

    Attributes
    ----------
    name : what is held out.
    train : sorted int64 row numbers of the samples that are trained on.
    validation : sorted int64 row numbers of the samples set aside for choosing an epoch; empty for most selections.
    test : sorted int64 row numbers of the samples that are scored.
    seed : every random draw of the fold comes from it.
    held_out : sorted int64 row numbers of the samples that the outer fold of an inner one tests; empty for others.
    """

    name: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    seed: int
    held_out: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def check(self, subjects: np.ndarray, copies: Sequence[Copy] = ()) -> None:
        """Assert that nobody, and no picture, is in two of train, validation, test and what the outer fold holds out.

        Parameters
        ----------
        subjects : (n_samples,) the subject of each row of the study.
        copies : rows of the study that hold the same picture.

        Raises
        ------
        HonestyError : somebody is, and is named; a picture is, and both samples are; or nothing is trained or tested
            on.
        """
        roles = {"train": self.train, "validation": self.validation, "test": self.test, _OUTSIDE: self.held_out}
        people = {role: set(subjects[rows].tolist()) for role, rows in roles.items()}
        for first, second in combinations(roles, 2):
            shared = sorted(people[first] & people[second])
            if shared:
                raise HonestyError(
                    f"Fold {self.name!r}: subject {shared[0]!r} is in {first} and in {second}"
                    f"{f' (and {len(shared) - 1} more)' if len(shared) > 1 else ''}. A fold must be scored on "
                    "people it has not seen; mend the protocol that made this fold."
                )
        if not len(self.train) or not len(self.test):
            raise HonestyError(f"Fold {self.name!r} has {len(self.train)} training and {len(self.test)} test samples.")
        for copy in copies:
            self._check_copy(copy)

    def _check_copy(self, copy: Copy) -> None:
        roles = {
            "trained on": self.train,
            "validated on": self.validation,
            "tested on": self.test,
            "held out by the outer fold": self.held_out,
        }
        found = []
        for role, rows in roles.items():
            held = np.flatnonzero(np.isin(copy.rows, rows))
            found += [(role, copy.names[held[0]])] if len(held) else []
        if len(found) > 1:
            (first, one), (second, other) = found[0], found[-1]
            raise HonestyError(
                f"Fold {self.name!r}: the same picture is {first} and {second}: {one} and {other}. The score would "
                "tell what the model knows by heart. Find out whose picture it is, and remove the other sample from "
                "the data, or leave a dataset out with --datasets. Where both are one person, give them one subject."
            )


def fold_seed(seed: int, model: str, test_ids: Sequence[str]) -> int:
    """Return the 63-bit seed from which every random draw of a fold comes.

    It depends on the study's seed, the model's name and the held-out samples alone. Other folds, their order, the pack,
    the worker and the selection do not change it; so ``last`` and ``oracle`` can be read from one training.
    """
    return int(digest(["fold", seed, model, sorted(test_ids)])[:16], 16) >> 1


def classes_shown(labels: np.ndarray) -> set[int]:
    """Return the classes that at least one label shows.

    Parameters
    ----------
    labels : (n,) class indices, or (n, n_classes) of 0 and 1.
    """
    return set(np.flatnonzero(labels.any(axis=0)).tolist()) if labels.ndim == 2 else set(labels.tolist())


def split_validation(
    train: np.ndarray, subjects: np.ndarray, labels: np.ndarray, seed: int, fold: str
) -> tuple[np.ndarray, np.ndarray]:
    """Set a fifth of the training subjects aside for validation.

    The subjects are drawn again until every class of the training rows is still trained on.

    Parameters
    ----------
    train : row numbers of the fold's training samples.
    subjects : (n_samples,) the subject of each row of the study.
    labels : of all rows of the study, (n,) class indices or (n, n_classes) of 0 and 1.
    seed : the fold's seed.
    fold : the fold's name, for messages.

    Returns
    -------
    Row numbers to train on and row numbers to validate on.

    Raises
    ------
    DataError : no draw leaves every class to train on; too few subjects show one of them.
    """
    people = sorted(set(subjects[train].tolist()))
    n_validation = max(1, int(np.ceil(VALIDATION_SHARE * len(people))))
    wanted = classes_shown(labels[train])
    rng = np.random.default_rng([seed, 1])
    for _ in range(_DRAWS):
        chosen = rng.permutation(len(people))[:n_validation]
        aside = np.isin(subjects[train], [people[i] for i in chosen])
        if classes_shown(labels[train[~aside]]) == wanted and aside.any() and not aside.all():
            return train[~aside], train[aside]
    raise DataError(
        f"Fold {fold!r}: no subject-grouped validation split of its {len(people)} training subjects leaves every class "
        "to train on. Use --selection last for this dataset, or more subjects."
    )
