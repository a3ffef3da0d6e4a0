"""Training one network on one fold: epochs, and the ones kept for each selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.engine.dropout import draw_as_blocks
from bench.engine.inputs import Inputs
from bench.engine.network_training import NetworkTraining
from bench.engine.selection import Selection
from bench.engine.stored import laid_out
from bench.study.data import StudyData
from bench.study.folds import Fold
from mer_models.contracts import TrainingRecipe
from mer_models.registry import ModelInfo
from results.store.watched import TEST, VALIDATION

ONEDNN_BLOCK = 16
"""Channels that oneDNN computes at a time, with the widest registers there are."""


@dataclass
class Kept:
    """The weights that a selection keeps.

    Attributes
    ----------
    state : the weights.
    epoch : after which epoch they were taken, from 1.
    value : what the selection saw then.
    curves : name -> a value for every epoch.
    """

    state: dict[str, Tensor]
    epoch: int
    value: float
    curves: dict[str, list[float]]


def build_network(info: ModelInfo, params: dict[str, Any], n_classes: int, seed: int, device: str) -> nn.Module:
    """Return a network with initial weights drawn from ``seed``.

    The default generators are left seeded with it.
    """
    torch.manual_seed(seed)
    model: nn.Module = info.build(n_classes=n_classes, **params)
    for parameter in model.parameters():
        parameter.data = laid_out(parameter.data, device)
    if device == "cpu":
        for module in model.modules():
            _keep_from_crashing(module)
        draw_as_blocks(model)
    return model.to(device)


def train_network(
    model: nn.Module,
    recipe: TrainingRecipe,
    inputs: Inputs,
    data: StudyData,
    fold: Fold,
    rules: Sequence[Selection],
) -> dict[str, Kept]:
    """Train on ``fold.train`` for the recipe's epochs.

    The test rows are looked at during training only by a rule that watches them. Looking changes nothing: an evaluation
    draws no random number and leaves weights and optimiser alone.

    Parameters
    ----------
    model : the network, with its initial weights.
    recipe : how it is trained.
    inputs : the features.
    data : the study's samples.
    fold : who is trained on and who is tested.
    rules : the selections.

    Returns
    -------
    The name of each selection -> what it keeps.

    Raises
    ------
    TrainingError : the loss is not finite.
    """
    training, labels = NetworkTraining(model, recipe, inputs, data, fold), data.labels
    watched: dict[str, list[float]] = {rule.name: [] for rule in rules if rule.each_epoch}
    kept: dict[str, Kept] = {}
    for epoch in range(1, recipe.epochs + 1):
        training.epoch()
        for rule in rules:
            if rule.each_epoch:
                _watch(rule, model, inputs, labels, fold, epoch, watched[rule.name], kept)
    for rule in rules:
        if not rule.each_epoch:
            kept[rule.name] = Kept(_snapshot(model), recipe.epochs, 0.0, {})
        kept[rule.name].curves = {"train_loss": training.losses}
        if rule.each_epoch:
            kept[rule.name].curves[rule.curve(labels.ndim == 2)] = watched[rule.name]
    return kept


def evaluate(model: nn.Module, inputs: Inputs, rows: np.ndarray) -> np.ndarray:
    """Return the (n_rows, n_classes) float32 logits of the given rows, in evaluation mode."""
    was_training = model.training
    model.eval()
    index = torch.from_numpy(rows).to(inputs.device)
    with torch.no_grad():
        logits = [model(*inputs.batch(part)) for part in index.split(inputs.evaluation_batch)]
    model.train(was_training)
    return torch.cat(logits).float().cpu().numpy()


def _keep_from_crashing(module: nn.Module) -> None:
    """Let a strided 1x1 convolution of few channels take its images channels first.

    Channels last, oneDNN's backward pass of one with fewer than 16 input channels writes outside of its memory (torch
    2.15 on a processor with AVX-512): the process dies, or goes on with memory that was written to.
    """
    if not isinstance(module, nn.Conv2d) or module.kernel_size != (1, 1) or module.stride == (1, 1):
        return
    if module.in_channels < ONEDNN_BLOCK:
        module.weight.data = module.weight.data.clone(memory_format=torch.contiguous_format)
        module.register_forward_pre_hook(lambda _, images: (images[0].clone(memory_format=torch.contiguous_format),))


def _watch(
    rule: Selection,
    model: nn.Module,
    inputs: Inputs,
    labels: np.ndarray,
    fold: Fold,
    epoch: int,
    seen: list[float],
    kept: dict[str, Kept],
) -> None:
    rows = {VALIDATION: fold.validation, TEST: fold.test}[rule.watches]
    value = rule.value(labels[rows], evaluate(model, inputs, rows))
    seen.append(value)
    if rule.name not in kept or value > kept[rule.name].value:
        kept[rule.name] = Kept(_snapshot(model), epoch, value, {})


def _snapshot(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
