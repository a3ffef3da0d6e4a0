"""A plan: studies, their trainings, what the store holds of them, and what is left to train, in which order."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.plan.pretraining import Wanted
from bench.plan.training import Training
from bench.plan.tuning import Tuning
from bench.study.data import StudyData
from mer_models.registry import ModelInfo
from results.scores.stored_study import StoredStudy
from results.store.study_card import StudyCard


@dataclass
class PlannedStudy:
    """A study of the plan, and what the store holds of it.

    Attributes
    ----------
    card : the study's card.
    done : keys of the folds whose outcome is there and whole, with its weights where they are to be kept; none with
        ``--overwrite all``.
    failed : keys of the folds that failed before.
    damaged : a message for each outcome file that is not whole.
    reason : why it is computed although the store has a study like it; "" otherwise.
    unknown : whether the store may hold folds of it; that is not known while its keys depend on features not yet made.
    written : whether the store has this very card.
    found : the study as it was read where it lies whole in one file; None of a plan that trains anything, which would
        hold all of them in memory for long.
    """

    card: StudyCard
    done: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    damaged: list[str] = field(default_factory=list)
    reason: str = ""
    unknown: bool = False
    written: bool = False
    found: StoredStudy | None = None


@dataclass
class PlannedTraining:
    """A training of the plan.

    Attributes
    ----------
    info : the model.
    training : what a worker is given.
    studies : the studies that are read from it.
    todo : numbers of the folds to train now.
    missing : numbers of the folds that have no outcome: those to train, but for inner folds that nobody asks for.
    wave : when it is trained; what is to do in a wave may depend on the outcomes of those before.
    tuning : of a tuned study, what is tried for it.
    """

    info: ModelInfo
    training: Training
    studies: list[PlannedStudy] = field(default_factory=list)
    todo: list[int] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    wave: int = 0
    tuning: Tuning | None = None

    @property
    def inner(self) -> bool:
        """Whether its folds are inner folds, on which a configuration is tried."""
        return bool(self.training.cards[0].inner)


@dataclass
class Plan:
    """Everything that a run is about to do.

    Attributes
    ----------
    trainings : in the order in which they are given out.
    data : key -> the samples that trainings are cut from, whose features are not read.
    notes : what was asked for and is not planned, and why.
    pretrainings : those that come first, by their keys: until they are done, the keys of some studies are not known.
    """

    trainings: list[PlannedTraining]
    data: dict[str, StudyData] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    pretrainings: dict[str, Wanted] = field(default_factory=dict)

    @property
    def studies(self) -> list[PlannedStudy]:
        """All studies that are asked for, in plan order."""
        return [study for training in self.trainings if not training.inner for study in training.studies]

    @property
    def cards(self) -> list[StudyCard]:
        """The cards of all studies that are asked for, in plan order."""
        return [study.card for study in self.studies]

    @property
    def found(self) -> dict[str, StoredStudy]:
        """Studies that were read, by key; none where anything is to be trained."""
        return {study.card.key: study.found for study in self.studies if study.found is not None}

    @property
    def tuned(self) -> list[tuple[PlannedTraining, Tuning]]:
        """The trainings of tuned studies, and what is tried for each."""
        return [(training, training.tuning) for training in self.trainings if training.tuning]

    def left(self, wave: int = 0) -> int:
        """Return how many trainings are to do from a wave on, as far as that is known before it is over."""
        later = sum(tuning.expected(len(planned.todo), after=wave) for planned, tuning in self.tuned)
        return sum(len(planned.todo) for planned in self.trainings if planned.wave >= wave) + later

    def waves(self) -> list[Plan]:
        """Return the plan in parts, each to be carried out before the next one is settled."""
        last = max((training.wave for training in self.trainings), default=0)
        waves = [[one for one in self.trainings if one.wave == number] for number in range(last + 1)]
        return [dataclasses.replace(self, trainings=wave) for wave in waves]

    def packs(self, slots: int) -> Iterator[tuple[int, list[int]]]:
        """Yield (training number, fold numbers) lazily: what one Ray Tune trial trains.

        A pack is at most what the model's resources say, and at most half a worker's share of what is left: packs get
        smaller towards the end, so that all ``slots`` workers finish at about the same time.
        """
        left = sum(len(planned.todo) for planned in self.trainings)
        for number, planned in enumerate(self.trainings):
            most = planned.info.resources.pack
            waiting = planned.todo
            while waiting:
                size = max(1, min(most, left // (2 * max(1, slots))))
                pack, waiting = waiting[:size], waiting[size:]
                left -= len(pack)
                yield number, pack
