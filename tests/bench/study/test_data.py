"""A study's arrays: labelled samples of its datasets, joined by sample id."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

from bench.study.assemble import assemble
from preprocess.base.errors import DataError
from preprocess.labels.tasks import TASKS, Task
from preprocess.shards.file import Remarks
from preprocess.shards.prepared import PreparedDataset

FEATURE = "flow_uvs_28"
MEGC3 = TASKS.get("megc3")


def test_rows_are_in_sample_id_order_whatever_the_order_of_the_datasets(synthetic: list[PreparedDataset]) -> None:
    data = assemble(synthetic, MEGC3, [FEATURE]).read()
    turned = assemble(synthetic[::-1], MEGC3, [FEATURE]).read()
    assert data.sample_ids.tolist() == sorted(data.sample_ids.tolist())
    assert len(data) == sum(len(dataset.samples) for dataset in synthetic)
    for first, second in ((data.labels, turned.labels), (data.features[FEATURE][:], turned.features[FEATURE][:])):
        assert np.array_equal(first, second)
    assert data.subjects.tolist() == turned.subjects.tolist() == [i.rpartition("/")[0] for i in data.sample_ids]
    assert data.datasets.tolist() == [i.partition("/")[0] for i in data.sample_ids]


def test_features_and_labels_belong_to_their_sample_ids(synthetic: list[PreparedDataset]) -> None:
    data = assemble(synthetic, MEGC3, [FEATURE]).read()
    for dataset in synthetic:
        tensors = dict(zip(dataset.samples["sample_id"], dataset.load(FEATURE), strict=True))
        emotions = dict(zip(dataset.samples["sample_id"], dataset.samples["emotion"], strict=True))
        for row, sample_id in enumerate(data.sample_ids.tolist()):
            if sample_id in tensors:
                assert np.array_equal(data.features[FEATURE][row], tensors[sample_id])
                assert MEGC3.classes[data.labels[row]] == emotions[sample_id]


def test_rows_and_labels_can_be_shared_between_processes_without_a_copy(synthetic: list[PreparedDataset]) -> None:
    data = assemble(synthetic, MEGC3, [FEATURE])
    for array in (data.sample_ids, data.subjects, data.datasets, data.labels):
        assert array.dtype != object
        assert array.flags.c_contiguous
    assert data.features[FEATURE].dtype == np.uint8, "features stay as small as they are stored"


def test_a_studys_data_hold_no_feature_until_they_are_opened(synthetic: list[PreparedDataset]) -> None:
    data = assemble(synthetic, MEGC3, [FEATURE])
    assert data.features[FEATURE].shape == (len(data), 3, 28, 28)
    assert len(pickle.dumps(data)) < 200 * len(data) + 20_000, "of the features, only where they lie travels"


def test_any_rows_of_several_blocks_are_those_of_the_joined_feature(synthetic: list[PreparedDataset]) -> None:
    tensors = {}
    for dataset in synthetic:
        tensors |= dict(zip(dataset.samples["sample_id"], dataset.load(FEATURE), strict=True))
    data = assemble(synthetic[::-1], MEGC3, [FEATURE]).read()
    joined = np.stack([tensors[sample_id] for sample_id in data.sample_ids.tolist()])
    values = data.features[FEATURE]
    wanted: list[Any] = [
        np.array([5, 0, len(data) - 1, 5]),
        slice(3, None, 7),
        np.arange(0),
        4,
        np.arange(len(data)) % 3 == 0,
    ]
    for rows in wanted:
        assert np.array_equal(values[rows], joined[rows])
        assert values[rows].flags.c_contiguous


def without(emotion: str) -> Task:
    """Return megc3 without one of its classes' samples."""
    mapping = {name: None if name == emotion else name for name in MEGC3.classes}
    return dataclasses.replace(MEGC3, mapping=lambda dataset: mapping)


def skipping(dataset: PreparedDataset, sample_ids: list[str]) -> PreparedDataset:
    """Return the dataset as it is where clips could not be used."""
    info = dataset.features[FEATURE]
    lacking = dataclasses.replace(info, remarks=Remarks(skipped=dict.fromkeys(sample_ids, "no face")))
    return dataclasses.replace(dataset, features={FEATURE: lacking})


def test_samples_that_lack_a_feature_are_left_out_where_it_is_needed(synthetic: list[PreparedDataset]) -> None:
    whole = assemble(synthetic[:1], MEGC3, [FEATURE]).read()
    lost = whole.sample_ids[[3, 7]].tolist()
    data = assemble([skipping(synthetic[0], lost)], MEGC3, [FEATURE]).read()
    rows = ~np.isin(whole.sample_ids, lost)
    assert data.sample_ids.tolist() == whole.sample_ids[rows].tolist()
    assert np.array_equal(data.features[FEATURE][:], whole.features[FEATURE][rows])
    assert np.array_equal(data.labels, whole.labels[rows])
    assert len(assemble([skipping(synthetic[0], lost)], MEGC3, [])) == len(whole)


def test_nothing_left_after_leaving_out(synthetic: list[PreparedDataset]) -> None:
    everybody = skipping(synthetic[0], synthetic[0].samples["sample_id"].tolist())
    with pytest.raises(DataError, match=r"No sample of synth_a has a class .* and the features flow_uvs_28"):
        assemble([everybody], MEGC3, [FEATURE])


def test_samples_without_a_class_are_left_out(synthetic: list[PreparedDataset]) -> None:
    data = assemble(synthetic[:1], without("negative"), [FEATURE])
    kept = synthetic[0].samples[synthetic[0].samples["emotion"] != "negative"]
    assert data.sample_ids.tolist() == kept["sample_id"].tolist()
    assert set(data.labels.tolist()) == {1, 2}


def test_a_task_that_fits_no_sample_is_told(synthetic: list[PreparedDataset]) -> None:
    nothing = dataclasses.replace(MEGC3, mapping=lambda dataset: dict.fromkeys(MEGC3.classes))
    with pytest.raises(DataError, match=r"No sample of synth_a, synth_b has a class in task 'megc3'"):
        assemble(synthetic, nothing, [FEATURE])


def test_a_sample_in_two_datasets_is_named(synthetic: list[PreparedDataset]) -> None:
    first = synthetic[0].samples["sample_id"][0]
    with pytest.raises(DataError, match=f"Sample '{first}' occurs twice in synth_a, synth_a"):
        assemble([synthetic[0], synthetic[0]], MEGC3, [FEATURE])
