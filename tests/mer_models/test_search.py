"""Search spaces: what is drawn from them, what stands for them in an option, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mer_models.contracts import TrainingRecipe
from mer_models.registry import MODELS, describe_model
from mer_models.search import Choices, Domain, Range, domain, fitted, loguniform, uniform


def draws(values: Domain, n: int = 2000) -> list[Any]:
    rng = np.random.default_rng(0)
    return [values.draw(rng) for _ in range(n)]


def test_loguniform_draws_equal_factors_equally_often_and_three_digits() -> None:
    found = draws(loguniform(1e-5, 1e-2))
    assert min(found) >= 1e-5
    assert max(found) <= 1e-2
    shares = np.histogram(np.log10(found), bins=3, range=(-5, -2))[0] / len(found)
    assert np.allclose(shares, 1 / 3, atol=0.04)
    assert all(float(f"{value:.3g}") == value for value in found)


def test_uniform_draws_equal_differences_equally_often() -> None:
    shares = np.histogram(draws(uniform(0.0, 0.9)), bins=3, range=(0, 0.9))[0] / 2000
    assert np.allclose(shares, 1 / 3, atol=0.04)


@pytest.mark.parametrize("values", [uniform(2, 5), loguniform(2, 5)])
def test_whole_ends_give_whole_numbers_both_ends_among_them(values: Range) -> None:
    found = draws(values)
    assert set(found) == {2, 3, 4, 5}
    assert {type(value) for value in found} == {int}
    if not values.log:
        assert np.allclose(np.bincount(found)[2:] / len(found), 0.25, atol=0.04)


def test_choices_are_drawn_equally_often() -> None:
    found = draws(Choices(("a", "b")))
    assert abs(found.count("a") / len(found) - 0.5) < 0.04


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("1e-5..1e-2", Range(1e-5, 1e-2, log=True)),
        ("0.1..0.5", Range(0.1, 0.5)),
        ("0..0.5", Range(0, 0.5)),
        ("8..128", Range(8, 128, log=True)),
        ([0, 0.3], Choices((0, 0.3))),
        (("adam", "sgd"), Choices(("adam", "sgd"))),
    ],
)
def test_what_is_written_means_what_it_says(given: Any, expected: Domain) -> None:
    assert domain(given) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "an empty search space"),
        ([], "an empty search space"),
        ((), "an empty search space"),
        ([1e-3], "nothing to choose from: fix it with --set"),
        ("1e-2..1e-5", "the lower number first"),
        ("1..1", "the lower number first"),
        ("a..b", "expected two numbers"),
        ("1..inf", "a finite number at each end"),
        ([1, 2, 1], "given 1 twice"),
    ],
)
def test_what_says_nothing_to_choose_from_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        domain(given)


def test_a_logarithmic_scale_does_not_reach_zero() -> None:
    with pytest.raises(ValueError, match="numbers above 0"):
        loguniform(0.0, 1.0)


def test_values_get_the_type_of_the_hyper_parameter() -> None:
    assert fitted(domain([0, 0.3]), "dropout", 0.5) == Choices((0.0, 0.3))
    assert fitted(domain("1..20"), "lr", 0.1) == Range(1.0, 20.0, log=True)
    assert isinstance(fitted(domain("1..20"), "lr", 0.1).draw(np.random.default_rng(0)), float)
    assert fitted(domain(["5e-4", 1e-3]), "lr", 0.1) == Choices((5e-4, 1e-3)), "YAML reads 5e-4 as a text"


@pytest.mark.parametrize(
    ("given", "key", "default", "message"),
    [
        ("0..1", "lr", 0.1, "expected a number above 0"),
        ([16, 0], "batch_size", 8, "expected 1 or more"),
        ("1.5..4", "batch_size", 8, "expected int"),
        ("0..1", "shuffle", True, "expected values, for the default is True"),
        (["adam", "lion"], "optimizer", "adam", "expected one of adam, adamw, sgd"),
        (["wide", "narrow"], "width", 8, "given 'wide', expected int"),
    ],
)
def test_values_that_the_hyper_parameter_does_not_take_are_refused(
    given: Any, key: str, default: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=f"{key}: .*{message}"):
        fitted(domain(given), key, default)


class Net(nn.Module):
    """A network of one weight."""

    def __init__(self, n_classes: int, width: int = 8) -> None:
        super().__init__()
        self.layer = nn.Linear(width, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        return self.layer(x)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"depth": (1, 2)}, "search names 'depth', which is no hyper-parameter: "),
        ({"width": ()}, "search: .*an empty search space"),
        ({"lr": (-1.0, 0.1)}, "search: lr: given -1.0, expected a number above 0"),
    ],
)
def test_a_declaration_that_nothing_can_be_drawn_from_is_refused(search: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        describe_model(Net, "net", features=("x",), paper="None.", recipe=TrainingRecipe(1, 1, 0.1), search=search)


def test_a_network_that_declares_nothing_is_tried_with_rates_around_the_runs_own() -> None:
    info = describe_model(Net, "net", features=("x",), paper="None.", recipe=TrainingRecipe(1, 1, 0.1))
    assert info.space({**info.hyperparameters(), "lr": 0.02}) == {"lr": loguniform(0.002, 0.2)}


@pytest.mark.parametrize("name", MODELS.names())
def test_every_model_but_majority_has_something_to_try(name: str) -> None:
    info = MODELS.get(name)
    space = info.space(info.hyperparameters())
    assert bool(space) == (name != "majority")
    assert space.keys() <= info.hyperparameters().keys()
