"""The systems that meet landmark tokens with action units: sizes, levels, what the units' loss counts, their links."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from bench.engine.batches import Schedule
from mer_models._parts.action_units import au_loss, of_units
from mer_models._parts.au_tokens import UNITS
from mer_models._parts.p3d import P3D
from mer_models.au_fusion import LEVEL, AUFusion
from mer_models.au_layered import AULayered
from mer_models.registry import MODELS
from preprocess.faces.landmark_sets import BROWS_MOUTH_30
from preprocess.labels.action_units import SHARED_UNITS
from preprocess.recipes import FEATURES

Tensors = tuple[torch.Tensor, torch.Tensor]
LABELS = torch.tensor([0, 2])


def fusion(as_published: bool = False, seed: int = 0) -> AUFusion:
    torch.manual_seed(seed)
    return AUFusion(n_classes=3, au_depth=17, au_width=4, as_published=as_published).eval()


def layered(as_published: bool = False, seed: int = 0) -> AULayered:
    torch.manual_seed(seed)
    return AULayered(n_classes=3, as_published=as_published).eval()


def batch(n: int = 2, seed: int = 0) -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    patches = torch.randn(n, *FEATURES.get("flow_patches_30").shape, generator=generator)
    return patches, 255 * torch.rand(n, 3, 16, 36, 36, generator=generator)


def annotated(*samples: tuple[int, ...] | None) -> torch.Tensor:
    """Return action units as the engine hands them over; None is a sample without annotation."""
    rows = torch.zeros(len(samples), len(SHARED_UNITS))
    for row, units in zip(rows, samples, strict=True):
        if units is None:
            row[:] = -1
        else:
            row[[SHARED_UNITS.index(unit) for unit in units]] = 1
    return rows


def linear(width: int, width_out: int) -> int:
    return (width + 1) * width_out


def encoder(width: int, dense: int, depth: int) -> int:
    attention = 3 * width * 128 + linear(128, width)
    return depth * (attention + linear(width, dense) + linear(dense, width) + 2 * 2 * width)


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def p3d_size(blocks: tuple[int, ...], width: int) -> int:
    def plain(channels: int, width_out: int, pixels: int) -> int:
        return channels * width_out * pixels + 2 * width_out

    total, channels = plain(3, width, 49), width
    for stage, repeats in enumerate(blocks):
        inner = width * 2**stage
        for _ in range(repeats):
            shortcut = plain(channels, 4 * inner, 1) if channels != 4 * inner else 0
            over_time = plain(inner, inner, 3) if stage < 3 else 0
            total += plain(channels, inner, 1) + plain(inner, inner, 9) + over_time + plain(inner, 4 * inner, 1)
            total, channels = total + shortcut, 4 * inner
    return total + linear(channels, 9)


@pytest.mark.parametrize(("depth", "blocks"), [(17, (1, 1, 1, 1)), (32, (2, 2, 2, 2)), (63, (3, 4, 6, 3))])
def test_p3d_has_as_many_layers_as_its_name_says(depth: int, blocks: tuple[int, ...]) -> None:
    network = P3D(9, depth, 4)
    assert count(network) == p3d_size(blocks, 4)
    convolutions = [part for name, part in network.named_modules() if isinstance(part, torch.nn.Conv3d)]
    shortcuts = [name for name, part in network.named_modules() if name.endswith("keep.0")]
    assert len(convolutions) - len(shortcuts) + 1 == depth


def test_p3d_takes_the_frames_that_are_promised_down_to_one_value() -> None:
    network = P3D(9, 17, 4).eval()
    seen: list[torch.Size] = []
    network.stages[-1].register_forward_hook(lambda module, given, result: seen.append(result.shape))
    network(torch.rand(1, *FEATURES.get("frames_au_16").shape))
    assert seen == [(1, 128, 1, 5, 5)]


def test_fusion_size_counted_from_the_layers() -> None:
    flow = 30 * (2 * 9 + 1) + 30 * (9 * 9 + 1) + 2 * 2 * 30
    regions = 2 * encoder(49, 128, 6) + linear(490, 320) + linear(980, 320) + 2 * linear(320, 160)
    units = encoder(9, 40, 6) + 40 + 40 * 80 + 80 * 160
    rest = flow + regions + units + 2 * 9 + linear(9, 3)
    assert count(fusion()) == rest + p3d_size((1, 1, 1, 1), 4)
    assert count(AUFusion(n_classes=3)) == rest + p3d_size((3, 4, 6, 3), 64)


@pytest.mark.parametrize("as_published", [False, True])
def test_layered_size_counted_from_the_layers(as_published: bool) -> None:
    tokens = 30 * (9 + 1) + 2 * 30 + 13 * encoder(49, 128, 1)
    layers = linear(1470, 980) + linear(980, 320) + linear(320, 160)
    units = 12 * (9 * 40 + 40 * 80 + 80 * 160 + (0 if as_published else 81))
    assert count(layered(as_published)) == tokens + layers + units + 12 * 18 + 2 * 108 + linear(108, 3)


def test_flow_is_convolved_landmark_by_landmark_over_both_components_and_all_steps() -> None:
    network = fusion()
    flow = torch.randn(1, 9, 2, 30, 7, 7)
    for step, component, landmark in ((0, 0, 4), (8, 1, 29)):
        moved = flow.clone()
        moved[0, step, component, landmark] += 1
        changed = (network._tokens(moved) - network._tokens(flow)).abs().amax(dim=2)[0] > 0
        assert changed.nonzero().flatten().tolist() == [landmark]


def test_brows_meet_the_units_of_the_brows_and_the_mouth_those_of_the_mouth() -> None:
    network = fusion()
    seen: list[torch.Tensor] = []
    network.classifier[0].register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    patches, frames = batch()
    mouth = torch.tensor([landmark >= 48 for landmark in BROWS_MOUTH_30])
    with torch.no_grad():
        network(patches, frames)
        network(patches + mouth[:, None, None] * torch.randn_like(patches), frames)
    same = torch.isclose(seen[0], seen[1]).all(dim=0)
    assert same.tolist() == [True] * 3 + [False] * 6


@pytest.mark.parametrize("training", [True, False])
def test_the_network_looks_at_magnification_by_two(training: bool) -> None:
    assert dict(FEATURES.get("flow_patches_30").steps)["magnify"]["factors"][LEVEL] == 2.0
    network, (patches, frames) = fusion().train(training), batch()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    other = patches.clone()
    other[:, torch.arange(patches.shape[1]) != LEVEL] = 0
    torch.testing.assert_close(network(patches, frames), network(other, frames))
    assert not torch.allclose(network(patches, frames), network(patches.roll(1, dims=1), frames))


def test_training_shows_every_level_in_its_place() -> None:
    recipe = MODELS.get("au_fusion").recipe
    assert recipe
    assert recipe.augment == "amplification"


def test_unknown_units_leave_the_criterion_alone() -> None:
    network, features = fusion(), batch()
    alone = functional.cross_entropy(network(*features), LABELS)
    for units in (None, annotated(None, None)):
        given = network.loss(*features, labels=LABELS, criterion=functional.cross_entropy, action_units=units)
        torch.testing.assert_close(given, alone)


def test_known_units_are_learned_and_unknown_samples_and_units_are_not() -> None:
    network, features = fusion(), batch()
    logits, answers = network._run(*features)
    given = network.loss(
        *features, labels=LABELS, criterion=functional.cross_entropy, action_units=annotated((1, 12), None)
    )
    truth = torch.tensor([unit in (1, 12) for unit in UNITS[:-1]]).float()
    units = functional.binary_cross_entropy_with_logits(answers[0, :-1], truth)
    assert UNITS[-1] == 25
    torch.testing.assert_close(given, functional.cross_entropy(logits, LABELS) + units)


def test_the_published_loss_teaches_that_no_unit_is_shown() -> None:
    network, features = fusion(as_published=True), batch()
    logits, answers = network._run(*features)
    expected = functional.cross_entropy(logits, LABELS) + functional.softplus(answers).mean()
    for units in (None, annotated((1, 12), (4,))):
        given = network.loss(*features, labels=LABELS, criterion=functional.cross_entropy, action_units=units)
        torch.testing.assert_close(given, expected)


def test_the_loss_of_units_reaches_the_network_that_detects_them() -> None:
    network, features = fusion(), batch()
    alone = au_loss(network._run(*features)[1], of_units(annotated((1,), (4,)), UNITS))
    alone.backward()
    idle = [name for name, parameter in network.detect.named_parameters() if parameter.grad is None]
    assert not idle
    assert all(parameter.grad is None for parameter in network.brows.parameters())


def test_layered_links_come_from_what_is_handed_over() -> None:
    network = layered()
    assert torch.equal(network.co_occurrence, torch.eye(9))
    with torch.no_grad():
        patches = torch.randn(2, 12, 30, 7, 7)
        before = network(patches)
        network.prepare_training(torch.zeros(3).long(), annotated((1, 2), (1,), None))
        assert not torch.allclose(network(patches), before)
    expected = torch.eye(9)
    expected[0, :2] = torch.tensor([2.0, 1.0]) / 3
    expected[1, :2] = 0.5
    torch.testing.assert_close(network.co_occurrence, expected)
    network.prepare_training(torch.zeros(1).long(), annotated(None))
    assert torch.equal(network.co_occurrence, torch.eye(9)), "nothing is left of another fold's samples"
    assert "co_occurrence" in network.state_dict(), "stored weights must score again alike"


def test_published_links_are_neither_counted_nor_trained() -> None:
    network = layered(as_published=True)
    patches = torch.randn(2, 12, 30, 7, 7)
    with torch.no_grad():
        before = network(patches)
        network.prepare_training(torch.zeros(2).long(), annotated((1, 2), (1,)))
        assert torch.equal(network(patches), before)
        assert not torch.allclose(layered()(patches), before)
    assert "fixed" in network.state_dict()
    assert "fixed" not in dict(network.named_parameters())


def test_each_frame_has_units_of_its_own() -> None:
    network = layered()
    units = network._units()
    assert units.shape == (12, 9, 160)
    assert not torch.allclose(units[0], units[1])


@pytest.mark.parametrize("frames", [1, 2, 12])
def test_layered_relations_look_at_frames_evenly_spaced_to_the_last(frames: int) -> None:
    torch.manual_seed(0)
    network = AULayered(n_classes=3, frames=frames, depth=1).eval()
    patches = torch.randn(1, 12, 30, 7, 7, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(patches).square().sum(), patches)
    seen = gradient.abs().amax(dim=(0, 2, 3, 4)).nonzero().flatten().tolist()
    assert seen == list(range(12 // frames - 1, 12, 12 // frames))


def test_layered_frames_pass_the_same_layers_and_meet_units_of_their_own() -> None:
    network = layered()
    met: list[torch.Tensor] = []
    passed: list[torch.Tensor] = []
    network.face.register_forward_hook(lambda module, given, values: passed.append(values))
    network.classifier.register_forward_pre_hook(lambda module, given: met.append(given[0]))
    patches = torch.randn(1, 1, 30, 7, 7).expand(1, 12, 30, 7, 7)
    with torch.no_grad():
        network(patches)
    torch.testing.assert_close(passed[0], passed[0][:1].expand(12, -1), rtol=1e-4, atol=1e-5)
    by_frame = met[0].unflatten(1, (12, 9))[0]
    assert (by_frame[0] - by_frame[1:]).abs().amax(dim=1).min() > 1e-2
    torch.testing.assert_close(by_frame.mean(dim=1), torch.zeros(12), rtol=0, atol=1e-4)


def test_published_links_are_drawn_within_a_third() -> None:
    links = layered(as_published=True).fixed
    assert links.shape == (12, 9, 9)
    assert 0.3 < links.abs().max() <= 1 / 3


@pytest.mark.parametrize("cls", [AUFusion, AULayered])
def test_depth_counts_the_transformer_layers_of_brows_and_mouth(cls: type) -> None:
    small = {"au_depth": 17, "au_width": 4} if cls is AUFusion else {}
    network = cls(n_classes=3, depth=2, **small)
    if cls is AUFusion:
        assert [len(part) for part in (network.brows[0], network.mouth[0], network.links)] == [2, 2, 2]
    else:
        assert [len(part) for part in (network.brows, network.mouth, network.face[0])] == [2, 2, 1]


@pytest.mark.parametrize(("image_size", "side"), [(0, 36), (48, 48)])
def test_frames_of_the_video_network_are_resized_where_it_is_asked_for(image_size: int, side: int) -> None:
    network = AUFusion(n_classes=3, au_depth=17, au_width=4, image_size=image_size, depth=1).eval()
    seen: list[torch.Size] = []
    network.detect.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape))
    with torch.no_grad():
        network(*batch(1))
    assert seen == [(1, 3, 16, side, side)]


@pytest.mark.parametrize("network", [fusion(), layered()], ids=["au_fusion", "au_layered"])
def test_values_are_dropped_where_the_public_code_drops_them(network: torch.nn.Module) -> None:
    dense = [part.dense for part in network.modules() if hasattr(part, "dense_norm")]
    assert dense
    for layers in dense:
        assert [type(layer).__name__ for layer in layers] == ["Linear", "ReLU", "Linear", "Dropout"]


def test_graph_layers_are_drawn_by_what_they_give() -> None:
    for weights, most in zip(fusion().graph, (40**-0.5, 80**-0.5, 160**-0.5), strict=True):
        assert 0.9 * most < weights.abs().max() <= most


def test_video_convolutions_are_drawn_by_their_maps_the_last_stage_as_pytorch_does() -> None:
    network = P3D(9, 63, 16)
    one = network.stages[2][1]
    for part, values in ((one.narrow, 1), (one.space, 3), (one.time, 3), (one.widen, 1)):
        std = (2 / (values * part[0].out_channels)) ** 0.5
        assert part[0].weight.std().item() == pytest.approx(std, rel=0.05)
    last = network.stages[3][1].narrow[0].weight
    assert last.abs().max() <= last[0].numel() ** -0.5


def test_the_rate_of_fusion_falls_first_in_the_public_codes_43rd_epoch() -> None:
    recipe = MODELS.get("au_fusion").recipe
    assert recipe
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=recipe.lr)
    schedule, rates = Schedule(recipe, optimizer), []
    for _ in range(44):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step(0.0)
    assert rates[:42] == [1e-4] * 42
    assert rates[42:] == pytest.approx([0.987e-4, 0.987**2 * 1e-4])
