"""Training one network on one fold: inputs, epochs, the epochs kept for each selection."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.data import StudyData
from bench.folds import Fold
from bench.selection import Selection
from mer_models.registry import ModelInfo, Recipe

EVALUATION_BATCH = 512
"""Most samples in one forward pass of an evaluation."""


class TrainingError(RuntimeError):
    """A training that cannot go on; names the epoch and the batch."""


@dataclass
class Kept:
    """The weights a selection keeps: ``state`` after ``epoch`` (from 1), and the curves seen on the way."""

    state: dict[str, Tensor]
    epoch: int
    value: float
    curves: dict[str, list[float]]


def build_network(info: ModelInfo, params: dict[str, Any], n_classes: int, seed: int, device: str) -> nn.Module:
    """Return the network with initial weights drawn from ``seed``; leaves the default generators seeded with it."""
    torch.manual_seed(seed)
    model: nn.Module = info.build(n_classes=n_classes, **params)
    for parameter in model.parameters():
        parameter.data = _laid_out(parameter.data, device)
    return model.to(device)


def input_tensors(
    info: ModelInfo, recipe: Recipe, data: StudyData, train: np.ndarray, device: str
) -> tuple[Tensor, ...]:
    """Return the model's features of all samples as float32 tensors (n, ...) on ``device``, in the recipe's range.

    Only the rows ``train`` are looked at to fit ``standard``'s mean and deviation (per channel, axis 1).
    """
    tensors = []
    for name in info.features:
        values = torch.from_numpy(data.features[name].astype(np.float32)).to(device)
        if recipe.input_range == "unit":
            values = values / 255.0
        elif recipe.input_range == "standard":
            fitted = values[torch.from_numpy(train).to(device)]
            axes = [axis for axis in range(values.dim()) if axis != 1]
            mean = fitted.mean(dim=axes, keepdim=True)
            deviation = fitted.std(dim=axes, keepdim=True).clamp_min(1e-6)
            values = (values - mean) / deviation
        tensors.append(_laid_out(values, device))
    return tuple(tensors)


def train_network(
    model: nn.Module,
    recipe: Recipe,
    inputs: tuple[Tensor, ...],
    labels: np.ndarray,
    n_classes: int,
    fold: Fold,
    rules: Sequence[Selection],
) -> dict[str, Kept]:
    """Train on ``fold.train`` for the recipe's epochs and return what each selection keeps, by its name.

    labels : of all samples, (n,) class indices; or (n, n_classes) 0 and 1 of a multi-label task, each class of which
    is a yes-or-no question of its own (binary cross-entropy on its logit).
    The test rows are looked at during training only by a rule that watches them (``oracle``), and looking changes
    nothing: evaluation draws no random numbers and leaves the weights and the optimiser alone.
    Raises TrainingError on a loss that is not finite.
    """
    device = inputs[0].device
    targets, loss_function = _objective(recipe, labels, fold.train, n_classes, device)
    optimizer = _optimizer(recipe, model)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, recipe.lr_step, recipe.lr_gamma) if recipe.lr_step else None
    order = torch.Generator().manual_seed(fold.seed)
    train = torch.from_numpy(fold.train)
    losses: list[float] = []
    watched: dict[str, list[float]] = {rule.name: [] for rule in rules if rule.watches}
    kept: dict[str, Kept] = {}
    for epoch in range(1, recipe.epochs + 1):
        rows = train[torch.randperm(len(train), generator=order)] if recipe.shuffle else train
        losses.append(_train_epoch(model, optimizer, loss_function, inputs, targets, rows.to(device), recipe, epoch))
        if schedule:
            schedule.step()
        for rule in rules:
            if rule.watches:
                _watch(rule, model, inputs, labels, fold, epoch, watched[rule.name], kept)
    for rule in rules:
        if not rule.watches:
            kept[rule.name] = Kept(_snapshot(model), recipe.epochs, 0.0, {})
        kept[rule.name].curves = {"train_loss": losses}
        if rule.watches:
            kept[rule.name].curves[rule.curve(labels.ndim == 2)] = watched[rule.name]
    return kept


def evaluate(model: nn.Module, inputs: tuple[Tensor, ...], rows: np.ndarray) -> np.ndarray:
    """Return the (n_rows, n_classes) float32 logits of the given rows, in evaluation mode."""
    was_training = model.training
    model.eval()
    index = torch.from_numpy(rows).to(inputs[0].device)
    with torch.no_grad():
        logits = [model(*(x[part] for x in inputs)) for part in index.split(EVALUATION_BATCH)]
    model.train(was_training)
    return torch.cat(logits).float().cpu().numpy()


def _train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_function: nn.Module,
    inputs: tuple[Tensor, ...],
    targets: Tensor,
    rows: Tensor,
    recipe: Recipe,
    epoch: int,
) -> float:
    """Take one pass over ``rows`` and return the mean loss of its samples."""
    model.train()
    total = torch.zeros((), dtype=torch.float64, device=rows.device)
    for part in rows.split(recipe.batch_size):
        optimizer.zero_grad(set_to_none=True)
        loss = loss_function(model(*(x[part] for x in inputs)), targets[part])
        loss.backward()
        optimizer.step()
        total += loss.detach().double() * len(part)
    # One look at the loss an epoch: reading it after every batch would stall a GPU.
    mean = float(total) / len(rows)
    if not math.isfinite(mean):
        raise TrainingError(
            f"The loss of epoch {epoch} is {mean} (mean of {math.ceil(len(rows) / recipe.batch_size)} batches). "
            "Lower the learning rate (--set MODEL.lr=...) or check the features for wild values."
        )
    return mean


def _watch(
    rule: Selection,
    model: nn.Module,
    inputs: tuple[Tensor, ...],
    labels: np.ndarray,
    fold: Fold,
    epoch: int,
    seen: list[float],
    kept: dict[str, Kept],
) -> None:
    rows = fold.validation if rule.watches == "validation" else fold.test
    value = rule.value(labels[rows], evaluate(model, inputs, rows))
    seen.append(value)
    if rule.name not in kept or value > kept[rule.name].value:
        kept[rule.name] = Kept(_snapshot(model), epoch, value, {})


def _laid_out(values: Tensor, device: str) -> Tensor:
    """Put images and convolution weights channels last on the CPU, where a small network's step is a fifth faster."""
    return values.contiguous(memory_format=torch.channels_last) if values.dim() == 4 and device == "cpu" else values


def _snapshot(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _objective(
    recipe: Recipe, labels: np.ndarray, train: np.ndarray, n_classes: int, device: torch.device
) -> tuple[Tensor, nn.Module]:
    """Return the targets of all samples and the loss of a batch of logits against its targets."""
    if labels.ndim == 2:
        targets = torch.from_numpy(labels.astype(np.float32)).to(device)
        return targets, nn.BCEWithLogitsLoss(pos_weight=_presence_weights(recipe, labels[train], device))
    weights = _class_weights(recipe, labels[train], n_classes, device)
    return torch.from_numpy(labels).to(device), nn.CrossEntropyLoss(weight=weights)


def _class_weights(recipe: Recipe, train_labels: np.ndarray, n_classes: int, device: torch.device) -> Tensor | None:
    if not recipe.class_weights:
        return None
    counts = np.bincount(train_labels, minlength=n_classes)
    weights = len(train_labels) / (np.count_nonzero(counts) * np.maximum(counts, 1)) * (counts > 0)
    return torch.from_numpy(weights.astype(np.float32)).to(device)


def _presence_weights(recipe: Recipe, train_labels: np.ndarray, device: torch.device) -> Tensor | None:
    """Return absent over present training samples of each class: both answers then weigh the same in sum."""
    if not recipe.class_weights:
        return None
    present = train_labels.sum(axis=0)
    absent = len(train_labels) - present
    # A class that all or none of the samples show has one answer only, and nothing to balance.
    weights = np.where((present > 0) & (absent > 0), absent / np.maximum(present, 1), 1.0)
    return torch.from_numpy(weights.astype(np.float32)).to(device)


def _optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    # The fused kernels do the same arithmetic in one pass; on a small network the optimiser is a third of a step.
    common: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay, "fused": True}
    if recipe.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), **common)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(model.parameters(), **common)
    return torch.optim.SGD(model.parameters(), momentum=recipe.momentum, **common)
