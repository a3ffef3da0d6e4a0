"""What a run was asked for, with every name resolved: worked out once, before any data is touched."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.config import RunConfig
from bench.engine.selection import SELECTIONS, Selection
from bench.plan import hyperparameters
from bench.plan.checks import check_settings
from bench.plan.configurations import configurations, search_spaces
from bench.plan.starts import Asked, asked_starts
from bench.study.protocols import Protocol, select_protocols
from mer_models._parts.pretrained import NoWeights
from mer_models.registry import MODELS, ModelInfo
from mer_models.search import Space
from preprocess.base.errors import UsageError
from preprocess.labels.tasks import TASKS, Task
from results.store.audit import words


@dataclass(frozen=True)
class RequestedModel:
    """A model of a run.

    Attributes
    ----------
    info : the model's entry in the registry.
    values : every hyper-parameter with the value that the run gives it.
    two_class_values : the same for tasks of two classes.
    space : what a tuned study tries; empty where nothing is tuned.
    """

    info: ModelInfo
    values: dict[str, Any]
    two_class_values: dict[str, Any]
    space: Space = field(default_factory=dict)

    def values_in(self, task: Task) -> dict[str, Any]:
        """Return every hyper-parameter with its value in a task."""
        return self.two_class_values if len(task.classes) == 2 else self.values


@dataclass(frozen=True)
class Request:
    """Everything that a run is to train, as objects; the same as the configuration, where that has names.

    Attributes
    ----------
    config : the configuration that was resolved.
    models : the models with their hyper-parameters, in the order asked for.
    tasks : the label schemes.
    protocols : the splitting rules; ``transfer`` knows its datasets.
    selections : which epochs are scored.
    starts : where folds start from, as ``--pretrain`` says.
    left_out : a note for each model that a pattern chose and whose own first weights cannot be had.
    """

    config: RunConfig
    models: tuple[RequestedModel, ...]
    tasks: tuple[Task, ...]
    protocols: tuple[Protocol, ...]
    selections: tuple[Selection, ...]
    starts: Asked = field(default_factory=Asked)
    left_out: tuple[str, ...] = ()

    @property
    def features(self) -> list[str]:
        """Names of the features that at least one of the models takes, sorted."""
        return sorted({feature for model in self.models for feature in model.info.features})


def resolve(config: RunConfig) -> Request:
    """Look up every name of a configuration and check every setting.

    Raises
    ------
    UsageError : an unknown model, task, protocol or selection; a setting that the model does not have or refuses.
    """
    infos = [MODELS.get(name) for name in MODELS.select(config.models)]
    values, of_two = (hyperparameters.resolve(config, infos, n_classes) for n_classes in (0, 2))
    tasks = tuple(TASKS.get(name) for name in TASKS.select(config.tasks))
    selections = tuple(SELECTIONS.get(name) for name in SELECTIONS.select(config.selection))
    spaces = search_spaces(config, values, selections)
    models, left_out = _with_weights(
        [RequestedModel(info, values[info.name], of_two[info.name], spaces.get(info.name, {})) for info in infos],
        tasks,
        config.models,
    )
    for model in models:
        _check_drawn(model, tasks, config)
    return Request(
        config=config,
        models=tuple(models),
        selections=selections,
        protocols=tuple(select_protocols(config.protocols)),
        tasks=tasks,
        starts=asked_starts(config, [model.info for model in models], selections),
        left_out=tuple(left_out),
    )


def _check_drawn(model: RequestedModel, tasks: Sequence[Task], config: RunConfig) -> None:
    """Raise UsageError where a model does not take a configuration that is drawn for it."""
    for task, seed in itertools.product(tasks, config.seeds if model.space else ()):
        values = model.values_in(task)
        for changed in configurations(model.info, model.space, values, config.configs, seed):
            tried = {**values, **changed}
            try:
                hyperparameters.check_recipe(model.info, tried)
                hyperparameters.check_built_in_layouts(model.info, tried)
                check_settings(model.info, tried, len(task.classes))
            except UsageError as error:
                raise UsageError(f"The configuration {words(changed)} of {model.info.name}: {error}") from None


def _with_weights(
    models: Sequence[RequestedModel], tasks: Sequence[Task], named: Sequence[str]
) -> tuple[list[RequestedModel], list[str]]:
    """Return the models that can start, all settings checked, and notes of those that a pattern chose and that cannot.

    A model that was ``named`` is wanted, and so is the last one: its error is raised.
    """
    kept: list[RequestedModel] = []
    missing: dict[str, NoWeights] = {}
    for model in models:
        try:
            for task in tasks:
                check_settings(model.info, model.values_in(task), len(task.classes))
        except NoWeights as error:
            if model.info.name in named:
                raise
            missing[model.info.name] = error
        else:
            kept.append(model)
    if missing and not kept:
        raise next(iter(missing.values()))
    return kept, [f"Model {name} left out: {error}" for name, error in missing.items()]
