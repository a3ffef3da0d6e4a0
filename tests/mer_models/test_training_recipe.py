"""A training recipe takes no value that it cannot obey, wherever it was written."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mer_models.contracts import RECIPE_FIELDS, TrainingRecipe
from mer_models.registry import MODELS, describe_model
from preprocess.base.errors import UsageError

PLAIN: dict[str, Any] = {"epochs": 3, "batch_size": 8, "lr": 0.1}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("epochs", 0, "1 or more"),
        ("epochs", True, "int"),
        ("epochs", 2.0, "int"),
        ("batch_size", -1, "1 or more"),
        ("lr", -1, "a number above 0"),
        ("lr", 0.0, "a number above 0"),
        ("lr", float("nan"), "a finite number"),
        ("lr", float("inf"), "a finite number"),
        ("lr", "fast", "float"),
        ("lr", True, "float"),
        ("optimizer", "adma", "one of adam, adamw, sgd"),
        ("momentum", -0.1, "0 or more"),
        ("weight_decay", -0.1, "0 or more"),
        ("lr_step", -1, "0 or more"),
        ("lr_gamma", 0.0, "a number above 0"),
        ("input_range", "8bit", "one of raw, unit, standard, difference, signed, imagenet"),
        ("shuffle", 1, "bool"),
        ("class_weights", "yes", "bool"),
        ("lr_schedule", "linear", "one of step, cosine, plateau"),
        ("balance", None, "bool"),
        ("label_smoothing", 1.0, "a number from 0 to below 1"),
        ("label_smoothing", -0.1, "a number from 0 to below 1"),
        ("mixup", -0.1, "0 or more"),
        ("augment", 3, "str"),
        ("lr_hold", -1, "0 or more"),
        ("lr_stretch", 0, "1 or more"),
        ("lr_min", -0.1, "0 or more"),
    ],
)
def test_a_value_that_cannot_be_obeyed_is_refused(field: str, value: Any, expected: str) -> None:
    given = float(value) if field == "lr" and type(value) is int else value
    with pytest.raises(UsageError) as error:
        TrainingRecipe(**{**PLAIN, field: value})
    assert str(error.value) == f"A training recipe's {field} is {given!r}: expected {expected}."


def test_every_field_refuses_something() -> None:
    for field in RECIPE_FIELDS:
        with pytest.raises(UsageError, match=f"recipe's {field} is"):
            TrainingRecipe(**{**PLAIN, field: object()})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lr_min": 0.2}, "lr_min is 0.2: expected a number from 0 to lr, 0.1"),
        ({"lr_schedule": "plateau"}, "lr_schedule plateau with lr_step 0 and lr_gamma 1: expected lr_step"),
        ({"lr_schedule": "plateau", "lr_step": 2, "lr_gamma": 1.5}, "lr_gamma 1.5: expected"),
    ],
)
def test_values_that_contradict_one_another_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainingRecipe(**{**PLAIN, **values})


def test_a_whole_number_stands_for_the_float_that_it_equals() -> None:
    recipe = TrainingRecipe(epochs=1, batch_size=1, lr=1, weight_decay=0)
    assert [type(recipe.lr), type(recipe.weight_decay), type(recipe.epochs)] == [float, float, int]
    assert recipe == TrainingRecipe(epochs=1, batch_size=1, lr=1.0)


def test_a_models_quick_values_are_ones_that_a_recipe_takes() -> None:
    info = MODELS.get("ststnet")
    facts = {"features": info.features, "paper": "none", "recipe": info.recipe}
    with pytest.raises(UsageError, match=r"A training recipe's lr is -1\.0: expected a number above 0"):
        describe_model(info.build, "broken", **facts, quick={"lr": -1.0})
    with pytest.raises(UsageError, match="lr_min is 1"):
        dataclasses.replace(info.recipe, lr_min=1.0)
