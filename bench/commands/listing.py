"""What ``merbench list`` prints: the registries, as tables."""

from __future__ import annotations

from collections.abc import Callable

from preprocess.base.docs import first_line
from preprocess.base.errors import UsageError, did_you_mean
from results.views.text import Header, table


def listing(kind: str) -> str:
    """Return a table of everything registered of a kind; UsageError for an unknown kind."""
    if kind not in _LISTS:
        raise UsageError(f"Unknown kind {kind!r}. {did_you_mean(kind, _LISTS)}")
    names, rows = _LISTS[kind]()
    headers: list[Header] = [(name, "left") for name in names]
    return "\n".join(table(headers, rows))


def _models() -> tuple[list[str], list[list[str]]]:
    from mer_models.registry import MODELS

    rows = []
    for name, info in MODELS.items():
        recipe = info.recipe
        training = (
            f"{recipe.optimizer} {recipe.lr:g}, {recipe.epochs} epochs, batch {recipe.batch_size}, {recipe.input_range}"
            if recipe
            else "fitted once"
        )
        params = ", ".join(f"{key}={value}" for key, value in info.params.items())
        rows.append([name, ", ".join(info.features) or "-", training, params or "-", info.paper])
    return ["model", "features", "recipe", "other hyper-parameters", "paper"], rows


def _datasets() -> tuple[list[str], list[list[str]]]:
    from preprocess.datasets import DATASETS

    return ["adapter", "reads"], [[name, adapter.description] for name, adapter in DATASETS.items()]


def _features() -> tuple[list[str], list[list[str]]]:
    from preprocess.recipes import FEATURES

    rows = []
    for name, recipe in FEATURES.items():
        shape = "x".join(str(size) for size in recipe.shape)
        rows.append([name, f"{recipe.dtype} {shape}", recipe.axes, recipe.summary.strip()])
    return ["feature", "tensor", "axes", "is"], rows


def _steps() -> tuple[list[str], list[list[str]]]:
    from preprocess.steps import STEPS

    rows = [[name, ", ".join(step.parameters()) or "-", step.summary] for name, step in STEPS.items()]
    return ["step", "options", "does"], rows


def _tasks() -> tuple[list[str], list[list[str]]]:
    from preprocess.labels.tasks import TASKS

    return ["task", "classes", "reference"], [
        [name, ", ".join(task.classes), task.reference] for name, task in TASKS.items()
    ]


def _protocols() -> tuple[list[str], list[list[str]]]:
    from bench.study.protocols import PROTOCOLS

    rows = [[name, protocol.summary, protocol.reference] for name, protocol in PROTOCOLS.items()]
    return ["protocol", "splits", "reference"], rows


def _selections() -> tuple[list[str], list[list[str]]]:
    from bench.engine.selection import SELECTIONS

    rows = [[name, rule.watches or "nothing", rule.summary] for name, rule in SELECTIONS.items()]
    return ["selection", "watches", "scores"], rows


def _augmentations() -> tuple[list[str], list[list[str]]]:
    from bench.engine.augmentation import AUGMENTATIONS

    return ["augmentation", "does"], [[name, one.summary] for name, one in AUGMENTATIONS.items()]


def _metrics() -> tuple[list[str], list[list[str]]]:
    from results.scores.metrics import METRICS
    from results.scores.multilabel import LABEL_METRICS

    rows = [
        [name, kind, first_line(metric)]
        for kind, registry in (("single-label", METRICS), ("multi-label", LABEL_METRICS))
        for name, metric in registry.items()
    ]
    return ["metric", "of tasks", "is"], rows


_LISTS: dict[str, Callable[[], tuple[list[str], list[list[str]]]]] = {
    "models": _models,
    "datasets": _datasets,
    "features": _features,
    "steps": _steps,
    "tasks": _tasks,
    "protocols": _protocols,
    "selections": _selections,
    "metrics": _metrics,
    "augmentations": _augmentations,
}
