"""The training engine: trains a pack of folds of one study on one device and hands back each fold's result.

Pure torch and numpy: no Ray, no MLflow, no files. A fold's result depends on its own rows, seed and recipe only, never
on the pack it travels in, so that any packing gives the same bits on the same kind of device.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch

from bench.engine.fit import build_network, evaluate, train_network
from bench.engine.inputs import Inputs, inputs_of_rows, make_inputs
from bench.engine.selection import SELECTIONS, Selection
from bench.engine.starting import head_of, start_from, without_own_start
from bench.study.data import StudyData
from bench.study.feature_rows import UNLIMITED, Values
from bench.study.folds import Fold
from mer_models.contracts import TrainingRecipe
from mer_models.registry import ModelInfo
from preprocess.base.errors import DataError
from preprocess.base.scoped import environment


@dataclass(frozen=True)
class FoldResult:
    """One fold under one selection.

    Attributes
    ----------
    scores : (n_test, n_classes) float32, rows as in ``Fold.test``. Of a network and a multi-label task, the sigmoid of
        a score is the probability that the sample shows the class.
    selected_epoch : which epoch was scored, from 1; 0 for estimators.
    curves : name -> a value for every epoch.
    weights : name -> array; all that is needed to score again.
    seconds : wall time of the training.
    shifted : shift -> scores of the same samples with their key frames shifted, in the form of ``scores``.
    """

    scores: np.ndarray
    selected_epoch: int
    curves: dict[str, list[float]]
    weights: dict[str, np.ndarray]
    seconds: float
    shifted: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class FoldJob:
    """A fold to train.

    Attributes
    ----------
    fold : who is trained on and who is tested.
    selections : those wanted of it; ``last`` and ``oracle`` are read from one training.
    changed : hyper-parameters that the fold has of its own.
    start : the weights that a network starts from, all but its head; None for those that it is built with.
    """

    fold: Fold
    selections: tuple[str, ...]
    changed: Mapping[str, Any] = field(default_factory=dict)
    start: Mapping[str, np.ndarray] | None = None


_DETERMINISTIC = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "TORCHINDUCTOR_DETERMINISTIC": "1"}

TAKEN_BYTES = 64 * 2**20
"""So many bytes of a feature are taken at a time for an estimator, which holds all samples of a fold as float32."""

OnResult = Callable[[FoldJob, str, FoldResult], None]
OnError = Callable[[FoldJob, BaseException], None]


def train_pack(
    info: ModelInfo,
    hyperparameters: dict[str, Any],
    data: StudyData,
    jobs: Sequence[FoldJob],
    on_result: OnResult,
    on_error: OnError,
    device: str = "cpu",
    threads: int = 1,
    memory: int = UNLIMITED,
) -> Iterator[FoldJob]:
    """Train the folds of ``jobs`` and yield each job once it is finished or has failed.

    Parameters
    ----------
    info : the model.
    hyperparameters : every setting of the model with its value; a job may change some.
    data : the study's samples.
    jobs : the folds and the selections wanted of each.
    on_result : called with job, selection and result as soon as there is one.
    on_error : called with job and error for a fold that raised; the other folds go on.
    device : where networks are trained.
    threads : torch threads on the CPU. They decide the last bits of a result, so they come from the model's resources
        and not from the machine.
    memory : how many bytes of features may be held. It changes no bit: of others, a network takes each batch when it
        needs it.

    Raises
    ------
    HonestyError : somebody, or a picture, is both trained and tested on in one of the folds. Nothing is trained then.
    """
    for job in jobs:
        job.fold.check(data.subjects, data.copies)
    run = _fit_network if info.kind == "network" else _fit_estimator
    for job in jobs:
        with deterministic(threads):
            try:
                values = {**hyperparameters, **job.changed}
                for selection, result in run(info, values, data, job, device, memory):
                    on_result(job, selection, result)
            except Exception as error:
                on_error(job, error)
        yield job


def score_again(
    info: ModelInfo,
    hyperparameters: dict[str, Any],
    data: StudyData,
    fold: Fold,
    weights: dict[str, np.ndarray],
    device: str = "cpu",
    threads: int = 1,
    memory: int = UNLIMITED,
) -> np.ndarray:
    """Return the (n_test, n_classes) scores of a fold from its stored weights, as ``train_pack`` computed them.

    Raises
    ------
    DataError : the weights are not this model's.
    """
    with deterministic(threads):
        if info.kind == "estimator":
            return score_estimator(info, hyperparameters, data, data.features, fold.test, weights)
        model, inputs = _restored(info, hyperparameters, data, fold, weights, device, memory)
        return evaluate(model, inputs, fold.test)


def score_shifted(
    info: ModelInfo,
    hyperparameters: dict[str, Any],
    data: StudyData,
    fold: Fold,
    weights: dict[str, np.ndarray],
    device: str = "cpu",
    threads: int = 1,
    memory: int = UNLIMITED,
) -> dict[str, np.ndarray]:
    """Return shift -> the (n_test, n_classes) scores of a fold's shifted clips from its stored weights, as trained.

    Raises
    ------
    DataError : the weights are not this model's.
    """
    with deterministic(threads):
        if info.kind == "estimator":
            return {
                shift: score_estimator(info, hyperparameters, data, of, fold.test, weights)
                for shift, of in data.shifted.items()
            }
        model, inputs = _restored(info, hyperparameters, data, fold, weights, device, memory)
        return _evaluate_shifted(model, inputs, info, data, fold)


def _restored(
    info: ModelInfo,
    hyperparameters: dict[str, Any],
    data: StudyData,
    fold: Fold,
    weights: dict[str, np.ndarray],
    device: str,
    memory: int,
) -> tuple[torch.nn.Module, Inputs]:
    """Return a network with its stored weights, and the inputs of its fold."""
    recipe = recipe_of(info, hyperparameters)
    model = build_network(info, model_params(info, hyperparameters), len(data.classes), fold.seed, device)
    load_weights(info.name, model, weights, device)
    return model, make_inputs(info, model, recipe, data, fold.train, device, memory=memory)


def _evaluate_shifted(
    model: torch.nn.Module, inputs: Inputs, info: ModelInfo, data: StudyData, fold: Fold
) -> dict[str, np.ndarray]:
    everyone = np.arange(len(fold.test))
    return {
        shift: evaluate(model, inputs_of_rows(inputs, info, model, of, fold.test), everyone)
        for shift, of in data.shifted.items()
    }


def recipe_of(info: ModelInfo, hyperparameters: dict[str, Any]) -> TrainingRecipe:
    """Return the training recipe among all settings of a model."""
    return TrainingRecipe(**{item.name: hyperparameters[item.name] for item in fields(TrainingRecipe)})


def score_estimator(
    info: ModelInfo,
    hyperparameters: dict[str, Any],
    data: StudyData,
    features: Mapping[str, Values],
    rows: np.ndarray,
    weights: dict[str, np.ndarray],
) -> np.ndarray:
    """Return the (n_rows, n_classes) scores of an estimator with these weights; DataError where they are another's."""
    estimator = info.build(n_classes=len(data.classes), **model_params(info, hyperparameters))
    try:
        estimator.load_state(weights)
        return _scores(info, estimator, features, rows)
    except (ValueError, IndexError, TypeError) as error:
        # Arrays of the right names and other shapes: numpy finds out where they meet.
        shapes = ", ".join(f"{name} {value.shape}" for name, value in sorted(weights.items()))
        raise DataError(f"the weights ({shapes}) are not those of {info.name}: {error}") from error


def load_weights(name: str, model: torch.nn.Module, weights: dict[str, np.ndarray], device: str) -> None:
    """Give a network its weights; DataError, naming the first difference, where names or shapes are not its own."""
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    given = {key: value.shape for key, value in weights.items()}
    for key in sorted(expected.keys() | given.keys()):
        if given.get(key) != expected.get(key):
            raise DataError(
                f"the weights are not those of {name}: {key} is {given.get(key, 'missing')} in the file and "
                f"{expected.get(key, 'unknown')} in the network"
            )
    model.load_state_dict({key: torch.from_numpy(value.copy()).to(device) for key, value in weights.items()})


def model_params(info: ModelInfo, hyperparameters: dict[str, Any]) -> dict[str, Any]:
    """Return the builder's arguments among all settings of a model."""
    return {name: hyperparameters[name] for name in info.params}


def _rows(info: ModelInfo, features: Mapping[str, Values], rows: np.ndarray) -> list[np.ndarray]:
    return [_as_float(features[name], rows) for name in info.features]


def _as_float(values: Values, rows: np.ndarray) -> np.ndarray:
    """Return some rows of a feature as float32; of what is stored, a few rows are held beside them."""
    result = np.empty((len(rows), *values.shape[1:]), dtype=np.float32)
    at_a_time = max(1, TAKEN_BYTES // max(1, math.prod(values.shape[1:]) * values.dtype.itemsize))
    for first in range(0, len(rows), at_a_time):
        result[first : first + at_a_time] = values[rows[first : first + at_a_time]]
    return result


def _scores(info: ModelInfo, estimator: Any, features: Mapping[str, Values], rows: np.ndarray) -> np.ndarray:
    """Return the (n_rows, n_classes) float32 scores; without a feature, the model has one row for every sample."""
    scores = np.asarray(estimator.scores(*_rows(info, features, rows)), dtype=np.float32)
    return scores if info.features else np.repeat(scores, len(rows), axis=0)


def _fit_network(
    info: ModelInfo, hyperparameters: dict[str, Any], data: StudyData, job: FoldJob, device: str, memory: int
) -> Iterator[tuple[str, FoldResult]]:
    start = time.perf_counter()
    fold, recipe = job.fold, recipe_of(info, hyperparameters)
    rules: list[Selection] = [SELECTIONS.get(name) for name in job.selections]
    model = _built(info, model_params(info, hyperparameters), len(data.classes), job, device)
    inputs = make_inputs(info, model, recipe, data, fold.train, device, memory=memory)
    trained = train_network(model, recipe, inputs, data, fold, rules)
    seconds = time.perf_counter() - start
    for name, kept in trained.items():
        model.load_state_dict(kept.state)
        scores = evaluate(model, inputs, fold.test)
        others = _evaluate_shifted(model, inputs, info, data, fold)
        weights = {key: value.cpu().numpy() for key, value in kept.state.items()}
        yield name, FoldResult(scores, kept.epoch, kept.curves, weights, seconds, others)


def _built(info: ModelInfo, params: dict[str, Any], n_classes: int, job: FoldJob, device: str) -> torch.nn.Module:
    """Return a fold's network with its initial weights."""
    if job.start is None:
        return build_network(info, params, n_classes, job.fold.seed, device)
    head = head_of(info, params, n_classes)
    model = build_network(info, without_own_start(info, params), n_classes, job.fold.seed, device)
    start_from(model, head, job.start, device)
    return model


def _fit_estimator(
    info: ModelInfo, hyperparameters: dict[str, Any], data: StudyData, job: FoldJob, device: str, memory: int
) -> Iterator[tuple[str, FoldResult]]:
    start = time.perf_counter()
    estimator = fitted_estimator(info, hyperparameters, data, job.fold)
    scores = _scores(info, estimator, data.features, job.fold.test)
    seconds = time.perf_counter() - start
    shifted = {shift: _scores(info, estimator, of, job.fold.test) for shift, of in data.shifted.items()}
    result = FoldResult(scores, 0, {}, estimator.state(), seconds, shifted)
    # An estimator has no epochs to choose from, so every selection scores the same fit.
    for name in job.selections:
        yield name, result


def fitted_estimator(info: ModelInfo, hyperparameters: dict[str, Any], data: StudyData, fold: Fold) -> Any:
    """Return an estimator that is fitted on the training samples of a fold."""
    estimator = info.build(n_classes=len(data.classes), **model_params(info, hyperparameters))
    rng = np.random.default_rng([fold.seed, 2])
    estimator.fit(*_rows(info, data.features, fold.train), y=data.labels[fold.train], rng=rng)
    return estimator


@contextmanager
def deterministic(threads: int) -> Iterator[None]:
    """Fix the thread count and choose deterministic kernels; leave the caller's process as it was."""
    before = torch.get_num_threads()
    mode = torch.get_deterministic_debug_mode()
    torch.set_num_threads(threads)
    # As use_deterministic_algorithms(True, warn_only=True), which imports torch's compiler; that is told below.
    torch.set_deterministic_debug_mode("warn")
    # Filling fresh memory guards against kernels that read it unwritten; it costs a sixth of a small network's step.
    guard: Any = torch.utils.deterministic
    filling, guard.fill_uninitialized_memory = guard.fill_uninitialized_memory, False
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices=devices), environment(_DETERMINISTIC, keep=True):
            yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        guard.fill_uninitialized_memory = filling
        torch.set_num_threads(before)
