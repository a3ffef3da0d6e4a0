"""What the training engine relies on, for every network of the registry: a new one is covered without an edit here."""

from __future__ import annotations

import copy
import functools
import itertools
from typing import Any

import pytest
import torch
from model_inputs import as_tensors, easy_arrays, random_arrays
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional

from mer_models.registry import MODELS, ModelInfo

NETWORKS = [name for name, info in MODELS.items() if info.kind == "network"]
# A model too large for quick tests is narrowed here; its full size is still built in test_full_size.
NARROW: dict[str, dict[str, Any]] = {
    "htnet": {"dim": 24},
    "timm/resnet18": {"image_size": 64},
    "mmnet": {"image_size": 32, "width": 16},
    "capsulenet_me": {"image_size": 136, "maps": 16},
    "slstt": {"size": "tiny", "image_size": 32},
    "samer": {"image_size": 64},
    "mhssa_gcn": {"dim": 32},
    "au_fusion": {"au_depth": 17, "au_width": 4},
    **{name: {"image_size": 32} for name in ("unified_fgs_vs", "cnn3d", "cnn_lstm", "convlstm", "cnn2d_vote")},
}
# Whose full size would take seconds a sample is built in full and fed smaller images.
SMALLER_FULL_SIZE: dict[str, dict[str, Any]] = {"slstt": {"image_size": 32}}
# A step of these takes a large part of a second: no batched program, and nothing learned by heart.
HEAVY = {"video/r3d_18", "capsulenet_me", "samer", "unified_fgs_vs"}
# It does learn sixteen samples by heart, in 32 steps, but a step takes a quarter of a second.
SLOW_LEARNERS = {"slstt"}
# These differ from video/r3d_18 in torchvision's layers alone: one pass forward and back is enough.
ALIKE = {"video/mc3_18", "video/r2plus1d_18"}
# torch.func cannot batch PyTorch's fused LSTM.
NOT_STACKABLE = {"slstt"}

Tensors = tuple[torch.Tensor, ...]


@pytest.fixture(params=NETWORKS)
def every(request: pytest.FixtureRequest) -> ModelInfo:
    return MODELS.get(request.param)


@pytest.fixture(params=[name for name in NETWORKS if name not in ALIKE])
def info(request: pytest.FixtureRequest) -> ModelInfo:
    return MODELS.get(request.param)


@pytest.fixture(params=[name for name in NETWORKS if name not in ALIKE | HEAVY])
def light(request: pytest.FixtureRequest) -> ModelInfo:
    return MODELS.get(request.param)


@pytest.fixture(params=[name for name in NETWORKS if name not in ALIKE | HEAVY | NOT_STACKABLE])
def stackable(request: pytest.FixtureRequest) -> ModelInfo:
    return MODELS.get(request.param)


@functools.cache
def _first(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return MODELS.get(name).build(n_classes=3, **NARROW.get(name, {}))


def build(info: ModelInfo, n_classes: int = 3, seed: int = 0) -> torch.nn.Module:
    if (n_classes, seed) == (3, 0):
        return copy.deepcopy(_first(info.name))
    torch.manual_seed(seed)
    return info.build(n_classes=n_classes, **NARROW.get(info.name, {}))


def inputs(info: ModelInfo, n: int, seed: int = 0, small: bool = True) -> Tensors:
    """Return the features of n samples as the engine hands them over, in the recipe's input range."""
    return as_tensors(info, random_arrays(info, n, seed, small))


def test_full_size(every: ModelInfo) -> None:
    network = every.build(n_classes=3, **SMALLER_FULL_SIZE.get(every.name, {})).eval()
    with torch.no_grad():
        assert network(*inputs(every, 1, small=False)).shape == (1, 3)


@pytest.mark.parametrize(("n", "n_classes"), [(1, 2), (1, 7), (5, 3), (5, 12)])
def test_logits_of_any_batch_size_and_class_count(info: ModelInfo, n: int, n_classes: int) -> None:
    if info.name in HEAVY and n_classes != 12:
        pytest.skip("one size is enough for a heavy network; test_full_size feeds one sample")
    network = build(info, n_classes)
    batch = inputs(info, n)
    with torch.no_grad():
        for mode in (True, False):
            logits = network.train(mode)(*batch)
            assert logits.shape == (n, n_classes)
            assert logits.dtype == torch.float32
            assert logits.isfinite().all()


def test_a_blank_input_has_finite_logits_and_gradients(light: ModelInfo) -> None:
    network = build(light)
    network(*(torch.zeros_like(values) for values in inputs(light, 4))).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


def test_logits_are_neither_probabilities_nor_their_logarithms(light: ModelInfo) -> None:
    logits = build(light).eval()(*inputs(light, 4))
    for sums in (logits.sum(dim=1), logits.exp().sum(dim=1)):
        assert not torch.allclose(sums, torch.ones(4), atol=1e-3)


def test_gradients_reach_every_parameter(every: ModelInfo) -> None:
    # A second step, because some blocks start as the identity (their last scale is 0); another draw of weights, because
    # a bottleneck of three ReLUs may be dead under one.
    batch, labels = inputs(every, 4), torch.arange(4) % 3
    idle = {name for name, _ in build(every).named_parameters()}
    for seed, step in itertools.product((0, 1), (0, 1)):
        if step == 0:
            # In eval mode, because training statistics take a bias before a batch normalisation out again.
            network = build(every, seed=seed).eval()
        functional.cross_entropy(network(*batch), labels).backward()
        idle -= {name for name, p in network.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
        if not idle:
            return
        torch.optim.SGD(network.parameters(), lr=0.01).step()
        network.zero_grad()
    pytest.fail(f"{every.name}: no gradient reaches {', '.join(sorted(idle))}")


def test_the_seed_alone_decides_the_first_weights(info: ModelInfo) -> None:
    first, other = (build(info, seed=seed) for seed in (0, 4))
    torch.manual_seed(0)
    again = info.build(n_classes=3, **NARROW.get(info.name, {}))
    state = first.state_dict()
    assert all(torch.equal(state[name], value) for name, value in again.state_dict().items())
    assert any(not torch.equal(state[name], value) for name, value in other.state_dict().items())


def test_a_sample_does_not_see_its_neighbours(info: ModelInfo) -> None:
    network = build(info)
    batch = inputs(info, 4)
    with torch.no_grad():
        network(*batch)
        network.eval()
        together = network(*batch)
        alone = torch.cat([network(*(values[row : row + 1] for values in batch)) for row in range(4)])
        order = torch.tensor([2, 0, 3, 1])
        padded = network(*(torch.cat([values[order], torch.zeros_like(values[:2])]) for values in batch))
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(together[order], padded[:4], rtol=1e-4, atol=1e-4)


def test_the_input_is_left_as_it_was(light: ModelInfo) -> None:
    batch = inputs(light, 3)
    before = [values.clone() for values in batch]
    with torch.no_grad():
        build(light)(*batch)
    assert all(torch.equal(values, was) for values, was in zip(batch, before, strict=True))


def test_every_feature_counts(info: ModelInfo) -> None:
    network = build(info).eval()
    batch = inputs(info, 2)
    with torch.no_grad():
        logits = network(*batch)
        for place in range(len(batch)):
            changed = [values.flip(0) if place == at else values for at, values in enumerate(batch)]
            assert not torch.equal(network(*changed), logits), f"{info.features[place]} makes no difference"


def test_two_folds_run_as_one_batched_program(stackable: ModelInfo) -> None:
    networks = [build(stackable, seed=seed).eval() for seed in (0, 1)]
    folds = [inputs(stackable, 2, seed=seed) for seed in (0, 1)]
    batches = tuple(torch.stack(pair) for pair in zip(*folds, strict=True))
    stacked = stack_module_state(networks)

    def forward(state: tuple[dict[str, torch.Tensor], ...], batch: Tensors) -> torch.Tensor:
        return functional_call(networks[0], state, batch)

    with torch.no_grad():
        side_by_side = vmap(forward)(stacked, batches)
        for logits, network, batch in zip(side_by_side, networks, folds, strict=True):
            torch.testing.assert_close(logits, network(*batch), rtol=1e-4, atol=1e-4)


def test_two_folds_train_as_one_batched_program(stackable: ModelInfo) -> None:
    networks = [build(stackable, seed=seed).train() for seed in (0, 1)]
    folds = [inputs(stackable, 2, seed=seed) for seed in (0, 1)]
    batches = tuple(torch.stack(pair) for pair in zip(*folds, strict=True))
    parameters, buffers = stack_module_state(networks)

    def loss(parameters: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor], batch: Tensors) -> torch.Tensor:
        return functional.cross_entropy(functional_call(networks[0], (parameters, buffers), batch), torch.arange(2))

    gradients = vmap(grad(loss), randomness="different")(parameters, buffers, batches)
    assert gradients.keys() == parameters.keys()
    assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_learns_sixteen_easy_samples_by_heart(light: ModelInfo) -> None:
    if light.name in SLOW_LEARNERS:
        pytest.skip("takes more than ten seconds")
    arrays, y = easy_arrays(light, 16)
    batch, labels = as_tensors(light, arrays), torch.from_numpy(y)
    network = build(light)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for step in range(200):
        network.train()
        optimizer.zero_grad()
        functional.cross_entropy(network(*batch), labels).backward()
        optimizer.step()
        network.eval()
        with torch.no_grad():
            if step % 5 == 4 and (network(*batch).argmax(dim=1) == labels).all():
                return
    pytest.fail(f"{light.name} still confuses its 16 training samples after 200 steps")


def test_reduced_features_give_the_same_logits(every: ModelInfo) -> None:
    """... which is why the engine may reduce features once, before it scales them, and another fold may use them."""
    info = every
    if not hasattr(_first(info.name), "reductions"):
        pytest.skip("it reduces no feature")
    settings = {key: value for key, value in info.quick.items() if key in info.params}
    torch.manual_seed(0)
    network, other = (info.build(n_classes=3, **settings).eval() for _ in range(2))
    whole = inputs(info, 3, small=False)
    assert network.reductions == other.reductions
    reduced = tuple(reduce(x) if reduce else x for reduce, x in zip(network.reductions, whole, strict=True))
    assert any(less.shape != x.shape for less, x in zip(reduced, whole, strict=True))
    with torch.no_grad():
        torch.testing.assert_close(network(*reduced), network(*whole))
    for reduce, less, x in zip(network.reductions, reduced, whole, strict=True):
        if reduce:
            assert torch.equal(reduce(less), less)
            torch.testing.assert_close(reduce(x[1:2]), less[1:2])
            torch.testing.assert_close(reduce(x + 2 * x.flip(-1)), less + 2 * reduce(x.flip(-1)), rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(reduce(torch.full_like(x, 7.0)), torch.full_like(less, 7.0))
