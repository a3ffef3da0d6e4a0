"""Folds that start from trained weights: all of them but the head, and nothing that does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from small_runs import folds_of, resolved, study_data

from bench.config import DEFAULT_MODELS
from bench.engine.fit import build_network
from bench.engine.starting import head_of, shapes_of, start_from
from bench.engine.train import FoldJob, FoldResult, train_pack
from mer_models.registry import MODELS
from preprocess.base.errors import DataError, UsageError

DATA = study_data()
NETWORKS = [name for name, info in MODELS.items() if info.kind == "network"]
FEW = [name for name in NETWORKS if name in DEFAULT_MODELS]


def weights_of(model: str, n_classes: int, seed: int = 7, **changes: Any) -> dict[str, np.ndarray]:
    info, values = MODELS.get(model), resolved(model, **changes)
    params = {name: values[name] for name in info.params}
    network = build_network(info, params, n_classes, seed, "cpu")
    return {name: value.numpy().copy() for name, value in network.state_dict().items()}


def started(model: str, start: dict[str, np.ndarray] | None, **changes: Any) -> FoldResult:
    found: list[FoldResult] = []

    def fail(job: FoldJob, error: BaseException) -> None:
        raise error

    job = FoldJob(folds_of(DATA, model)[0], ("last",), start=start)
    values = resolved(model, **{"epochs": 1, **changes})
    list(train_pack(MODELS.get(model), values, DATA, [job], lambda job, rule, one: found.append(one), fail))
    return found[0]


@pytest.mark.parametrize(
    "model", [*FEW, *(pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS if name not in FEW)]
)
def test_every_network_has_a_head_and_more_than_that(model: str) -> None:
    info = MODELS.get(model)
    params = {**info.quick_params, **({"pretrained": "none"} if "pretrained" in info.params else {})}
    shapes, head = shapes_of(info, params, 3), head_of(info, params, 3)
    assert head
    assert head < shapes.keys()
    assert any(shapes[name] for name in shapes.keys() - head), "something is left that can be pretrained"


def test_all_but_the_head_comes_from_the_given_weights(tiny: str) -> None:
    info, given = MODELS.get(tiny), weights_of(tiny, n_classes=7)
    network = build_network(info, dict(info.params), 3, 0, "cpu")
    drawn = {name: value.clone() for name, value in network.state_dict().items()}
    given["norm.running_mean"] += 0.5
    head = head_of(info, dict(info.params), 3)
    assert head == {"classifier.weight", "classifier.bias"}
    start_from(network, head, given)
    for name, value in network.state_dict().items():
        assert torch.equal(value, drawn[name] if name in head else torch.from_numpy(given[name])), name


def test_the_head_is_drawn_anew_even_where_the_classes_are_as_many(tiny: str) -> None:
    """A fold's head comes from its own seed; the pretrained one answers for other people's macro-expressions."""
    given = weights_of(tiny, n_classes=3)
    other = {**given, "classifier.weight": given["classifier.weight"] + 3}
    assert started(tiny, given).scores.tobytes() == started(tiny, other).scores.tobytes()
    moved = {**given, "norm.weight": given["norm.weight"] + 3}
    assert started(tiny, given).scores.tobytes() != started(tiny, moved).scores.tobytes()


def test_a_fold_without_a_start_is_trained_as_ever(tiny: str) -> None:
    """Starting from the weights that a fold would draw itself gives that fold again."""
    fold = folds_of(DATA, tiny)[0]
    own = weights_of(tiny, n_classes=3, seed=fold.seed)
    assert started(tiny, own).scores.tobytes() == started(tiny, None).scores.tobytes()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"norm.weight": np.zeros(5, np.float32)}, r"norm.weight is \(5,\) in them and \(3,\) in the network"),
        ({"norm.weight": None}, r"norm.weight is missing in them and \(3,\) in the network"),
        ({"more.weight": np.zeros((2, 2), np.float32)}, r"more.weight is \(2, 2\) in them and unknown in the network"),
    ],
)
def test_weights_of_another_network_are_told_by_their_first_tensor(
    tiny: str, change: dict[str, np.ndarray | None], reason: str
) -> None:
    given = {name: value for name, value in {**weights_of(tiny, 3), **change}.items() if value is not None}
    with pytest.raises(DataError, match=reason):
        started(tiny, given)


# Freezing.


def moved(model: str, freeze: str, **changes: Any) -> set[str]:
    """Return which tensors a training changes."""
    before = weights_of(model, n_classes=3)
    after = started(model, before, freeze=freeze, **changes).weights
    head = head_of(MODELS.get(model), dict(MODELS.get(model).params), 3)
    return {name for name, value in after.items() if name in head or not np.array_equal(value, before[name])}


def test_frozen_parts_stay_to_the_bit_and_their_running_means_with_them(tiny: str) -> None:
    head = {"classifier.weight", "classifier.bias"}
    norm = {"norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}
    assert moved(tiny, "") == head | norm
    for freeze in ("norm", "norm.*", " norm.weight , norm.bias"):
        assert moved(tiny, freeze) == head, freeze
    # A part that is trained in part goes on counting.
    assert moved(tiny, "norm.weight") == head | norm - {"norm.weight"}
    assert moved(tiny, "norm", weight_decay=0.5) == head, "decay leaves them alone"


@pytest.mark.parametrize(
    ("freeze", "reason"),
    [
        ("norn", r"freeze=norn: 'norn' fits no parameter. Did you mean: norm\?"),
        ("*", "freeze=\\*: that is the whole network"),
        ("norm,classifier", "that is the whole network"),
    ],
)
def test_what_cannot_be_frozen_is_told(tiny: str, freeze: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        started(tiny, None, freeze=freeze)
