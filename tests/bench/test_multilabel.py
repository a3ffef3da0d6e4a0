"""Multi-label tasks through plan, engine, selection and store; the honesty rules hold for them as for the others."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
import torch
from small_runs import (
    FEATURE,
    assert_equal_results,
    assert_equal_weights,
    digests,
    folds_of,
    hand_fold,
    multi_label,
    plan_of,
    relabelled,
    repainted,
    resolved,
    run_here,
    study_data,
    trained,
)
from throwaway_models import TinyNet, register_network, register_scripted
from torch import nn

from bench.commands import results as reading
from bench.config import RunConfig
from bench.engine.selection import SELECTIONS
from bench.engine.train import score_again
from bench.plan.hyperparameters import resolve
from bench.plan.plan import Plan
from bench.study.assemble import assemble
from bench.study.data import StudyData
from bench.study.folds import Fold, split_validation
from mer_models.registry import MODELS
from preprocess.base.errors import DataError, Unfit
from preprocess.labels.tasks import TASKS
from preprocess.shards.prepared import PreparedDataset
from results.scores.pooling import score
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard

DATA = multi_label(study_data(subjects=4, clips=6))
FOLD = folds_of(DATA, validate=True)[1]
ALL = ("last", "validation", "oracle")
UNITS = TASKS.get("au12").classes


@pytest.fixture(params=["tiny", "ststnet", "flow_svm", "majority"])
def model(request: pytest.FixtureRequest, tiny: str) -> str:
    return request.param


@pytest.fixture(scope="module")
def coded(synthetic: list[PreparedDataset]) -> list[PreparedDataset]:
    """Return the embedded datasets with action units of ``au12``, each class its own; some clips have no code."""
    units = {"negative": "4+L14", "positive": "6+12", "surprise": "1+2"}
    prepared = []
    for dataset in synthetic:
        samples = dataset.samples.copy()
        codes = [f"{units[name]}+7" if row % 2 else units[name] for row, name in enumerate(samples["emotion"])]
        samples["action_units"] = pd.array([code if row % 9 else None for row, code in enumerate(codes)], "string")
        prepared.append(dataclasses.replace(dataset, samples=samples))
    return prepared


def quick(model: str) -> dict[str, Any]:
    return {"epochs": 3} if MODELS.get(model).kind == "network" else {}


def only(plan: Plan) -> StudyCard:
    (card,) = plan.cards
    return card


# Data and plan


def test_clips_without_annotation_take_no_part_and_those_that_show_nothing_do(coded: list[PreparedDataset]) -> None:
    data = assemble(coded[:1], TASKS.get("au12"), [FEATURE])
    codes = coded[0].samples["action_units"]
    assert data.sample_ids.tolist() == coded[0].samples["sample_id"][codes.notna()].tolist()
    assert data.labels.shape == (codes.notna().sum(), 12)
    for row, code in zip(data.labels, codes.dropna(), strict=True):
        shown = {f"AU{unit.lstrip('LR')}" for unit in code.split("+")}
        assert {name for name, value in zip(data.classes, row, strict=True) if value} == shown
    blank = coded[0].samples.assign(action_units="20")
    rows = assemble([dataclasses.replace(coded[0], samples=blank)], TASKS.get("au12"), []).labels
    assert rows.shape == (len(blank), 12)
    assert not rows.any(), "AU20 is none of the twelve: annotated, and nothing shown"


def test_a_card_counts_the_samples_that_show_each_class(coded: list[PreparedDataset]) -> None:
    card = only(plan_of(coded, tasks=["au12"], protocols=["lodo"]))
    assert card.multilabel
    assert card.classes == UNITS
    data = [assemble([dataset], TASKS.get("au12"), []) for dataset in coded]
    assert card.n_samples == {"full": sum(map(len, data)), "synth_a": len(data[0]), "synth_b": len(data[1])}
    for part, own in zip(("synth_a", "synth_b"), data, strict=True):
        assert card.class_counts[part] == own.labels.sum(axis=0).tolist()


def test_a_class_that_no_training_sample_shows_is_noted_and_trained_without(coded: list[PreparedDataset]) -> None:
    plan = plan_of(coded[:1], tasks=["au12"])
    (note,) = plan.notes
    assert note.startswith("synth_a, task au12, protocol loso: no training sample shows ")
    assert " AU5 in 5 of 5 folds (synth_a/p01, ...)" in note
    assert "AU4 " not in note
    assert only(plan).notes == [note.removeprefix("synth_a, task au12, protocol loso: ").removesuffix(".")]


def test_a_dataset_without_action_units_is_left_out(
    synthetic: list[PreparedDataset], coded: list[PreparedDataset]
) -> None:
    plan = plan_of([coded[0], synthetic[1]], tasks=["au12", "megc3"], protocols=["loso"])
    assert [(card.task, card.dataset) for card in plan.cards] == [
        ("au12", "synth_a"),
        ("megc3", "synth_a"),
        ("megc3", "synth_b"),
    ]
    assert "Dataset synth_b left out of task au12: none of its samples has a label." in " ".join(plan.notes)
    with pytest.raises(Unfit, match="Dataset synth_b left out of task au12"):
        plan_of(synthetic, tasks=["au12"])


class OfUnits(TinyNet):
    """A network that asks for action units."""

    def prepare_training(self, labels: torch.Tensor, action_units: torch.Tensor) -> None:
        pass


@pytest.mark.slow
@pytest.mark.parametrize("uses_units", [False, True], ids=["the task", "the model"])
def test_units_that_cannot_be_read_cost_their_sample_only_and_are_noted(
    registries: None, coded: list[PreparedDataset], uses_units: bool
) -> None:
    samples = coded[0].samples.copy()
    samples.loc[1, "action_units"] = "4+smile"
    broken = [dataclasses.replace(coded[0], samples=samples)]
    register_network(OfUnits, "of_units")
    chosen = {"models": ["of_units"], "tasks": ["megc3"]} if uses_units else {"models": ["majority"], "tasks": ["au12"]}
    plan = plan_of(broken, **chosen)
    (told,) = [note for note in plan.notes if "cannot be read" in note]
    assert told.startswith(f"synth_a: the units of 1 of {len(samples)} samples count as not annotated. ")
    assert f"{samples['sample_id'][1]}: the action units '4+smile' cannot be read at 'smile'" in told
    assert told.removesuffix(".") in only(plan).notes
    annotated = samples["action_units"].notna().sum()
    assert only(plan).n_samples["full"] == (len(samples) if uses_units else annotated - 1)


@pytest.mark.slow
def test_a_study_of_several_emotions_a_clip_goes_through(synthetic: list[PreparedDataset], store: OutcomeStore) -> None:
    words = ["Positive", "Negative+Surprise", "Repression", "Others", "Positive+Surprise"]
    samples = synthetic[0].samples.copy()
    samples["emotion"] = pd.array([words[row % 5] for row in range(len(samples))], "string")
    for column in ("dataset", "subject", "sample_id"):
        samples[column] = samples[column].str.replace("synth_a", "synth_4dme")
    dataset = dataclasses.replace(synthetic[0], name="synth_4dme", samples=samples)
    plan = plan_of([dataset], store, models=["majority"], tasks=["emotion5_4dme"])
    assert run_here(plan, store) == (5, 0)
    card = only(plan)
    assert card.multilabel
    assert card.n_samples == {"full": len(samples)}, "nobody who shows two emotions is left out"
    counts = dict(zip(card.classes, card.class_counts["full"], strict=True))
    assert counts["positive"] == samples["emotion"].str.contains("Positive").sum()
    assert counts["surprise"] == samples["emotion"].str.contains("Surprise").sum()
    outcomes, _ = store.read_outcomes(card)
    true, predicted = (np.concatenate([getattr(o, name) for o in outcomes]) for name in ("y_true", "y_pred"))
    expected = sklearn.metrics.f1_score(true, predicted, average="macro", zero_division=0)
    assert score(card, outcomes)["full"].metrics["uf1"] == pytest.approx(expected)


def test_a_model_that_takes_one_class_a_sample_says_so(registries: None, coded: list[PreparedDataset]) -> None:
    register_scripted(lambda x, y: None)
    info = dataclasses.replace(MODELS.get("scripted"), name="narrow", multilabel=False)
    MODELS.add("narrow", info, origin="this test")
    told = "Model narrow left out of task au12: it takes one class a sample, and this task has several."
    plan = plan_of(coded[:1], models=["narrow", "majority"], tasks=["au12"])
    assert [card.model for card in plan.cards] == ["majority"]
    assert told in plan.notes
    with pytest.raises(Unfit, match=told):
        plan_of(coded[:1], models=["narrow"], tasks=["au12"])
    assert only(plan_of(coded[:1], models=["narrow"])).task == "megc3"


@pytest.mark.parametrize("model", ["cnn2d_vote", "unified_fgs_vs"])
def test_a_setting_that_leaves_one_class_a_sample_is_told(model: str) -> None:
    """Votes and probabilities, as published, cannot say that a sample shows two units or none."""
    info, setting = MODELS.get(model), {f"{model}.as_published": True}
    values = resolve(RunConfig(models=[model], set=setting), [info])[model]
    assert info.one_class_only(values) == f"{model} with as_published=True"
    assert info.one_class_only({**values, "as_published": False}) == ""


def test_the_inner_split_keeps_every_class_that_training_shows() -> None:
    subjects = np.repeat([f"one/p{number}" for number in range(6)], 2)
    labels = np.zeros((12, 2), dtype=np.int64)
    labels[4, 1] = labels[::2, 0] = 1  # class 1 is shown by p2 alone
    for seed in range(20):
        train, validation = split_validation(np.arange(12), subjects, labels, seed, "x")
        assert labels[train].any(axis=0).all()
        assert "one/p2" not in subjects[validation]


# Training


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [{}, {"class_weights": True}, {"optimizer": "sgd", "momentum": 0.9}], ids=str)
def test_a_training_equals_the_plain_torch_loop(registries: None, recipe: dict[str, Any]) -> None:
    register_network(epochs=5, lr=3e-2, batch_size=7)
    fold = hand_fold(DATA, list(range(6, 17)), [], list(range(6)))
    result = trained("tiny", DATA, [fold], **recipe)["made", "last"]
    with torch.random.fork_rng():
        network, losses = plain_loop(DATA, fold, {**resolved("tiny"), **recipe})
    for name, weight in network.state_dict().items():
        np.testing.assert_allclose(result.weights[name], weight.numpy(), rtol=1e-3, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(result.curves["train_loss"], losses, rtol=1e-4)


def plain_loop(data: StudyData, fold: Fold, values: dict[str, Any]) -> tuple[nn.Module, list[float]]:
    """What a researcher would write for one fold of a multi-label task."""
    torch.manual_seed(fold.seed)
    network = TinyNet(3)
    x = torch.from_numpy(data.features[FEATURE].astype(np.float32))[fold.train] / 255
    y = torch.from_numpy(data.labels[fold.train]).float()
    weight = (1 - y).sum(dim=0) / y.sum(dim=0) if values["class_weights"] else None
    if values["optimizer"] == "sgd":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(
            network.parameters(), lr=values["lr"], momentum=values["momentum"]
        )
    else:
        optimizer = torch.optim.Adam(network.parameters(), lr=values["lr"])
    shuffler = torch.Generator().manual_seed(fold.seed)
    losses = []
    network.train()
    for _ in range(values["epochs"]):
        total = 0.0
        for batch in torch.randperm(len(x), generator=shuffler).split(values["batch_size"]):
            loss = nn.functional.binary_cross_entropy_with_logits(network(x[batch]), y[batch], pos_weight=weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        losses.append(total / len(x))
    return network, losses


def test_a_class_that_all_or_none_show_keeps_the_weighted_loss_finite(tiny: str) -> None:
    labels = DATA.labels.copy()
    labels[:, 0], labels[:, 1] = 0, 1
    data = dataclasses.replace(DATA, labels=labels)
    (result,) = trained(tiny, data, [FOLD], class_weights=True, epochs=60, lr=0.1).values()
    assert np.isfinite(result.curves["train_loss"]).all()
    assert (result.scores[:, 0] < 0).all()
    assert (result.scores[:, 1] > 0).all()


@pytest.mark.slow
def test_what_can_be_learnt_is_learnt(model: str) -> None:
    """Each class brightens a corner of its own; the majority alone cannot see it."""
    easy = multi_label(study_data(subjects=6, clips=12))
    easy = dataclasses.replace(easy, labels=np.eye(3, dtype=np.int64)[easy.labels.argmax(axis=1)])
    for row, image in zip(easy.labels, easy.features[FEATURE], strict=True):
        image[:] = (image // 8) + 200 * row[:, None, None].astype(np.uint8)
    settings: dict[str, Any] = {"epochs": 60, "lr": 0.03, "batch_size": 16}
    if MODELS.get(model).kind == "estimator":
        settings = {}
    (result,) = trained(model, easy, folds_of(easy)[:1], **settings).values()
    predicted = result.scores > 0
    true = easy.labels[folds_of(easy)[0].test]
    accuracy = float((predicted == true).mean())
    assert accuracy > 0.9 if model != "majority" else not predicted.any()


def test_stored_weights_give_the_same_scores_again(model: str) -> None:
    result = trained(model, DATA, [FOLD], **quick(model))[FOLD.name, "last"]
    again = score_again(MODELS.get(model), resolved(model, **quick(model)), DATA, FOLD, result.weights)
    assert again.tobytes() == result.scores.tobytes()
    assert result.scores.shape == (len(FOLD.test), 3)


# Selection


def test_validation_and_oracle_maximise_the_mean_f1_of_the_classes() -> None:
    labels = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 0]])
    always, careful = np.tile([9.0, -1.0, -1.0], (4, 1)), np.where(labels, 2.0, -2.0)
    careful[3] = -1
    expected = sklearn.metrics.f1_score(labels, careful > 0, average="macro", zero_division=0)
    for name in ("validation", "oracle"):
        rule = SELECTIONS.get(name)
        assert rule.value(labels, careful) == pytest.approx(expected)
        assert rule.value(labels, always) == pytest.approx(2 * 2 / (4 + 2) / 3), "absent classes count as 0"


def test_curves_are_named_after_what_they_hold(tiny: str) -> None:
    results = trained(tiny, DATA, [FOLD], ALL)
    names = {selection: sorted(result.curves) for (_, selection), result in results.items()}
    assert names == {
        "last": ["train_loss"],
        "validation": ["train_loss", "validation_uf1"],
        "oracle": ["oracle_uf1", "train_loss"],
    }
    for selection in ("validation", "oracle"):
        result = results[FOLD.name, selection]
        curve = result.curves[f"{selection}_uf1"]
        assert result.selected_epoch == 1 + int(np.argmax(curve))


# From plan to leaderboard


@pytest.mark.slow
def test_a_study_goes_through_to_leaderboard_and_report(
    tiny: str, coded: list[PreparedDataset], store: OutcomeStore
) -> None:
    plan = plan_of(
        coded, store, models=[tiny, "majority", "flow_svm"], tasks=["au12"], protocols=["loso", "lodo"], epochs=8
    )
    done, failed = run_here(plan, store)
    assert (done, failed) == (3 * (5 + 5 + 2), 0)
    for card in plan.cards:
        outcomes, _ = store.read_outcomes(card)
        for outcome in outcomes:
            assert np.array_equal(outcome.y_pred, outcome.scores > 0)
        true, predicted = (np.concatenate([getattr(o, name) for o in outcomes]) for name in ("y_true", "y_pred"))
        expected = sklearn.metrics.f1_score(true, predicted, average="macro", zero_division=0)
        assert score(card, outcomes)["full"].metrics["uf1"] == pytest.approx(expected)
        assert len(true) == card.n_samples["full"]
    board = reading.leaderboard(store.root, "table", False, 140)
    assert "synth_a+synth_b · task au12 · protocol lodo" in board
    assert "average: " in board
    assert "no sample of the classes 'AU5', 'AU9'" in board
    text = reading.report(store.root, f"{tiny} lodo")
    assert "AU12" in text
    again = plan_of(coded, store, models=[tiny, "majority", "flow_svm"], tasks=["au12"], protocols=["loso", "lodo"])
    assert [len(planned.todo) for planned in again.trainings if planned.training.model != tiny] == [0] * 6


# Honesty


@pytest.mark.parametrize("settings", [{}, {"input_range": "standard", "class_weights": True}], ids=["plain", "fitted"])
def test_2_test_labels_and_images_change_nothing(model: str, settings: dict[str, Any]) -> None:
    changes = {**quick(model), **settings} if MODELS.get(model).kind == "network" else {}
    honest = trained(model, DATA, [FOLD], ("last", "validation"), **changes)
    relabelled_too = trained(model, relabelled(DATA, FOLD.test), [FOLD], ("last", "validation"), **changes)
    repainted_too = trained(model, repainted(DATA, FOLD.test), [FOLD], ("last", "validation"), **changes)
    for name, result in honest.items():
        assert_equal_results(result, relabelled_too[name])
        assert_equal_weights(result.weights, repainted_too[name].weights)
        assert result.curves == repainted_too[name].curves


def test_2_training_labels_do_change_the_fit(model: str) -> None:
    honest, other = (
        trained(model, data, [FOLD], **quick(model))[FOLD.name, "last"]
        for data in (DATA, relabelled(DATA, FOLD.train[:2]))
    )
    assert any(honest.weights[name].tobytes() != other.weights[name].tobytes() for name in honest.weights)


@pytest.mark.slow
def test_7_packing_changes_no_outcome(model: str, coded: list[PreparedDataset], tmp_path: Any) -> None:
    found = []
    for number, slots in enumerate((1, 1000)):
        store = OutcomeStore(tmp_path / str(number), create=True)
        plan = plan_of(coded, models=[model], tasks=["au12"], protocols=["cde"], selection=list(ALL), epochs=2)
        run_here(plan, store, slots=slots, order=(lambda packs: packs[::-1]) if number else (lambda packs: packs))
        found.append(digests(store, plan.cards))
    assert found[0] == found[1]
    assert len(found[0]) == 30


def test_3_another_task_is_another_study(coded: list[PreparedDataset]) -> None:
    plan = plan_of(coded[:1], tasks=["megc3", "au12"])
    assert len({card.key for card in plan.cards}) == 2


def test_a_single_label_study_that_trains_on_one_class_is_an_error(coded: list[PreparedDataset]) -> None:
    samples = coded[0].samples.copy()
    samples.loc[samples["subject"] != "synth_a/p01", "emotion"] = "negative"
    with pytest.raises(DataError, match="training samples show class 'negative'"):
        plan_of([dataclasses.replace(coded[0], samples=samples)])
