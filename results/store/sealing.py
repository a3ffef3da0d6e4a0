"""Putting a complete study into one file, and taking it apart again.

A file goes only when what it holds lies in another one, whose name nobody else writes. So a crash at any point, or two
drivers at once, leave outcomes in two files at worst, which are read once.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from preprocess.base.errors import StoreError
from preprocess.base.sealed_parquet import BrokenSeal
from preprocess.base.storage import Storage
from results.store.outcome_file import outcome_digest, outcome_to_bytes
from results.store.outcome_reader import OutcomeReader, ReadOutcomes
from results.store.study_card import StudyCard
from results.store.study_file import outcomes_from_bytes, study_to_bytes
from results.store.study_folder import (
    COUNTS_FILE,
    fold_file,
    folds_with,
    next_study_file,
    study_files,
    study_folder,
)


def seal(storage: Storage, reader: OutcomeReader, card: StudyCard, read: ReadOutcomes, names: Collection[str]) -> None:
    """Write a study's outcomes as one file, and remove the files that they were read from.

    Parameters
    ----------
    storage : where the study lies.
    reader : of the same.
    card : the study's.
    read : the outcomes of all folds.
    names : of what lay in the study's folder when they were read.

    Raises
    ------
    StoreError : the file cannot be written, or would not hold what the outcomes are.
    """
    folder = study_folder(card)
    told = {one.key: outcome_digest(one) for one in read.outcomes}
    data = study_to_bytes(card.key, read.outcomes)
    if {one.key: outcome_digest(one) for one in outcomes_from_bytes(data, card.key, folder)} != told:
        raise StoreError(f"{card.title}: its study file would not hold what its outcomes are. Nothing was removed.")
    storage.write(f"{folder}/{next_study_file(names)}", data, lasting=True)

    def remove(fold_key: str) -> None:
        # What another driver has written since stays.
        with suppress(BrokenSeal, FileNotFoundError):
            if reader.seal_of_single(card, fold_key) == read.seals[fold_key]:
                storage.delete(fold_file(card, fold_key, "outcome"))

    reader.map(remove, read.seals)
    for name in study_files(names):
        storage.delete(f"{folder}/{name}")


def unseal(
    storage: Storage, reader: OutcomeReader, card: StudyCard, names: Collection[str], without: Collection[str]
) -> None:
    """Give the folds of a study file that are whole files of their own again, and remove it.

    Parameters
    ----------
    storage : where the study lies.
    reader : of the same.
    card : the study's.
    names : of what lies in the study's folder.
    without : keys of the folds that are to have none.

    Raises
    ------
    StoreError : a file cannot be written.
    FileNotFoundError : another driver has removed the study file meanwhile.
    """
    there = folds_with(card, names, "outcome").union(without)
    outcomes, _ = reader.in_study_file(card, names)
    for outcome in outcomes:
        if outcome.key not in there:
            storage.write(fold_file(card, outcome.key, "outcome"), outcome_to_bytes(outcome), lasting=True)
    for name in [*study_files(names), COUNTS_FILE]:
        storage.delete(f"{study_folder(card)}/{name}")
