"""What the training engine relies on, for every network of the registry: a new one is covered without an edit here.

Networks are built in their quick form, and fed what it looks at; the full size is built as well.
"""

from __future__ import annotations

import functools

import pytest
import torch
from registered import every, passes
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional

from bench.checks.check import Check
from bench.checks.networks import NetworkCase
from bench.config import DEFAULT_MODELS
from mer_models.registry import MODELS

NETWORKS = [
    pytest.param(name, marks=() if name in DEFAULT_MODELS else pytest.mark.slow)
    for name, info in MODELS.items()
    if info.kind == "network"
]

Tensors = tuple[torch.Tensor, ...]


@pytest.mark.slow
@pytest.mark.parametrize("check", every("model", lambda info: info.kind == "network", "networks", slow="*"))
def test_every_network_passes_its_checks(check: Check) -> None:
    passes(check)


@functools.cache
def _case(name: str) -> NetworkCase:
    return NetworkCase(MODELS.get(name))


@pytest.fixture(params=NETWORKS)
def stackable(request: pytest.FixtureRequest) -> NetworkCase:
    case = _case(request.param)
    if any(isinstance(module, torch.nn.RNNBase) for module in case.build().modules()):
        pytest.skip("torch.func cannot batch PyTorch's fused recurrent layers")
    return case


def test_two_folds_run_as_one_batched_program(stackable: NetworkCase) -> None:
    networks = [stackable.build(seed=seed).eval() for seed in (0, 1)]
    folds = [stackable.batch(2, seed=seed) for seed in (0, 1)]
    batches = tuple(torch.stack(pair) for pair in zip(*folds, strict=True))
    stacked = stack_module_state(networks)

    def forward(state: tuple[dict[str, torch.Tensor], ...], batch: Tensors) -> torch.Tensor:
        return functional_call(networks[0], state, batch)

    with torch.no_grad():
        side_by_side = vmap(forward)(stacked, batches)
        for logits, network, batch in zip(side_by_side, networks, folds, strict=True):
            torch.testing.assert_close(logits, network(*batch), rtol=1e-4, atol=1e-4)


def test_two_folds_train_as_one_batched_program(stackable: NetworkCase) -> None:
    networks = [stackable.build(seed=seed).train() for seed in (0, 1)]
    folds = [stackable.batch(2, seed=seed) for seed in (0, 1)]
    batches = tuple(torch.stack(pair) for pair in zip(*folds, strict=True))
    parameters, buffers = stack_module_state(networks)

    def loss(parameters: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor], batch: Tensors) -> torch.Tensor:
        return functional.cross_entropy(functional_call(networks[0], (parameters, buffers), batch), torch.arange(2))

    gradients = vmap(grad(loss), randomness="different")(parameters, buffers, batches)
    assert gradients.keys() == parameters.keys()
    assert all(gradient.isfinite().all() for gradient in gradients.values())
