"""Pretraining: a network is trained on everybody of some samples, alone or in a team, and can be taken up again."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from bench.engine.everybody import EVERYBODY
from bench.engine.fit import build_network
from bench.engine.inputs import make_inputs
from bench.engine.network_training import NetworkTraining, random_state, resume_random
from bench.engine.team import ALONE, Team
from bench.engine.train import model_params, recipe_of
from bench.study.data import StudyData
from bench.study.feature_rows import UNLIMITED
from bench.study.folds import Fold, fold_seed
from mer_models.registry import ModelInfo


class Pretraining:
    """The training of a network on some rows of a study's samples, to the last epoch of its recipe.

    It is that of ``train_on_everybody`` to the bit where one worker trains. Use it within ``deterministic``.

    Parameters
    ----------
    info : the network.
    hyperparameters : every setting of the model with its value.
    data : the samples.
    rows : numbers of the samples that are trained on.
    seed : all random draws come from it.
    team : the workers that train together.
    device : where the network is trained.
    memory : how many bytes of features may be held.

    Attributes
    ----------
    epochs : how many there are in all.
    """

    def __init__(
        self,
        info: ModelInfo,
        hyperparameters: dict[str, Any],
        data: StudyData,
        rows: np.ndarray,
        seed: int,
        team: Team = ALONE,
        device: str = "cpu",
        memory: int = UNLIMITED,
    ) -> None:
        nobody, recipe = np.empty(0, dtype=np.int64), recipe_of(info, hyperparameters)
        fold = Fold(EVERYBODY, rows, nobody, nobody, fold_seed(seed, info.name, []))
        self.epochs = recipe.epochs
        self._model = build_network(info, model_params(info, hyperparameters), len(data.classes), fold.seed, device)
        inputs = make_inputs(info, self._model, recipe, data, rows, device, memory=memory)
        self._training = NetworkTraining(self._model, recipe, inputs, data, fold, team)
        if team.rank:
            # The same weights everywhere, and dropout of one's own.
            torch.manual_seed(fold.seed + team.rank)

    @property
    def losses(self) -> list[float]:
        """The mean training loss of each epoch so far."""
        return self._training.losses

    @property
    def done(self) -> bool:
        """Whether no epoch is left."""
        return len(self.losses) >= self.epochs

    def epoch(self) -> None:
        """Take one pass over the samples; TrainingError where the loss is not finite."""
        self._training.epoch()

    def weights(self) -> dict[str, np.ndarray]:
        """Return the network's weights as they are now."""
        return {name: value.cpu().numpy().copy() for name, value in self._model.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """Return what all workers have in common of where the training is: tensors and plain values."""
        return self._training.state()

    def own_state(self) -> dict[str, Any]:
        """Return what is this worker's alone: its random numbers."""
        return random_state()

    def resume(self, state: dict[str, Any], own: dict[str, Any]) -> None:
        """Go on from ``state`` and ``own_state``; what follows has the same bits as without the interruption."""
        self._training.resume(state)
        resume_random(own)
