"""What a network is fed: batches of the features as float32, made from what is stored."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench.augmentation import Augmenter
from bench.data import StudyData
from bench.feature_layouts import channel_axis, time_axis
from mer_models.registry import ModelInfo, Recipe

LARGEST_EVALUATION = 512
"""Most samples in one forward pass of an evaluation."""
EVALUATION_BYTES = 64 * 2**20
"""Most bytes of float32 features in one, where training batches are not larger themselves."""


@dataclass(frozen=True)
class Inputs:
    """A model's features of all samples of a study, kept as stored (8-bit ones at a quarter of the memory).

    stored : (n, ...) a feature, on the device. ranges : what brings a float32 batch of each into the recipe's range.
    evaluation_batch : samples that an evaluation feeds at a time; it depends on the features' shapes and the recipe
    alone, so that a score has the same bits wherever it is computed.
    """

    stored: tuple[Tensor, ...]
    ranges: tuple[Callable[[Tensor], Tensor], ...]
    evaluation_batch: int

    @property
    def device(self) -> torch.device:
        """Where the features are."""
        return self.stored[0].device

    def batch(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Return the features of the given rows as float32, in the recipe's range. rows : int64, on the device."""
        return tuple(scale(values) for scale, values in zip(self.ranges, self.unscaled(rows), strict=True))

    def augmented(self, rows: Tensor, augment: Augmenter, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Return a batch whose samples are changed at random before they are brought into the recipe's range."""
        changed = augment(self.unscaled(rows), rng)
        return tuple(scale(values) for scale, values in zip(self.ranges, changed, strict=True))

    def unscaled(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Return the features of the given rows as float32, with the values that are stored."""
        return tuple(values[rows].float() for values in self.stored)


def make_inputs(info: ModelInfo, recipe: Recipe, data: StudyData, train: np.ndarray, device: str) -> Inputs:
    """Return the inputs of a fold.

    Only the rows ``train`` are looked at to fit the means and deviations of ``standard`` and ``difference``.
    """
    stored, ranges = [], []
    fitted_on = torch.from_numpy(train).to(device)
    for name in info.features:
        values = _tensor(data.features[name]).to(device)
        ranges.append(_range(recipe, name, values, fitted_on))
        stored.append(laid_out(values, device))
    most = max(recipe.batch_size, _at_a_time(*stored))
    return Inputs(tuple(stored), tuple(ranges), min(LARGEST_EVALUATION, most))


def laid_out(values: Tensor, device: str) -> Tensor:
    """Put images and convolution weights channels last on the CPU, where a small network's step is a fifth faster."""
    return values.contiguous(memory_format=torch.channels_last) if values.dim() == 4 and device == "cpu" else values


def _range(recipe: Recipe, feature: str, values: Tensor, train: Tensor) -> Callable[[Tensor], Tensor]:
    if recipe.input_range == "unit":
        return lambda batch: batch / 255.0
    if recipe.input_range == "raw":
        return lambda batch: batch
    time = time_axis(feature) if recipe.input_range == "difference" else None

    def change(batch: Tensor) -> Tensor:
        """How clips differ from their first frame; all else as it is."""
        return batch if time is None else batch - batch.narrow(time, 0, 1)

    mean, deviation = _mean_and_deviation(values, train, change, channel_axis(feature))
    if time is not None:
        return lambda batch: change(batch).div_(deviation)
    return lambda batch: (batch - mean).div_(deviation)


def _mean_and_deviation(
    values: Tensor, train: Tensor, change: Callable[[Tensor], Tensor], axis: int
) -> tuple[Tensor, Tensor]:
    """Return mean and deviation, along ``axis``, of what ``change`` makes of the training samples; (1, ..., 1).

    A few samples at a time are turned into float32: all of them may not fit into memory.
    """
    others = [other for other in range(values.dim()) if other != axis]
    count = len(train) * values[0].numel() // values.shape[axis]

    def total(of: Callable[[Tensor], Tensor]) -> Tensor:
        parts = (of(change(values[rows].float())) for rows in train.split(_at_a_time(values)))
        return torch.stack([part.sum(dim=others, keepdim=True).double() for part in parts]).sum(dim=0)

    mean = (total(lambda part: part) / count).float()
    deviation = (total(lambda part: (part - mean).square_()) / max(1, count - 1)).sqrt().float()
    return mean, deviation.clamp_min(1e-6)


def _at_a_time(*stored: Tensor) -> int:
    """Return how many samples of the features make EVALUATION_BYTES of float32, at least one."""
    return max(1, EVALUATION_BYTES // max(1, sum(4 * values[0].numel() for values in stored)))


def _tensor(values: np.ndarray) -> Tensor:
    """Return an array as a tensor that shares its memory and is never written to."""
    with warnings.catch_warnings():
        # Arrays out of Ray's object store cannot be written; torch cannot know that nobody will.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable", category=UserWarning)
        return torch.from_numpy(values)
