"""The networks are the published ones: sizes counted from the papers' layers, and the parts that are easy to miss."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch.nn import Dropout

from bench.checks.published_numbers import with_fixed_weights
from mer_models._parts.f5c import Correspondence, FullyConnectedConvolution
from mer_models._parts.face_areas import mosaic
from mer_models._parts.flow_estimator import FlowEstimator
from mer_models._parts.images import resized
from mer_models._parts.losses import focal_loss
from mer_models._parts.rcn import RecurrentBlock
from mer_models.off_tanet import published_strain
from mer_models.registry import MODELS


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def convolution(channels: int, width: int, size: int) -> int:
    return width * (channels * size * size + 1)


def linear(width: int, width_out: int) -> int:
    return (width + 1) * width_out


def build(name: str, n_classes: int = 3, **params: object) -> torch.nn.Module:
    torch.manual_seed(0)
    info = MODELS.get(name)
    return info.build(n_classes=n_classes, **info.untrained_params | params)


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


def test_what_htnets_layers_add_weighs_something_in_its_quick_form() -> None:
    """Raw pixels, as published, outweigh it a hundred times; a quick run could not train that away."""
    network = build("htnet", dim=24)
    pixels = (126 + 50 * torch.randn(32, 3, 28, 28)).clamp(0, 255)
    shares = {}
    for name, flow in (("raw", pixels), ("standard", (pixels - pixels.mean()) / pixels.std())):
        with torch.no_grad():
            patches = network.embed(mosaic(flow, exchanged=False)).permute(0, 2, 3, 1)
            shares[name] = float((network.levels[0](patches) - patches).norm() / patches.norm())
    assert shares["raw"] < 0.02
    assert shares[str(MODELS.get("htnet").quick.get("input_range", "raw"))] > 0.3


def causalnet_size(dim: int, layers: int) -> int:
    """Of the default form with as many layers at each level."""

    def layer(width: int, heads: int) -> int:
        inner = heads * (width // heads)
        attention = 3 * width * inner + linear(inner, width)
        return 2 * 2 * width + attention + linear(width, 4 * width) + linear(4 * width, width)

    widths = (dim, 2 * dim, 4 * dim)
    levels = sum(4 * width + layers * layer(width, heads) for width, heads in zip(widths, (3, 6, 12), strict=True))
    aggregations = sum(convolution(width, 2 * width, 3) + 2 * 2 * width for width in widths[:2])
    encoder = convolution(3, dim, 7) + levels + aggregations + linear(4 * dim, dim)
    dense = linear(dim, 4 * dim) + linear(4 * dim, dim)
    attention = 2 * linear(dim, dim) + linear(dim, 2 * dim)
    position = 2 * dim + attention + dense
    causality = 2 * dim + 2 * attention + dense + 4 * linear(dim, dim)
    return 2 * encoder + layers * position + causality + linear(12 * dim, 8 * dim) + linear(8 * dim, 3)


@pytest.mark.parametrize("layers", [1, 2])
def test_causalnet_size(layers: int) -> None:
    depths = {f"layers_{place}": layers for place in (1, 2, 3)}
    assert count(build("causalnet", dim=24, **depths)) == causalnet_size(24, layers)


def test_off_tanet_size_is_the_printed_one() -> None:
    def residual(width: int, inner: int, width_out: int) -> int:
        both = convolution(width, inner, 3) + 2 * inner + convolution(inner, width_out, 3) + 2 * width_out
        return both + convolution(width, width_out, 1)

    attention = 2 * 28 + 2 * 9 + 3 * convolution(28, 28, 1)
    blocks = residual(8, 18, 18) + residual(18, 28, 28) + residual(28, 28, 8) + attention
    dense = linear(392, 64) + linear(64, 64) + linear(64, 3)
    assert count(build("off_tanet")) == convolution(3, 8, 7) + 2 * 8 + blocks + dense == 59_403


@pytest.mark.parametrize("place", [(0, 0), (3, 7), (13, 12)])
def test_off_tanet_weighs_each_map_by_its_query_and_its_coded_key(place: tuple[int, int]) -> None:
    attention = build("off_tanet").blocks[2].way[3]
    maps = torch.rand(1, 28, 14, 14)
    query, key, value = (part[0, 5] for part in attention.project(maps).chunk(3, dim=1))
    line = [
        math.sin(1.0) if at == 0 else (math.cos, math.sin)[at % 2 == 0](10000 ** -(at // 2 / 14)) for at in range(14)
    ]
    coded = key + torch.tensor([[first + second for second in line] for first in line])
    products = torch.tensor([[float((query[row] * coded[column]).sum()) for column in range(14)] for row in range(14)])
    weight = torch.exp(products[place]) / torch.exp(products).sum()
    torch.testing.assert_close(attention(maps)[0, 5][place], weight * value[place])


def test_off_tanet_weighs_channels_as_the_public_class_does() -> None:
    """The numbers are those of ChannelAttention, ratio 28, in the public models/off_tanet.py at commit b6149babd1b1.

    The network's outputs hardly hang on these weights. In one sample the means reach the hidden value, in the other
    they do not; maxima reach it in both.
    """
    attention = with_fixed_weights(build("off_tanet").blocks[2].way[1])
    maps = torch.sin(torch.arange(28 * 9, dtype=torch.float64) ** 2).float().reshape(1, 28, 3, 3)
    maps = torch.cat([maps, -maps])
    weights = (attention(maps) / maps)[:, :6]
    public = torch.tensor(
        [
            [0.573926, 0.511556, 0.477132, 0.418825, 0.438802, 0.577693],
            [0.593565, 0.514690, 0.470939, 0.397355, 0.422434, 0.598287],
        ]
    )
    seen = maps[:, :6].abs() > 1e-3
    assert seen.flatten(2).any(dim=2).all()
    torch.testing.assert_close(weights[seen], public[..., None, None].expand_as(weights)[seen], rtol=0, atol=2e-6)


def test_off_tanet_as_published_takes_a_strain_of_its_own() -> None:
    """u grows by 2 a row, v by 3 a column and by 5 a row, which does not count: sqrt(0 + 16^2 + (24 + 16)^2 / 2)."""
    row, column = torch.meshgrid(torch.arange(112.0), torch.arange(112.0), indexing="ij")
    flow = torch.stack([2 * row, 3 * column + 5 * row])[None]
    inner = published_strain(flow)[0, 0, 1:-1, 1:-1]
    torch.testing.assert_close(inner, torch.full((110, 110), (16**2 + 0.5 * 40**2) ** 0.5))
    for as_published in (False, True):
        network = build("off_tanet", as_published=as_published).eval()
        strains = [torch.cat([flow / 100, torch.full_like(flow[:, :1], strain)], dim=1) for strain in (0.0, 1.0)]
        assert torch.equal(*map(network, strains)) == as_published


def mol_size(maps: int, side: int) -> int:
    """Of the default form."""
    half = maps // 2
    first = max(4, maps // 16)
    stack = convolution(1, first, 4) + convolution(first, maps // 4, 3)
    stack += convolution(maps // 4, half, 2) + convolution(half, maps, 1)
    block = 2 * 2 * half + 4 * half * (side + 1 + side) + 2 * linear(side**2, side**2) + convolution(maps, maps, 1)
    classes = maps // 4 * (maps * 20 + 1) + linear(maps // 4 * (side // 4) ** 2 * 5, 2 * maps) + linear(2 * maps, 3)
    points = convolution(maps, maps // 4, 3) + linear(maps // 4 * (side - 2) ** 2, 4 * maps) + linear(4 * maps, 136)

    def normed(channels: int, width: int, size: int) -> int:
        return width * channels * size**2 + 2 * width

    down = normed(1, half, 6) + normed(half, maps, 4) + normed(maps, 2 * maps, 2) + normed(2 * maps, maps // 4, 1)
    down += normed(maps // 4 + 441 + 2 * maps, 2 * maps, 3)
    for before, after in ((2, 4), (4, 4), (4, 8)):
        down += normed(before * maps, after * maps, 3) + normed(after * maps, after * maps, 3)
    # What the flow of each size is predicted from, and what is enlarged of it beside the flow found so far.
    widths = [8 * maps, 8 * maps + 2, 6 * maps + 2, 3 * maps + 2, 2 * maps + 2, maps + 2, maps // 4 + 3]
    risen = [4 * maps, 2 * maps, maps, maps, half, maps // 4]
    up = sum(18 * width for width in widths)
    up += sum(16 * before * after + 64 for before, after in zip(widths, risen, strict=False))
    return stack + 2 * block + classes + points + down + up


@pytest.mark.parametrize("maps", [16, 32])
def test_mol_size(maps: int) -> None:
    assert count(build("mol", image_size=64, maps=maps)) == mol_size(maps, 8)
    assert mol_size(128, 16) == 44_119_709


def test_hyphtnet_has_a_second_head_beside_htnet() -> None:
    head = 2 * 96 + linear(96, 32) + 2 * 32
    assert count(build("hyphtnet", dim=24, embedding=32)) == htnet_size(24) + head


@pytest.mark.parametrize("as_published", [False, True])
def test_mol_links_maps_that_are_alike_and_as_published_places(as_published: bool) -> None:
    torch.manual_seed(0)
    relate = Correspondence(9, 2, as_published=as_published)
    maps = torch.rand(1, 6, 9)
    vectors = maps[0].T if as_published else maps[0]
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    expected = torch.zeros(6, 9)
    for at in range(6):
        edges = []
        for place in range(2):
            if as_published:
                nearest = [(unit @ one).sort(descending=True).indices[place] for one in unit]
                more = maps[0, at, nearest] - 2 * maps[0, at]
            else:
                more = maps[0, (unit @ unit[at]).sort(descending=True).indices[place]] - maps[0, at]
            edges.append(torch.relu(relate.own(maps[0, at]) + relate.difference(more)))
        expected[at] = torch.stack(edges).amax(dim=0)
    torch.testing.assert_close(relate(maps)[0], expected)


def test_mols_ring_convolution_closes_each_axis_and_sees_the_whole_map() -> None:
    torch.manual_seed(0)
    ring = FullyConnectedConvolution(4, 8).eval()
    maps = torch.rand(1, 4, 8, 8)
    with torch.no_grad():
        for positions in ring.positions:
            positions.zero_()
        for turned in ((3, 0), (0, 5)):
            torch.testing.assert_close(ring(maps.roll(turned, (2, 3))), ring(maps).roll(turned, (2, 3)))
    maps.requires_grad_()
    (gradient,) = torch.autograd.grad(ring(maps)[0, 0, 2, 3], maps)
    assert (gradient[0, 0] != 0).all()


def test_mols_flow_estimator_compares_places_that_lie_apart() -> None:
    """At a displacement of (2 down, 4 left), a cell meets the one there; outside of the map there is nothing."""
    estimator = FlowEstimator(8, 4, side=8)
    first, second = torch.rand(1, 32, 8, 8), torch.rand(1, 32, 8, 8)
    likeness = estimator._likeness(first, second)
    at = 21 * (10 + 1) + (10 - 2)
    torch.testing.assert_close(likeness[0, at, 3, 5], (first[0, :, 3, 5] * second[0, :, 5, 1]).mean())
    assert not likeness[0, at, 3, :4].any()
    assert not likeness[0, at, 6:].any()


SMALL_CAUSALNET = {"dim": 24, "layers_1": 1, "layers_2": 1, "layers_3": 1}


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("as_published", [False, True])
def test_causalnet_looks_at_eyes_and_lip_corners_of_each_picture(place: int, as_published: bool) -> None:
    network = build("causalnet", **SMALL_CAUSALNET, as_published=as_published).eval()
    pictures = [torch.rand(1, 3, 28, 28, requires_grad=True) for _ in range(4)]
    network(*pictures).square().sum().backward()
    expected = torch.zeros(28, 28, dtype=torch.bool)
    for row, column in ((11, 9), (10, 21), (21, 10), (21, 20)):
        expected[row - 7 : row + 7, column - 7 : column + 7] = True
    seen = pictures[place].grad[0].abs().sum(dim=0) > 0
    assert torch.equal(seen, expected.T if as_published else expected)


def test_a_place_of_causalnet_does_not_see_the_one_across_the_diagonal() -> None:
    attention = build("causalnet", **SMALL_CAUSALNET).positions[0].attention
    places, context = torch.rand(1, 4, 24), torch.rand(1, 4, 24)
    for across in range(4):
        changed = context.clone()
        changed[0, across] += 1
        moved = (attention(places, context) - attention(places, changed)).abs().amax(dim=-1)[0] > 1e-6
        assert moved.tolist() == [place != 3 - across for place in range(4)]


def test_gamma_leaves_more_to_the_neighbours() -> None:
    """What the place across keeps of the softmax is lost: e^-gamma times its number, beside three equal scores."""
    for gamma in (0.0, 0.5):
        attention = build("causalnet", **SMALL_CAUSALNET, gamma=gamma).positions[0].attention
        for linear_layer in (attention.query, attention.key_value, attention.merge):
            torch.nn.init.zeros_(linear_layer.weight)
            torch.nn.init.zeros_(linear_layer.bias)
        torch.nn.init.ones_(attention.key_value.bias)
        torch.nn.init.eye_(attention.merge.weight)
        left = attention(torch.rand(1, 4, 24), torch.rand(1, 4, 24))[0, :, 0]
        kept = torch.exp(-gamma * torch.tensor([4.0, 3.0, 2.0, 1.0]))
        torch.testing.assert_close(left, 3 / (3 + kept))


def test_an_effect_of_causalnet_sees_its_cause_and_no_cause_its_effect() -> None:
    causality = build("causalnet", **SMALL_CAUSALNET).causality
    cause, effect = torch.rand(1, 4, 24), torch.rand(1, 4, 24)
    first = causality._from_cause(cause, effect)
    other_effect = causality._from_cause(cause, torch.rand(1, 4, 24))
    other_cause = causality._from_cause(torch.rand(1, 4, 24), effect)
    assert torch.equal(first[0], other_effect[0])
    assert not torch.allclose(first[1], other_cause[1])


@pytest.mark.parametrize("maps", [32, 64])
def test_rcn_s_has_the_size_of_rcn_a(maps: int) -> None:
    assert count(build("rcn_s", feature_maps=maps)) == count(build("rcn_a", feature_maps=maps))


@pytest.mark.parametrize("maps", [32, 64])
def test_rcn_w_size(maps: int) -> None:
    streams = sum(convolution(3, width, 3) for width in (maps // 2, maps // 4, maps // 4))
    block = convolution(maps, maps, 1) + convolution(maps, maps, 3)
    assert count(build("rcn_w", feature_maps=maps)) == streams + block + 3 * 2 * maps + linear(25 * maps, 3)


def test_rcn_s_recurs_three_times_on_the_sum_of_all_before() -> None:
    block = RecurrentBlock(4, dropout=0.5, dense=True).eval()
    maps = torch.rand(2, 4, 8, 8)
    first = block.enter(maps)
    second = block.recur(maps + first)
    third = block.recur(maps + first + second)
    torch.testing.assert_close(block(maps), block.leave(block.recur(maps + first + second + third)))


def test_sssnet_size() -> None:
    maps = convolution(3, 32, 5) + 2 * 32 + convolution(32, 64, 3) + 2 * 64
    assert count(build("sssnet")) == maps + linear(9 * 9 * 64, 256) + linear(256, 3)


def test_dual_atme_size() -> None:
    def inception(channels: int, width: int) -> int:
        alone = 2 * (convolution(channels, width, 1) + 2 * width)
        before = 2 * (convolution(channels, 6, 1) + 2 * 6)
        return alone + before + convolution(6, width, 3) + convolution(6, width, 5) + 2 * (2 * width)

    attention = linear(48, 3) + linear(3, 48) + convolution(2, 1, 3)
    branches = 2 * (inception(3, 6) + inception(24, 12)) + attention
    assert count(build("dual_atme")) == branches + linear(4704, 1024) + 2 * 1024 + linear(1024, 3) == 4_833_193


def test_dual_atme_draws_its_branches_together() -> None:
    network = build("dual_atme").eval()
    flow, mosaic, labels = torch.rand(4, 3, 28, 28), torch.rand(4, 3, 28, 28), torch.tensor([0, 1, 2, 0])
    values = network.attend(network.face(flow)), network.attend(network.regions(mosaic))
    likeness = torch.cosine_similarity(*values, dim=1).mean()
    expected = focal_loss(network(flow, mosaic), labels) + 0.01 * (1 - likeness)
    torch.testing.assert_close(network.loss(flow, mosaic, labels=labels, criterion=None), expected)


@pytest.mark.slow
def test_mmnet_size() -> None:
    def plain(channels: int, width: int, size: int) -> int:
        return channels * width * size**2 + 2 * width

    def block(channels: int, width: int, shortcut: bool) -> int:
        residual = plain(channels, width, 3) + plain(width, width, 1)
        return residual + (plain(channels, width, 1) if shortcut else 0) + 2 + 2

    stem = plain(3, 180, 3) + plain(180, 128, 3)
    blocks = block(128, 128, False) + block(128, 128, True) + block(128, 256, True) + block(256, 512, True)
    layer = 4 * 512 + linear(512, 3 * 512) + linear(512, 512) + linear(512, 1024) + linear(1024, 512)
    position = linear(3, 512) + 196 * 512 + 3 * layer + 2 * 512
    assert count(build("mmnet")) == stem + blocks + position + linear(512 * 14 * 14, 3)


def test_mmnets_main_branch_sees_the_change_alone() -> None:
    network = build("mmnet", image_size=32).eval()
    frames = torch.rand(2, 2, 5, 3, 32, 32)
    seen: list[torch.Tensor] = []
    network.stem.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    logits = [network(pair) for pair in (frames, frames + 0.25)]
    torch.testing.assert_close(seen[0], frames[:, 1, 2] - frames[:, 0, 2])
    torch.testing.assert_close(seen[1], seen[0])
    assert not torch.allclose(*logits), "the position branch sees the onset"


def test_capsulenet_has_1152_capsules_of_8_values() -> None:
    network = build("capsulenet_me")
    assert network.predict.shape == (1152, 3, 16, 8)
    resnet = 11_689_512 - 8_393_728 - linear(512, 1000)  # torchvision's ResNet-18 less its last stage and classifier
    assert count(network) == resnet + 2 * convolution(256, 256, 9) + 1152 * 3 * 16 * 8


@pytest.mark.parametrize("less_onset", [False, True])
def test_capsulenet_sees_the_apex_less_the_onset_only_where_told(less_onset: bool) -> None:
    assert MODELS.get("capsulenet_me").params["less_onset"] is False
    network = build("capsulenet_me", image_size=40, kernel=3, width=4, maps=16, less_onset=less_onset).eval()
    frames = torch.rand(2, 2, 5, 3, 40, 40)
    seen: list[torch.Tensor] = []
    network.trunk.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    network(frames)
    torch.testing.assert_close(seen[0], frames[:, 1, 2] - less_onset * frames[:, 0, 2])


@pytest.mark.parametrize("name", ["capsulenet_me", "mmnet"])
def test_key_frames_are_moved_in_training_and_looked_at_themselves_in_evaluation(name: str) -> None:
    info = MODELS.get(name)
    assert info.recipe is not None
    assert info.features == ("near_onset_apex_rgb_224",)
    assert "moment" in info.recipe.augment.split(",")
    network = build(name, **{key: value for key, value in info.quick.items() if key in info.params}).eval()
    frames = torch.rand(2, 2, 5, 3, 40, 40)
    with torch.no_grad():
        logits = network(frames)
        others = frames.flip(2).clone()
        others[:, :, 2] = frames[:, :, 2]
        assert torch.equal(network(others), logits)
        assert not torch.equal(network(frames.flip(2)[:, :, [0, 1, 3, 2, 4]]), logits)


def test_capsules_route_to_where_predictions_agree() -> None:
    from mer_models.capsulenet_me import _route

    agreeing = torch.tensor([1.0, 0.0]).expand(6, 2)
    opposed = agreeing * torch.tensor([1.0, -1.0] * 3)[:, None]
    predictions = torch.stack([agreeing, opposed], dim=1)[None]
    lengths = _route(predictions).norm(dim=-1)[0]
    assert lengths[0] > 6 * 0.5, "with equal weights, half of each capsule's vote would go to each class"
    assert lengths[1] < 6 * 0.5


@pytest.mark.slow
def test_slstt_size() -> None:
    layer = 2 * 2 * 768 + linear(768, 3 * 768) + linear(768, 768) + linear(768, 3072) + linear(3072, 768)
    transformer = linear(3 * 256, 768) + 197 * 768 + 768 + 12 * layer + 2 * 768
    memory = sum(4 * 512 * (width + 512 + 2) for width in (768, 512, 512))
    assert count(build("slstt")) == transformer + memory + linear(512, 256) + linear(256, 3)


@pytest.mark.slow
def test_samer_reads_eyes_above_and_mouth_below() -> None:
    network = build("samer", image_size=64).eval()
    seen = torch.rand(1, 3, 64, 64, requires_grad=True)
    for part in (0, 1):
        values = network._values(seen).chunk(2, dim=1)[part]
        grown = torch.autograd.grad(values.sum(), seen)[0].abs().chunk(2, dim=2)
        assert grown[part].max() > 0
        assert grown[1 - part].max() == 0, "the weighing sees both halves, but hands no gradient on"


def test_au_gcn_links_regions_both_ways_alike() -> None:
    network = build("au_gcn").eval()
    torch.nn.init.normal_(network.links)
    adjacency = network._adjacency()
    assert torch.equal(adjacency, adjacency.T)
    assert ((adjacency > 0) & (adjacency < 1)).all()


def test_au_gcn_size() -> None:
    time = linear(192, 64) + 2 * linear(3 * 64, 64)
    assert count(build("au_gcn")) == 144 + linear(2, 16) + 2 * 16 + time + linear(64, 3)


SAID = {name: re.findall(r"([\d,]*\d) parameters", info.build.__doc__ or "") for name, info in MODELS.items()}
"""Model -> the sizes that its docstring states."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, sizes in SAID.items() if sizes])
def test_the_size_in_the_docstring_is_the_size(name: str) -> None:
    with torch.device("meta"):
        assert f"{count(build(name)):,}" in (MODELS.get(name).build.__doc__ or "")


def test_most_docstrings_state_the_size() -> None:
    assert sum(map(bool, SAID.values())) > 20


def test_htnet_batches_keep_the_samples_order() -> None:
    assert not MODELS.get("htnet").recipe.shuffle


def test_capsulenet_freezes_the_first_stages_of_trained_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import resnet18

    monkeypatch.setattr("mer_models.capsulenet_me.fetched", lambda *_: resnet18())
    network = build("capsulenet_me", pretrained="default", image_size=136, maps=8)
    frozen = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    assert len(frozen) == 15
    # The first convolution, its normalisation and the first stage.
    assert {name.split(".")[1] for name in frozen} == {"0", "1", "3"}
    assert all(parameter.requires_grad for parameter in build("capsulenet_me", image_size=136, maps=8).parameters())


def test_capsules_are_routed_three_times_and_trained_through_the_last() -> None:
    from mer_models.capsulenet_me import _route, _squash

    torch.manual_seed(0)
    predictions = torch.randn(2, 5, 3, 4, requires_grad=True)
    shares = torch.full((2, 5, 3), 1 / 3)
    agreement = torch.zeros(2, 5, 3)
    with torch.no_grad():
        for _ in range(2):
            capsules = _squash((shares[..., None] * predictions).sum(dim=1))
            agreement = agreement + (predictions * capsules[:, None]).sum(dim=-1)
            shares = agreement.softmax(dim=2)
    routed = _route(predictions)
    torch.testing.assert_close(routed, (shares[..., None] * predictions).sum(dim=1))
    (gradient,) = torch.autograd.grad(routed.sum(), predictions)
    torch.testing.assert_close(gradient, shares[..., None].expand_as(gradient))


def test_mmnets_position_branch_sees_the_onset_alone_and_tells_places_apart() -> None:
    network = build("mmnet", image_size=32, width=16).eval()
    frames = torch.rand(2, 2, 5, 3, 32, 32)
    seen: list[torch.Tensor] = []
    network.position.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    with torch.no_grad():
        network(frames)
        assert torch.equal(seen[0], frames[:, 0, 2])
        places = network.position(torch.zeros(1, 3, 32, 32)).flatten(2)
    assert places.shape == (1, 64, 4)
    assert (places[..., :1] - places[..., 1:]).abs().amax(dim=1).min() > 1e-2


def test_mmnets_attention_goes_on_from_the_block_before() -> None:
    from mer_models.mmnet import _Block

    torch.manual_seed(0)
    block = _Block(4, 8, stride=2).eval()
    maps, before = torch.rand(1, 4, 8, 8), torch.rand(1, 1, 8, 8)
    with torch.no_grad():
        alone, own = block(maps, None)
        both, attention = block(maps, before)
    shrunk = torch.nn.functional.max_pool2d(before, 3, stride=2, padding=1)
    assert own.shape == shrunk.shape
    torch.testing.assert_close(attention, own * shrunk)
    torch.testing.assert_close(both, alone * shrunk)


@pytest.mark.parametrize(("drop_path", "same"), [(0.0, True), (0.3, False)])
def test_mmnets_transformer_drops_residuals_in_training(drop_path: float, same: bool) -> None:
    position = build("mmnet", image_size=32, width=16, drop_path=drop_path).position.train()
    onset = torch.rand(8, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(position(onset), position(onset)) is same
        assert torch.equal(position.eval()(onset), position(onset))


def test_slstt_reads_every_flow_image_and_their_order() -> None:
    network = build("slstt", size="pico", depth=1, image_size=32, state=64).eval()
    assert len(network.image.blocks) == 1
    assert (network.time.input_size, network.time.hidden_size) == (48, 64)
    flow = torch.rand(1, 5, 3, 32, 32)
    with torch.no_grad():
        logits = network(flow)
        assert not torch.allclose(network(flow.flip(1)), logits, rtol=1e-4, atol=1e-6)
        for place in range(5):
            changed = flow.clone()
            changed[:, place] = 0
            assert not torch.equal(network(changed), logits), f"flow image {place} makes no difference"


@pytest.mark.parametrize(("frames", "looked_at"), [(2, [7, 15]), (4, [3, 7, 11, 15]), (16, list(range(16)))])
def test_video_networks_look_at_frames_evenly_spaced_to_the_last(frames: int, looked_at: list[int]) -> None:
    network = build("video/mc3_18", frames=frames, image_size=16, width=2).eval()
    clip = torch.rand(1, 3, 16, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(clip).square().sum(), clip)
    assert gradient.abs().amax(dim=(0, 1, 3, 4)).nonzero().flatten().tolist() == looked_at


@pytest.mark.parametrize("name", ["video/mc3_18", "video/r2plus1d_18", "video/r3d_18"])
def test_the_order_of_frames_counts_in_video_networks(name: str) -> None:
    network = build(name, image_size=16, width=4).eval()
    assert network.network.fc.in_features == 512 * 4 // 64
    clip = torch.rand(1, 3, 4, 20, 20)
    with torch.no_grad():
        assert not torch.allclose(network(clip), network(clip.flip(2)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "image_size", "shape", "seen_as"),
    [
        ("timm/resnet10t", 0, (3, 28, 28), (3, 176, 176)),
        ("timm/resnet10t", 32, (3, 28, 28), (3, 32, 32)),
        ("timm/resnet10t@onset_apex_rgb_224", 32, (2, 3, 40, 40), (6, 32, 32)),
    ],
)
def test_timm_networks_are_shown_images_of_their_size(
    name: str, image_size: int, shape: tuple[int, ...], seen_as: tuple[int, ...]
) -> None:
    network = build(name, image_size=image_size).eval()
    seen: list[torch.Tensor] = []
    network.network.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    images = torch.rand(1, *shape)
    with torch.no_grad():
        network(images)
    assert seen[0].shape == (1, *seen_as)
    if len(shape) == 4:
        torch.testing.assert_close(seen[0][:, 3:], resized(images[:, 1], (32, 32)))


def test_the_groups_of_samers_attention_weigh_a_quarter_each_until_it_has_learned() -> None:
    from mer_models._parts.shuffle_attention import GroupShuffleAttention

    attention, maps = GroupShuffleAttention(16), torch.arange(16.0).reshape(1, 16, 1, 1).expand(1, 16, 2, 2)
    with torch.no_grad():
        shuffled = 4 * attention(maps)[0, :, 0, 0]
        assert shuffled.tolist() == [0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15]
        attention.mean_scale[0, 3] = 20.0
        # The last group's means are the greatest: it takes nearly all of the weight of its half.
        first, last = (attention(maps)[0, place, 0, 0] for place in (0, 9))
    assert first.abs() < 1e-6
    torch.testing.assert_close(last, maps[0, 12, 0, 0], atol=1e-3, rtol=1e-3)


def test_the_capsules_first_weights_are_small() -> None:
    assert float(build("capsulenet_me").predict.std()) == pytest.approx(0.01, rel=0.01)


@pytest.mark.parametrize(("depth", "shares"), [(1, [0.0]), (2, [0.0, 0.3]), (3, [0.0, 0.15, 0.3])])
def test_mmnet_drops_more_of_later_layers(depth: int, shares: list[float]) -> None:
    layers = build("mmnet", image_size=32, width=16, depth=depth).position.layers
    assert [getattr(layer.drop_path1, "drop_prob", 0.0) for layer in layers] == pytest.approx(shares)


def test_mmnets_five_class_form_has_two_wide_layers() -> None:
    layer = 4 * 512 + linear(512, 3 * 512) + linear(512, 512) + linear(512, 2048) + linear(2048, 512)
    three, five = (count(build("mmnet", 5, **form)) for form in ({}, {"depth": 2, "mlp_ratio": 4.0, "drop_path": 0.0}))
    assert five - three == 2 * layer - 3 * (layer - 2 * 512 * 1024 - 1024)


@pytest.mark.parametrize("name", ["mmnet", "samer"])
def test_photographs_are_shown_in_imagenets_range(name: str) -> None:
    recipe = MODELS.get(name).recipe
    assert recipe is not None
    assert recipe.input_range == "imagenet"


@pytest.mark.parametrize("as_published", [False, True])
def test_of_slstts_transformer_only_the_last_normalisation_is_trained_as_published(as_published: bool) -> None:
    network = build("slstt", size="pico", depth=1, image_size=16, state=8, as_published=as_published)
    network(torch.rand(2, 3, 3, 16, 16)).sum().backward()
    trained = {name for name, parameter in network.image.named_parameters() if parameter.grad is not None}
    every = {name for name, _ in network.image.named_parameters()}
    assert trained == ({"norm.weight", "norm.bias"} if as_published else every)
    assert all(parameter.grad is not None for parameter in network.time.parameters())


def test_slstt_drops_among_the_weights_of_attention_and_twice_a_layer() -> None:
    layers = build("slstt", size="pico", image_size=16).image.modules()
    shares = [layer.p for layer in layers if isinstance(layer, Dropout)]
    assert [share for share in shares if share] == [0.1] * 3 * 12


def test_dual_inception_as_published_sees_each_component_three_times() -> None:
    once, thrice = build("dual_inception").eval(), build("dual_inception", as_published=True).eval()
    summed = dict(thrice.state_dict())
    for name, value in once.state_dict().items():
        if summed[name].shape != value.shape:
            assert summed[name].shape[1] == 3
            summed[name] = summed[name].sum(dim=1, keepdim=True)
    once.load_state_dict(summed)
    flow = torch.rand(3, 3, 28, 28)
    torch.testing.assert_close(once(flow), thrice(flow), atol=1e-5, rtol=1e-4)
    assert count(thrice) - count(once) == 96
    assert all(not value.any() for name, value in thrice.state_dict().items() if name.endswith("bias"))
