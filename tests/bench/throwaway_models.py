"""Models that only tests know: a small network that uses every kind of randomness, and ones that misbehave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from mer_models.contracts import Resources, TrainingRecipe
from mer_models.registry import register_model

FEATURE = "flow_uvs_28"
PAPER = "Written for the tests, without a paper."


class TinyNet(nn.Module):
    """A classifier of 4x4 averages, with batch normalisation and dropout: it has buffers and draws while training."""

    def __init__(self, n_classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.pool = nn.AvgPool2d(7)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(48, n_classes)

    def forward(self, flow: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.dropout(self.pool(self.norm(flow)).flatten(1)))


class ExplodingNet(TinyNet):
    """A TinyNet whose logits are no numbers from the ``explodes_at``-th batch of a training on (0: never)."""

    def __init__(self, n_classes: int, explodes_at: int = 0) -> None:
        super().__init__(n_classes)
        self.explodes_at = explodes_at
        self.batches = 0

    def forward(self, flow: torch.Tensor) -> torch.Tensor:
        self.batches += self.training
        factor = float("nan") if self.explodes_at and self.batches >= self.explodes_at else 1.0
        return super().forward(flow) * factor


class Scripted:
    """An estimator that does what a test tells it to.

    on_fit : called with the training features and labels; it may look at them, or raise.
    """

    on_fit: ClassVar[Callable[[np.ndarray, np.ndarray], None]]

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes
        self._draws = np.zeros(n_classes)

    def fit(self, *features: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
        type(self).on_fit(features[0], y)
        self._draws = rng.random(self.n_classes)

    def scores(self, *features: np.ndarray) -> np.ndarray:
        """A score that tells the sample, the fit and the draws apart."""
        return (features[0].mean(axis=(1, 2, 3))[:, None] + self._draws).astype(np.float32)

    def state(self) -> dict[str, np.ndarray]:
        return {"draws": self._draws}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        self._draws = state["draws"]


def register_network(cls: type[nn.Module] = TinyNet, name: str = "tiny", **recipe: Any) -> str:
    """Register a network whose recipe is quick; the keyword arguments change it. Returns its name."""
    values: dict[str, Any] = {"epochs": 3, "batch_size": 8, "lr": 1e-2, "input_range": "unit", **recipe}
    register_model(
        name, features=(FEATURE,), paper=PAPER, recipe=TrainingRecipe(**values), resources=Resources(cpus=1, pack=3)
    )(cls)
    return name


def register_scripted(on_fit: Callable[[np.ndarray, np.ndarray], None], pack: int = 4) -> str:
    """Register the scripted estimator under the name ``scripted``, which is returned."""
    Scripted.on_fit = staticmethod(on_fit)
    register_model("scripted", features=(FEATURE,), paper=PAPER, resources=Resources(gpu=0.0, pack=pack))(Scripted)
    return "scripted"
