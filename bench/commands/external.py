"""``merbench test MODEL PROTOCOL --weights``: score weights that somebody else trained, fold by fold."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from bench.commands.gathering import prepare_features, prepare_spotted, read_sources, to_be_spotted
from bench.commands.scored import show_scored
from bench.config import RunConfig, results_root
from bench.console.interrupts import exit_status, farewell
from bench.console.say import say
from bench.engine.fit import build_network
from bench.engine.train import FoldResult, score_again
from bench.plan.external import Given, external_card, external_request
from bench.plan.plan import Plan, PlannedTraining, make_plan
from bench.study.data import StudyData
from bench.study.feature_rows import FlippedRows
from bench.study.folds import Fold
from bench.study.weights_files import WeightsFiles, find_weights
from bench.workers.devices import chosen_device
from bench.workers.feature_memory import feature_memory
from bench.workers.node_blocks import blocks_of_a_command
from bench.workers.pack import failure_of, outcome_of
from bench.workers.ray_session import RaySession
from mer_models._parts.given_weights import fitted, is_public
from mer_models._parts.weights_file import read_weights
from mer_models.registry import MODELS, ModelInfo
from preprocess.base.errors import DataError, MerError, UsageError
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard
from results.tracking.writer import check_address

CHANNELS = ("rgb", "bgr")


def score_external(
    config: RunConfig, words: Sequence[str], weights: str, channels: str | None, console: Console
) -> int:
    """Score given weights of somebody else's folds, and show them on a leaderboard, apart from ranked rows.

    Nothing is written before every file has been read and fits the network.

    Parameters
    ----------
    config : the data, the task, the model's settings, where results go.
    words : the model and the protocol.
    weights : a folder with a file for each fold, named for what it holds out; or one file for all folds.
    channels : one of ``CHANNELS``; None for what the model declares of the files, else ``rgb``.
    console : where progress and the leaderboard are shown.

    Returns
    -------
    The exit status: 0, or 1 where a fold failed.

    Raises
    ------
    MerError : something must be mended first.
    """
    if len(words) != 2:
        given = " ".join(words) or "nothing"
        raise UsageError(f"--weights takes a model and a protocol, as in `merbench test ststnet cde`; given: {given}.")
    if channels not in (None, *CHANNELS):
        raise UsageError(f"--channels {channels}: expected {' or '.join(CHANNELS)}.")
    info, files = _network(words[0]), find_weights(weights)
    public = info.public_weights if is_public(read_weights(files.files[0]), info.public_weights) else None
    request = external_request(config, info, words[1], public.form if public else {})
    check_address(config.tracking_uri, results_root(config.results))
    device = chosen_device(config.device)
    order = channels or (public.channels if public else "rgb")
    with RaySession(config.address, config.workers, lambda text: say(console, text)) as session:
        try:
            raw = read_sources(request.config, console)
            long = to_be_spotted(raw, request)
            prepared = prepare_features(raw, request, session, console)
            plan = make_plan(request, prepared, None, spotted=prepare_spotted(long, request, session, console))
            for note in plan.notes:
                say(console, note)
            with blocks_of_a_command() as open_block:
                data = {key: samples.opened(open_block) for key, samples in plan.data.items()}
                studies = _studies(plan, data, info, files, public is not None, order)
                store = OutcomeStore(results_root(config.results), create=True)
                memory = feature_memory(config.feature_memory, info, device, info.resources.cpus)
                failed = sum(study.score(store, device, memory, console) for study in studies)
        except KeyboardInterrupt:
            say(console, farewell("The folds scored so far"))
            return exit_status()
    return show_scored([study.card for study in studies], store, config, failed, console)


def _network(name: str) -> ModelInfo:
    names = MODELS.select([name])
    if len(names) > 1:
        raise UsageError(f"--weights are one model's, and {name!r} names several: {', '.join(names)}.")
    info = MODELS.get(names[0])
    if info.kind != "network":
        raise UsageError(f"--weights are those of networks, and {info.name} is an estimator. Train it: `merbench run`.")
    return info


def _studies(
    plan: Plan, data: Mapping[str, StudyData], info: ModelInfo, files: WeightsFiles, public: bool, order: str
) -> list[_Study]:
    """Return what is to be scored, each file of it read once to see that it fits."""
    folds = [planned.training.folds(data[planned.training.data]) for planned in plan.trainings]
    of_folds = files.of_folds([fold.name for of_study in folds for fold in of_study])
    given = Given(files.name, of_folds, files.by_fold, public, order)
    studies = [
        _Study(planned, info, own, in_order(info, data[planned.training.data], order), given)
        for planned, own in zip(plan.trainings, folds, strict=True)
    ]
    for study in studies:
        for file in dict.fromkeys(of_folds[fold.name] for fold in study.folds):
            study.weights(file)
    return studies


def in_order(info: ModelInfo, data: StudyData, order: str) -> StudyData:
    """Return the data with the channels of three-channel pictures in the order that the network reads them in.

    Parameters
    ----------
    info : the network.
    data : the study's samples.
    order : ``rgb`` leaves the features as they are, ``bgr`` reverses their channels.

    Raises
    ------
    UsageError : there is nothing to reverse.
    """
    if order == "rgb":
        return data
    layouts = {name: data.layouts[name] for name in info.features if data.layouts[name].channels == 3}
    if not layouts:
        raise UsageError(
            f"--channels bgr: {info.name} reads no pictures of three channels ({', '.join(info.features)})."
        )
    turned = {name: FlippedRows(data.features[name], layout.channel_axis) for name, layout in layouts.items()}
    return dataclasses.replace(data, features={**data.features, **turned})


class _Study:
    """One study of given weights.

    Attributes
    ----------
    card : its card.
    folds : its folds, in the card's order.
    """

    def __init__(
        self, planned: PlannedTraining, info: ModelInfo, folds: list[Fold], data: StudyData, given: Given
    ) -> None:
        self._info, self._data, self._given, self.folds = info, data, given, folds
        self._hyperparameters: dict[str, Any] = planned.training.cards[0].hyperparameters
        params = {name: self._hyperparameters[name] for name in info.params}
        with torch.random.fork_rng(devices=[]):
            self._wanted = build_network(info, params, len(data.classes), 0, "cpu").state_dict()
        self.card: StudyCard = external_card(planned.training.cards[0], info, folds, data, given)

    def weights(self, file: Path) -> dict[str, np.ndarray]:
        """Return a file's weights under the network's names; DataError where they are not this network's."""
        held = read_weights(file)
        if is_public(held, self._info.public_weights) != self._given.public:
            forms = ("the network's own", f"those of {self._info.name}'s public files")
            wrong, expected = forms if self._given.public else forms[::-1]
            raise DataError(
                f"{file}: its names are {wrong}, where the first file has {expected}. How channels are read depends on "
                "that: give files of one form."
            )
        try:
            return fitted(held, self._wanted, self._info.public_weights)
        except DataError as error:
            raise DataError(
                f"{file}: its weights are not those of {self._info.name} with {len(self._data.classes)} classes (task "
                f"{self.card.task}): {error}. Give others, or their form with --set {self._info.name}.KEY=VALUE."
            ) from error

    def score(self, store: OutcomeStore, device: str, memory: int, console: Console) -> int:
        """Score the folds that the store does not hold yet, write each outcome, and return how many failed."""
        store.write_card(self.card)
        done = {outcome.key for outcome in store.read_outcomes(self.card)[0]}
        todo = [number for number, fold in enumerate(self.card.folds) if fold.key not in done]
        say(console, f"{self.card.title}: {len(done)} of {len(self.folds)} folds are done, {len(todo)} to score")
        return sum(not self._score_fold(number, store, device, memory, console) for number in todo)

    def _score_fold(self, number: int, store: OutcomeStore, device: str, memory: int, console: Console) -> bool:
        fold, start = self.folds[number], time.perf_counter()
        file = self._given.files[fold.name]
        fold.check(self._data.subjects, self._data.copies)
        weights, threads = self.weights(file), self._info.resources.cpus
        try:
            scores = score_again(self._info, self._hyperparameters, self._data, fold, weights, device, threads, memory)
        except MerError:
            raise
        except Exception as error:
            # A bug of the model; the other folds may do well.
            store.write_failure(self.card, failure_of(self.card, number, fold, error, device))
            say(console, f"FAILED {fold.name}: {type(error).__name__}: {error}")
            return False
        result = FoldResult(scores, 0, {}, {}, time.perf_counter() - start)
        outcome = outcome_of(self.card, number, fold, self._data, result, device)
        stamped = {"weights": self.card.weights, "weights_file": file.name, "channels": self._given.channels}
        store.write_outcome(self.card, dataclasses.replace(outcome, provenance={**outcome.provenance, **stamped}))
        return True
