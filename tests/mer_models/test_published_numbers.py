"""Forms of networks held against their authors' classes: the outputs for fixed weights and a fixed input are pinned."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from registered import every, passes
from torch import nn

import mer_models
from bench.checks.check import Check
from bench.checks.published_numbers import fixed_input, outputs_of, with_fixed_weights
from mer_models.registry import MODELS

PAGE = (Path(mer_models.__path__[0]) / "README.md").read_text(encoding="utf-8")
CHECKED = {name: info.checked for name, info in MODELS.items() if info.checked}


@pytest.mark.slow
@pytest.mark.parametrize("check", every("model", lambda info: bool(info.checked), "published_numbers"))
def test_a_form_gives_the_outputs_of_its_authors_class(check: Check) -> None:
    passes(check)


def test_the_page_lists_what_was_checked_against_what() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| `([^|`]+)` \| ([0-9.e+-]+) \|$", PAGE, re.MULTILINE)
    listed = {(name, against, float(difference)) for name, _, against, difference in rows}
    known = {(name, one.against, one.difference) for name, checks in CHECKED.items() for one in checks}
    assert listed == known


@pytest.mark.parametrize("name", CHECKED)
def test_what_was_checked_says_where_the_class_stands_and_differs_little(name: str) -> None:
    for one in CHECKED[name]:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{7,40}, \S+: \w+", one.against)
        assert 0 <= one.difference < 1e-4 * max(1, *(abs(output) for output in one.outputs))
        assert len(one.outputs) >= min(12, one.inputs[0][0] * one.n_classes)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKED)
def test_the_compared_outputs_hang_on_the_input(name: str) -> None:
    """Else a mistake before the last layer would not show: other input gives numbers far beyond the tolerance."""
    for one in CHECKED[name]:
        other = outputs_of(MODELS.get(name), one, backwards=True)[: len(one.outputs)]
        assert (other - torch.tensor(one.outputs)).abs().max() > 50 * one.tolerance


def test_weights_and_input_follow_their_rule() -> None:
    network = with_fixed_weights(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)))
    weights = network.state_dict()
    wave = torch.sin(1 + torch.tensor([0.0, 1, 4, 9, 16, 25], dtype=torch.float64)) / 2**0.5
    squares = torch.tensor([0.0, 1, 4], dtype=torch.float64)
    assert torch.allclose(weights["0.weight"].double(), wave.reshape(3, 2))
    assert torch.allclose(weights["0.bias"].double(), torch.sin(2 + squares) / 10)
    assert torch.allclose(weights["1.weight"].double(), 1 + torch.sin(3 + squares) / 10)
    assert torch.allclose(weights["1.running_var"].double(), 1 + torch.sin(6 + squares) / 2)
    assert not network.training
    assert torch.allclose(fixed_input((2, 2), 1), torch.sin(torch.tensor([[1.0, 1.7], [2.4, 3.1]])))
