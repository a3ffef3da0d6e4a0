"""Losses that networks bring with them, and action units: only networks that ask get them, test rows never count."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from small_runs import assert_equal_results, assert_equal_weights, folds_of, multi_label, plan_of, study_data, trained
from throwaway_models import TinyNet, register_network
from torch import Tensor
from torch.nn import functional

from bench.study.data import StudyData
from mer_models.contracts import Criterion, TrainingRecipe
from mer_models.registry import MODELS, register_model
from preprocess.labels.action_units import SHARED_UNITS
from preprocess.samples.layout import Content, Layout
from preprocess.shards.prepared import PreparedDataset

DATA = study_data(subjects=3)
FOLD = folds_of(DATA, validate=True)[0]
NAME = (FOLD.name, "last")


class OwnLossNet(TinyNet):
    """Adds a share of the squared logits to the engine's loss."""

    def __init__(self, n_classes: int, share: float = 0.0) -> None:
        super().__init__(n_classes)
        self.share = share

    def loss(self, *features: Tensor, labels: Tensor, criterion: Criterion) -> Tensor:
        logits = self(*features)
        return criterion(logits, labels) + self.share * logits.square().mean()


class UnitsNet(TinyNet):
    """Learns action units where they are known, and keeps how often each occurs among those it is trained on."""

    shares: Tensor

    def __init__(self, n_classes: int) -> None:
        super().__init__(n_classes)
        self.units = torch.nn.Linear(48, len(SHARED_UNITS))
        self.register_buffer("shares", torch.zeros(len(SHARED_UNITS)))

    def loss(
        self, *features: Tensor, labels: Tensor, criterion: Criterion, action_units: Tensor | None = None
    ) -> Tensor:
        assert action_units is not None
        assert action_units.dtype == torch.float32
        values = self.dropout(self.pool(self.norm(features[0])).flatten(1))
        terms = functional.binary_cross_entropy_with_logits(
            self.units(values), action_units.clamp_min(0), reduction="none"
        )
        return criterion(self.classifier(values), labels) + (terms * (action_units >= 0)).mean()

    def prepare_training(self, labels: Tensor, action_units: Tensor) -> None:
        assert action_units.dtype == torch.int8
        assert len(labels) == len(action_units)
        self.shares.copy_(action_units.clamp_min(0).float().mean(dim=0))


class EstimatingNet(TinyNet):
    """Learns to estimate the mean of a target beside the classes, and keeps the targets of its last step."""

    seen: Tensor

    def __init__(self, n_classes: int) -> None:
        super().__init__(n_classes)
        self.estimate = torch.nn.Linear(48, 1)
        self.register_buffer("seen", torch.zeros(4, 1, 2))

    def forward(self, *features: Tensor) -> Tensor:
        (flow,) = features
        return super().forward(flow)

    def loss(self, flow: Tensor, target: Tensor, labels: Tensor, criterion: Criterion) -> Tensor:
        self.seen = target.detach().clone()
        values = self.pool(self.norm(flow)).flatten(1)
        error = functional.mse_loss(self.estimate(values)[:, 0], target.mean(dim=(1, 2)))
        return criterion(self(flow), labels) + error


TARGET = "target_of_a_test"


def with_targets(data: StudyData, values: np.ndarray) -> StudyData:
    """Return the data with two numbers a sample, as landmark x and y of one point, for its networks to estimate."""
    layout = Layout("vx", (1, 2), Content(points=(0,), width=28.0))
    return dataclasses.replace(
        data, features={**data.features, TARGET: values}, layouts={**data.layouts, TARGET: layout}
    )


def with_units(data: StudyData = DATA) -> StudyData:
    units = np.random.default_rng(5).integers(0, 2, (len(data), len(SHARED_UNITS))).astype(np.int8)
    units[::4] = -1
    return dataclasses.replace(data, action_units=units)


@pytest.mark.parametrize("data", [DATA, multi_label(DATA)], ids=["classes", "multi-label"])
@pytest.mark.parametrize("weights", [False, True])
def test_a_networks_own_loss_gets_the_engines_and_trains_the_same_with_it(
    registries: None, data: StudyData, weights: bool
) -> None:
    register_network(OwnLossNet, "own")
    register_network(TinyNet, "plain")
    own = trained("own", data, [FOLD], class_weights=weights)[NAME]
    assert_equal_results(own, trained("plain", data, [FOLD], class_weights=weights)[NAME])
    changed = trained("own", data, [FOLD], class_weights=weights, share=0.5)[NAME]
    assert changed.curves["train_loss"][0] > own.curves["train_loss"][0]
    assert changed.scores.tobytes() != own.scores.tobytes()


def test_published_losses_are_trained_with(registries: None) -> None:
    """Dual-ATME's focal loss is well below the cross-entropy of the same logits."""
    info = MODELS.get("dual_atme")
    features = dict.fromkeys(info.features, DATA.features["flow_uvs_28"])
    layouts = dict.fromkeys(info.features, DATA.layouts["flow_uvs_28"])
    data = dataclasses.replace(DATA, features=features, layouts=layouts)
    first = trained("dual_atme", data, [FOLD], epochs=1, batch_size=99, shuffle=False)[NAME].curves["train_loss"][0]
    with torch.random.fork_rng():
        torch.manual_seed(FOLD.seed)
        network = info.build(n_classes=3)
        flow = torch.from_numpy(DATA.features["flow_uvs_28"][FOLD.train]).float() / 127.5 - 1
        labels = torch.from_numpy(DATA.labels[FOLD.train])
        dropout = torch.get_rng_state()
        expected = float(network.train().loss(flow, flow, labels=labels, criterion=functional.cross_entropy).detach())
        torch.set_rng_state(dropout)
        plain = float(functional.cross_entropy(network(flow, flow), labels).detach())
    assert first == pytest.approx(expected, rel=1e-3)
    assert first < 0.9 * plain


def test_action_units_reach_a_network_that_asks(registries: None) -> None:
    register_network(UnitsNet, "units")
    assert MODELS.get("units").uses_action_units
    data = with_units()
    result = trained("units", data, [FOLD])[NAME]
    assert data.action_units is not None
    known = np.maximum(data.action_units[FOLD.train], 0)
    np.testing.assert_allclose(result.weights["shares"], known.mean(axis=0), rtol=1e-6)
    flipped = dataclasses.replace(data, action_units=np.where(data.action_units < 0, -1, 1 - data.action_units))
    assert flipped.action_units is not None
    other = trained("units", dataclasses.replace(flipped, action_units=flipped.action_units.astype(np.int8)), [FOLD])
    assert other[NAME].weights["units.bias"].tobytes() != result.weights["units.bias"].tobytes()


def test_2_action_units_of_validation_and_test_rows_change_nothing(registries: None) -> None:
    register_network(UnitsNet, "units")
    data = with_units()
    assert data.action_units is not None
    units = data.action_units.copy()
    others = np.concatenate([FOLD.validation, FOLD.test])
    units[others] = 1 - np.maximum(units[others], 0)
    first, again = (
        trained("units", one, [FOLD], ("last", "validation"))
        for one in (data, dataclasses.replace(data, action_units=units))
    )
    for name in first:
        assert_equal_results(first[name], again[name])


def test_7_a_network_with_action_units_does_not_depend_on_its_pack(registries: None) -> None:
    register_network(UnitsNet, "units")
    data, folds = with_units(), folds_of(DATA)
    together = trained("units", data, folds)
    for fold in folds[::-1]:
        assert_equal_results(together[fold.name, "last"], trained("units", data, [fold])[fold.name, "last"])


def test_unknown_action_units_leave_their_branch_untouched(registries: None) -> None:
    register_network(UnitsNet, "units", optimizer="sgd")
    none = np.full((len(DATA), len(SHARED_UNITS)), -1, np.int8)
    told, untold = (trained("units", one, [FOLD])[NAME] for one in (dataclasses.replace(DATA, action_units=none), DATA))
    assert_equal_weights(told.weights, untold.weights)
    longer = trained("units", DATA, [FOLD], epochs=5)[NAME].weights
    assert longer["units.weight"].tobytes() == told.weights["units.weight"].tobytes()
    assert longer["classifier.weight"].tobytes() != told.weights["classifier.weight"].tobytes()


def coded(dataset: PreparedDataset, codes: list[str | None]) -> PreparedDataset:
    column = pd.array([codes[row % len(codes)] for row in range(len(dataset.samples))], "string")
    return dataclasses.replace(dataset, samples=dataset.samples.assign(action_units=column))


def test_only_studies_of_models_that_use_action_units_depend_on_them(
    registries: None, synthetic: list[PreparedDataset]
) -> None:
    register_network(UnitsNet, "units")
    register_network(TinyNet, "plain")

    def keys(codes: list[str | None]) -> dict[str, Any]:
        plan = plan_of([coded(synthetic[0], codes)], models=["units", "plain"])
        by_model: dict[str, Any] = {}
        for planned in plan.trainings:
            data = plan.data[planned.training.data].read()
            by_model[planned.training.model] = (planned.training.cards[0].key, data.action_units, plan.notes)
        return by_model

    first, other = keys(["4+R12", "7", None]), keys(["4", "7", None])
    assert first["plain"][0] == other["plain"][0]
    assert first["plain"][1] is None
    assert first["units"][0] != other["units"][0]
    assert first["units"][2] == []
    assert first["units"][1].dtype == np.int8
    rows = {tuple(row) for row in first["units"][1].tolist()}
    at = {unit: place for place, unit in enumerate(SHARED_UNITS)}
    expected = np.zeros((3, len(SHARED_UNITS)), int)
    expected[0, [at[4], at[12]]] = 1
    expected[1, at[7]] = 1
    expected[2] = -1
    assert rows == {tuple(row) for row in expected.tolist()}


def test_a_study_without_any_action_units_says_so_once(registries: None, synthetic: list[PreparedDataset]) -> None:
    register_network(UnitsNet, "units")
    plan = plan_of([coded(synthetic[0], [None])], models=["units"], selection=["last", "validation"])
    assert plan.notes == ["synth_a: no sample has action units, so units learns nothing from them."]
    # On the cards, leaderboards and reports tell it beside the scores.
    assert all(card.notes == [plan.notes[0].removesuffix(".")] for card in plan.cards)


def register_estimating(**recipe: Any) -> None:
    values: dict[str, Any] = {"epochs": 3, "batch_size": 4, "lr": 1e-2, "input_range": "standard", **recipe}
    register_model(
        "estimating",
        features=("flow_uvs_28", TARGET),
        targets=(TARGET,),
        paper="none",
        recipe=TrainingRecipe(**values),
    )(EstimatingNet)


PLACES = np.random.default_rng(3).uniform(1, 26, (len(DATA), 1, 2)).astype(np.float32)


def test_targets_reach_the_loss_as_they_are_stored_and_never_the_test(registries: None) -> None:
    register_estimating(shuffle=False)
    first = trained("estimating", with_targets(DATA, PLACES), [FOLD], selections=("last", "oracle"))
    last = PLACES[FOLD.train][-len(first[NAME].weights["seen"]) :, 0]
    assert first[NAME].weights["seen"][:, 0].tobytes() == last.tobytes()
    moved = PLACES.copy()
    moved[FOLD.test] += 9
    again = trained("estimating", with_targets(DATA, moved), [FOLD], selections=("last", "oracle"))
    for name, result in first.items():
        assert_equal_results(result, again[name])
    moved[FOLD.train] += 9
    other = trained("estimating", with_targets(DATA, moved), [FOLD])[NAME]
    assert other.weights["estimate.bias"].tobytes() != first[NAME].weights["estimate.bias"].tobytes()


def test_targets_are_mirrored_with_their_samples(registries: None) -> None:
    register_estimating(shuffle=False, augment="flip", epochs=1, batch_size=len(FOLD.train))
    seen = trained("estimating", with_targets(DATA, PLACES), [FOLD])[NAME].weights["seen"][:, 0]
    stored = PLACES[FOLD.train, 0]
    kept = np.isclose(seen[:, 0], stored[:, 0])
    np.testing.assert_allclose(seen[~kept, 0], 27 - stored[~kept, 0], rtol=1e-5)
    assert 0 < kept.sum() < len(kept)
    assert seen[:, 1].tobytes() == stored[:, 1].tobytes()
