"""Which checks there are of each kind of thing that a plug-in can register."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from bench.checks.check import Check, checks_of
from preprocess.base.registry import Registry

_REGISTRIES = {
    "annotation": "preprocess.labels.emotions:ANNOTATIONS",
    "augmentation": "bench.engine.augmentation:AUGMENTATIONS",
    "column": "results.views.columns:COLUMNS",
    "dataset": "preprocess.datasets:DATASETS",
    "feature": "preprocess.recipes:FEATURES",
    "label_metric": "results.scores.multilabel:LABEL_METRICS",
    "metric": "results.scores.metrics:METRICS",
    "model": "mer_models.registry:MODELS",
    "protocol": "bench.study.protocols:PROTOCOLS",
    "selection": "bench.engine.selection:SELECTIONS",
    "step": "preprocess.steps:STEPS",
    "task": "preprocess.labels.tasks:TASKS",
}
"""Where the registry of each kind stands, as ``module:name``; imported where it is asked for."""


def registry_of(kind: str) -> Registry[Any]:
    """Return the registry of a kind."""
    module, _, name = _REGISTRIES[kind].partition(":")
    return getattr(importlib.import_module(module), name)


def checks_for(kind: str, name: str, data: Sequence[str] = ()) -> list[Check]:
    """Return the checks of something registered; [] for a kind that has none.

    Parameters
    ----------
    kind : of its registry: ``model``, ``protocol``, ...
    name : under which it is registered.
    data : sources, as for ``--data``, on which a dataset is tried.
    """
    if kind == "dataset":
        from bench.checks import datasets

        return checks_of(datasets, datasets.DatasetCase(name, registry_of(kind).get(name), data))
    return _CHECKS[kind](name, registry_of(kind).get(name)) if kind in _CHECKS else []


def _model(name: str, info: Any) -> list[Check]:
    from bench.checks import estimators, models, networks, published_numbers

    if info.kind == "estimator":
        return checks_of(models, info) + checks_of(estimators, estimators.EstimatorCase(info))
    own = checks_of(networks, networks.NetworkCase(info))
    return checks_of(models, info) + own + checks_of(published_numbers, info)


def _annotation(name: str, annotation: Any) -> list[Check]:
    from bench.checks import annotations

    return checks_of(annotations, annotations.AnnotationCase(name, annotation))


def _augmentation(name: str, step: Any) -> list[Check]:
    from bench.checks import augmentations

    return checks_of(augmentations, augmentations.AugmentationCase(name, step))


def _task(name: str, task: Any) -> list[Check]:
    from bench.checks import tasks

    return checks_of(tasks, tasks.TaskCase(name, task))


def _step(name: str, step: Any) -> list[Check]:
    from bench.checks import steps

    return checks_of(steps, steps.StepCase(step))


def _feature(name: str, recipe: Any) -> list[Check]:
    from bench.checks import features

    return checks_of(features, features.FeatureCase(recipe))


def _protocol(name: str, protocol: Any) -> list[Check]:
    from bench.checks import protocols

    return checks_of(protocols, protocols.case_of(name, protocol))


def _metric(name: str, metric: Any) -> list[Check]:
    from bench.checks import metrics
    from results.scores.counting import SINGLE_LABEL

    return checks_of(metrics, metrics.MetricCase(metric, SINGLE_LABEL, multilabel=False))


def _label_metric(name: str, metric: Any) -> list[Check]:
    from bench.checks import metrics
    from results.scores.counting import MULTI_LABEL

    return checks_of(metrics, metrics.MetricCase(metric, MULTI_LABEL, multilabel=True))


def _column(name: str, column: Any) -> list[Check]:
    from bench.checks import columns

    return checks_of(columns, column)


_CHECKS: dict[str, Callable[[str, Any], list[Check]]] = {
    "annotation": _annotation,
    "augmentation": _augmentation,
    "feature": _feature,
    "model": _model,
    "protocol": _protocol,
    "metric": _metric,
    "label_metric": _label_metric,
    "column": _column,
    "step": _step,
    "task": _task,
}
