"""What a training minimises: the engine's criterion, or the loss that a network brings with it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.study.data import StudyData
from mer_models.contracts import TrainingRecipe
from preprocess.labels.action_units import SHARED_UNITS


@dataclass(frozen=True)
class Objective:
    """The loss of a batch, from the targets of all samples.

    Attributes
    ----------
    targets : (n,) class indices; of a multi-label task (n, n_classes) float32 of 0 and 1, each class a yes-or-no
        question of its own (binary cross-entropy on its logit).
    criterion : the engine's own loss.
    action_units : (n, 12) float32, 1 where a sample shows the unit, 0 where not, -1 unknown; None for a network that
        does not ask for them.
    """

    targets: Tensor
    criterion: nn.Module
    action_units: Tensor | None

    def loss(
        self, model: nn.Module, features: tuple[Tensor, ...], rows: Tensor, mixed: tuple[Tensor, float] | None = None
    ) -> Tensor:
        """Return the mean loss of some samples.

        Parameters
        ----------
        model : the network.
        features : of the samples, as the network takes them.
        rows : the samples' row numbers.
        mixed : row numbers of the samples that are mixed into these, and the share that is left to ``rows``; None for
            none.
        """
        labels = self.targets[rows]
        own = own_loss(type(model))
        if own is None:
            logits = model(*features)
            if mixed is None:
                return self.criterion(logits, labels)
            others, share = mixed
            return share * self.criterion(logits, labels) + (1 - share) * self.criterion(logits, self.targets[others])
        extra = {} if self.action_units is None else {"action_units": self.action_units[rows]}
        return own(model, *features, labels=labels, criterion=self.criterion, **extra)

    def weight(self, rows: Tensor) -> Tensor:
        """Return how much some samples weigh in the mean of a batch: with class weights, as much as their classes.

        Parameters
        ----------
        rows : the samples' row numbers.
        """
        weights = self.criterion.weight if isinstance(self.criterion, nn.CrossEntropyLoss) else None
        if weights is None:
            return torch.tensor(float(len(rows)), device=rows.device)
        return weights[self.targets[rows]].sum()


def make_objective(
    model: nn.Module, recipe: TrainingRecipe, data: StudyData, train: np.ndarray, device: str
) -> Objective:
    """Return what a network minimises in a fold.

    Parameters
    ----------
    model : the network.
    recipe : how it is trained.
    data : the study's samples.
    train : row numbers of the training samples; class weights are theirs alone.
    device : where the targets are put.
    """
    own = own_loss(type(model))
    units = None
    if own and "action_units" in inspect.signature(own).parameters:
        units = torch.from_numpy(known_units(data)).float().to(device)
    if data.multilabel:
        targets = torch.from_numpy(data.labels.astype(np.float32)).to(device)
        weights = _presence_weights(recipe, data.labels[train], device)
        return Objective(targets, _Binary(weights, recipe.label_smoothing), units)
    weights = _class_weights(recipe, data.labels[train], len(data.classes), device)
    targets = torch.from_numpy(data.labels).to(device)
    return Objective(targets, nn.CrossEntropyLoss(weight=weights, label_smoothing=recipe.label_smoothing), units)


class _Binary(nn.BCEWithLogitsLoss):
    """Binary cross-entropy on logits, whose yes and no are each given a share of the other."""

    def __init__(self, weights: Tensor | None, smoothing: float) -> None:
        super().__init__(pos_weight=weights)
        self.smoothing = smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        if self.smoothing:
            target = target * (1 - self.smoothing) + self.smoothing / 2
        return super().forward(input, target)


def prepare_training(model: nn.Module, data: StudyData, train: np.ndarray, device: str) -> None:
    """Let a network that fits something before it is trained see the training samples' labels and action units."""
    prepare = getattr(model, "prepare_training", None)
    if callable(prepare):
        labels = torch.from_numpy(data.labels[train]).to(device)
        prepare(labels=labels, action_units=torch.from_numpy(known_units(data)[train]).to(device))


def own_loss(network: type) -> Any:
    """Return the method ``loss`` of a class that is a ``NetworkWithLoss``, else None."""
    found = getattr(network, "loss", None)
    return found if callable(found) else None


def known_units(data: StudyData) -> np.ndarray:
    """Return the (n, 12) int8 action units of a study; all -1 (unknown) where they were not loaded."""
    if data.action_units is None:
        return np.full((len(data), len(SHARED_UNITS)), -1, dtype=np.int8)
    return data.action_units


def _class_weights(recipe: TrainingRecipe, train_labels: np.ndarray, n_classes: int, device: str) -> Tensor | None:
    if not recipe.class_weights:
        return None
    counts = np.bincount(train_labels, minlength=n_classes)
    weights = len(train_labels) / (np.count_nonzero(counts) * np.maximum(counts, 1)) * (counts > 0)
    return torch.from_numpy(weights.astype(np.float32)).to(device)


def _presence_weights(recipe: TrainingRecipe, train_labels: np.ndarray, device: str) -> Tensor | None:
    """Return absent over present training samples of each class: both answers then weigh the same in sum."""
    if not recipe.class_weights:
        return None
    present = train_labels.sum(axis=0)
    absent = len(train_labels) - present
    # A class that all or none of the samples show has one answer only, and nothing to balance.
    weights = np.where((present > 0) & (absent > 0), absent / np.maximum(present, 1), 1.0)
    return torch.from_numpy(weights.astype(np.float32)).to(device)
