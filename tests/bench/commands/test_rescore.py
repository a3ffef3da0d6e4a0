"""``merbench test``: stored weights give the stored predictions again, or it is told why not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from local_runs import LocalRuns
from small_runs import WHOLE_TREE, write_flow_tree

from mer_models.registry import MODELS
from results.store.outcome_store import OutcomeStore, fold_file
from results.store.study_card import StudyCard

THREE = "ststnet,flow_svm,majority"


@pytest.fixture
def options(tree: Path, tmp_path: Path) -> list[str]:
    """Return the data and results of a run over CASME II."""
    return ["--data", str(tree), "--results", str(tmp_path / "runs")]


@pytest.fixture
def trained(merbench: LocalRuns, options: list[str], tmp_path: Path) -> OutcomeStore:
    """Return the store of a run of a network and two estimators with their weights."""
    quick = ["--models", THREE, "--epochs", "2", "--protocols", "loso", "--datasets", "casme2"]
    said = merbench("run", *options, *quick, "--tracking-uri", "off", "--keep-weights")
    assert said.status == 0, said.err
    return OutcomeStore(tmp_path / "runs")


def card_of(store: OutcomeStore, model: str) -> StudyCard:
    return next(card for card in store.cards() if card.model == model)


def weights_file(store: OutcomeStore, model: str, number: int) -> Path:
    card = card_of(store, model)
    return Path(store.root, fold_file(card, card.folds[number].key, "weights"))


@pytest.mark.slow
def test_networks_and_estimators_give_their_predictions_again(
    merbench: LocalRuns, options: list[str], trained: OutcomeStore
) -> None:
    said = merbench("test", *options)
    assert said.status == 0, said.err
    for model in THREE.split(","):
        name = card_of(trained, model).title
        assert f"{name}: 3 of 3 folds give the stored predictions again" in said.out


@pytest.mark.slow
def test_one_study_can_be_named(merbench: LocalRuns, options: list[str], trained: OutcomeStore) -> None:
    said = merbench("test", *options, "flow_svm", "loso")
    assert said.status == 0
    assert said.out.count("folds give the stored predictions again") == 1
    assert said.out.startswith("flow_svm")


@pytest.mark.slow
def test_weights_of_another_training_are_found(merbench: LocalRuns, options: list[str], trained: OutcomeStore) -> None:
    card = card_of(trained, "flow_svm")
    first, second = (fold.key for fold in card.folds[:2])
    trained.write_weights(card, first, trained.read_weights(card, second))
    said = merbench("test", *options, "flow_svm")
    assert said.status == 1
    assert "2 of 3 folds give the stored predictions again" in said.out
    assert f"  differs: {card.folds[0].name}" in said.out


@pytest.mark.slow
@pytest.mark.parametrize("model", ["ststnet", "flow_svm"])
def test_a_damaged_weights_file_is_named_with_the_remedy(
    merbench: LocalRuns, options: list[str], trained: OutcomeStore, model: str
) -> None:
    path = weights_file(trained, model, 1)
    path.write_bytes(path.read_bytes()[:-5])
    said = merbench("test", *options, model)
    assert said.status == 2
    assert said.err.startswith(f"error: {path} is no whole safetensors file")
    assert "Remove the file and run the same command again" in said.err
    assert "Traceback" not in said.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "array", "told"),
    [
        ("ststnet", "classifier.bias", "are not those of ststnet: classifier.bias is (5,) in the file and (3,) in the"),
        ("flow_svm", "pair_coefficients", "are not those of flow_svm: operands could not be broadcast together"),
    ],
)
def test_weights_of_another_shape_are_named_with_file_and_remedy(
    merbench: LocalRuns, options: list[str], trained: OutcomeStore, model: str, array: str, told: str
) -> None:
    card = card_of(trained, model)
    weights = trained.read_weights(card, card.folds[1].key)
    wider = {**weights, array: np.zeros((5, *weights[array].shape[1:]), weights[array].dtype)}
    wider |= {"pair_coefficients": weights[array][:, :-1]} if model == "flow_svm" else {}
    trained.write_weights(card, card.folds[1].key, wider)
    said = merbench("test", *options, model)
    assert said.status == 2
    assert said.err.startswith(f"error: {weights_file(trained, model, 1)}: the weights ")
    assert told in said.err
    assert said.err.endswith("Remove the file. Run the same command with --keep-weights.\n")


@pytest.mark.slow
def test_other_data_is_refused(merbench: LocalRuns, options: list[str], trained: OutcomeStore, tree: Path) -> None:
    images = sorted((tree / "sub01").rglob("*.png"))
    images[0].write_bytes(images[1].read_bytes())
    said = merbench("test", *options, "ststnet")
    assert said.status == 2
    assert "dataset casme2 is not the one this study was trained on (another feature flow_uvs_28)" in said.err
    images[0].unlink()
    said = merbench("test", *options, "ststnet")
    assert "(another samples table, another feature flow_uvs_28). Give the same --data." in said.err


def test_a_missing_dataset_is_refused(merbench: LocalRuns, trained: OutcomeStore, tmp_path: Path) -> None:
    other = write_flow_tree(tmp_path / "other", [clip for clip in WHOLE_TREE if clip[0] == "006"])
    said = merbench("test", "--data", str(other), "--results", trained.root, "ststnet")
    assert said.status == 2
    assert "dataset casme2 is not in the data given, which holds samm. Give the --data" in said.err


def test_a_store_without_weights_says_how_to_keep_them(merbench: LocalRuns, options: list[str]) -> None:
    merbench("run", *options, "--models", "majority", "--protocols", "loso", "--tracking-uri", "off")
    for study in ([], ["majority", "casme2"]):
        said = merbench("test", *options, *study)
        assert said.status == 2
        assert "has stored weights" in said.err
        assert "--keep-weights" in said.err


def test_folds_without_weights_are_counted_apart(
    merbench: LocalRuns, options: list[str], trained: OutcomeStore
) -> None:
    weights_file(trained, "ststnet", 0).unlink()
    card = card_of(trained, "ststnet")
    trained.discard(card, card.folds[1].key)
    said = merbench("test", *options, "ststnet")
    assert said.status == 0
    assert "1 of 1 folds give the stored predictions again" in said.out
    assert "2 of its 3 folds have no weights yet" in said.out


def test_weights_of_other_code_are_left_out(
    merbench: LocalRuns, options: list[str], trained: OutcomeStore, registries: None
) -> None:
    other = dataclasses.replace(MODELS.get("majority"), file=Path(__file__))
    MODELS.add("majority", other, origin="mer_models.majority.Majority")
    said = merbench("test", *options)
    assert said.status == 0
    title = next(card.title for card in trained.cards() if card.model == "majority")
    assert f"{title}: left out, its model code has changed since it was trained" in said.out
    assert said.out.count("3 of 3 folds") == 2
    said = merbench("test", *options, "majority")
    assert said.status == 2
    assert "Other code than this trained these weights" in said.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_study_of_a_gpu_needs_a_gpu(merbench: LocalRuns, options: list[str], trained: OutcomeStore) -> None:
    card = card_of(trained, "ststnet")
    outcome = trained.read_outcome(card, card.folds[0].key)
    provenance = {**outcome.provenance, "device": "NVIDIA H200"}
    trained.write_outcome(card, dataclasses.replace(outcome, provenance=provenance))
    said = merbench("test", *options, "ststnet")
    assert said.status == 2
    assert "was trained on NVIDIA H200, and there is no GPU here" in said.err


def test_recipes_of_a_file_are_read_first(merbench: LocalRuns, tmp_path: Path) -> None:
    said = merbench("test", "--recipes", str(tmp_path / "absent.yaml"), "--results", str(tmp_path))
    assert said.status == 2
    assert "absent.yaml cannot be read" in said.err
