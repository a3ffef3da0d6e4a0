"""Tuned studies in a plan: the configurations that are tried, on which inner folds, and which of them go how far.

A configuration is tried by a study of its own, whose folds are the inner folds of all folds of the tuned study. It is
stored like any other, so that what is done stays done, and more configurations are only added. With halving there is
one for each rung that a configuration may reach. Studies of one rung are trained in one wave; the next wave is what the
store's outcomes of this one say, whoever trained them and in which order. The tuned studies themselves come last.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.plan import choosing
from bench.plan.cards import INNER_FOLDS, Setting
from bench.plan.choosing import rung_epochs, rung_sizes
from bench.plan.configurations import NOT_TUNED, Configuration, configurations
from bench.plan.request import Request
from bench.study import inner
from mer_models._parts.weights_file import by_content
from preprocess.base.code import code_fingerprint

if TYPE_CHECKING:
    from bench.plan.planned import PlannedTraining

TRIED_BY = "last"
"""The selection by which configurations are tried: that of a tuned study's own training."""


@dataclass
class Rung:
    """One round of trials; those that do best in it go on to the next.

    Attributes
    ----------
    size : how many configurations are tried for each fold.
    trainings : that of each configuration, in the order in which they were drawn.
    """

    size: int
    trainings: list[PlannedTraining] = field(default_factory=list)


@dataclass
class Tuning:
    """What is tried for one tuned study.

    Attributes
    ----------
    configurations : what is tried; the default, without a change, comes first.
    inner : number of inner folds.
    rungs : one; with halving, as many as it takes.
    told : what the study's name says of all that: how much is tried, and what is not the usual.
    """

    configurations: list[Configuration]
    inner: int
    rungs: list[Rung]
    told: dict[str, Any]

    def setting(self, setting: Setting) -> Setting:
        """Return the setting of the tuned study: whatever its choice depends on is in its key."""
        more = {
            "configurations": [{key: by_content(value) for key, value in one.items()} for one in self.configurations],
            "inner": self.inner,
            "rungs": [rung.size for rung in self.rungs],
            "code": _code_of(choosing.__file__),
        }
        return dataclasses.replace(setting, more={"tuned": more}, told=self.told)

    def settings(self, setting: Setting, rung: int) -> Iterator[Setting]:
        """Yield the setting in which each configuration is tried. How many others there are is not in its key."""
        for changed in self.configurations:
            values = {**setting.values, **changed}
            if setting.info.recipe:
                values["epochs"] = rung_epochs(values["epochs"], rung, len(self.rungs))
            more = {INNER_FOLDS: self.inner, "inner_code": _code_of(inner.__file__)}
            yield dataclasses.replace(setting, values=values, more=more)

    def inner_numbers(self, fold: int) -> range:
        """Return the numbers of the inner folds of a fold."""
        return range(fold * self.inner, (fold + 1) * self.inner)

    def ask(self, rung: int, reached: Mapping[int, Sequence[int]]) -> None:
        """Set what a rung has to train. reached : fold -> the configurations that got so far."""
        for number, planned in enumerate(self.rungs[rung].trainings):
            asked = {place for fold, own in reached.items() if number in own for place in self.inner_numbers(fold)}
            planned.todo = [place for place in planned.missing if place in asked]

    def expected(self, folds: int, after: int = 0) -> int:
        """Return how many trainings the rungs after one take for so many folds, where none of them was done before."""
        return sum(folds * self.inner * rung.size for rung in self.rungs[after + 1 :])


class Tunings:
    """What a run asks to be tried of each model."""

    def __init__(self, request: Request) -> None:
        self._config = request.config
        self._spaces = {model.info.name: model.space for model in request.models}

    def of(self, setting: Setting) -> tuple[Tuning | None, str]:
        """Return what is tried in a setting, and a note; None where there is nothing to try."""
        config, name = self._config, setting.info.name
        space = self._spaces[name]
        if not space:
            return None, f"Model {name} is not tuned: its search space is empty (--search {name}.KEY=VALUES gives one)."
        found = configurations(setting.info, space, setting.values, config.configs, setting.seed)
        rungs = rung_sizes(len(found), config.halving and setting.info.recipe is not None)
        tuning = Tuning(found, config.inner, [Rung(size) for size in rungs], self._told(name, found, len(rungs) > 1))
        if len(found) == config.configs:
            return tuning, ""
        few = f"Model {name}: its search space holds {len(found)} configurations; --configs asked for {config.configs}."
        return tuning, few

    def _told(self, model: str, found: Sequence[Configuration], halving: bool) -> dict[str, Any]:
        asked = [(*name.rpartition("."), domain) for name, domain in self._config.search.items()]
        spaces = {f"search.{key}": domain.words for name, _, key, domain in asked if name == model}
        used = {"inner": self._config.inner, "halving": halving}
        unusual = {key: value for key, value in used.items() if value != NOT_TUNED[key]}
        return {"configs": len(found), **unusual, **spaces}


@functools.cache
def _code_of(file: str) -> str:
    """Return the fingerprint of code whose change may change what is chosen."""
    return code_fingerprint(file)
