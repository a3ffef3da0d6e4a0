"""What a network is fed: batches of the features as float32, made from what is stored.

Values are changed at random (augmentation), reduced to what the network looks at, and brought into the recipe's range,
in this order. What no augmentation changes is reduced once for all folds that follow one another, if it can be held.
Whether a feature is held or taken batch by batch changes no bit: sums are taken over the same parts in the same order.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from bench.engine.augmentation import Augmenter, make_augmenter
from bench.engine.stored import Gathered, Reduced, Stored, empty, held, held_bytes
from bench.study.data import StudyData
from bench.study.feature_rows import UNLIMITED, ChosenRows, Values, bytes_of
from mer_models.contracts import TrainingRecipe
from mer_models.registry import ModelInfo
from preprocess.samples.layout import Layout

Change = Callable[[Tensor], Tensor]

Statistics = tuple[Tensor, Tensor]
"""Mean and deviation of a feature, (1, ..., 1) but for the axis along which they differ."""

FITTED = ("standard", "difference")
"""The ranges that take statistics of the training samples."""


class _LatestReduction:
    """What was reduced last, kept while the same is asked for again: the folds of a study come one after the other."""

    def __init__(self) -> None:
        self._of: weakref.ref[Values] | None = None
        self._by: tuple[Change, str] | None = None
        self._values: Tensor | None = None

    def of(self, feature: Values, reduced: Reduced, reduce: Change, device: str, at_a_time: int) -> Tensor:
        """Return what ``reduce`` makes of all values, float32 on the device.

        feature : where the values come from; two calls with the same one have the same values. reduced : its rows as
        they are asked for. reduce : what makes these; equal to others that do the same.
        """
        if self._values is None or self._of is None or self._of() is not feature or self._by != (reduce, device):
            # Two of them at once may be too much.
            self._values = None
            values = empty(reduced.shape, torch.float32, device)
            for rows in torch.arange(reduced.shape[0]).split(at_a_time):
                values[rows[0] : rows[-1] + 1] = reduced[rows]
            self._of, self._by, self._values = weakref.ref(feature, self._forget), (reduce, device), values
        return self._values

    def _forget(self, gone: object) -> None:
        """Hold nothing more of a feature that is gone."""
        if gone is self._of:
            self._values = None


def _unchanged(values: Tensor) -> Tensor:
    """Return the values: the reduction of networks that look at a feature as it is."""
    return values


_LATEST = _LatestReduction()

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue in 0..1, as torchvision and timm print them."""

LARGEST_EVALUATION = 512
"""Most samples in one forward pass of an evaluation."""
EVALUATION_BYTES = 64 * 2**20
"""Most bytes of float32 features in one, where training batches are not larger themselves."""


@dataclass(frozen=True)
class DeviceFeature:
    """A feature of all samples of a study, on the device.

    Attributes
    ----------
    values : (n, ...) as stored (8-bit ones at a quarter of the memory), or reduced.
    reduce : what is left to do to a float32 batch of them.
    """

    values: Stored
    reduce: Change

    def batch(self, rows: Tensor) -> Tensor:
        """Return the given rows as float32, as the network looks at them."""
        return self.reduce(self.values[rows].float())


@dataclass(frozen=True)
class Inputs:
    """A model's features of all samples of a study.

    Attributes
    ----------
    features : one after the other, as the network takes them; after them the targets, which its loss alone takes.
    ranges : for each feature, what brings a float32 batch into the recipe's range; targets stay as they are stored.
    shown : how many of the features the network is shown: all but the targets.
    evaluation_batch : samples that an evaluation feeds at a time. It depends on the features' shapes, the network and
        the recipe alone, so that a score has the same bits wherever it is computed.
    augment : what changes training batches; None for nothing.
    statistics : feature -> what its range was fitted to; none for ranges that take nothing of the samples.
    """

    features: tuple[DeviceFeature, ...]
    ranges: tuple[Change, ...]
    shown: int
    evaluation_batch: int
    augment: Augmenter | None = None
    statistics: Mapping[str, Statistics] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where the features are."""
        return self.features[0].values.device

    def batch(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Return the features of the given rows that the network is shown, as float32, in the recipe's range.

        Parameters
        ----------
        rows : int64 row numbers, on the device.
        """
        return _in_range(self.ranges[: self.shown], (feature.batch(rows) for feature in self.features[: self.shown]))

    def training_batch(self, rows: Tensor, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Return a batch of all features, targets too, whose samples are changed at random where the recipe says so."""
        if self.augment is None:
            return _in_range(self.ranges, (feature.batch(rows) for feature in self.features))
        changed = self.augment([feature.values[rows].float() for feature in self.features], rng)
        reduced = (feature.reduce(values) for feature, values in zip(self.features, changed, strict=True))
        return _in_range(self.ranges, reduced)


def _in_range(ranges: Iterable[Change], batch: Iterable[Tensor]) -> tuple[Tensor, ...]:
    return tuple(scale(values) for scale, values in zip(ranges, batch, strict=True))


def make_inputs(
    info: ModelInfo,
    network: nn.Module,
    recipe: TrainingRecipe,
    data: StudyData,
    train: np.ndarray,
    device: str,
    statistics: Mapping[str, Statistics] | None = None,
    memory: int = UNLIMITED,
) -> Inputs:
    """Return the inputs of a fold for a network of the model.

    Parameters
    ----------
    info : the model.
    network : the network, which may reduce its features.
    recipe : says the range and the augmentation.
    data : the study's samples.
    train : the rows that are looked at to fit the means and deviations of ``standard`` and ``difference``.
    device : where the features are.
    statistics : means and deviations that were fitted before; nothing is fitted then.
    memory : how many bytes of features may be held; of others, batches are taken when they are needed.
    """
    layouts = {name: data.layouts[name] for name in info.features}
    augment = make_augmenter(recipe.augment, layouts)
    features = _features(info, network, augment, data, device, memory)
    shown = len(info.inputs)
    if statistics is None:
        fitted_on = torch.from_numpy(train).to(device)
        statistics = {
            name: _mean_and_deviation(one, fitted_on, _change(recipe, layouts[name]), layouts[name].channel_axis)
            for name, one in zip(info.inputs, features, strict=False)
            if recipe.input_range in FITTED
        }
    ranges = [
        _range(recipe, layouts[name], features[0].values.device, statistics.get(name)) if place < shown else _unchanged
        for place, name in enumerate(info.features)
    ]
    most = max(recipe.batch_size, _at_a_time(*(feature.values for feature in features[:shown])))
    return Inputs(features, tuple(ranges), shown, min(LARGEST_EVALUATION, most), augment, statistics)


def inputs_of_rows(
    inputs: Inputs, info: ModelInfo, network: nn.Module, values: Mapping[str, Values], rows: np.ndarray
) -> Inputs:
    """Return inputs that hold other values, of a few samples: what a trained network is shown of shifted clips.

    Parameters
    ----------
    inputs : of the fold; their ranges stay as they were fitted to its training samples.
    info : the model.
    network : the same as for ``make_inputs``.
    values : feature -> values of all samples of the study.
    rows : row numbers of the samples. In the inputs, sample i is that of ``rows[i]``.
    """
    device = str(inputs.device)
    reductions = getattr(network, "reductions", (None,) * len(info.features))
    features = tuple(
        DeviceFeature(Gathered(ChosenRows(values[name], rows), device), reduction or _unchanged)
        for name, reduction in zip(info.features[: inputs.shown], reductions, strict=False)
    )
    return replace(inputs, features=features)


def _features(
    info: ModelInfo, network: nn.Module, augment: Augmenter | None, data: StudyData, device: str, memory: int
) -> tuple[DeviceFeature, ...]:
    """Return the features, held on the device as far as there is memory: those that come first, first."""
    features, left = [], memory
    reductions = getattr(network, "reductions", (None,) * len(info.features))
    for place, (name, reduction) in enumerate(zip(info.features, reductions, strict=True)):
        values, reduce = data.features[name], reduction or _unchanged
        stored: Stored | None = None
        if not (augment and augment.changes(place)):
            stored = _reduced(values, reduce, device, left)
        if stored is None:
            stored = held(values, device) if bytes_of(values) <= left else Gathered(values, device)
        else:
            reduce = _unchanged
        left -= held_bytes(stored)
        features.append(DeviceFeature(stored, reduce))
    return tuple(features)


def _reduced(values: Values, reduce: Change, device: str, memory: int) -> Stored | None:
    """Return what ``reduce`` makes of the values where that takes at most half of their memory, else None.

    Large stored ones are shared by all workers of a node and stay where they are; each worker reduces for itself.
    """
    reduced = Reduced(values, reduce, device)
    if 2 * reduced.nbytes > bytes_of(values):
        return None
    return _LATEST.of(values, reduced, reduce, device, _at_a_time(values)) if reduced.nbytes <= memory else reduced


def _range(recipe: TrainingRecipe, layout: Layout, device: torch.device, statistics: Statistics | None) -> Change:
    if recipe.input_range == "unit":
        return lambda batch: batch / 255.0
    if recipe.input_range == "signed":
        return lambda batch: batch / 127.5 - 1.0
    if recipe.input_range == "imagenet":
        return _imagenet(layout.channel_axis, device)
    if recipe.input_range == "raw":
        return _unchanged
    assert statistics is not None
    change = _change(recipe, layout)
    mean, deviation = statistics
    if change is not _unchanged:
        return lambda batch: change(batch).div_(deviation)
    return lambda batch: (batch - mean).div_(deviation)


def _change(recipe: TrainingRecipe, layout: Layout) -> Change:
    """Return what is done to values before they are divided by their deviation."""
    time = layout.time_axis if recipe.input_range == "difference" else None
    if time is None:
        return _unchanged

    def change(batch: Tensor) -> Tensor:
        """How clips differ from their first frame."""
        return batch - batch.narrow(time, 0, 1)

    return change


def _imagenet(axis: int, device: torch.device) -> Change:
    mean, deviation = (torch.tensor(three, device=device) for three in (IMAGENET_MEAN, IMAGENET_STD))

    def change(batch: Tensor) -> Tensor:
        shape = (3, *(1,) * (batch.dim() - 1 - axis))
        return (batch / 255.0 - mean.reshape(shape)).div_(deviation.reshape(shape))

    return change


def _mean_and_deviation(feature: DeviceFeature, train: Tensor, change: Change, axis: int) -> tuple[Tensor, Tensor]:
    """Return mean and deviation, along ``axis``, of what ``change`` makes of the training samples; (1, ..., 1).

    A few samples at a time are turned into float32: all of them may not fit into memory.
    """

    def total(of: Change) -> tuple[Tensor, int]:
        """Return the sum of what ``of`` makes of the values, and how many of them each is the sum of."""
        sums, count = torch.zeros((), dtype=torch.float64, device=train.device), 0
        for rows in train.split(_at_a_time(feature.values, feature.batch(train[:1]))):
            part = of(change(feature.batch(rows)))
            others = [other for other in range(part.dim()) if other != axis]
            sums = sums + part.sum(dim=others, keepdim=True).double()
            count += part.numel() // part.shape[axis]
        return sums, count

    values, count = total(_unchanged)
    mean = (values / count).float()
    squares, _ = total(lambda part: (part - mean).square_())
    return mean, (squares / max(1, count - 1)).sqrt().float().clamp_min(1e-6)


def _at_a_time(*stored: Stored | Values) -> int:
    """Return how many samples of all the given values make EVALUATION_BYTES of float32, at least one."""
    return max(1, EVALUATION_BYTES // max(1, sum(4 * math.prod(values.shape[1:]) for values in stored)))
