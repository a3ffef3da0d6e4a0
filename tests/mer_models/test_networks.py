"""What the training engine relies on, for every network of the registry: a new one is covered without an edit here."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional

from mer_models.registry import MODELS, ModelInfo

NETWORKS = [name for name, info in MODELS.items() if info.kind == "network"]
# A model too large for quick tests is narrowed here; its full size is still built in test_full_size.
NARROW: dict[str, dict[str, Any]] = {"htnet": {"dim": 24}}
UNIT = {"raw": 1.0, "unit": 255.0, "standard": 64.0}


@pytest.fixture(params=NETWORKS)
def info(request: pytest.FixtureRequest) -> ModelInfo:
    return MODELS.get(request.param)


def build(info: ModelInfo, n_classes: int = 3, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return info.build(n_classes=n_classes, **NARROW.get(info.name, {}))


def inputs(info: ModelInfo, n: int, seed: int = 0) -> torch.Tensor:
    """Return n flow images as the engine hands them over, in the recipe's input range."""
    values = 255 * torch.rand(n, 3, 28, 28, generator=torch.Generator().manual_seed(seed))
    return values / UNIT[info.recipe.input_range]


def test_networks_take_the_flow_image(info: ModelInfo) -> None:
    assert info.features == ("flow_uvs_28",), "these tests feed flow images; extend inputs() for other features"


def test_full_size(info: ModelInfo) -> None:
    assert info.build(n_classes=3)(inputs(info, 2)).shape == (2, 3)


@pytest.mark.parametrize("n_classes", [2, 3, 7])
@pytest.mark.parametrize("n", [1, 5])
def test_logits_of_any_batch_size_and_class_count(info: ModelInfo, n: int, n_classes: int) -> None:
    network = build(info, n_classes)
    batch = inputs(info, n)
    for mode in (True, False):
        logits = network.train(mode)(batch)
        assert logits.shape == (n, n_classes)
        assert logits.dtype == torch.float32
        assert logits.isfinite().all()


def test_a_blank_image_has_finite_logits_and_gradients(info: ModelInfo) -> None:
    network = build(info)
    network(torch.zeros(4, 3, 28, 28)).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


def test_logits_are_neither_probabilities_nor_their_logarithms(info: ModelInfo) -> None:
    logits = build(info).eval()(inputs(info, 4))
    for sums in (logits.sum(dim=1), logits.exp().sum(dim=1)):
        assert not torch.allclose(sums, torch.ones(4), atol=1e-3)


def test_gradients_reach_every_parameter(info: ModelInfo) -> None:
    # In eval mode, because training statistics take a bias before a batch normalisation out again.
    network = build(info).eval()
    functional.cross_entropy(network(inputs(info, 8)), torch.arange(8) % 3).backward()
    idle = [name for name, p in network.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert idle == []


def test_the_seed_alone_decides_the_first_weights(info: ModelInfo) -> None:
    first, again, other = (build(info, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_sample_does_not_see_its_neighbours(info: ModelInfo) -> None:
    network = build(info)
    batch = inputs(info, 6)
    network(batch)
    network.eval()
    together = network(batch)
    alone = torch.cat([network(sample[None]) for sample in batch])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_the_input_is_left_as_it_was(info: ModelInfo) -> None:
    batch = inputs(info, 3)
    before = batch.clone()
    build(info)(batch)
    assert torch.equal(batch, before)


def test_two_folds_run_as_one_batched_program(info: ModelInfo) -> None:
    networks = [build(info, seed=seed).eval() for seed in (0, 1)]
    batches = torch.stack([inputs(info, 4, seed=seed) for seed in (0, 1)])
    stacked = stack_module_state(networks)

    def forward(state: tuple[dict[str, torch.Tensor], ...], batch: torch.Tensor) -> torch.Tensor:
        return functional_call(networks[0], state, (batch,))

    side_by_side = vmap(forward)(stacked, batches)
    for logits, network, batch in zip(side_by_side, networks, batches, strict=True):
        torch.testing.assert_close(logits, network(batch), rtol=1e-4, atol=1e-4)


def test_two_folds_train_as_one_batched_program(info: ModelInfo) -> None:
    networks = [build(info, seed=seed).train() for seed in (0, 1)]
    batches = torch.stack([inputs(info, 4, seed=seed) for seed in (0, 1)])
    parameters, buffers = stack_module_state(networks)

    def loss(
        parameters: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor], batch: torch.Tensor
    ) -> torch.Tensor:
        return functional.cross_entropy(
            functional_call(networks[0], (parameters, buffers), (batch,)), torch.arange(4) % 3
        )

    gradients = vmap(grad(loss), randomness="different")(parameters, buffers, batches)
    assert gradients.keys() == parameters.keys()
    assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_learns_sixteen_easy_samples_by_heart(info: ModelInfo, easy_flow: Any) -> None:
    x, y = easy_flow(16)
    batch, labels = torch.from_numpy(x) / UNIT[info.recipe.input_range], torch.from_numpy(y)
    network = build(info)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for step in range(200):
        network.train()
        optimizer.zero_grad()
        functional.cross_entropy(network(batch), labels).backward()
        optimizer.step()
        network.eval()
        if step % 10 == 9 and (network(batch).argmax(dim=1) == labels).all():
            return
    pytest.fail(f"{info.name} still confuses its 16 training samples after 200 steps")
