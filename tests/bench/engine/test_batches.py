"""Recipe options of every network: learning rates, oversampling, mixup, smoothed labels; and their contradictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from small_runs import assert_equal_results, config, folds_of, hand_fold, multi_label, study_data, trained
from throwaway_models import FEATURE, TinyNet, register_network
from torch import nn
from torch.nn import functional

from bench.engine.batches import Epochs, Schedule
from bench.engine.inputs import make_inputs
from bench.engine.loss import make_objective
from bench.engine.train import FoldResult
from bench.plan.hyperparameters import resolve as resolve_values
from bench.plan.request import resolve
from mer_models.contracts import TrainingRecipe
from mer_models.registry import MODELS
from preprocess.base.errors import UsageError

DATA = study_data(subjects=3)
FOLD = folds_of(DATA)[0]


def recipe(**changes: Any) -> TrainingRecipe:
    return TrainingRecipe(**{"epochs": 6, "batch_size": 4, "lr": 1.0, **changes})


def rates(losses: list[float], **changes: Any) -> list[float]:
    """Return the learning rate of each epoch, given the losses of the epochs before."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = Schedule(recipe(**changes), optimizer)
    seen = []
    for loss in losses:
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step(loss)
    return seen


FALLING = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]


def test_learning_rates() -> None:
    assert rates(FALLING) == [1.0] * 6
    assert rates(FALLING, lr_step=2, lr_gamma=0.5) == [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert rates(FALLING, lr_step=1, lr_gamma=0.5) == pytest.approx([0.5**epoch for epoch in range(6)])
    half = [(1 + np.cos(np.pi * epoch / 6)) / 2 for epoch in range(6)]
    assert rates(FALLING, lr_schedule="cosine") == pytest.approx(half)
    assert rates(FALLING, lr_schedule="cosine", lr_step=3) == pytest.approx([1, 0.75, 0.25] * 2)
    plateau = {"lr_schedule": "plateau", "lr_step": 1, "lr_gamma": 0.1}
    assert rates(FALLING, **plateau) == [1.0] * 6
    assert rates([2.0] * 6, **plateau) == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01])


def test_learning_rates_wait_stretch_and_stop() -> None:
    assert rates(FALLING, lr_step=1, lr_gamma=0.5, lr_hold=2) == [1, 1, 1, 0.5, 0.25, 0.125]
    plateau = {"lr_schedule": "plateau", "lr_step": 1, "lr_gamma": 0.1}
    assert rates([2.0] * 6, **plateau, lr_min=0.05) == pytest.approx([1, 1, 1, 0.1, 0.1, 0.05])
    stretched = rates(FALLING, lr_schedule="cosine", lr_step=2, lr_stretch=2, lr_min=0.2)
    fall = [0.2 + 0.8 * (1 + np.cos(np.pi * part / 4)) / 2 for part in range(4)]
    assert stretched == pytest.approx([1, 0.6, *fall])


def epochs(
    options: TrainingRecipe, labels: np.ndarray = DATA.labels, train: np.ndarray = FOLD.train, seed: int = 4
) -> Epochs:
    inputs = make_inputs(MODELS.get("ststnet"), nn.Identity(), options, DATA, train, "cpu")
    return Epochs(options, inputs, train, labels, seed)


@pytest.mark.parametrize(("size", "sizes"), [(4, [4, 5]), (8, [9]), (9, [9]), (7, [7, 2]), (1, [1] * 9), (20, [9])])
def test_no_sample_is_left_alone_in_the_last_batch(size: int, sizes: list[int]) -> None:
    train = np.arange(9)
    options = recipe(batch_size=size)
    inputs = make_inputs(MODELS.get("ststnet"), nn.Identity(), options, DATA, train, "cpu")
    epochs = Epochs(options, inputs, train, DATA.labels, seed=0)
    rows = epochs.rows()
    parts = [part.tolist() for _, part, _ in epochs.batches(rows)]
    assert [len(part) for part in parts] == sizes
    assert [row for part in parts for row in part] == rows.tolist()


def test_balance_shows_every_class_as_often_and_every_sample_at_least_once() -> None:
    train = np.arange(17)
    labels = np.array([0, 0, 1, 1, 1, *[2] * 12, 0])
    walk = epochs(recipe(balance=True), labels, train)
    first, second = walk.rows().numpy(), walk.rows().numpy()
    for shown in (first, second):
        assert np.bincount(labels[shown]).tolist() == [12, 12, 12]
        assert set(shown.tolist()) == set(train.tolist()), "row 17 is no training row"
    assert sorted(first.tolist()) != sorted(second.tolist()), "each epoch draws anew"
    assert np.array_equal(epochs(recipe(balance=True), labels, train).rows(), first)
    assert sorted(epochs(recipe(), labels, train).rows().tolist()) == train.tolist()


def test_mixup_mixes_features_and_their_losses_by_the_same_share() -> None:
    options = recipe(mixup=0.5, input_range="unit", shuffle=False)
    walk = epochs(options)
    stored = torch.from_numpy(DATA.features[FEATURE].astype(np.float32)) / 255
    shares = []
    objective = make_objective(nn.Identity(), options, DATA, FOLD.train, "cpu")
    for (values,), rows, mixed in walk.batches(walk.rows()):
        assert mixed is not None
        others, share = mixed
        assert sorted(others.tolist()) == sorted(rows.tolist())
        torch.testing.assert_close(values, share * stored[rows] + (1 - share) * stored[others])
        logits = torch.randn(len(rows), 3)
        found = objective.loss(nn.Identity(), (logits,), rows, mixed)
        both = torch.zeros(len(rows), 3)
        both[torch.arange(len(rows)), torch.from_numpy(DATA.labels)[rows]] += share
        both[torch.arange(len(rows)), torch.from_numpy(DATA.labels)[others]] += 1 - share
        torch.testing.assert_close(found, functional.cross_entropy(logits, both))
        shares.append(share)
    assert len(set(shares)) == len(shares) == 3
    assert all(0 <= share <= 1 for share in shares)


@pytest.mark.parametrize("several", [False, True], ids=["classes", "multi-label"])
def test_smoothed_labels(several: bool) -> None:
    data = multi_label(DATA) if several else DATA
    objective = make_objective(nn.Identity(), recipe(label_smoothing=0.2), data, FOLD.train, "cpu")
    rows, logits = torch.arange(5), torch.randn(5, 3)
    truth = torch.from_numpy(data.labels)[rows]
    truth = truth.float() if several else functional.one_hot(truth, 3).float()
    loss = functional.binary_cross_entropy_with_logits if several else functional.cross_entropy
    expected = loss(logits, 0.8 * truth + 0.2 * (1 / 2 if several else 1 / 3))
    torch.testing.assert_close(objective.loss(nn.Identity(), (logits,), rows), expected)


OPTIONS: list[dict[str, Any]] = [
    {"balance": True},
    {"mixup": 0.3},
    {"label_smoothing": 0.1},
    {"lr_schedule": "cosine", "lr_step": 2},
    {"lr_schedule": "plateau", "lr_step": 1, "lr_gamma": 0.5, "lr": 0.5, "epochs": 8},
    {"balance": True, "mixup": 0.3, "label_smoothing": 0.1, "class_weights": True, "lr_schedule": "cosine"},
]


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_7_every_option_changes_a_fold_and_none_makes_it_depend_on_its_pack(tiny: str, options: dict[str, Any]) -> None:
    data = study_data(subjects=3)
    data.labels[6:] = [0, 0, 0, 0, 1, 2, 0, 0, 0, 1, 2, 0]
    folds = [hand_fold(data, list(range(6, 18)), [], list(range(6)), "a")]
    folds.append(hand_fold(data, [*range(6), *range(12, 18)], [], list(range(6, 12)), "b"))
    together = trained(tiny, data, folds, **options)
    for fold in folds[::-1]:
        alone = trained(tiny, data, [fold], **options)[fold.name, "last"]
        assert_equal_results(together[fold.name, "last"], alone)
    assert different(
        together["a", "last"],
        trained(tiny, data, folds[:1], epochs=options.get("epochs", 3), lr=options.get("lr", 1e-2))["a", "last"],
    )


def different(first: FoldResult, second: FoldResult) -> bool:
    return first.weights["classifier.weight"].tobytes() != second.weights["classifier.weight"].tobytes()


def complaint(model: str, tasks: list[str] | None = None, **values: Any) -> str:
    settings = {f"{model}.{key}": value for key, value in values.items()}
    with pytest.raises(UsageError) as error:
        resolve(config(models=[model], set=settings, tasks=tasks or ["megc3"]))
    return str(error.value)


def test_contradictions_are_said_before_anything_runs(registries: None) -> None:
    register_network(TinyNet, "plain")
    assert complaint("plain", lr_schedule="plateau").startswith("Model plain: lr_schedule plateau with lr_step 0 and")
    assert "expected a number from 0 to below 1" in complaint("plain", label_smoothing=1)
    assert "plain.mixup=-1: expected 0 or more" in complaint("plain", mixup=-1)
    assert "lr_min is 2: expected a number from 0 to lr" in complaint("plain", lr_min=2)
    assert "plain.lr_hold=-1: expected 0 or more" in complaint("plain", lr_hold=-1)
    assert "one of step, cosine, plateau" in complaint("plain", lr_schedule="linear")
    assert complaint("samer", mixup=0.2).startswith("Model samer: mixup is 0.2, but the network has a loss of its own")
    assert resolve_values(config(models=["plain"]), [MODELS.get("plain")])["plain"]["lr_schedule"] == "step"


def test_balance_of_several_labels_a_sample_goes_by_the_rarest_one(tiny: str) -> None:
    labels = np.zeros((10, 2), dtype=np.int64)
    labels[:6, 0] = 1
    labels[4:6, 1] = 1
    shown = epochs(recipe(balance=True), labels, np.arange(9)).rows().numpy()
    # Rows 0-3 show the first class, 4 and 5 the rarer second one too, 6-8 none; row 9 is no training row.
    assert np.bincount(np.repeat([0, 1, 2, 3], [4, 2, 3, 1])[shown]).tolist() == [4, 4, 4]
    assert set(shown.tolist()) == set(range(9))
    data = multi_label(DATA)
    assert different(*(trained(tiny, data, [FOLD], balance=way)[FOLD.name, "last"] for way in (True, False)))
