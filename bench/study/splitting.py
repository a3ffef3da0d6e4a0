"""The folds of a protocol over a study's data."""

from __future__ import annotations

import numpy as np

from bench.study.data import StudyData
from bench.study.folds import Fold, fold_seed, split_validation
from bench.study.protocols import Protocol, check_tested_once
from results.store.study_card import fold_ids_digest


def make_folds(protocol: Protocol, model: str, validate: bool, seed: int, data: StudyData) -> list[Fold]:
    """Return the folds of a protocol over a study's data.

    Parameters
    ----------
    protocol : the splitting rule.
    model : name of the model; a fold's seed depends on it.
    validate : whether a fifth of each fold's training subjects is set aside for validation.
    seed : of the study.
    data : the study's samples.

    Raises
    ------
    HonestyError : two folds have the same name or test the same sample.
    Unfit, DataError : the data lacks what the protocol or the validation split takes.
    """
    everyone = np.arange(len(data))
    splits = protocol.split(data)
    check_tested_once(protocol.name, splits)
    folds: list[Fold] = []
    for split in splits:
        train = np.setdiff1d(everyone, split.test) if split.train is None else split.train
        validation = np.empty(0, dtype=np.int64)
        own_seed = fold_seed(seed, model, data.sample_ids[split.test].tolist())
        if validate:
            train, validation = split_validation(train, data.subjects, data.labels, own_seed, split.name)
        folds.append(Fold(split.name, train, validation, split.test, own_seed))
    return folds


def ids_digest(fold: Fold, data: StudyData) -> str:
    """Return the digest of the sample ids that a fold trains on, validates on and tests on."""
    roles = (fold.train, fold.validation, fold.test)
    return fold_ids_digest(*(data.sample_ids[rows].tolist() for rows in roles))
