"""The networks are the published ones: sizes counted from the papers' layers, and the parts that are easy to miss."""

from __future__ import annotations

import pytest
import torch

from mer_models.htnet import HTNet
from mer_models.registry import MODELS


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def convolution(channels: int, width: int, size: int) -> int:
    return width * (channels * size * size + 1)


def linear(width: int, width_out: int) -> int:
    return (width + 1) * width_out


def build(name: str, n_classes: int = 3, **params: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return MODELS.get(name).build(n_classes=n_classes, **params)


@pytest.mark.parametrize("n_classes", [3, 5])
def test_ststnet_size(n_classes: int) -> None:
    streams = sum(convolution(3, width, 3) + 2 * width for width in (3, 5, 8))
    assert count(build("ststnet", n_classes)) == streams + linear(400, n_classes)
    # OFFTA's copy (162 k): no batch normalisation, one more layer of 400.
    assert streams - 2 * 16 + linear(400, 400) + linear(400, 3) == 162_051


def test_off_apexnet_size_is_the_printed_one() -> None:
    stream = convolution(1, 6, 5) + convolution(6, 16, 5)
    expected = 2 * stream + linear(1568, 1024) + linear(1024, 1024) + linear(1024, 3)
    assert count(build("off_apexnet")) == expected
    assert round(expected / 1e6, 2) == 2.66


def test_dual_inception_size_is_the_printed_one() -> None:
    def inception(channels: int, width: int) -> int:
        return 4 * convolution(channels, width, 1) + convolution(width, width, 3) + convolution(width, width, 5)

    expected = 2 * (inception(1, 6) + inception(24, 16)) + linear(6272, 1024) + linear(1024, 3)
    assert count(build("dual_inception")) == expected
    assert round(expected / 1e6, 2) == 6.45


@pytest.mark.parametrize("maps", [32, 64])
def test_rcn_a_size(maps: int) -> None:
    normalisations = 3 * 2 * maps
    convolutions = convolution(3, maps, 5) + convolution(maps, maps, 1) + convolution(maps, maps, 3)
    assert count(build("rcn_a", feature_maps=maps)) == convolutions + normalisations + linear(49 * maps, 3)


def htnet_size(dim: int) -> int:
    def layer(width: int, heads: int, alone: bool) -> int:
        inner = heads * (width // heads)
        attention = width * inner * (1 if alone else 3) + linear(inner, width)
        return 2 * 2 * width + attention + linear(width, 4 * width) + linear(4 * width, width)

    levels = 2 * layer(dim, 3, False) + 2 * layer(2 * dim, 6, False) + 10 * layer(4 * dim, 12, True)
    positions = 4 * dim + 4 * 2 * dim + 4 * dim
    aggregations = sum(convolution(width, 2 * width, 3) + 2 * 2 * width for width in (dim, 2 * dim))
    return convolution(3, dim, 7) + levels + positions + aggregations + 2 * 4 * dim + linear(4 * dim, 3)


@pytest.mark.parametrize("dim", [24, 32])
def test_htnet_size(dim: int) -> None:
    assert count(build("htnet", dim=dim)) == htnet_size(dim)


def test_htnet_size_in_the_docstring() -> None:
    assert f"{htnet_size(256):,}" in (HTNet.__doc__ or "")


def test_the_streams_of_flow_networks_see_u_and_v_only() -> None:
    flow = torch.rand(4, 3, 28, 28)
    no_strain = flow.clone()
    no_strain[:, 2] = 0
    swapped = flow[:, [1, 0, 2]]
    for name in ("off_apexnet", "dual_inception"):
        network = build(name).eval()
        assert torch.equal(network(flow), network(no_strain))
        assert not torch.equal(network(flow), network(swapped))


def test_rcn_a_attention_survives_a_flat_map() -> None:
    network = build("rcn_a").eval()
    torch.nn.init.zeros_(network.classifier.weight)
    logits = network(torch.rand(2, 3, 28, 28))
    assert logits.isfinite().all()
    logits.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


def test_rcn_a_attention_is_scaled_for_each_class_and_sample() -> None:
    network = build("rcn_a", n_classes=2).eval()
    maps = torch.rand(3, 64, 7, 7)
    attention = network._attention(maps)
    weights = network.classifier.weight.detach().reshape(2, 64, 7, 7)
    for sample in range(3):
        scaled = []
        for row in weights:
            activation = (row * maps[sample]).mean(dim=0)
            scaled.append((activation - activation.min()) / (activation.max() - activation.min()))
        torch.testing.assert_close(attention[sample, 0], torch.stack(scaled).mean(dim=0))


def pixel_influence(network: torch.nn.Module) -> torch.Tensor:
    """Return a 28x28 mask of the pixels that the logits depend on."""
    flow = torch.rand(1, 3, 28, 28, requires_grad=True)
    network.eval()(flow).square().sum().backward()
    return flow.grad[0].abs().sum(dim=0) > 0


def test_htnet_looks_at_eyes_and_lip_corners_only() -> None:
    seen = pixel_influence(build("htnet", dim=24))
    expected = torch.zeros(28, 28, dtype=torch.bool)
    for row, column in ((11, 9), (10, 21), (21, 10), (21, 20)):
        expected[row - 7 : row + 7, column - 7 : column + 7] = True
    assert torch.equal(seen, expected)


def test_htnet_as_published_exchanges_x_and_y() -> None:
    torch.manual_seed(0)
    seen = pixel_influence(build("htnet", dim=24, as_published=True))
    assert torch.equal(seen, pixel_influence(build("htnet", dim=24)).T)


@pytest.mark.parametrize(("as_published", "touched"), [(False, 4), (True, 1)])
def test_htnet_attends_inside_a_face_area_unless_as_published(as_published: bool, touched: int) -> None:
    level = build("htnet", dim=24, as_published=as_published).levels[0]
    maps = torch.rand(1, 4, 4, 24)
    changed = maps.clone()
    changed[0, 0, 0, 0] += 1
    moved = (level(maps) - level(changed)).abs().amax(dim=-1)[0] > 1e-6
    assert moved.sum() == touched
    # The patches that moved are the upper left area's own.
    assert moved[:2, :2].sum() == touched


def test_htnet_batches_keep_the_samples_order() -> None:
    assert not MODELS.get("htnet").recipe.shuffle
