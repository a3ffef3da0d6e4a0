"""What tuned studies take: how many trainings, and about how long, told before anything is trained."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.console.progress import duration
from bench.plan.planned import Plan, PlannedTraining
from bench.plan.tuning import Tuning
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard


@dataclass
class _Cost:
    """What the tuned studies of a model take.

    Attributes
    ----------
    configurations : how many enter each rung.
    inner_folds : on how many inner folds they are tried.
    inner : trainings on these.
    final : trainings of what is chosen.
    seconds : how long all of them take one worker.
    unknown : the datasets of which no fold's time is known.
    """

    configurations: list[int]
    inner_folds: int
    inner: int = 0
    final: int = 0
    seconds: float = 0.0
    unknown: set[str] = field(default_factory=set)

    def words(self, model: str) -> str:
        first, *others = self.configurations
        rounds = f" (then the best {', '.join(map(str, others))} for longer)" if others else ""
        return (
            f"tuned {model}: {first} configurations{rounds} on {self.inner_folds} inner folds: {self.inner} trainings, "
            f"then {self.final} of what is chosen; {_time(self)}"
        )


def tuning_lines(plan: Plan, store: OutcomeStore | None) -> list[str]:
    """Return what tuned studies take, a line a model, and all together; none where none is to be trained.

    Parameters
    ----------
    plan : the plan.
    store : where times of folds that were trained before are found; None for nowhere.
    """
    costs: dict[str, _Cost] = {}
    known = _Known(store)
    for planned, tuning in plan.tuned:
        if planned.todo:
            name = planned.training.model
            cost = costs.setdefault(name, _Cost([rung.size for rung in tuning.rungs], tuning.inner))
            _add(cost, planned, tuning, known)
    lines = [cost.words(name) for name, cost in costs.items()]
    if len(costs) > 1:
        total = _Cost([], 0)
        for cost in costs.values():
            total.seconds += cost.seconds
            total.unknown |= cost.unknown
        number = sum(cost.inner + cost.final for cost in costs.values())
        lines.append(f"tuned studies: {number} trainings in all; {_time(total)}")
    return lines


def _add(cost: _Cost, planned: PlannedTraining, tuning: Tuning, known: _Known) -> None:
    card = planned.training.cards[0]
    first, *later = tuning.rungs
    inner = [(len(one.todo), one.training.cards[0]) for one in first.trainings]
    # Which configurations get so far is not known yet; the default has the epochs of most.
    default = [rung.trainings[0].training.cards[0] for rung in later]
    inner += [(len(planned.todo) * tuning.inner * rung.size, one) for rung, one in zip(later, default, strict=True)]
    cost.inner += sum(folds for folds, _ in inner)
    cost.final += len(planned.todo)
    seconds = known.seconds_an_epoch(card)
    if seconds is None:
        cost.unknown.add(card.dataset)
        return
    share = (tuning.inner - 1) / tuning.inner
    cost.seconds += seconds * (
        share * sum(folds * _epochs(one) for folds, one in inner) + len(planned.todo) * _epochs(card)
    )


def _epochs(card: StudyCard) -> int:
    """Return the epochs of a study; an estimator is fitted once."""
    return int(card.hyperparameters.get("epochs", 1))


def _time(cost: _Cost) -> str:
    if cost.unknown:
        return f"how long is not known, for no fold was trained before on {', '.join(sorted(cost.unknown))}"
    return f"about {duration(cost.seconds)} of computing, which all workers share"


class _Known:
    """How long folds took that are in a store."""

    def __init__(self, store: OutcomeStore | None) -> None:
        self._store = store
        self._cards: dict[tuple[str, str], list[StudyCard]] | None = None
        self._found: dict[tuple[str, str, str], float | None] = {}

    def seconds_an_epoch(self, card: StudyCard) -> float | None:
        """Return how long an epoch of a model takes on all training people of a dataset; None where none is known."""
        where = (card.model, card.dataset, card.task)
        if where not in self._found:
            self._found[where] = self._look_up(card)
        return self._found[where]

    def _look_up(self, card: StudyCard) -> float | None:
        """Return what the store's most similar study took that has any outcome."""
        alike = [one for one in self._of(card.model, card.dataset) if not one.shift]
        for one in sorted(alike, key=lambda one: (_differences(one, card), one.key)):
            assert self._store is not None
            outcomes, _ = self._store.read_outcomes(one)
            seconds = [outcome.provenance["seconds"] for outcome in outcomes if outcome.provenance.get("seconds")]
            if seconds:
                share = (one.inner - 1) / one.inner if one.inner else 1.0
                return float(np.mean(seconds)) / _epochs(one) / share
        return None

    def _of(self, model: str, dataset: str) -> Sequence[StudyCard]:
        if self._cards is None:
            self._cards = defaultdict(list)
            for one in [*self._store.cards(), *self._store.cards(inner=True)] if self._store else ():
                self._cards[one.model, one.dataset].append(one)
        return self._cards.get((model, dataset), [])


def _differences(one: StudyCard, other: StudyCard) -> tuple[bool, bool, int]:
    """Return whether task and protocol differ, and how many hyper-parameters, but for the number of epochs."""
    names = (one.hyperparameters.keys() | other.hyperparameters.keys()) - {"epochs"}
    changed = sum(one.hyperparameters.get(name) != other.hyperparameters.get(name) for name in names)
    return one.task != other.task, one.protocol != other.protocol, changed
