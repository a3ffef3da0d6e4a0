"""Features that are larger than memory: batches come from files as they are needed, and no bit differs."""

from __future__ import annotations

import ctypes
import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peak_memory import PeakMemory
from small_runs import (
    FEATURE,
    assert_equal_results,
    assert_equal_weights,
    folds_of,
    multi_label,
    resolved,
    study_data,
    trained,
    with_features_of,
)

from bench.engine import inputs as engine_inputs
from bench.engine.everybody import train_on_everybody
from bench.engine.inputs import make_inputs
from bench.engine.train import score_again
from bench.study.data import StudyData
from bench.study.feature_rows import FeatureRows, FlippedRows
from bench.workers.row_file import RowFile
from mer_models.contracts import TrainingRecipe
from mer_models.registry import MODELS
from preprocess.shards.block import Block

AT_A_TIME = 8
"""Samples of ``FEATURE`` that an evaluation, or the fit of a range, looks at in these tests."""


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_inputs, "EVALUATION_BYTES", AT_A_TIME * 4 * 3 * 28 * 28)


class Watched(RowFile):
    """A file that notes how many rows it was asked for at a time."""

    most = 0

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        self.most = max(self.most, len(rows))
        return super().__getitem__(rows)


def in_files(data: StudyData, folder: Path) -> tuple[StudyData, list[Watched]]:
    """Return the data with every feature in two files, as those of two datasets lie, and the files."""
    files: list[Watched] = []
    part = np.arange(len(data)) % 2

    def one(values: Any) -> FeatureRows:
        blocks, opened = [], []
        for number in (0, 1):
            mine = values[part == number]
            path = folder / f"{len(files)}.npy"
            RowFile.create(path, mine.shape, mine.dtype.name)[range(len(mine))] = mine
            opened.append(Watched(path))
            files.append(opened[-1])
            ids = tuple(data.sample_ids[part == number].tolist())
            blocks.append(Block("drawn", str(number), ids, mine.shape[1:], mine.dtype.name, "", {}))
        return FeatureRows(tuple(blocks), part.astype(np.int32), np.arange(len(data)) // 2, tuple(opened))

    return data.with_features(one), files


def most_rows(files: list[Watched]) -> int:
    return max(file.most for file in files)


def shifted(data: StudyData) -> StudyData:
    """Return the data with key frames shifted once."""
    moved = {name: np.roll(values[:], 1, axis=-1) for name, values in data.features.items()}
    return dataclasses.replace(data, shifted={"1": moved})


SETTINGS: list[dict[str, Any]] = [
    {"input_range": "standard"},
    {"input_range": "standard", "augment": "flip,shift:0.05", "balance": True},
    {"input_range": "signed", "mixup": 0.4, "class_weights": True},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=[" ".join(settings) for settings in SETTINGS])
def test_a_training_from_files_is_that_of_arrays_to_the_bit(
    tiny: str, tmp_path: Path, settings: dict[str, Any]
) -> None:
    data = shifted(study_data(subjects=5))
    selections = ("last", "oracle") if "augment" in settings else ("validation",)
    fold = folds_of(data, validate=selections == ("validation",))[1]
    there, files = in_files(data, tmp_path)
    held = trained(tiny, data, [fold], selections, **settings)
    streamed = trained(tiny, there, [fold], selections, memory=0, **settings)
    assert held.keys() == streamed.keys()
    for key, result in held.items():
        assert_equal_results(result, streamed[key])
        assert result.shifted["1"].tobytes() == streamed[key].shifted["1"].tobytes()
        again = score_again(MODELS.get(tiny), resolved(tiny, **settings), there, fold, result.weights, memory=0)
        assert again.tobytes() == result.scores.tobytes()
    assert most_rows(files) <= AT_A_TIME + 1 < len(fold.train), "a single row that is left over joins the last batch"


def test_several_classes_a_sample_and_a_model_for_everybody(tiny: str, tmp_path: Path) -> None:
    data = multi_label(study_data())
    there, files = in_files(data, tmp_path)
    values = resolved(tiny, input_range="standard")
    held, streamed = (
        train_on_everybody(MODELS.get(tiny), values, one, 0, memory=memory)
        for one, memory in ((data, 10**9), (there, 0))
    )
    assert_equal_weights(held.weights, streamed.weights)
    for first, second in zip(held.statistics[FEATURE], streamed.statistics[FEATURE], strict=True):
        assert first.tobytes() == second.tobytes()
    assert most_rows(files) <= AT_A_TIME


def test_an_estimator_gets_the_same_samples(tmp_path: Path) -> None:
    data = study_data()
    there, _ = in_files(data, tmp_path)
    folds = folds_of(data)[:1]
    (held,), (streamed,) = (trained("flow_svm", one, folds, memory=0).values() for one in (data, there))
    assert_equal_results(held, streamed)


def test_a_network_that_looks_at_smaller_pictures_makes_them_batch_by_batch(tmp_path: Path) -> None:
    model, info = "off_tanet", MODELS.get("off_tanet")
    data = with_features_of(model, study_data(subjects=3))
    data = dataclasses.replace(data, features={name: data.features[name] for name in info.features})
    there, files = in_files(data, tmp_path)
    fold = folds_of(data)[0]
    settings = {"epochs": 1, "input_range": "standard"}
    held, streamed = (
        trained(model, one, [fold], memory=memory, **settings)[fold.name, "last"]
        for one, memory in ((data, 10**9), (there, 0))
    )
    assert_equal_results(held, streamed)
    assert most_rows(files) <= max(AT_A_TIME, resolved(model)["batch_size"])


@dataclasses.dataclass(frozen=True)
class Quartered:
    """A reduction to a quarter of the rows and columns."""

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return images[..., ::4, ::4]


class Reducing(torch.nn.Module):
    reductions = (None, Quartered())


def test_what_fits_is_held_and_the_rest_taken_batch_by_batch_in_the_same_layout(tmp_path: Path) -> None:
    data = study_data(subjects=3)
    grey = np.ascontiguousarray(data.features[FEATURE][:, :1])
    data = dataclasses.replace(
        data,
        features={FEATURE: data.features[FEATURE], "grey": grey},
        layouts={FEATURE: data.layouts[FEATURE], "grey": data.layouts[FEATURE]},
    )
    info = dataclasses.replace(MODELS.get("ststnet"), features=(FEATURE, "grey"))
    recipe = TrainingRecipe(epochs=1, batch_size=4, lr=1.0, input_range="standard", augment="")
    there, _ = in_files(data, tmp_path)
    train, rows = np.arange(3, len(data)), torch.tensor([5, 0, 17, 2])
    first, second = data.features[FEATURE].nbytes, grey.nbytes // 4
    kinds = {}
    for memory in (0, second, first, first + second):
        made = make_inputs(info, Reducing(), recipe, there, train, "cpu", memory=memory)
        kinds[memory] = [isinstance(one.values, torch.Tensor) for one in made.features]
        expected = make_inputs(info, Reducing(), recipe, data, train, "cpu")
        assert made.evaluation_batch == expected.evaluation_batch
        for batch, wanted in zip(made.batch(rows), expected.batch(rows), strict=True):
            assert torch.equal(batch, wanted)
            assert batch.stride() == wanted.stride(), "another layout may mean another kernel"
    assert list(kinds.values()) == [[False, False], [False, True], [True, False], [True, True]]


def test_a_reduced_feature_is_let_go_with_its_study(tmp_path: Path) -> None:
    data = study_data(subjects=2)
    info = dataclasses.replace(MODELS.get("ststnet"), features=(FEATURE,))
    network = torch.nn.Identity()
    network.reductions = (Quartered(),)  # type: ignore[assignment]
    there, _ = in_files(data, tmp_path)
    make_inputs(info, network, TrainingRecipe(epochs=1, batch_size=4, lr=1.0), there, np.arange(3), "cpu")
    assert engine_inputs._LATEST._values is not None
    del there
    assert engine_inputs._LATEST._values is None


def test_pictures_with_their_channels_reversed_are_reversed_row_by_row(tmp_path: Path) -> None:
    data = study_data(subjects=2)
    there, files = in_files(data, tmp_path)
    rows = np.array([4, 0, 9])
    turned = FlippedRows(there.features[FEATURE], 1)
    assert np.array_equal(turned[rows], data.features[FEATURE][rows][:, ::-1])
    assert turned[rows].flags.c_contiguous
    assert (turned.shape, turned.dtype) == (data.features[FEATURE].shape, np.uint8)
    assert most_rows(files) <= 3


@pytest.fixture
def freed_memory_is_returned() -> Iterator[None]:
    """Let the C library return freed tensors at once: what it keeps for later would be taken for what is held."""
    threshold, library = -3, ctypes.CDLL(None)
    assert library.mallopt(threshold, 2**17) == 1
    yield
    library.mallopt(threshold, 2**25)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc, and tells glibc")
@pytest.mark.usefixtures("freed_memory_is_returned")
def test_a_worker_takes_less_than_a_quarter_of_the_features(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit, people, clips = 12 * 2**20, 4, 1350
    few = study_data(subjects=people, clips=6)
    rows = np.arange(people * clips) % len(few)
    picture = np.kron(few.features[FEATURE], np.ones((2, 2), np.uint8))
    data = dataclasses.replace(
        few,
        **{name: getattr(few, name)[rows] for name in ("subjects", "datasets", "splits", "labels")},
        sample_ids=np.array([f"c{row:05d}" for row in range(len(rows))]),
        features={FEATURE: picture[rows]},
    )
    monkeypatch.setattr(engine_inputs, "EVALUATION_BYTES", 2**20)
    there, _ = in_files(data, tmp_path)
    size = data.features[FEATURE].nbytes
    assert size > 4 * limit
    del data
    fold = folds_of(there)[0]
    settings = {"epochs": 1, "input_range": "standard", "batch_size": 16}
    monkeypatch.setattr("throwaway_models.TinyNet.forward", pooled)
    with PeakMemory() as streamed:
        from_files = trained(tiny, there, [fold], memory=limit // 4, **settings)
    with PeakMemory() as held:
        read = there.with_features(lambda values: values[:])
        in_memory = trained(tiny, read, [fold], **settings)
    for key, result in from_files.items():
        assert_equal_results(result, in_memory[key])
    assert streamed.grown < limit
    assert held.grown > size, "what the measure sees where the feature is held"


def pooled(network: Any, flow: torch.Tensor) -> torch.Tensor:
    """``TinyNet`` for pictures of twice the size."""
    shown = network.norm(torch.nn.functional.avg_pool2d(flow, 2))
    logits: torch.Tensor = network.classifier(network.dropout(network.pool(shown).flatten(1)))
    return logits
