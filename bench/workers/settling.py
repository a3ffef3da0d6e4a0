"""Between two waves of a plan: what the outcomes of inner folds say is read, and decides what is trained next.

The store alone decides. So it does not matter how many workers trained what, in which order, or in which run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.plan.choosing import Choice, best, inner_score
from bench.plan.planned import Plan, PlannedTraining
from bench.plan.tuning import Tuning
from bench.workers.pack import record_lost
from preprocess.base.errors import HonestyError, StoreError
from results.store.audit import words
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard


@dataclass(frozen=True)
class _Results:
    """What is stored of an inner study: number of a fold -> its score, or how it failed.

    Attributes
    ----------
    card : the study's.
    scores : of the folds that are done.
    failed : of those that an error of the model ended, as it would again.
    lost : of those whose workers died, which says nothing of the configuration.
    """

    card: StudyCard
    scores: dict[int, float]
    failed: dict[int, str]
    lost: dict[int, str]

    def of(self, numbers: Sequence[int]) -> list[float] | None:
        """Return the scores of some inner folds; None where one of them cannot be trained."""
        known = self.scores.keys() | self.failed.keys() | self.lost.keys()
        missing = [number for number in numbers if number not in known]
        if missing:
            raise HonestyError(
                f"{self.card.title}: fold {self.card.folds[missing[0]].name!r} was reported done, but its outcome is "
                "not in the store. Workers on other nodes wrote elsewhere: give --results a folder that all nodes "
                "share, or a URI (s3://bucket/path)."
            )
        return [self.scores[number] for number in numbers] if self.scores.keys() >= set(numbers) else None


class Settling:
    """Decides, wave by wave, which configurations go on and which one each fold is trained with.

    Parameters
    ----------
    plan : the whole plan.
    store : where the outcomes of its waves lie.
    say : is told what could not be trained, a line a study.
    """

    def __init__(self, plan: Plan, store: OutcomeStore, say: Callable[[str], None]) -> None:
        self._plan, self._store, self._say = plan, store, say
        self._read: dict[int, _Results] = {}

    def settle(self, wave: int) -> None:
        """Set what a wave has to train, from the outcomes of the waves before it.

        A fold of which no configuration could be trained, or none can be chosen, is recorded as failed.

        Raises
        ------
        HonestyError : an outcome that must be there is not.
        StoreError : one is damaged.
        """
        for planned, tuning in self._plan.tuned if wave else ():
            if wave < len(tuning.rungs):
                tuning.ask(wave, {fold: self._standings(tuning, fold, wave)[-1] for fold in planned.todo})
            elif wave == planned.wave:
                self._choose(planned, tuning)

    def _choose(self, planned: PlannedTraining, tuning: Tuning) -> None:
        choices: dict[int, Choice] = {}
        for fold in planned.todo:
            standings = self._standings(tuning, fold, len(tuning.rungs))
            tried = [self._tried(tuning, number, fold, standings) for number in range(len(tuning.configurations))]
            if lost := self._lost(tuning, fold, standings):
                why = f"The configurations cannot be compared: {lost}. --overwrite failed tries that again."
                record_lost(planned.training, fold, self._store, why)
            elif not standings[-1]:
                why = "; ".join(dict.fromkeys(str(one["failed"]) for one in tried if "failed" in one))
                record_lost(planned.training, fold, self._store, f"No configuration could be trained: {why}")
            else:
                number = standings[-1][0]
                changed = tuning.configurations[number]
                choices[fold] = Choice(
                    changed, {"chosen": number, "changed": changed, "inner_folds": tuning.inner, "tried": tried}
                )
        planned.todo = sorted(choices)
        planned.training = dataclasses.replace(planned.training, choices=choices)
        self._tell_failed(planned, tuning)

    def _standings(self, tuning: Tuning, fold: int, rungs: int) -> list[list[int]]:
        """Return the configurations that enter each of the first rungs of a fold, and those that got through, in order.

        Those that get through the last rung are all that could be trained, the chosen one first.
        """
        found = [list(range(len(tuning.configurations)))]
        numbers = tuning.inner_numbers(fold)
        for place in range(rungs):
            trainings = tuning.rungs[place].trainings
            size = len(found[-1]) if place + 1 == len(tuning.rungs) else tuning.rungs[place + 1].size
            found.append(best({one: self._results(trainings[one]).of(numbers) for one in found[-1]}, size))
        return found

    def _tried(self, tuning: Tuning, number: int, fold: int, standings: Sequence[Sequence[int]]) -> dict[str, Any]:
        """Return what the audit trail says of a configuration."""
        numbers = tuning.inner_numbers(fold)
        told: dict[str, Any] = {"changed": tuning.configurations[number], "rounds": []}
        for rung, entered in zip(tuning.rungs, standings, strict=False):
            if number not in entered:
                break
            results = self._results(rung.trainings[number])
            epochs = results.card.hyperparameters.get("epochs")
            told["rounds"].append({"study": results.card.key[:16], "epochs": epochs, "uf1": results.of(numbers)})
            if errors := [error for inner, error in results.failed.items() if inner in numbers]:
                told["failed"] = errors[0]
        return told

    def _lost(self, tuning: Tuning, fold: int, standings: Sequence[Sequence[int]]) -> str:
        """Return how an inner fold was lost on which the choice depends; "" where none was."""
        for rung, entered in zip(tuning.rungs, standings, strict=False):
            for number in entered:
                lost = self._results(rung.trainings[number]).lost
                for inner in tuning.inner_numbers(fold):
                    if inner in lost:
                        return f"{words(tuning.configurations[number])}: {lost[inner]}"
        return ""

    def _tell_failed(self, planned: PlannedTraining, tuning: Tuning) -> None:
        """Say which configurations could not be trained somewhere, and were not chosen there."""
        failed = {
            words(tuning.configurations[number]): next(iter(results.failed.values()))
            for rung in tuning.rungs
            for number, training in enumerate(rung.trainings)
            if (results := self._read.get(id(training))) and results.failed
        }
        if failed:
            name, error = next(iter(failed.items()))
            number = f"{len(failed)} of {len(tuning.configurations)}"
            self._say(
                f"{planned.training.cards[0].title}: {number} configurations failed on inner folds and were not chosen "
                f"there; {name}: {error}"
            )

    def _results(self, planned: PlannedTraining) -> _Results:
        """Return what the store holds of an inner study, once read; a complete one is put into one file."""
        if id(planned) not in self._read:
            card = planned.training.cards[0]
            self._store.seal(card)
            outcomes, damaged = self._store.read_outcomes(card)
            if damaged:
                raise StoreError(f"{card.title}: {damaged[0]}")
            number_of = {fold.key: number for number, fold in enumerate(card.folds)}
            failures = self._store.failures(card)
            self._read[id(planned)] = _Results(
                card,
                {number_of[one.key]: inner_score(card, one) for one in outcomes},
                {number_of[one.key]: one.error for one in failures if one.raised},
                {number_of[one.key]: one.error for one in failures if not one.raised},
            )
        return self._read[id(planned)]
