"""SRMCL: what training hides, rebuilds and remembers, as the public code does, and where the default differs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from bench.checks.published_numbers import fixed_input, with_fixed_weights
from mer_models._parts.patch_encoder import code_of_places
from mer_models.registry import MODELS
from mer_models.srmcl import SRMCL, _error, patches_of

SMALL = {"image_size": 64, "dim": 96, "depth": 2}
LABELS = torch.tensor([0, 1, 2, 0])


def build(**params: Any) -> SRMCL:
    torch.manual_seed(0)
    return MODELS.get("srmcl").build(n_classes=3, **SMALL | params)


def loss_of(network: SRMCL, flow: torch.Tensor, labels: torch.Tensor = LABELS) -> torch.Tensor:
    return network.loss(flow, labels=labels, criterion=functional.cross_entropy)


@pytest.fixture
def fixed_draws(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """In the place of random numbers, inputs by the fixed rule, whose place counts the draws; the list holds one."""
    drawn = [0]

    def draw(*shape: int, device: Any = None) -> torch.Tensor:
        drawn[0] += 1
        return fixed_input(shape, drawn[0])

    monkeypatch.setattr(torch, "rand", draw)
    return drawn


def test_two_steps_cost_what_they_cost_the_authors_class(fixed_draws: list[int]) -> None:
    """Weights, input and draws by the fixed rule; then the prototypes as they are after the first step.

    The numbers are those of pakchoi-php/SRMCL@c941b0d, Model/VIT_SRMCL.py: Model, with Model/memory.py: ClusterMemory.
    """
    network = with_fixed_weights(build(as_published=True)).train()
    flow = fixed_input((4, 3, 64, 64))
    assert loss_of(network, flow).item() == pytest.approx(3.757297, abs=2e-5)
    renewed = [0.092765, 0.040387, 0.074014, 0.040334, 0.090650, 0.051581]
    assert network.prototypes[:, :2].flatten().tolist() == pytest.approx(renewed, abs=2e-6)
    fixed_draws[0] = 0
    assert loss_of(network, flow).item() == pytest.approx(3.042651, abs=2e-5)


@pytest.mark.parametrize(("as_published", "left"), [(False, [4, 4]), (True, [4, 1])])
def test_the_last_layer_sees_a_quarter_of_the_patches_as_published_a_sixteenth(
    as_published: bool, left: list[int]
) -> None:
    network = build(as_published=as_published)
    tokens = torch.rand(200, 17, 96)
    rounds = network._hidden(tokens)
    for (tokens_left, hidden), expected in zip(rounds, left, strict=True):
        kept = (tokens_left[:, 1:] == tokens[:, 1:]).all(dim=-1)
        assert torch.equal(hidden.sum(dim=1), torch.full((200,), 12))
        assert kept.sum(dim=1).float().mean() == pytest.approx(expected, abs=0.2)
        assert torch.equal(tokens_left[:, 0], tokens[:, 0]), "the picture's own token is never hidden"
        assert torch.equal(tokens_left[:, 1:][hidden], network.hidden_token[0].expand(2400, -1))
    assert not torch.equal(rounds[0][1], rounds[1][1])


def test_nothing_is_hidden_outside_of_training() -> None:
    network, flow = build(), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = network.classifier(network.last(network.encoder(flow))[:, 0])
        assert torch.equal(network.eval()(flow), expected)
        assert not torch.allclose(network.train()(flow), expected)


def test_hidden_patches_alone_are_rebuilt() -> None:
    pixels, hidden = torch.rand(2, 4, 768), torch.tensor([[1, 0, 1, 0], [0, 0, 1, 0]]).bool()
    told = torch.where(hidden[..., None], pixels + 2, pixels + 100)
    assert _error(told, pixels, hidden) == pytest.approx(4, abs=1e-4)


def test_patches_are_read_row_after_row_with_the_colours_last() -> None:
    pictures = torch.zeros(1, 3, 64, 64)
    pictures[0, 2, 16 * 3 + 5, 16 * 1 + 7] = 1.0
    assert patches_of(pictures).nonzero().tolist() == [[0, 3 * 4 + 1, (5 * 16 + 7) * 3 + 2]]


def test_prototypes_follow_the_classes_of_a_batch_in_training_alone() -> None:
    network = build()
    values = functional.normalize(torch.rand(4, 96), dim=1)
    network.eval()._remembered(values, LABELS)
    assert not network.prototypes.any()
    network.train()._remembered(values, torch.tensor([0, 2, 2, 0]))
    first = functional.normalize(values[[0, 3]].mean(dim=0), dim=0)
    torch.testing.assert_close(network.prototypes[0], first)
    assert not network.prototypes[1].any(), "no sample of the batch shows it"
    network._remembered(values[1:2], torch.tensor([0]))
    torch.testing.assert_close(network.prototypes[0], functional.normalize(0.1 * first + 0.9 * values[1], dim=0))
    assert "prototypes" in network.state_dict()


def test_a_sample_of_several_classes_moves_the_prototypes_of_all() -> None:
    network = build().train()
    values = functional.normalize(torch.rand(2, 96), dim=1)
    cost = network._remembered(values, torch.tensor([[1, 0, 1], [0, 0, 1]]))
    assert cost == pytest.approx(0.6931, abs=1e-4), "before the first batch nothing is remembered"
    torch.testing.assert_close(network.prototypes[0], values[0])
    torch.testing.assert_close(network.prototypes[2], functional.normalize(values.mean(dim=0), dim=0))


def test_who_is_like_his_prototype_costs_less() -> None:
    network = build().train()
    values = functional.normalize(torch.randn(3, 96), dim=1)
    labels = torch.arange(3)
    network._remembered(values, labels)
    assert network._remembered(values, labels) < 0.01 < network._remembered(values, labels.roll(1))


def test_the_code_of_a_place_tells_its_column_then_its_row() -> None:
    code = code_of_places(8, 3)[0]
    assert not code[0].any()
    row, column = 2, 1
    numbers = torch.tensor([column, column / 100, column, column / 100, row, row / 100, row, row / 100])
    waves = torch.where(torch.tensor([1, 1, 0, 0, 1, 1, 0, 0]) == 1, numbers.sin(), numbers.cos())
    torch.testing.assert_close(code[1 + 3 * row + column], waves)
