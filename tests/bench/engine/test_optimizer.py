"""The engine's optimisers: torch's own to the bit, without the import of its compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from bench.engine.batches import Schedule
from bench.engine.optimizer import make_optimizer
from mer_models.contracts import TrainingRecipe

OURS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


@pytest.mark.slow
@pytest.mark.parametrize("name", OURS)
def test_weights_are_those_of_torchs_own_to_the_bit(name: str) -> None:
    decay: dict[str, Any] = {"lr": 0.05, "weight_decay": 0.01}
    more: dict[str, Any] = {"momentum": 0.9} if name == "sgd" else {}
    recipe = TrainingRecipe(epochs=4, batch_size=8, optimizer=name, lr_step=2, lr_gamma=0.5, **decay, **more)
    networks = []
    for plain in (False, True):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 3))
        x, y = torch.randn(4, 8, 5), torch.randint(0, 3, (4, 8))
        optimizer = (
            OURS[name](network.parameters(), fused=True, **decay, **more) if plain else make_optimizer(recipe, network)
        )
        schedule = Schedule(recipe, optimizer)
        for images, labels in zip(x, y, strict=True):
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
            schedule.step(0.0)
        networks.append(network.state_dict())
    assert all(torch.equal(ours, networks[1][key]) for key, ours in networks[0].items())
    assert not torch.equal(networks[0]["0.weight"], torch.zeros(7, 5))


TRAIN_ONE_FOLD = """
import sys
from small_runs import study_data
from bench.engine.train import FoldJob, train_pack
from bench.study.protocols import find_protocol
from bench.study.splitting import make_folds
from mer_models.registry import MODELS

info, data = MODELS.get("ststnet"), study_data()
(job, *_) = [FoldJob(fold, ("last",)) for fold in make_folds(find_protocol("loso"), "ststnet", False, 0, data)]
results, errors = [], []
values = {**info.hyperparameters(), "epochs": 1}
list(train_pack(info, values, data, [job], lambda *result: results.append(result), lambda *error: errors.append(error)))
print(len(results), errors, [name for name in sys.modules if name in ("torch._dynamo", "torch._inductor")])
"""


@pytest.mark.slow
def test_a_fold_is_trained_without_torchs_compiler() -> None:
    """It takes as long to import as torch; each worker would do so before its first fold."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", TRAIN_ONE_FOLD]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "1 [] []\n", done.stderr
