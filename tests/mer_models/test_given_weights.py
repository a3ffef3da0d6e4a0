"""Weights of others: their names become the network's, and the first thing that does not fit is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mer_models._parts.given_weights import fitted, is_public
from mer_models.contracts import PublicWeights, TrainingRecipe
from mer_models.registry import MODELS, describe_model
from preprocess.base.errors import DataError

NORM = ("weight", "bias", "running_mean", "running_var")


def drawn(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Return tensors of these shapes, each value of its own; variances are above 0."""
    generator = torch.Generator().manual_seed(0)
    return {name: torch.rand(shape, generator=generator) + 0.1 for name, shape in shapes.items()}


def of_ststnet() -> dict[str, Tensor]:
    """Return weights as the files in christy1206/STSTNet name them."""
    shapes: dict[str, tuple[int, ...]] = {}
    for place, width in enumerate((3, 5, 8), start=1):
        shapes |= {f"conv{place}.weight": (width, 3, 3, 3), f"conv{place}.bias": (width,)}
        shapes |= {f"bn{place}.{name}": (width,) for name in NORM}
    held = drawn({**shapes, "fc.weight": (3, 400), "fc.bias": (3,)})
    return held | {f"bn{place}.num_batches_tracked": torch.tensor(1600) for place in (1, 2, 3)}


def of_off_tanet() -> dict[str, Tensor]:
    """Return weights as LOSO1_60epoch.pth in ECNU-Cross-Innovation-Lab/PRICAI2021-Off-TANet names them."""
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(name: str, kernel: tuple[int, ...]) -> None:
        shapes.update({f"{name}.weight": kernel, f"{name}.bias": kernel[:1]})

    def normalised(name: str, place: int, norm: int, kernel: tuple[int, ...]) -> None:
        layer(f"{name}.{place}", kernel)
        shapes.update({f"{name}.{norm}.{part}": kernel[:1] for part in NORM})

    normalised("conv1", 0, 2, (8, 3, 7, 7))
    for name, width, out in (("res1", 8, 18), ("res2", 18, 28)):
        normalised(f"{name}.conv", 0, 1, (out, width, 3, 3))
        normalised(f"{name}.conv", 3, 4, (out, out, 3, 3))
        layer(f"{name}.botneck", (out, width, 1, 1))
    normalised("eres.conv1", 0, 1, (28, 28, 3, 3))
    normalised("eres.conv2", 0, 1, (8, 28, 3, 3))
    layer("eres.botneck", (8, 28, 1, 1))
    shapes["eres.spa.conv1.weight"] = (1, 2, 3, 3)
    shapes |= {"eres.ca.fc1.weight": (1, 28, 1, 1), "eres.ca.fc2.weight": (28, 1, 1, 1)}
    for head in range(4):
        for part in ("w_q", "w_k", "w_v"):
            layer(f"eres.sa.sa_blocks.{head}.{part}", (7, 28, 1, 1))
    for name, size in (("dense.0", (64, 392)), ("dense.3", (64, 64)), ("dense.6", (3, 64))):
        layer(name, size)
    return drawn(shapes)


def fitted_to(model: str, held: dict[str, Tensor]) -> dict[str, np.ndarray]:
    info = MODELS.get(model)
    return fitted(held, info.build(n_classes=3).state_dict(), info.public_weights)


def test_published_ststnet_weights_compute_what_their_three_streams_do() -> None:
    held = of_ststnet()
    network = MODELS.get("ststnet").build(n_classes=3).eval()
    found = fitted(held, network.state_dict(), MODELS.get("ststnet").public_weights)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in found.items()})
    flow = torch.rand(2, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    streams = []
    for place in "123":
        maps = nn.functional.conv2d(flow, held[f"conv{place}.weight"], held[f"conv{place}.bias"], padding=2).relu()
        mean, variance = held[f"bn{place}.running_mean"], held[f"bn{place}.running_var"]
        maps = nn.functional.batch_norm(maps, mean, variance, held[f"bn{place}.weight"], held[f"bn{place}.bias"])
        streams.append(nn.functional.max_pool2d(maps, 3, 3, 1))
    values = nn.functional.avg_pool2d(torch.cat(streams, dim=1), 2).flatten(1)
    assert torch.allclose(network(flow), values @ held["fc.weight"].T + held["fc.bias"], atol=1e-4)


def test_published_off_tanet_weights_are_joined_by_part_and_head() -> None:
    held = of_off_tanet()
    found = fitted_to("off_tanet", held)
    parts = [held[f"eres.sa.sa_blocks.{head}.{part}.weight"] for part in ("w_q", "w_k", "w_v") for head in range(4)]
    assert np.array_equal(found["blocks.2.way.3.project.weight"], torch.cat(parts).numpy())
    assert np.array_equal(found["blocks.2.way.1.weigh.0.weight"], held["eres.ca.fc1.weight"].reshape(1, 28).numpy())
    assert np.array_equal(found["blocks.0.way.1.1.running_var"], held["res1.conv.4.running_var"].numpy())
    assert np.array_equal(found["classifier.6.bias"], held["dense.6.bias"].numpy())


def test_files_of_either_form_are_told_apart() -> None:
    public = MODELS.get("ststnet").public_weights
    assert is_public(of_ststnet(), public)
    assert not is_public(MODELS.get("ststnet").build(n_classes=3).state_dict(), public)
    assert not is_public(of_ststnet(), None)


def test_parts_are_joined_by_their_numbers_in_whatever_order_the_file_has_them() -> None:
    public = PublicWeights("somebody", ((r"head(\d+)\.weight", "heads.weight"), ("idle", "")))
    held = {f"head{place}.weight": torch.full((1, 2), float(place)) for place in (10, 9, 1)} | {"idle": torch.ones(7)}
    found = fitted(held, {"heads.weight": torch.zeros(3, 2)}, public)
    assert found["heads.weight"][:, 0].tolist() == [1, 9, 10]


def test_counters_may_be_missing_and_16_bit_floats_are_widened() -> None:
    wanted = nn.BatchNorm1d(2).state_dict()
    held = {name: torch.full((2,), 0.5, dtype=torch.bfloat16) for name in NORM}
    found = fitted(
        held, {f"norm.{name}": value for name, value in wanted.items()}, PublicWeights("x", ((r"(.*)", r"norm.\1"),))
    )
    assert found["norm.num_batches_tracked"] == 0
    assert found["norm.weight"].tolist() == [0.5, 0.5]


Change = Callable[[dict[str, Tensor]], Any]


def put(name: str, value: Tensor) -> Change:
    return lambda held: held.update({name: value})


CLASSIFIER = "classifier.weight (in the file fc.weight) is (5, 400) in the file, expected (3, 400)"
STREAMS = "streams.0.bias (in the file conv1.bias, conv2.bias, conv3.bias) is (17,) in the file, expected (16,)"
PARTS = "is in parts of (3, 3, 3, 3), (5, 4, 3, 3), (8, 3, 3, 3), expected parts of (16, 3, 3, 3)"
DIFFERENCES: list[tuple[Change, str]] = [
    (put("fc.weight", torch.zeros(5, 400)), CLASSIFIER),
    (put("conv2.bias", torch.zeros(6)), STREAMS),
    (put("conv2.weight", torch.zeros(5, 4, 3, 3)), PARTS),
    (lambda held: held.pop("fc.bias"), "classifier.bias is missing, expected (3,)"),
    (put("aux.weight", torch.zeros(2, 2)), "aux.weight, (2, 2), is in the file and not in the network"),
    (put("fc.bias", torch.full((3,), torch.nan)), "classifier.bias (in the file fc.bias) holds values that are no fin"),
    (put("fc.bias", torch.zeros(3, dtype=torch.complex64)), "is no plain tensor of numbers"),
    (put("fc.bias", torch.zeros(3).to_sparse()), "is no plain tensor of numbers"),
]


@pytest.mark.parametrize(("change", "told"), DIFFERENCES)
def test_the_first_difference_is_named_with_what_was_given_and_expected(change: Change, told: str) -> None:
    held = of_ststnet()
    change(held)
    with pytest.raises(DataError, match=re.escape(told)):
        fitted_to("ststnet", held)


def test_a_missing_name_is_told_with_what_the_file_has_instead() -> None:
    held = {f"{name}.weight": torch.zeros(1) for name in "abcde"}
    told = "w is missing, expected (1,); the file has a.weight, b.weight, c.weight and 2 more instead"
    with pytest.raises(DataError, match=re.escape(told)):
        fitted(held, {"w": torch.zeros(1)}, None)


@pytest.mark.parametrize(
    ("public", "told"),
    [
        (PublicWeights("x", ()), "needs the names"),
        (PublicWeights("x", (("a(", "b"),)), r"'a\(' is no regular expression"),
        (PublicWeights("x", (("a", r"b\1"),)), "names a group that 'a' does not have"),
        (PublicWeights("x", (("a", "b"),), form={"depth": 3}), "has 'depth' in its form, which is no option"),
    ],
)
def test_a_model_that_declares_what_cannot_be_is_refused(public: PublicWeights, told: str) -> None:
    class Net(nn.Module):
        def __init__(self, n_classes: int) -> None:
            super().__init__()

        def forward(self, flow: Tensor) -> Tensor:
            return flow

    recipe = TrainingRecipe(epochs=1, batch_size=1, lr=0.1)
    with pytest.raises(TypeError, match=told):
        describe_model(Net, "net", features=("flow_uvs_28",), paper="none", recipe=recipe, public_weights=public)
