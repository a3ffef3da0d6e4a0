"""The unified framework: its graph finds and follows links of its own, and as_published shows why the public one's not.

Built with a tiny transformer on small maps, which the graph stream does not see.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.nn import functional

from mer_models._parts.facial_graph import FacialGraph, GraphAutoencoder, _Attention, _GraphLayer
from mer_models._parts.images import resized
from mer_models.registry import MODELS
from mer_models.unified_fgs_vs import EDGE_BLOCKS, GRAPH_BLOCKS, LANDMARKS, UnifiedFGSVS, _Fusion
from preprocess.base.errors import UsageError

SMALL: dict[str, Any] = {"image_size": 32}


def build(n_classes: int = 3, seed: int = 0, **params: Any) -> UnifiedFGSVS:
    torch.manual_seed(seed)
    return MODELS.get("unified_fgs_vs").build(n_classes=n_classes, **SMALL | params)


def clips(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return patches (n, 459, 7, 7) in 0..1 and maps of codes (n, 9, 32, 32) in 0..65."""
    draw = torch.Generator().manual_seed(seed)
    patches = torch.randint(0, 66, (n, 459, 7, 7), generator=draw) / 65
    return patches, torch.randint(0, 66, (n, 9, 32, 32), generator=draw).float()


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.fixture(scope="module")
def corrected() -> UnifiedFGSVS:
    return build().eval()


@pytest.fixture(scope="module")
def published() -> UnifiedFGSVS:
    return build(as_published=True).eval()


@pytest.mark.parametrize(("n", "n_classes"), [(1, 2), (3, 3), (1, 7)])
def test_logits_of_any_batch_size_and_class_count(n: int, n_classes: int) -> None:
    network = build(n_classes)
    for mode in (True, False):
        with torch.no_grad():
            logits = network.train(mode)(*clips(n))
        assert logits.shape == (n, n_classes)
        assert logits.isfinite().all()


def test_maps_of_any_size_are_resized(corrected: UnifiedFGSVS) -> None:
    patches, maps = clips(1)
    larger = functional.interpolate(maps, size=(64, 64), mode="nearest")
    with torch.no_grad():
        torch.testing.assert_close(corrected(patches, larger), corrected(patches, resized(larger, (32, 32))))


@pytest.mark.parametrize(
    "params", [{}, {"stream": "graph"}, {"stream": "visual"}, {"stream": "graph", "patch_means": True}]
)
def test_gradients_reach_every_parameter(params: dict[str, str]) -> None:
    network = build(**params).eval()
    functional.cross_entropy(network(*clips(3)), torch.arange(3)).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0] == []


def test_as_published_does_not_train_the_autoencoder() -> None:
    network = build(as_published=True, stream="graph")
    before = copy.deepcopy(network.graph.autoencoder.state_dict())
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    functional.cross_entropy(network(*clips(3)), torch.arange(3)).backward()
    optimizer.step()
    idle = dict(network.graph.autoencoder.named_parameters())
    assert all(torch.equal(parameter, before[name]) for name, parameter in idle.items())
    assert count(network.graph.autoencoder) == 3_843_705


@pytest.mark.parametrize("params", [{"stream": "graph"}, {"stream": "graph", "as_published": True}])
def test_the_autoencoder_changes_the_output_unless_as_published(params: dict[str, Any]) -> None:
    network = build(**params).eval()
    with torch.no_grad():
        before = network(*clips(2))
        for parameter in network.graph.autoencoder.parameters():
            parameter.normal_(std=0.2)
        after = network(*clips(2))
    assert torch.equal(before, after) == ("as_published" in params)


def test_links_are_of_the_sample_and_their_diagonal_is_1(corrected: UnifiedFGSVS) -> None:
    nodes = torch.rand(3, 49, 9, LANDMARKS)
    find = corrected.graph.autoencoder
    with torch.no_grad():
        links = find(nodes)
        assert links.shape == (3, LANDMARKS, LANDMARKS)
        assert torch.equal(links.diagonal(dim1=1, dim2=2), torch.ones(3, LANDMARKS))
        torch.testing.assert_close(find(nodes[1:2])[0], links[1], rtol=1e-4, atol=1e-4)
        assert (links[0] - links[1]).abs().max() > 0.05
        assert links.abs().max() <= 1 + 1e-5
        off = links[0][~torch.eye(LANDMARKS, dtype=torch.bool)]
        assert off.std() > 0.05, "all landmarks are linked alike"


def test_published_links_add_the_batch_up() -> None:
    torch.manual_seed(0)
    find = GraphAutoencoder(49, EDGE_BLOCKS, LANDMARKS, as_published=True).eval()
    nodes = torch.rand(2, 49, 9, LANDMARKS)
    with torch.no_grad():
        assert torch.equal(find(nodes)[0], torch.eye(LANDMARKS)), "the pairs' numbers start at 0"
        find.pairs.fill_(1.0)
        off = 1 - torch.eye(LANDMARKS)
        torch.testing.assert_close(find(nodes)[0] * off, (find(nodes[:1]) + find(nodes[1:]))[0] * off)


def test_a_graph_layer_passes_values_along_links_and_no_further() -> None:
    torch.manual_seed(0)
    nodes, links = torch.rand(1, 4, 2, 5), torch.eye(5)[None].clone()
    links[0, 0, 1] = links[0, 1, 2] = links[0, 2, 3] = 1.0
    changed = nodes.clone()
    changed[..., 0] += 1.0
    for as_published, reached in ((False, [True, True, True, False, False]), (True, [True, *[False] * 4])):
        layer = _GraphLayer(4, 64, as_published).eval()
        with torch.no_grad():
            difference = (layer(changed, links) - layer(nodes, links)).abs().amax(dim=(0, 1, 2))
        # Two steps from landmark 0: to 1 and, over it, to 2.
        assert (difference > 1e-6).tolist() == reached


def test_a_layer_of_equal_values_hands_each_landmark_its_own() -> None:
    layer = _GraphLayer(4, 8, as_published=False).eval()
    nodes = torch.rand(2, 4, 3, 1).expand(-1, -1, -1, 6)
    links = torch.rand(2, 6, 6) + torch.eye(6)
    with torch.no_grad():
        torch.testing.assert_close(layer(nodes, links), layer(nodes, torch.eye(6)[None]), rtol=1e-5, atol=1e-5)


def test_attention_is_a_frames_times_a_landmarks_weight() -> None:
    torch.manual_seed(0)
    attend = _Attention(16).eval()
    with torch.no_grad():
        weights = attend(torch.randn(2, 16, 5, 7))
    assert weights.shape == (2, 16, 5, 7)
    assert ((weights > 0) & (weights < 1)).all()
    assert torch.linalg.matrix_rank(weights, rtol=1e-5).max() == 1


@pytest.mark.parametrize("as_published", [False, True])
def test_attention_weighs_the_values_or_as_published_replaces_them(as_published: bool) -> None:
    torch.manual_seed(0)
    network = FacialGraph(49, GRAPH_BLOCKS, as_published).eval()
    block = network.blocks[0]
    nodes, links = torch.rand(2, 49, 9, LANDMARKS), torch.eye(LANDMARKS)[None]
    with torch.no_grad():
        values = block.time(block.graph(nodes, links))
        expected = block.attend(values) * (1 if as_published else values)
        torch.testing.assert_close(block(nodes, links), expected)
        assert network(nodes, links).shape == (2, 512, 5, LANDMARKS)


@pytest.mark.slow
def test_the_running_statistics_settle_within_twenty_steps() -> None:
    network = build(stream="graph").train()
    network.graph.embed[0].p = 0.0
    patches, maps = clips(3)
    with torch.no_grad():
        for _ in range(20):
            trained = network(patches / 5 + 0.4, maps)
        spread = network.eval()(patches / 5 + 0.4, maps).std(dim=0).mean() / trained.std(dim=0).mean()
    assert spread > 0.5, f"outside training, logits differ {spread:.2f} times as much as in training"


@pytest.mark.parametrize("as_published", [False, True])
def test_a_sample_does_not_see_its_neighbours(as_published: bool) -> None:
    network = build(as_published=as_published)
    batch = clips(3)
    with torch.no_grad():
        network(*batch)
        network.eval()
        together = network(*batch)
        alone = torch.cat([network(*(values[row : row + 1] for values in batch)) for row in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_as_published_gives_probabilities(corrected: UnifiedFGSVS, published: UnifiedFGSVS) -> None:
    with torch.no_grad():
        torch.testing.assert_close(published(*clips(2)).sum(dim=1), torch.ones(2))
        assert (corrected(*clips(2)).sum(dim=1) - 1).abs().min() > 1e-2


def test_as_published_shows_the_transformer_nearly_constant_images() -> None:
    spread = {}
    for as_published in (False, True):
        seen: list[torch.Tensor] = []
        network = build(as_published=as_published, stream="visual").eval()
        network.visual.image.register_forward_pre_hook(lambda _, images, seen=seen: seen.append(images[0]))
        with torch.no_grad():
            network(*clips(2))
        assert seen[0].shape == (18, 3, 32, 32)
        spread[as_published] = (seen[0].min().item(), seen[0].max().item())
    assert spread[False] == (-1.0, 1.0)
    assert spread[True] == pytest.approx((-1.0, -1.0 + 2 * 65 / 986 / 255))


def test_as_published_divides_patches_by_986() -> None:
    network = build(as_published=True, stream="graph").eval()
    seen: list[torch.Tensor] = []
    network.graph.front.register_forward_pre_hook(lambda _, patches: seen.append(patches[0]))
    with torch.no_grad():
        network(torch.ones(1, 459, 7, 7), torch.zeros(1, 9, 32, 32))
    torch.testing.assert_close(seen[0], torch.full((1, 459, 7, 7), 65 / 986))


def test_patches_are_map_after_map() -> None:
    network = build(stream="graph").eval()
    seen: list[torch.Tensor] = []
    network.graph.front = torch.nn.Identity()
    network.graph.autoencoder.register_forward_pre_hook(lambda _, nodes: seen.append(nodes[0]))
    patches = torch.zeros(1, 459, 7, 7)
    patches[0, 2 * 51 + 17, 3, 5] = 1.0
    with torch.no_grad():
        network(patches, torch.zeros(1, 9, 32, 32))
    assert seen[0].nonzero().tolist() == [[0, 3 * 7 + 5, 2, 17]]


def test_fusion_weighs_whole_streams() -> None:
    torch.manual_seed(0)
    fuse, graph, visual = _Fusion(), torch.rand(4, 128) + 0.5, torch.rand(4, 128) + 0.5
    with torch.no_grad():
        both = fuse(graph, visual)
    weights = torch.stack([(both[:, :128] / graph).mean(dim=1), (both[:, 128:] / visual).mean(dim=1)], dim=1)
    torch.testing.assert_close(both, torch.cat([graph * weights[:, :1], visual * weights[:, 1:]], dim=1))
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(4))


def test_with_patch_means_the_last_layer_tells_patches_apart() -> None:
    network = build(stream="graph", graph_width=64, patch_means=True).eval()
    stream = network.graph
    patches = clips(1)[0]
    seen: list[torch.Tensor] = []
    stream.embed.register_forward_pre_hook(lambda _, values: seen.append(values[0]))
    with torch.no_grad():
        stream(patches)
        means = stream.front(patches).mean(dim=(2, 3))
    assert seen[0].shape == (1, 64 + 459)
    torch.testing.assert_close(seen[0][:, 64:], means)


@pytest.mark.parametrize(("stream", "ignored"), [("graph", 1), ("visual", 0)])
def test_one_stream_alone_ignores_the_others_feature(stream: str, ignored: int) -> None:
    network = build(stream=stream).eval()
    first, second = clips(2), clips(2, seed=1)
    with torch.no_grad():
        logits = network(*first)
        for place in (0, 1):
            mixed = [second[at] if at == place else first[at] for at in (0, 1)]
            assert torch.equal(network(*mixed), logits) == (place == ignored)


def test_sizes_counted_from_the_layers(corrected: UnifiedFGSVS, published: UnifiedFGSVS) -> None:
    def block(channels: int, width: int, stride: int, depth: int) -> int:
        graph = 3 * channels * width + channels * width + 2 * 2 * width
        time = depth * (3 * width * width + 2 * width) + (width * width + 2 * width if stride > 1 else 0)
        attention = width * width // 4 + 2 * width // 4 + 2 * (width // 4 + 1) * width
        return graph + time + attention

    def graph(blocks: tuple[tuple[int, int, int], ...]) -> int:
        widths = (49, *(width for width, _, _ in blocks))
        return sum(block(before, *sizes) for before, sizes in zip(widths, blocks, strict=False))

    front = 459 * 9 + 459 * 459 + 4 * 459
    stream = front + graph(((32, 1, 2), (256, 1, 2), (512, 2, 3))) + 51 * 51 + graph(((32, 1, 2), (512, 2, 3)))
    assert count(corrected.graph) == stream + 513 * 128
    memory = 3 * 2 * 4 * 64 * (128 + 64 + 2)
    transformer = count(corrected.visual.image)
    assert count(corrected.visual) == transformer + (192 + 1) * 128 + memory + (9 * 128 + 1) * 128
    assert count(corrected) == count(corrected.graph) + count(corrected.visual) + 257 * 2 + 257 * 3
    assert count(published) == count(corrected), "the defects are in what the layers do"


def test_a_transformer_that_timm_lacks_gives_the_near_ones() -> None:
    expected = r"timm has no 'vit_tinny_patch16_224'\. Did you mean: .*vit_tiny_patch16_224"
    with pytest.raises(UsageError, match=expected):
        build(vit="vit_tinny_patch16_224")


def test_a_transformer_is_cut_to_layers_that_it_has() -> None:
    network = build(stream="visual", vit_depth=3)
    assert len(network.visual.image.blocks) == 3
    with pytest.raises(
        UsageError, match=r"unified_fgs_vs\.vit_depth is 13, but must be 0, or up to the 12 of vit_tiny"
    ):
        build(stream="visual", vit_depth=13)


def test_weights_out_of_reach_are_named(monkeypatch: pytest.MonkeyPatch, silent_hub: None) -> None:
    import timm

    create = timm.create_model

    def unreachable(name: str, pretrained: bool = False, **options: Any) -> torch.nn.Module:
        if pretrained:
            raise OSError(f"no route to the weights of {name}")
        return create(name, **options)

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(UsageError, match=r"no route to the weights of vit_tiny_patch16_224 "):
        build(pretrained="default")


def test_the_order_of_maps_counts_in_both_streams() -> None:
    patches, maps = clips(1)
    for stream, changed in (
        ("graph", (patches.unflatten(1, (9, 51)).flip(1).flatten(1, 2), maps)),
        ("visual", (patches, maps.flip(1))),
    ):
        network = build(stream=stream).eval()
        with torch.no_grad():
            assert not torch.allclose(network(patches, maps), network(*changed), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("as_published", "momentum"), [(False, 0.3), (True, 0.1)])
def test_running_statistics_follow_with_the_momentum_that_is_said(as_published: bool, momentum: float) -> None:
    network = build(stream="graph", graph_width=64, as_published=as_published)
    norms = [layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d)]
    assert {layer.momentum for layer in norms} == {momentum}


def test_blocks_of_the_graph_are_narrowed_in_proportion() -> None:
    stream = build(stream="graph", graph_width=64).graph
    found = [
        [block.graph.norm.num_features for block in part.blocks]
        for part in (stream.autoencoder.encoder, stream.network)
    ]
    assert found == [[4, 32, 64], [4, 64]]
