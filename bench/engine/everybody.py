"""A model for use, not for a score: trained on everybody of a study, then shown samples that are no part of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from bench.engine.fit import build_network, evaluate, train_network
from bench.engine.inputs import make_inputs
from bench.engine.selection import SELECTIONS
from bench.engine.starting import without_own_start
from bench.engine.train import (
    deterministic,
    fitted_estimator,
    load_weights,
    model_params,
    recipe_of,
    score_estimator,
)
from bench.study.data import StudyData
from bench.study.feature_rows import UNLIMITED
from bench.study.folds import Fold, fold_seed
from mer_models.registry import ModelInfo

EVERYBODY = "everybody"
"""The name of the one split that holds nobody out."""


@dataclass(frozen=True)
class Trained:
    """A trained model as arrays.

    Attributes
    ----------
    weights : name -> array; with the statistics, all that is needed to score.
    statistics : feature -> mean and deviation of the training samples; none where the recipe's range takes none.
    seconds : wall time of the training.
    """

    weights: dict[str, np.ndarray]
    statistics: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    seconds: float = 0.0


def train_on_everybody(
    info: ModelInfo,
    hyperparameters: dict[str, Any],
    data: StudyData,
    seed: int,
    device: str = "cpu",
    threads: int = 1,
    memory: int = UNLIMITED,
) -> Trained:
    """Train on all samples of a study by the recipe, to its last epoch: nobody is left to choose another one on.

    Parameters
    ----------
    info : the model.
    hyperparameters : every setting of the model with its value.
    data : the study's samples.
    seed : of the study.
    device : where networks are trained.
    threads : torch threads on the CPU.
    memory : how many bytes of features may be held.
    """
    start = time.perf_counter()
    nobody = np.empty(0, dtype=np.int64)
    fold = Fold(EVERYBODY, np.arange(len(data)), nobody, nobody, fold_seed(seed, info.name, []))
    with deterministic(threads):
        train = _train_network if info.kind == "network" else _train_estimator
        weights, statistics = train(info, hyperparameters, data, fold, device, memory)
    return Trained(weights, statistics, time.perf_counter() - start)


def score_new(
    info: ModelInfo,
    hyperparameters: dict[str, Any],
    data: StudyData,
    trained: Trained,
    device: str = "cpu",
    threads: int = 1,
) -> np.ndarray:
    """Return the (n, n_classes) float32 scores of samples that a trained model has not seen.

    Parameters
    ----------
    info : the model.
    hyperparameters : those that it was trained with.
    data : the samples; their labels are not looked at.
    trained : the model.
    device : where networks run.
    threads : torch threads on the CPU.

    Raises
    ------
    DataError : the weights are not this model's.
    """
    everyone = np.arange(len(data))
    with deterministic(threads):
        if info.kind == "estimator":
            return score_estimator(info, hyperparameters, data, data.features, everyone, trained.weights)
        recipe = recipe_of(info, hyperparameters)
        params = without_own_start(info, model_params(info, hyperparameters))
        model = build_network(info, params, len(data.classes), 0, device)
        load_weights(info.name, model, trained.weights, device)
        statistics = {
            name: (torch.from_numpy(mean).to(device), torch.from_numpy(deviation).to(device))
            for name, (mean, deviation) in trained.statistics.items()
        }
        inputs = make_inputs(info, model, recipe, data, everyone, device, statistics)
        return evaluate(model, inputs, everyone)


def _train_network(
    info: ModelInfo, hyperparameters: dict[str, Any], data: StudyData, fold: Fold, device: str, memory: int
) -> tuple[dict[str, np.ndarray], dict[str, tuple[np.ndarray, np.ndarray]]]:
    recipe = recipe_of(info, hyperparameters)
    model = build_network(info, model_params(info, hyperparameters), len(data.classes), fold.seed, device)
    inputs = make_inputs(info, model, recipe, data, fold.train, device, memory=memory)
    kept = train_network(model, recipe, inputs, data, fold, [SELECTIONS.get("last")])["last"]
    weights = {name: value.cpu().numpy() for name, value in kept.state.items()}
    statistics = {
        name: (mean.cpu().numpy(), deviation.cpu().numpy()) for name, (mean, deviation) in inputs.statistics.items()
    }
    return weights, statistics


def _train_estimator(
    info: ModelInfo, hyperparameters: dict[str, Any], data: StudyData, fold: Fold, device: str, memory: int
) -> tuple[dict[str, np.ndarray], dict[str, tuple[np.ndarray, np.ndarray]]]:
    return fitted_estimator(info, hyperparameters, data, fold).state(), {}
