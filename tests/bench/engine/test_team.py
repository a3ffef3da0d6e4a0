"""Workers that train together: the loss, the gradients and the running means of one worker with the whole batch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import resolved, study_data
from torch import Tensor, nn

from bench.engine.pretraining import Pretraining
from bench.engine.team import Team
from bench.engine.train import deterministic
from bench.study.data import StudyData
from mer_models.registry import MODELS
from preprocess.base.errors import UsageError

# Threads share torch's generator, which the workers' processes have each for themselves.
DRAWING = threading.Lock()
RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "all that looks at a batch": {"class_weights": True, "balance": True, "input_range": "standard"},
    "changed and mixed samples": {"augment": "flip,shift:0.05", "mixup": 0.4, "label_smoothing": 0.1},
}


def together(size: int, work: Callable[[Team], Any]) -> list[Any]:
    """Return what ``work`` returns in each of so many threads, whose teams add up what they are given."""
    barrier, given, found = threading.Barrier(size, timeout=60), [torch.empty(0)] * size, [None] * size

    def add(rank: int, values: Tensor) -> None:
        given[rank] = values.clone()
        barrier.wait()
        total = torch.stack(given).sum(dim=0)
        barrier.wait()
        values.copy_(total)

    def run(rank: int) -> None:
        found[rank] = work(Team(rank, size, lambda values: add(rank, values)))

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def pretrained(data: StudyData, team: Team, **changes: Any) -> tuple[list[float], dict[str, np.ndarray]]:
    """Return losses and weights of two epochs of a network that draws nothing inside: no dropout."""
    values = resolved("tiny", epochs=2, batch_size=10, dropout=0.0, **changes)
    with DRAWING:
        training = Pretraining(MODELS.get("tiny"), values, data, np.arange(len(data)), 0, team)
    while not training.done:
        training.epoch()
    return training.losses, training.weights()


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("size", [2, 3])
def test_several_workers_have_the_loss_and_the_weights_of_one(tiny: str, recipe: str, size: int) -> None:
    """23 samples in batches of 10: the last one is too small to be shared out, and is computed by all."""
    data = study_data(subjects=4, clips=6)
    rows = np.arange(23)
    data = StudyData(
        *(getattr(data, name)[rows] for name in ("sample_ids", "subjects", "datasets", "splits", "labels")),
        {name: np.asarray(values[rows]) for name, values in data.features.items()},
        data.layouts,
        data.classes,
    )
    with deterministic(1):
        losses, weights = pretrained(data, Team(), **RECIPES[recipe])
        everybody = together(size, lambda team: pretrained(data, team, **RECIPES[recipe]))
    for own_losses, own_weights in everybody:
        np.testing.assert_allclose(own_losses, losses, rtol=2e-5)
        for name, value in weights.items():
            np.testing.assert_allclose(own_weights[name], value, rtol=2e-3, atol=2e-5, err_msg=name)
    # Weights that are trained together are the same everywhere, to the bit.
    for name, value in everybody[0][1].items():
        assert all(own[name].tobytes() == value.tobytes() for _, own in everybody[1:]), name


@pytest.mark.slow
@pytest.mark.parametrize("length", range(1, 24))
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_batch_is_shared_out_whole(length: int, size: int) -> None:
    parts = [range(length)[Team(rank, size).part(length)] for rank in range(size)]
    if length < 2 * size:
        assert all(part == range(length) for part in parts)
    else:
        assert [row for part in parts for row in part] == list(range(length))
        assert min(map(len, parts)) >= 2


def test_a_normalisation_of_its_own_kind_is_refused() -> None:
    class Scaled(nn.BatchNorm2d):
        pass

    model = nn.Sequential(nn.Conv2d(3, 4, 1), Scaled(4))
    assert Team().joined(model) is model
    with pytest.raises(UsageError, match=r"1 of the network is a Scaled.*--workers 1"):
        Team(0, 2).joined(model)
