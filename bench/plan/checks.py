"""What is checked before anything is trained: settings of models, and what the training data lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.study.data import StudyData
from bench.study.folds import Fold, classes_shown
from mer_models._parts.pretrained import NONE
from mer_models.registry import ModelInfo
from preprocess.base.errors import DataError, MerError, UsageError
from preprocess.labels.action_units import unreadable_cells
from preprocess.recipes import recipes_of
from preprocess.shards.prepared import PreparedDataset


def check_settings(info: ModelInfo, values: dict[str, Any], n_classes: int) -> None:
    """Assert that a model takes the values that were set, and its features with them.

    Otherwise every fold would fail for it, one by one, in the workers.

    Raises
    ------
    UsageError : it does not; the message says why.
    """
    params = {name: values[name] for name in info.params}
    if values.get("freeze"):
        _check_freeze(info, params, n_classes, values["freeze"])
    if params in (info.params, info.quick_params) and params.get("pretrained", NONE) == NONE:
        # The model's own values, which are tested with it; trained weights may be out of reach all the same.
        return
    try:
        info.build(n_classes=n_classes, **params)
    except MerError:
        raise
    except Exception:
        # A bug of the model: its folds will record it with the traceback, and the other studies go on.
        return
    known = _shapes(info)
    if len(known) == len(info.features):
        check_inputs(info, params, n_classes, known)


def _check_freeze(info: ModelInfo, params: dict[str, Any], n_classes: int, patterns: str) -> None:
    """Raise UsageError where nothing of a network is called so, or nothing would be left to train."""
    import torch

    from bench.engine.fit import build_network
    from bench.engine.freezing import freeze
    from bench.engine.starting import without_own_start

    try:
        with torch.random.fork_rng(devices=[]):
            network = build_network(info, without_own_start(info, params), n_classes, seed=0, device="cpu")
        freeze(network, patterns)
    except UsageError as error:
        raise UsageError(f"Model {info.name}: {error}") from None


def check_inputs(
    info: ModelInfo, params: dict[str, Any], n_classes: int, shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Build a network and feed it one blank sample.

    Parameters
    ----------
    info : the model; an estimator is not fed.
    params : the values of the builder's settings.
    n_classes : number of classes.
    shapes : name of a feature -> shape of one sample's tensor.

    Raises
    ------
    UsageError : the network cannot take features of these shapes, such as a sequence that is too short.
    """
    if info.kind != "network":
        return
    import torch

    from bench.engine.fit import build_network

    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            network = build_network(info, params, n_classes, seed=0, device="cpu").eval()
            network(*(torch.zeros(1, *shapes[name]) for name in info.inputs))
    except MerError:
        raise
    except Exception as error:
        made_for = _shapes(info)
        given = " and ".join(
            f"{name} of shape {shapes[name]}"
            + (f" (it is made for {made_for[name]})" if made_for.get(name, shapes[name]) != shapes[name] else "")
            for name in info.features
        )
        changed = ", ".join(f"{name}={value}" for name, value in params.items() if value != info.params[name])
        reason = " ".join(str(error).split())[:300]
        raise UsageError(
            f"Model {info.name}{f' with {changed}' if changed else ''} cannot take {given}: {type(error).__name__}: "
            f"{reason}. Choose other settings or another model, or leave this data out with --datasets."
        ) from error


def _shapes(info: ModelInfo) -> dict[str, tuple[int, ...]]:
    return {name: recipe.shape for name, recipe in recipes_of(info.features).items()}


def lacking_classes(protocol: str, folds: Sequence[Fold], data: StudyData) -> list[str]:
    """Return a note, if any, of classes that some folds never see in training; test samples that show them still count.

    Raises
    ------
    DataError : all training samples of a fold are of one class, and the task is not multi-label.
    """
    lacking: dict[int, list[str]] = {}
    unlearned = 0
    for fold in folds:
        present = classes_shown(data.labels[fold.train])
        if len(present) < 2 and not data.multilabel:
            raise DataError(
                f"{'+'.join(sorted(set(data.datasets.tolist())))}, protocol {protocol}: without {fold.name!r}, all "
                f"{len(fold.train)} training samples show class {data.classes[min(present)]!r}. Nobody learns from one "
                "class to tell several: use another task or protocol, or leave this dataset out with --datasets."
            )
        absent = sorted(set(range(len(data.classes))) - present)
        for index in absent:
            lacking.setdefault(index, []).append(fold.name)
        tested = data.labels[fold.test]
        unlearned += int((tested[:, absent].any(axis=1) if data.multilabel else np.isin(tested, absent)).sum())
    if not lacking:
        return []
    found = ", ".join(
        f"{data.classes[index]} in {len(names)} of {len(folds)} folds ({names[0]}{', ...' if names[1:] else ''})"
        for index, names in sorted(lacking.items())
    )
    return [f"no training sample shows {found}; the test samples that do so there ({unlearned}) count all the same"]


def unread_units(dataset: PreparedDataset) -> list[str]:
    """Return a note, if any, of the samples whose action units cannot be read."""
    faults = unreadable_cells(dataset.samples)
    if not faults:
        return []
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    where = f"{len(faults)} of {len(dataset.samples)} samples"
    return [f"{dataset.name}: the units of {where} count as not annotated. {faults[0].removesuffix('.')}{more}"]


def unknown_units(model: str, data: StudyData) -> list[str]:
    """Return a note for each dataset without action units, where the model learns from them."""
    if data.action_units is None:
        return []
    return [
        f"{name}: no sample has action units, so {model} learns nothing from them"
        for name in sorted(set(data.datasets.tolist()))
        if (data.action_units[data.datasets == name] < 0).all()
    ]


def seen_before(info: ModelInfo, values: Mapping[str, Any], data: StudyData) -> list[str]:
    """Return a note for each dataset whose clips the weights that a model starts from were trained on."""
    if values.get("pretrained", NONE) == NONE:
        return []
    return [
        f"{name}: the weights that {info.name} starts from were trained on its clips, without labels, so they have "
        "seen the people whom a fold holds out"
        for name in info.seen_before
        if name in data.datasets
    ]
