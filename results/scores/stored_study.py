"""A study together with what the store holds of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from results.scores.counted import CountedStudy, count_study, counts_from_bytes, newest
from results.store.outcome import Outcome
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard
from results.store.study_file import SealedStudy


@dataclass(frozen=True)
class StoredStudy:
    """A study and what is there of it.

    Attributes
    ----------
    card : the study's card.
    done : number of folds that have an outcome; of whole ones, where the outcomes were read.
    failed : number of folds that ended with an error.
    read : the outcomes that were read one by one, in the card's fold order.
    damage : a message for each outcome file that is damaged.
    weights : number of folds whose weights are kept.
    sealed : the one file that holds all outcomes; None where there is none.
    """

    card: StudyCard
    done: int
    failed: int
    read: list[Outcome] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    weights: int = 0
    sealed: SealedStudy | None = None

    @property
    def outcomes(self) -> list[Outcome]:
        """The outcomes that are there, in the card's fold order; those of a study file are read each time."""
        return self.read if self.sealed is None else self.sealed.outcomes

    @property
    def complete(self) -> bool:
        """Whether every fold has an outcome, so that the study has a score."""
        return self.done == len(self.card.folds)

    @property
    def kept(self) -> bool:
        """Whether the weights of every fold are kept, so that the study can be scored again."""
        return self.weights == len(self.card.folds)

    @property
    def settled(self) -> bool:
        """Whether no fold is left to run: each is done or failed."""
        return self.done + self.failed == len(self.card.folds)

    @property
    def finished(self) -> str:
        """When the newest of the outcomes was made (ISO time); empty where none was read."""
        return self.kept_counts.finished if self.kept_counts else newest(self.outcomes)

    @cached_property
    def kept_counts(self) -> CountedStudy | None:
        """The counts that are kept beside the study file; None where they are to be made."""
        return None if self.sealed is None else counts_from_bytes(self.sealed.counts, self.card, self.sealed.seal)

    @cached_property
    def counted(self) -> CountedStudy:
        """What the scores of the complete study are made of.

        Raises
        ------
        HonestyError : the predictions contradict the card, or a fold is missing.
        """
        return self.kept_counts or count_study(self.card, self.outcomes)

    def without_curves(self) -> StoredStudy:
        """Return the study without what boards do not show, so that many fit into memory."""
        if not self.read:
            return self
        return dataclasses.replace(self, read=[dataclasses.replace(one, curves={}) for one in self.read])


def counted(store: OutcomeStore, card: StudyCard) -> StoredStudy:
    """Return a study with its folds counted, from one listing; no outcome is read."""
    state = store.state(card)
    return StoredStudy(card, len(state.done), len(state.failed), weights=len(state.weights))


def of_sealed(card: StudyCard, sealed: SealedStudy) -> StoredStudy:
    """Return the study that lies whole in one file."""
    return StoredStudy(card, len(card.folds), 0, weights=sealed.weights, sealed=sealed)


def read_study(store: OutcomeStore, card: StudyCard) -> StoredStudy:
    """Read a study's outcomes once nothing is left to run; before that, only count them: this is cheap.

    Raises
    ------
    StoreError : the store cannot be read.
    """
    sealed = store.read_sealed(card)
    if sealed is not None:
        return of_sealed(card, sealed)
    study = counted(store, card)
    if not study.settled:
        return study
    outcomes, damage = store.read_outcomes(card)
    return StoredStudy(card, len(outcomes), study.failed, outcomes, damage, study.weights)


def read_studies(store: OutcomeStore, cards: Iterable[StudyCard]) -> dict[str, StoredStudy]:
    """Read studies as ``read_study`` does; return them by key."""
    wanted = list(cards)
    reading = store.for_many(wanted)
    return {study.card.key: study for study in store.map(lambda card: read_study(reading, card), wanted)}
