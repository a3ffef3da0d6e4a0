"""A study together with what the store holds of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from results.store.outcome import Outcome
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard


@dataclass(frozen=True)
class StoredStudy:
    """A study and what is there of it.

    Attributes
    ----------
    card : the study's card.
    done : number of folds that have an outcome; of whole ones, where the outcomes were read.
    failed : number of folds that ended with an error.
    outcomes : those that were read, in the card's fold order.
    damage : a message for each outcome file that is damaged.
    weights : number of folds whose weights are kept.
    """

    card: StudyCard
    done: int
    failed: int
    outcomes: list[Outcome] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    weights: int = 0

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
        return max((str(outcome.provenance.get("finished_at", "")) for outcome in self.outcomes), default="")


def counted(store: OutcomeStore, card: StudyCard) -> StoredStudy:
    """Return a study with its folds counted, from one listing; no outcome is read."""
    state = store.state(card)
    return StoredStudy(card, len(state.done), len(state.failed), weights=len(state.weights))


def read_study(store: OutcomeStore, card: StudyCard) -> StoredStudy:
    """Read a study's outcomes once nothing is left to run; before that, only count them: this is cheap.

    Raises
    ------
    StoreError : the store cannot be read.
    """
    study = counted(store, card)
    if not study.settled:
        return study
    outcomes, damage = store.read_outcomes(card)
    return StoredStudy(card, len(outcomes), study.failed, outcomes, damage, study.weights)
