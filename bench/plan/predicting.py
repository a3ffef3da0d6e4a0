"""A model that was fitted before: its folder read and held against this version of the program, and what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.engine.everybody import Trained, score_new
from bench.plan.fitting import statistics_of
from bench.study.data import StudyData
from mer_models.registry import MODELS, ModelInfo
from preprocess.base.code import code_fingerprint
from preprocess.base.errors import DataError, MerError, UsageError
from preprocess.base.hashing import digest
from preprocess.recipes import FEATURES, FeatureRecipe
from results.scores.metrics import decide
from results.store.model_folder import StoredModel, read_model


@dataclass(frozen=True)
class Fitted:
    """A model that is ready to be shown samples.

    Attributes
    ----------
    stored : its folder.
    info : its entry in the registry.
    recipes : how the features are made that it is shown, in order.
    device : torch's name of the device.
    notes : what a person should know of it.
    """

    stored: StoredModel
    info: ModelInfo
    recipes: tuple[FeatureRecipe, ...]
    device: str
    notes: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of its task."""
        return tuple(self.stored.configuration["task"]["classes"])

    @property
    def multilabel(self) -> bool:
        """Whether a sample may show several classes."""
        return bool(self.stored.configuration["task"]["multilabel"])

    @property
    def told(self) -> dict[str, Any]:
        """What is told of the model beside its predictions."""
        configuration = self.stored.configuration
        facts = {name: configuration[name] for name in ("label", "task", "expected")}
        return {**facts, "hash": self.stored.key, "notes": list(self.notes)}

    def scores(self, features: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
        """Return the (n, n_classes) float32 scores of samples.

        Parameters
        ----------
        features : feature -> (n, ...) values, of those that the model is shown.
        names : n names of the samples.
        """
        configuration = self.stored.configuration
        trained = Trained(self.stored.weights, statistics_of(configuration["statistics"]))
        data = _data(self, features, names)
        threads = self.info.resources.cpus
        return score_new(self.info, configuration["hyperparameters"], data, trained, self.device, threads)

    def probabilities(self, scores: np.ndarray) -> np.ndarray | None:
        """Return the (n, n_classes) probabilities of a network's scores; None for an estimator, which has none."""
        if self.info.kind == "estimator":
            return None
        logits = scores.astype(np.float64)
        if self.multilabel:
            positive: np.ndarray = 1 / (1 + np.exp(-logits))
            return positive
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
        return shares

    def predicted(self, scores: np.ndarray) -> list[tuple[str, ...]]:
        """Return the class of each sample, or those that it shows."""
        chosen = decide(scores, self.multilabel)
        if self.multilabel:
            return [tuple(name for name, one in zip(self.classes, row, strict=True) if one) for row in chosen]
        return [(self.classes[place],) for place in chosen.tolist()]


def load_fitted(folder: Path, device: str) -> Fitted:
    """Return the model of a folder that ``merbench fit`` wrote.

    Raises
    ------
    StoreError : the folder is incomplete, edited or damaged.
    UsageError : the model, or a feature of it, is not known here.
    DataError : a feature is made otherwise here than when the model was fitted, or the weights are not the model's.
    """
    stored = read_model(folder)
    configuration = stored.configuration
    try:
        info = MODELS.get(configuration["model"])
        recipes = tuple(_recipe(name, told) for name, told in configuration["features"].items())
        fitted = Fitted(stored, info, recipes, device, _notes(info, configuration))
        blank = {one.name: np.zeros((1, *one.shape), dtype=one.dtype) for one in recipes}
        fitted.scores(blank, ["blank"])
    except MerError as error:
        raise type(error)(f"--model {folder}: {error}") from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"--model {folder}: its settings are not those of {configuration.get('model')} here ({error!r}): another "
            "version of merbench fitted it. Use that version, or fit the model again."
        ) from error
    return fitted


def _recipe(name: str, told: Mapping[str, Any]) -> FeatureRecipe:
    if name not in FEATURES.names():
        raise UsageError(f"it takes the feature {name}, which is not known here. Give its file with --recipes.")
    recipe = FEATURES.get(name)
    if told["recipe"] is not None and digest(told["recipe"]) != digest(recipe.as_json()):
        raise DataError(
            f"the feature {name} is made otherwise here than when the model was fitted, so that its answers would mean "
            "nothing. Use the version of merbench that fitted it, or fit the model again."
        )
    if tuple(told["shape"]) != recipe.shape:
        raise DataError(
            f"it was fitted on {name} of shape {tuple(told['shape'])}, and recordings give {recipe.shape}. Fit it on "
            "data that brings recordings."
        )
    return recipe


def _notes(info: ModelInfo, configuration: Mapping[str, Any]) -> tuple[str, ...]:
    notes = []
    if configuration["trained_on"]["synthetic"]:
        notes.append("the model was trained on synthetic data: it says nothing about real faces")
    if configuration["code"]["model"] != code_fingerprint(info.file):
        notes.append(f"the code of {info.name} has changed since the model was fitted")
    for name, one in configuration["features"].items():
        if one["ready_made"]:
            made = ", ".join(one["ready_made"])
            notes.append(f"{name} of {made} was made by others; of recordings it is made by this program's recipe")
    if info.kind == "estimator":
        notes.append(f"{info.name} gives scores, no probabilities")
    return tuple(notes)


def _data(fitted: Fitted, features: Mapping[str, np.ndarray], names: Sequence[str]) -> StudyData:
    """Return samples as the engine takes them; what only a training reads of them is blank."""
    targets = {name: FEATURES.get(name) for name in fitted.info.targets}
    blank = {name: np.zeros((len(names), *one.shape), dtype=one.dtype) for name, one in targets.items()}
    ids, none = np.array(names), np.full(len(names), "")
    width = (len(names), len(fitted.classes)) if fitted.multilabel else (len(names),)
    layouts = {one.name: one.layout for one in (*fitted.recipes, *targets.values())}
    labels = np.zeros(width, dtype=np.int64)
    return StudyData(ids, ids, none, none, labels, {**features, **blank}, layouts, fitted.classes)
