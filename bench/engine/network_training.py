"""The training of one network, an epoch at a time: it can be put down after any epoch, and taken up again."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from bench.engine.batches import Epochs, Schedule
from bench.engine.freezing import freeze
from bench.engine.inputs import Inputs
from bench.engine.loss import make_objective, prepare_training
from bench.engine.optimizer import make_optimizer
from bench.engine.team import ALONE, Team
from bench.study.data import StudyData
from bench.study.folds import Fold
from mer_models.contracts import TrainingRecipe


class TrainingError(RuntimeError):
    """A training that cannot go on; the message names the epoch and the batch."""


class NetworkTraining:
    """Trains a network on ``fold.train``.

    Parameters
    ----------
    model : the network, with its initial weights.
    recipe : how it is trained.
    inputs : the features.
    data : the study's samples.
    fold : who is trained on.
    team : the workers that train it together.

    Attributes
    ----------
    losses : the mean training loss of each epoch so far.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: TrainingRecipe,
        inputs: Inputs,
        data: StudyData,
        fold: Fold,
        team: Team = ALONE,
    ) -> None:
        device = str(inputs.device)
        prepare_training(model, data, fold.train, device)
        self._objective = make_objective(model, recipe, data, fold.train, device)
        self._frozen = freeze(model, recipe.freeze)
        self._model, self._team = team.joined(model), team
        self._optimizer = make_optimizer(recipe, model)
        self._schedule = Schedule(recipe, self._optimizer)
        self._epochs = Epochs(recipe, inputs, fold.train, data.labels, fold.seed)
        self.losses: list[float] = []

    def epoch(self) -> None:
        """Take one pass over the training samples.

        Raises
        ------
        TrainingError : the loss is not finite.
        """
        self._model.train()
        for module in self._frozen:
            module.eval()
        rows = self._epochs.rows()
        total = torch.zeros((), dtype=torch.float64, device=rows.device)
        losses: list[Tensor] = []
        for features, part, mixed in self._epochs.batches(rows):
            losses.append(self._step(features, part, mixed))
            total += losses[-1].double() * len(part)
        # One look at the loss an epoch: reading it after every batch would stall a GPU.
        mean = float(total) / len(rows)
        if not math.isfinite(mean):
            first = int((~torch.stack(losses).isfinite()).nonzero()[0])
            raise TrainingError(
                f"The loss of epoch {len(self.losses) + 1}, batch {first + 1} of {len(losses)}, is "
                f"{float(losses[first])}. Lower the learning rate (--set MODEL.lr=...) or check the features for wild "
                "values."
            )
        self.losses.append(mean)
        self._schedule.step(mean)

    def _step(self, features: tuple[Tensor, ...], rows: Tensor, mixed: tuple[Tensor, float] | None) -> Tensor:
        """Learn from one batch, and return its mean loss."""
        if self._team.size > 1:
            own = self._team.part(len(rows))
            features, rows = tuple(one[own] for one in features), rows[own]
            mixed = mixed and (mixed[0][own], mixed[1])
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._objective.loss(self._model, features, rows, mixed)
        loss.backward()
        whole = loss.detach()
        if self._team.size > 1:
            whole = self._team.mean_gradients(self._model, whole, self._objective.weight(rows))
        self._optimizer.step()
        return whole

    def state(self) -> dict[str, Any]:
        """Return everything that the epochs to come depend on, as tensors and plain values."""
        return {
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state(),
            "order": self._epochs.state(),
            "losses": list(self.losses),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` returned: what follows has the same bits as without the interruption."""
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.resume(state["schedule"])
        self._epochs.resume(state["order"])
        self.losses = list(state["losses"])


def random_state() -> dict[str, Any]:
    """Return where torch's own random numbers (dropout) are in their course, on every device."""
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": devices}


def resume_random(state: dict[str, Any]) -> None:
    """Go on with what ``random_state`` returned."""
    torch.set_rng_state(state["cpu"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
