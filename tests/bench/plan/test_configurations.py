"""The configurations of a run: the default first, drawn from the seed, never fewer for asking more; what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from local_runs import LocalRuns
from small_runs import config, plan_of
from throwaway_models import FEATURE, PAPER, TinyNet

from bench.config import load_config
from bench.plan.configurations import configurations
from bench.plan.request import RequestedModel, resolve
from mer_models.contracts import TrainingRecipe
from mer_models.registry import MODELS, register_model
from mer_models.search import Choices, Range, loguniform
from preprocess.base.errors import DataError, UsageError
from preprocess.shards.prepared import PreparedDataset

SPACE = {"lr": loguniform(1e-5, 1e-2), "dropout": Choices((0.0, 0.3, 0.5))}
VALUES = {"lr": 5e-5, "dropout": 0.5}
TUNED: dict[str, Any] = {"models": ["ststnet"], "selection": ["tuned"], "configs": 4}


def drawn(count: int, seed: int = 0, space: Any = SPACE) -> list[dict[str, Any]]:
    return configurations(MODELS.get("ststnet"), space, VALUES, count, seed)


def requested(**changes: Any) -> RequestedModel:
    (model,) = resolve(config(**{**TUNED, **changes})).models
    return model


def complaint(**changes: Any) -> str:
    with pytest.raises(UsageError) as caught:
        resolve(config(**{**TUNED, **changes}))
    return str(caught.value)


def test_the_default_is_the_first_and_each_is_there_once() -> None:
    found = drawn(20)
    assert found[0] == {}
    assert len(found) == 20
    assert len({repr(sorted({**VALUES, **one}.items())) for one in found}) == 20
    assert all(1e-5 <= one.get("lr", 1e-3) <= 1e-2 for one in found)
    assert {one.get("dropout", 0.5) for one in found} == {0.0, 0.3, 0.5}


def test_more_of_them_only_add() -> None:
    assert drawn(20)[:5] == drawn(5)


def test_they_come_from_the_seed() -> None:
    assert drawn(4) == drawn(4)
    assert drawn(4)[1:] != drawn(4, seed=1)[1:]


def test_another_key_leaves_the_values_of_the_first_as_they_are() -> None:
    alone = drawn(4, space={"lr": SPACE["lr"]})
    assert [one["lr"] for one in drawn(4)[1:]] == [one["lr"] for one in alone[1:]]


def test_a_small_space_is_tried_whole() -> None:
    found = drawn(1_000_000, space={"dropout": SPACE["dropout"]})
    assert found[0] == {}
    assert sorted(one["dropout"] for one in found[1:]) == [0.0, 0.3]


def test_what_is_fixed_is_not_tried() -> None:
    assert set(requested().space) == {"lr", "dropout"}
    assert set(requested(set={"ststnet.lr": 1e-3}).space) == {"dropout"}


def test_a_search_stands_in_place_of_the_models_own() -> None:
    assert requested(search="ststnet.epochs=1..3").space == {"epochs": Range(1, 3)}
    assert requested(search=["ststnet.lr=1e-4..1e-2", "ststnet.batch_size=16,32"]).space == {
        "lr": loguniform(1e-4, 1e-2),
        "batch_size": Choices((16, 32)),
    }
    assert requested(search="ststnet.optimizer=[adam, sgd]").space == {"optimizer": Choices(("adam", "sgd"))}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ["majority"]}, "the search space of majority is empty"),
        ({"set": {"ststnet.lr": 1e-3, "ststnet.dropout": 0.1}}, "the search space of ststnet is empty"),
        ({"search": "ststnet.learning_rate=1..2"}, "--search ststnet.learning_rate: ststnet has no hyper-parameter"),
        ({"search": "htnet.lr=1e-4..1e-2"}, "model 'htnet' is not in this run (ststnet)"),
        ({"search": "ststnett.lr=1e-4..1e-2"}, "Did you mean: ststnet"),
        ({"search": "ststnet.lr=0..1"}, "--search ststnet.lr: given 0, expected a number above 0"),
        ({"search": "ststnet.dropout=0.5..1.5", "configs": 9}, "The configuration dropout=1."),
        ({"selection": ["last"]}, "--configs does nothing without --selection tuned"),
        ({"selection": ["last"], "configs": 20, "halving": True}, "--halving does nothing without"),
        ({"selection": ["last"], "configs": 20, "search": "ststnet.lr=1..2"}, "--search does nothing without"),
        ({"configs": 3, "halving": True}, "--halving with --configs 3: there is nothing to halve"),
    ],
)
def test_what_cannot_be_searched_is_named(changes: dict[str, Any], message: str) -> None:
    assert message in complaint(**changes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--search", "ststnet.lr="], "--search: given 'ststnet.lr': an empty search space"),
        (["--search", ""], "--search: given [''], an empty search space"),
        (["--search", "ststnet.lr=1e-3"], "--search: given 'ststnet.lr': 1e-3 alone, which is nothing to choose from"),
        (["--search", "lr=1..2"], "given 'lr', expected MODEL.KEY"),
        (["--search", "ststnet.lr"], "given 'ststnet.lr', expected MODEL.KEY=LOW..HIGH"),
        (["--search", "ststnet.lr=1e-2..1e-4"], "expected the lower number first"),
        (["--configs", "1"], "--configs: given 1"),
        (["--inner", "1"], "--inner: given 1"),
    ],
)
def test_bad_options_are_named_and_nothing_is_written(
    merbench: LocalRuns, tree: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    results = tmp_path / "runs"
    said = merbench(
        "run", "--data", str(tree), "--results", str(results), "--models", "ststnet", "--selection", "tuned", *arguments
    )
    assert said.status == 2
    assert message in said.err
    assert not results.exists()


def test_a_file_says_the_same_as_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("search:\n  ststnet: {lr: 1e-4..1e-2, batch_size: [16, 32]}\n  htnet.dim: 12,24\n")
    given = ["ststnet.lr=1e-4..1e-2", "ststnet.batch_size=16,32", "htnet.dim=12,24"]
    assert load_config(file, {}).search == load_config(None, {"search": given}).search
    over = load_config(file, {"search": ["ststnet.lr=1e-3..1e-2"]})
    assert over.search["ststnet.lr"] == loguniform(1e-3, 1e-2)
    assert over.search["ststnet.batch_size"] == Choices((16, 32))
    assert over.where_set("ststnet.lr", "search") == "--search ststnet.lr"
    assert over.where_set("htnet.dim", "search") == f"{file}, line 3: htnet.dim"


@pytest.mark.parametrize("text", ["search:\n", "search: {}\n", "search: {ststnet: {lr: []}}\n"])
def test_an_empty_search_space_of_a_file_is_named_with_its_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"sweep.yaml, line 1: search: .*an empty search space"):
        load_config(file, {})


def test_fewer_people_than_inner_folds_are_named(synthetic: list[PreparedDataset]) -> None:
    with pytest.raises(DataError, match=r"Fold 'synth_a/p01' of synth_a has 4 people to train on .*--inner 5"):
        plan_of(synthetic[:1], **{**TUNED, "inner": 5})


def test_a_model_with_nothing_to_try_is_left_out_with_a_note(synthetic: list[PreparedDataset]) -> None:
    plan = plan_of(synthetic[:1], **{**TUNED, "models": ["majority", "ststnet"], "selection": ["last", "tuned"]})
    assert sorted((card.model, card.selection) for card in plan.cards) == [
        ("majority", "last"),
        ("ststnet", "last"),
        ("ststnet", "tuned"),
    ]
    assert any(note.startswith("Model majority is not tuned: its search space is empty") for note in plan.notes)


def test_a_space_that_holds_fewer_is_noted(registries: None, synthetic: list[PreparedDataset]) -> None:
    recipe = TrainingRecipe(epochs=1, batch_size=8, lr=0.01)
    register_model("three", features=(FEATURE,), paper=PAPER, recipe=recipe, search={"dropout": (0.0, 0.2, 0.5)})(
        TinyNet
    )
    plan = plan_of(synthetic[:1], **{**TUNED, "models": ["three"], "configs": 9})
    (card,) = plan.cards
    assert card.label == "three[configs=3,epochs=2]"
    assert plan.notes[-1] == "Model three: its search space holds 3 configurations; --configs asked for 9."
