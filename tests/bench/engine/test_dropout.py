"""Dropout that draws by blocks drops what torch drops, to the bit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.engine.dropout import BLOCK, BlockDropout
from bench.engine.fit import build_network
from mer_models.registry import MODELS

LAYOUTS: dict[str, Callable[[], Tensor]] = {
    "one value": lambda: torch.ones(1),
    "a row": lambda: torch.randn(7, 33),
    "just a block": lambda: torch.randn(BLOCK),
    "more than a block": lambda: torch.randn(3, BLOCK // 2 + 5),
    "images": lambda: torch.randn(20, 16, 15, 15),
    "images, channels last": lambda: torch.randn(20, 16, 15, 15).contiguous(memory_format=torch.channels_last),
    "clips, channels last": lambda: torch.randn(3, 4, 5, 9, 9).contiguous(memory_format=torch.channels_last_3d),
    "turned": lambda: torch.randn(31, 9, 4).transpose(0, 2),
    "every second": lambda: torch.randn(30, 40)[:, ::2],
    "one for many": lambda: torch.randn(1, 9).expand(50, 9),
    "a part that starts later": lambda: torch.randn(40, 40)[3:, 5:],
    "nothing": lambda: torch.randn(0, 5),
}


def dropped(drop: Callable[[Tensor], Tensor], values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the output, the gradient of a weighted sum of it, and where the random numbers are afterwards."""
    values = values.detach().requires_grad_()
    torch.manual_seed(11)
    output = drop(values)
    state = torch.get_rng_state()
    weights = torch.arange(output.numel(), dtype=torch.float32).reshape(output.shape)
    return output.detach(), torch.autograd.grad((output * weights).sum(), values)[0], state


@pytest.mark.parametrize("p", [0.0, 0.1, 0.25, 0.3, 0.42, 0.5, 0.9, 0.999999, 1.0])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_drops_what_torch_drops(layout: str, p: float) -> None:
    values = LAYOUTS[layout]()
    found, expected = (dropped(drop, values) for drop in (BlockDropout(p), lambda x: functional.dropout(x, p, True)))
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
    assert found[0].stride() == expected[0].stride()


def test_in_place_it_changes_its_input() -> None:
    values, same = torch.ones(1000), torch.ones(1000)
    torch.manual_seed(2)
    assert BlockDropout(0.3, inplace=True)(values) is values
    torch.manual_seed(2)
    assert torch.equal(values, functional.dropout(same, 0.3, True))


def test_outside_of_training_and_for_other_types_it_is_torch_s_own() -> None:
    values = torch.randn(50)
    assert BlockDropout(0.5).eval()(values) is values
    for dtype in (torch.float64, torch.bfloat16):
        found, expected = (
            dropped(drop, values.to(dtype)) for drop in (BlockDropout(0.5), lambda x: functional.dropout(x, 0.5, True))
        )
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_the_layers_of_a_network_draw_by_blocks_and_those_of_other_kinds_stay() -> None:
    network = build_network(MODELS.get("ststnet"), {}, 3, 0, "cpu")
    assert [type(module) for module in network.modules() if isinstance(module, nn.Dropout)] == [BlockDropout]
    maps = build_network(MODELS.get("sssnet"), {}, 3, 0, "cpu")
    assert {type(module) for module in maps.modules()} >= {nn.Dropout2d, BlockDropout}
