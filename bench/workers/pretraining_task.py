"""One pretraining, carried out here: trained, put down now and then, and written into the results when it is done."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from bench.engine.pretraining import Pretraining
from bench.engine.team import ALONE, Team
from bench.engine.train import deterministic
from bench.plan.pretraining import Wanted
from bench.study.data import StudyData
from bench.study.feature_rows import UNLIMITED
from bench.workers.provenance import provenance
from mer_models.registry import MODELS
from results.store.outcome_file import curves_to_json
from results.store.pretrained import PretrainedStore
from results.views.pretraining_card import pretraining_card

State = dict[str, Any]


@dataclass(frozen=True)
class Assignment:
    """One pretraining as a worker is given it.

    Attributes
    ----------
    key : names it in the results.
    model : the network.
    hyperparameters : every setting of it with its value.
    data : the samples; they hold no feature.
    rows : numbers of the samples that are trained on.
    seed : all random draws come from it.
    told : what the network's folder tells, but for what the training brings.
    """

    key: str
    model: str
    hyperparameters: dict[str, Any]
    data: StudyData
    rows: np.ndarray
    seed: int
    told: dict[str, Any]


def assignment_of(one: Wanted) -> Assignment:
    """Return what a worker is given of a pretraining."""
    return Assignment(one.key, one.info.name, one.values, one.data, one.rows, one.seed, one.configuration())


class Checkpoints(Protocol):
    """Where a training is put down, and taken up again."""

    def latest(self, key: str) -> tuple[State, State] | None:
        """Return the state of all and that of this worker, where a checkpoint of this pretraining is there."""

    def keep(self, key: str, state: State, own: State) -> None:
        """Keep the state of all and that of this worker; all workers do it at once."""


class NoCheckpoints:
    """None is kept."""

    def latest(self, key: str) -> None:
        """Return None: there is none."""

    def keep(self, key: str, state: State, own: State) -> None:
        """Keep nothing."""


def carry_out(
    one: Assignment,
    data: StudyData,
    store: PretrainedStore,
    team: Team = ALONE,
    device: str = "cpu",
    checkpoints: Checkpoints | None = None,
    seconds: float = 0.0,
    memory: int = UNLIMITED,
) -> None:
    """Train a network, and write it into the results.

    Parameters
    ----------
    one : the pretraining.
    data : its samples, whose features can be looked at.
    store : where the network is written, by the first worker of the team.
    team : the workers that train it together.
    device : where this one trains.
    checkpoints : where it is put down; None for nowhere.
    seconds : how long at least lies between two checkpoints.
    memory : how many bytes of features may be held.

    Raises
    ------
    TrainingError : the loss is not finite; on all workers alike.
    StoreError : the network cannot be written.
    """
    checkpoints = checkpoints or NoCheckpoints()
    info, began = MODELS.get(one.model), time.monotonic()
    with deterministic(info.resources.cpus):
        training = Pretraining(info, one.hyperparameters, data, one.rows, one.seed, team, device, memory)
        if latest := checkpoints.latest(one.key):
            training.resume(*latest)
        saved = time.monotonic()
        while not training.done:
            training.epoch()
            if not training.done and _first_says(team, time.monotonic() - saved >= seconds, device):
                checkpoints.keep(one.key, training.state(), training.own_state())
                saved = time.monotonic()
        weights = training.weights()
    if team.rank == 0:
        made = {**provenance(device, time.monotonic() - began), "workers": team.size}
        told = {**one.told, "curves": curves_to_json({"train_loss": training.losses}), "provenance": made}
        store.write(one.key, told, weights, pretraining_card(told))


def _first_says(team: Team, said: bool, device: str) -> bool:
    """Return what the first worker says, to all of them."""
    if team.size == 1:
        return said
    told = torch.tensor([float(said and team.rank == 0)], device=device)
    team.add(told)
    return bool(told.item())
