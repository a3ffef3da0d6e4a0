"""Making large stores quick to read: complete studies go into one file each, with the counts of their scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from preprocess.base.errors import StoreError
from results.scores.counted import counts_to_bytes
from results.scores.stored_study import StoredStudy, read_study
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard


def seal_studies(
    store: OutcomeStore,
    cards: Iterable[StudyCard],
    say: Callable[[str], None],
    found: Mapping[str, StoredStudy] | None = None,
) -> dict[str, StoredStudy]:
    """Put each complete study into one file, and keep its counts; what is so already is left as it is.

    Parameters
    ----------
    store : where the studies lie.
    cards : the studies.
    say : is told where the store cannot be written: its results count all the same.
    found : study key -> sealed studies that the caller has just read; they are not read again.

    Returns
    -------
    Study key -> the study, as ``read_studies`` reads it.

    Raises
    ------
    HonestyError : a complete study's predictions contradict its card.
    StoreError : the store cannot be read.
    """
    refused: list[str] = []

    def put_together(card: StudyCard) -> StoredStudy:
        try:
            store.seal(card)
        except StoreError as error:
            refused.append(str(error))
        return read_study(store, card)

    def sealed(card: StudyCard) -> StoredStudy:
        study = (found or {}).get(card.key) or put_together(card)
        if study.sealed is None or study.kept_counts is not None:
            return study
        counts = counts_to_bytes(study.counted, card, study.sealed.seal)
        try:
            store.keep_counts(card, counts)
        except StoreError as error:
            refused.append(str(error))
            return study
        return replace(study, sealed=replace(study.sealed, counts=counts))

    studies = {study.card.key: study for study in store.map(sealed, cards)}
    if refused:
        say(f"warning: {len(refused)} studies stay in many files, which are slow to read: {refused[0]}")
    return studies
