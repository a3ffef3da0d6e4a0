"""The synthetic default: plainly labelled, equal for equal seeds, learnable but not perfectly."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.svm import SVC

from preprocess.datasets import RawDataset
from preprocess.datasets.synthetic import make_synthetic
from preprocess.samples import samples_fingerprint
from preprocess.shard_file import content_hash
from preprocess.tasks import TASKS, labels

FEATURE = "flow_uvs_28"
MEGC3 = TASKS.get("megc3")


def tensors(dataset: RawDataset) -> np.ndarray:
    """(n, 3, 28, 28) in the order of the samples table."""
    return np.stack([dataset.features[FEATURE].compute(sample_id) for sample_id in dataset.samples["sample_id"]])


def content(dataset: RawDataset) -> str:
    """The hash of all tensors."""
    return content_hash(dataset.samples["sample_id"].tolist(), tensors(dataset))


def test_two_datasets_that_say_they_are_synthetic() -> None:
    datasets = make_synthetic()
    assert [dataset.name for dataset in datasets] == ["synth_a", "synth_b"]
    assert [dataset.samples["subject"].nunique() for dataset in datasets] == [10, 8]
    assert all(dataset.synthetic for dataset in datasets)
    assert all(dataset.features[FEATURE].recipe["source"] == "synthetic" for dataset in datasets)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_classes_are_unbalanced_like_the_composite(seed: int) -> None:
    for dataset in make_synthetic(seed):
        index = labels(MEGC3, dataset.samples)
        negative, positive, surprise = np.bincount(index, minlength=3)
        assert negative > positive > surprise > 0
        by_subject = [set(index[dataset.samples["subject"] == name]) for name in dataset.samples["subject"].unique()]
        assert any(len(classes) < 3 for classes in by_subject)


def test_equal_seeds_give_equal_data_and_others_do_not() -> None:
    for first, again, other in zip(make_synthetic(3), make_synthetic(3), make_synthetic(4), strict=True):
        assert samples_fingerprint(first.samples) == samples_fingerprint(again.samples)
        assert content(first) == content(again) != content(other)
        sample_id = first.samples["sample_id"][0]
        fingerprints = [dataset.features[FEATURE].source_fingerprint(sample_id) for dataset in (first, again, other)]
        assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_a_sample_does_not_depend_on_which_were_drawn_before() -> None:
    one, two = make_synthetic()[0], make_synthetic()[0]
    last = one.samples["sample_id"].iloc[-1]
    tensors(two)
    np.testing.assert_array_equal(one.features[FEATURE].compute(last), two.features[FEATURE].compute(last))


def test_the_default_data_is_pinned() -> None:
    """A change of the drawing must come with a new VERSION, or stored outcomes would mix two kinds of data."""
    first, second = make_synthetic()
    assert (len(first.samples), len(second.samples)) == (77, 63)
    for dataset, expected in (
        (first, [[48, 131, 110, 136], [216, 150, 227, 105], [255, 154, 39, 127]]),
        (second, [[128, 218, 90, 156], [138, 150, 176, 188], [190, 101, 47, 81]]),
    ):
        tensor = dataset.features[FEATURE].compute(f"{dataset.name}/p01/c01")
        # The last bit of exp and sqrt may differ between platforms.
        np.testing.assert_allclose(tensor[:, 8, ::7].astype(int), expected, atol=1)


def test_every_channel_fills_the_8_bit_range() -> None:
    dataset = make_synthetic()[0]
    values = tensors(dataset)
    assert values.dtype == np.uint8
    assert (values.min(axis=(2, 3)) == 0).all()
    assert (values.max(axis=(2, 3)) == 255).all()


def test_a_simple_model_is_well_above_chance_and_not_perfect() -> None:
    """An SVM on raw flow, leaving one subject out; constant predictions have UF1 .24."""
    for dataset in make_synthetic():
        values = tensors(dataset).reshape(len(dataset.samples), -1) / 255.0
        index = labels(MEGC3, dataset.samples)
        subjects = dataset.samples["subject"].to_numpy(str)
        predicted = cross_val_predict(SVC(kernel="linear"), values, index, groups=subjects, cv=LeaveOneGroupOut())
        assert 0.55 < f1_score(index, predicted, average="macro") < 0.9
