"""Inputs: batches made from what is stored are those of tensors that were converted as a whole."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import FEATURE, folds_of, study_data

from bench.engine.fit import build_network, evaluate
from bench.engine.inputs import EVALUATION_BYTES, LARGEST_EVALUATION, make_inputs
from bench.study.data import StudyData
from mer_models.contracts import TrainingRecipe
from mer_models.registry import MODELS
from preprocess.recipes import FEATURES

DATA = study_data(subjects=3)
FOLD = folds_of(DATA)[1]
RANGES = ("raw", "unit", "signed", "imagenet", "standard")


def recipe(**changes: Any) -> TrainingRecipe:
    return TrainingRecipe(**{"epochs": 1, "batch_size": 4, "lr": 1.0, **changes})


def whole(values: np.ndarray, input_range: str, train: np.ndarray) -> torch.Tensor:
    """All samples at once as float32, in their range and layout."""
    tensor = torch.from_numpy(values.astype(np.float32))
    if input_range == "unit":
        tensor = tensor / 255.0
    elif input_range == "signed":
        tensor = 2 * tensor / 255.0 - 1.0
    elif input_range == "imagenet":
        shape = (1, 3, *(1,) * (tensor.dim() - 2))
        red_green_blue = torch.tensor([0.485, 0.456, 0.406]).reshape(shape)
        tensor = (tensor / 255.0 - red_green_blue) / torch.tensor([0.229, 0.224, 0.225]).reshape(shape)
    elif input_range == "standard":
        fitted = tensor[torch.from_numpy(train)]
        axes = [axis for axis in range(tensor.dim()) if axis != 1]
        deviation = fitted.std(dim=axes, keepdim=True).clamp_min(1e-6)
        tensor = (tensor - fitted.mean(dim=axes, keepdim=True)) / deviation
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


def of_kind(kind: str) -> StudyData:
    stored = DATA.features[FEATURE]
    values = {
        "8-bit images": stored,
        "8-bit clips": stored.reshape(-1, 3, 4, 14, 14),
        "numbers": stored.reshape(len(stored), 3, -1).astype(np.float32) / 7 - 9,
    }[kind]
    return dataclasses.replace(DATA, features={FEATURE: values})


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["8-bit images", "8-bit clips", "numbers"])
@pytest.mark.parametrize("input_range", RANGES)
def test_a_batch_has_the_values_and_layout_of_the_whole_tensors_rows(input_range: str, kind: str) -> None:
    data = of_kind(kind)
    made = make_inputs(
        MODELS.get("ststnet"), torch.nn.Identity(), recipe(input_range=input_range), data, FOLD.train, "cpu"
    )
    rows = torch.tensor([5, 0, 17, 2])
    (batch,) = made.batch(rows)
    expected = whole(data.features[FEATURE], input_range, FOLD.train)[rows]
    # Sums and products are taken in another order here, everything else has the same bits.
    summed = input_range in ("standard", "signed")
    same = torch.allclose(batch, expected, atol=1e-5) if summed else torch.equal(batch, expected)
    assert same
    assert batch.stride() == expected.stride(), "another layout may mean another kernel"
    assert made.features[0].values.dtype == torch.from_numpy(data.features[FEATURE]).dtype


def test_arrays_that_cannot_be_written_are_taken_without_a_copy_or_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    data = of_kind("8-bit clips")
    data.features[FEATURE].flags.writeable = False
    made = make_inputs(MODELS.get("ststnet"), torch.nn.Identity(), recipe(), data, FOLD.train, "cpu")
    assert made.features[0].values.data_ptr() == data.features[FEATURE].ctypes.data
    assert not list(recwarn)


def test_large_samples_are_evaluated_few_at_a_time() -> None:
    """... but never fewer than a training batch, which needs more memory."""

    def batch(shape: tuple[int, ...], size: int) -> int:
        data = dataclasses.replace(DATA, features={FEATURE: np.zeros((1, *shape), np.uint8)})
        return make_inputs(
            MODELS.get("ststnet"), torch.nn.Identity(), recipe(batch_size=size), data, np.array([0]), "cpu"
        ).evaluation_batch

    assert batch((3, 28, 28), 4) == LARGEST_EVALUATION
    assert batch((11, 3, 224, 224), 4) == EVALUATION_BYTES // (11 * 3 * 224 * 224 * 4) == 10
    assert batch((11, 3, 224, 224), 32) == 32
    assert batch((3, 28, 28), 9999) == LARGEST_EVALUATION


def test_an_evaluation_feeds_no_more_than_its_batch() -> None:
    info = MODELS.get("ststnet")
    made = dataclasses.replace(
        make_inputs(info, torch.nn.Identity(), recipe(), DATA, FOLD.train, "cpu"), evaluation_batch=4
    )
    sizes: list[int] = []
    with torch.random.fork_rng():
        model = build_network(info, info.params, 3, 0, "cpu")
    model.register_forward_pre_hook(lambda module, features: sizes.append(len(features[0])))
    scores = evaluate(model, made, np.arange(10))
    assert sizes == [4, 4, 2]
    assert scores.shape == (10, 3)


CLIPS, FRAMES, POINTS, DESCRIPTOR = "flow_wheel_11_224", "frames_9_128", "landmarks_28", "hoof"


def batch_of(features: dict[str, np.ndarray], input_range: str, rows: list[int]) -> tuple[torch.Tensor, ...]:
    """A batch of the features, the range fitted on the first half of the samples."""
    first = next(iter(features.values()))
    info = dataclasses.replace(MODELS.get("ststnet"), features=tuple(features))
    layouts = {name: FEATURES.get(name).layout for name in features}
    data = dataclasses.replace(DATA, features=features, layouts=layouts)
    made = make_inputs(
        info, torch.nn.Identity(), recipe(input_range=input_range), data, np.arange(len(first) // 2), "cpu"
    )
    return made.batch(torch.tensor(rows))


def test_standard_brings_each_channel_to_zero_and_one_wherever_channels_stand() -> None:
    rng = np.random.default_rng(0)
    spread = np.array([1.0, 20.0, 300.0], np.float32)
    clips = rng.normal(size=(8, 4, 3, 6, 6)).astype(np.float32) * spread[:, None, None] + spread[:, None, None]
    points = rng.normal(size=(8, 5, 2)).astype(np.float32) * spread[:2] - spread[:2]
    values, places = batch_of({CLIPS: clips, POINTS: points}, "standard", [0, 1, 2, 3])
    for scaled, axes in ((values, (0, 1, 3, 4)), (places, (0, 1))):
        assert scaled.mean(dim=axes).abs().max() < 1e-5
        assert (scaled.std(dim=axes) - 1).abs().max() < 1e-5
    (described,) = batch_of({DESCRIPTOR: clips[:, 0, :, 0, 0]}, "standard", [0, 1, 2, 3])
    assert described.mean(dim=0).abs().max() < 1e-5, "each value of a descriptor has its own range"


def test_difference_leaves_what_moves_since_a_clips_first_frame() -> None:
    rng = np.random.default_rng(0)
    faces = rng.integers(40, 200, size=(8, 1, 1, 6, 6))
    moves = rng.integers(-9, 9, size=(8, 4, 1, 6, 6))
    moves[:, 0] = 0
    frames, points = (faces + moves).astype(np.uint8), rng.normal(size=(8, 5, 2)).astype(np.float32)
    changed, places = batch_of({FRAMES: frames, POINTS: points}, "difference", [0, 1, 2, 3])
    expected = torch.from_numpy(moves[:4].astype(np.float32))
    assert torch.allclose(changed, expected / expected.std(), atol=1e-6)
    assert torch.equal(places, batch_of({POINTS: points}, "standard", [0, 1, 2, 3])[0]), "points have no time"


@dataclasses.dataclass(frozen=True)
class Halved:
    """A reduction that counts the samples it has seen; equal to every other one of the same factor."""

    factor: int = 2
    seen: list[int] = dataclasses.field(default_factory=list, compare=False)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(images))
        return images[..., :: self.factor]


class Reducing(torch.nn.Module):
    def __init__(self, *reductions: Any) -> None:
        super().__init__()
        self.reductions = reductions


def reduced_inputs(reduction: Any, data: StudyData, **changes: Any) -> Any:
    return make_inputs(MODELS.get("ststnet"), Reducing(reduction), recipe(**changes), data, FOLD.train, "cpu")


def test_folds_of_a_study_reduce_its_features_once() -> None:
    data = of_kind("numbers")
    first, again, other_way = Halved(), Halved(), Halved(4)
    made = reduced_inputs(first, data)
    assert sum(first.seen) == len(data) + 1, "one sample tells whether it saves memory"
    assert torch.equal(made.batch(torch.tensor([3]))[0], torch.from_numpy(data.features[FEATURE][[3]][..., ::2]))
    assert reduced_inputs(again, data).features[0].values is made.features[0].values
    assert sum(again.seen) == 1
    assert (
        reduced_inputs(other_way, data).batch(torch.tensor([0]))[0].shape[-1]
        == made.batch(torch.tensor([0]))[0].shape[-1] // 2
    )
    elsewhere = of_kind("numbers")
    elsewhere.features[FEATURE] += 1
    assert not torch.equal(
        reduced_inputs(Halved(4), elsewhere).features[0].values, reduced_inputs(Halved(4), data).features[0].values
    )


def test_a_reduction_that_takes_more_memory_than_what_is_stored_is_made_batch_by_batch() -> None:
    data = of_kind("8-bit images")
    reduction = Halved()
    made = reduced_inputs(reduction, data)
    assert made.features[0].values.dtype == torch.uint8
    (batch,) = made.batch(torch.tensor([1, 2]))
    assert torch.equal(batch, torch.from_numpy(data.features[FEATURE][[1, 2]][..., ::2]).float())


def test_the_range_is_fitted_on_what_the_network_looks_at() -> None:
    data = of_kind("8-bit images")
    data.features[FEATURE][..., 1::2] = 255
    for factor in (2, 14):
        made = reduced_inputs(Halved(factor), data, input_range="standard")
        (values,) = made.batch(torch.from_numpy(FOLD.train))
        torch.testing.assert_close(values.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
        torch.testing.assert_close(values.std(dim=(0, 2, 3)), torch.ones(3), atol=1e-4, rtol=0)


def test_what_an_augmentation_changes_is_reduced_afterwards() -> None:
    data = of_kind("8-bit images")
    made = reduced_inputs(Halved(14), data, augment="flip")
    rows = torch.arange(8)
    (batch,) = made.training_batch(rows, np.random.default_rng(0))
    assert made.augment is not None
    (flipped,) = made.augment([torch.from_numpy(data.features[FEATURE][:8]).float()], np.random.default_rng(0))
    assert torch.equal(batch, flipped[..., ::14])
    assert not torch.equal(batch, made.batch(rows)[0])
