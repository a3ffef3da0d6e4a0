"""What the training engine relies on, for every network of the registry: a new one is covered without an edit here.

Networks are built in their quick form, and fed what it looks at; the full size is built as well.
"""

from __future__ import annotations

import copy
import functools
import itertools

import pytest
import torch
from model_inputs import as_tensors, easy_arrays, random_arrays, reduced
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional

from mer_models.registry import MODELS, ModelInfo

NETWORKS = [name for name, info in MODELS.items() if info.kind == "network"]

Tensors = tuple[torch.Tensor, ...]


@pytest.fixture(params=NETWORKS)
def info(request: pytest.FixtureRequest) -> ModelInfo:
    return MODELS.get(request.param)


@pytest.fixture
def stackable(info: ModelInfo) -> ModelInfo:
    if any(isinstance(module, torch.nn.RNNBase) for module in _first(info.name).modules()):
        pytest.skip("torch.func cannot batch PyTorch's fused recurrent layers")
    return info


@functools.cache
def _first(name: str) -> torch.nn.Module:
    info = MODELS.get(name)
    torch.manual_seed(0)
    return info.build(n_classes=3, **info.quick_params)


def build(info: ModelInfo, n_classes: int = 3, seed: int = 0) -> torch.nn.Module:
    if (n_classes, seed) == (3, 0):
        return copy.deepcopy(_first(info.name))
    torch.manual_seed(seed)
    return info.build(n_classes=n_classes, **info.quick_params)


def inputs(info: ModelInfo, n: int, seed: int = 0) -> Tensors:
    """Return the features of n samples as the engine hands them over, in the recipe's input range."""
    return as_tensors(info, reduced(_first(info.name), random_arrays(info, n, seed)))


def test_full_size(info: ModelInfo) -> None:
    network = info.build(n_classes=3).eval()
    with torch.no_grad():
        assert network(*as_tensors(info, random_arrays(info, 1))).shape == (1, 3)


@pytest.mark.parametrize(("n", "n_classes"), [(1, 2), (1, 7), (5, 3), (5, 12)])
def test_logits_of_any_batch_size_and_class_count(info: ModelInfo, n: int, n_classes: int) -> None:
    network = build(info, n_classes)
    batch = inputs(info, n)
    with torch.no_grad():
        # The engine trains on no single sample: batch normalisation has nothing to divide it by.
        for mode in (True, False) if n > 1 else (False,):
            logits = network.train(mode)(*batch)
            assert logits.shape == (n, n_classes)
            assert logits.dtype == torch.float32
            assert logits.isfinite().all()


def test_a_blank_input_has_finite_logits_and_gradients(info: ModelInfo) -> None:
    network = build(info)
    network(*(torch.zeros_like(values) for values in inputs(info, 4))).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


def test_logits_are_neither_probabilities_nor_their_logarithms(info: ModelInfo) -> None:
    logits = build(info).eval()(*inputs(info, 4))
    for sums in (logits.sum(dim=1), logits.exp().sum(dim=1)):
        assert not torch.allclose(sums, torch.ones(4), atol=1e-3)


def test_gradients_reach_every_parameter(info: ModelInfo) -> None:
    # A second step, because some blocks start as the identity (their last scale is 0); another draw of weights, because
    # a bottleneck of three ReLUs may be dead under one.
    batch, labels = inputs(info, 4), torch.arange(4) % 3
    idle = {name for name, _ in build(info).named_parameters()}
    for seed, step in itertools.product((0, 1), (0, 1)):
        if step == 0:
            # In eval mode, because training statistics take a bias before a batch normalisation out again.
            network = build(info, seed=seed).eval()
        functional.cross_entropy(network(*batch), labels).backward()
        idle -= {name for name, p in network.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
        if not idle:
            return
        torch.optim.SGD(network.parameters(), lr=0.01).step()
        network.zero_grad()
    pytest.fail(f"{info.name}: no gradient reaches {', '.join(sorted(idle))}")


def test_the_seed_alone_decides_the_first_weights(info: ModelInfo) -> None:
    first, other = (build(info, seed=seed) for seed in (0, 4))
    torch.manual_seed(0)
    again = info.build(n_classes=3, **info.quick_params)
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


def test_the_input_is_left_as_it_was(info: ModelInfo) -> None:
    batch = inputs(info, 3)
    before = [values.clone() for values in batch]
    with torch.no_grad():
        build(info)(*batch)
    assert all(torch.equal(values, was) for values, was in zip(batch, before, strict=True))


def test_every_feature_counts(info: ModelInfo) -> None:
    several = len(info.features) > 1
    # A quick form may leave one of several features out.
    network = (info.build(n_classes=3) if several else build(info)).eval()
    batch = as_tensors(info, random_arrays(info, 2)) if several else inputs(info, 2)
    with torch.no_grad():
        logits = network(*batch)
        for place, name in enumerate(info.features):
            changed = [values.flip(0) if place == at else values for at, values in enumerate(batch)]
            assert not torch.equal(network(*changed), logits), f"{name} makes no difference"


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


def test_learns_sixteen_easy_samples_by_heart(info: ModelInfo) -> None:
    arrays, y = easy_arrays(info, 16)
    network = build(info)
    batch, labels = as_tensors(info, reduced(network, arrays)), torch.from_numpy(y)
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
    pytest.fail(f"{info.name} still confuses its 16 training samples after 200 steps")


def test_reduced_features_give_the_same_logits(info: ModelInfo) -> None:
    """... which is why the engine may reduce features once, before it scales them, and another fold may use them."""
    network, other = (build(info).eval() for _ in range(2))
    if not hasattr(network, "reductions"):
        pytest.skip("it reduces no feature")
    whole = as_tensors(info, random_arrays(info, 3))
    assert network.reductions == other.reductions
    fewer = tuple(reduce(x) if reduce else x for reduce, x in zip(network.reductions, whole, strict=True))
    if all(less.shape == x.shape for less, x in zip(fewer, whole, strict=True)):
        pytest.skip("its quick form looks at all there is")
    with torch.no_grad():
        torch.testing.assert_close(network(*fewer), network(*whole))
    for reduce, less, x in zip(network.reductions, fewer, whole, strict=True):
        if reduce:
            assert torch.equal(reduce(less), less)
            torch.testing.assert_close(reduce(x[1:2]), less[1:2])
            torch.testing.assert_close(reduce(x + 2 * x.flip(-1)), less + 2 * reduce(x.flip(-1)), rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(reduce(torch.full_like(x, 7.0)), torch.full_like(less, 7.0))
