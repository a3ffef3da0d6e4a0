"""A pretraining is what everybody's training is, and goes on after an interruption as if there had been none."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import assert_equal_weights, resolved, study_data

from bench.engine.everybody import train_on_everybody
from bench.engine.pretraining import Pretraining
from bench.engine.train import deterministic
from mer_models.registry import MODELS

DATA = study_data()
ROWS = np.arange(len(DATA))
# Everything that has a state of its own: dropout, shuffled and balanced rows, drawn changes, momentum, a schedule.
RECIPES: dict[str, dict[str, Any]] = {
    "adam": {"augment": "flip", "balance": True, "mixup": 0.2},
    "sgd, cosine": {"optimizer": "sgd", "momentum": 0.9, "lr_schedule": "cosine", "lr_hold": 1},
    "adamw, plateau": {"optimizer": "adamw", "lr_schedule": "plateau", "lr_step": 1, "lr_gamma": 0.5},
}


def begun(**changes: Any) -> Pretraining:
    return Pretraining(MODELS.get("tiny"), resolved("tiny", epochs=5, **changes), DATA, ROWS, 0)


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state as it comes out of a file, which no code is run of."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


@pytest.mark.parametrize("recipe", RECIPES)
def test_one_worker_trains_as_everybody_is_trained_on(tiny: str, recipe: str) -> None:
    values = resolved(tiny, epochs=3, **RECIPES[recipe])
    expected = train_on_everybody(MODELS.get(tiny), values, DATA, 0)
    with deterministic(1):
        # Every batch taken when it is needed.
        training = Pretraining(MODELS.get(tiny), values, DATA, ROWS, 0, memory=0)
        while not training.done:
            training.epoch()
        assert_equal_weights(training.weights(), expected.weights)


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_follows_an_interruption_has_the_bits_of_a_training_without_one(tiny: str, recipe: str) -> None:
    with deterministic(1):
        whole = begun(**RECIPES[recipe])
        while not whole.done:
            whole.epoch()
    with deterministic(1):
        stopped = begun(**RECIPES[recipe])
        for _ in range(2):
            stopped.epoch()
        state, own = through_a_file(stopped.state()), through_a_file(stopped.own_state())
    with deterministic(1):
        torch.manual_seed(4321)
        again = begun(**RECIPES[recipe])
        again.resume(state, own)
        assert again.losses == whole.losses[:2]
        while not again.done:
            again.epoch()
    assert again.losses == whole.losses
    assert_equal_weights(again.weights(), whole.weights())


def test_only_the_rows_that_are_given_are_trained_on(tiny: str) -> None:
    def weights(rows: np.ndarray) -> dict[str, np.ndarray]:
        with deterministic(1):
            training = Pretraining(MODELS.get(tiny), resolved(tiny, epochs=1), DATA, rows, 0)
            training.epoch()
            return training.weights()

    assert_equal_weights(weights(ROWS[:12]), weights(ROWS[:12]))
    assert any(weights(ROWS[:12])[name].tobytes() != value.tobytes() for name, value in weights(ROWS).items())
