"""The unified framework: its graph finds and follows links of its own, and as_published shows why the public one's not.

Built with a tiny transformer on small maps, which the graph stream does not see.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from bench.checks.published_numbers import fixed_input, with_fixed_weights
from mer_models._parts.facial_graph import FacialGraph, GraphAutoencoder, _Attention, _GraphLayer
from mer_models._parts.graph_stream import EDGE_BLOCKS, GRAPH_BLOCKS, LANDMARKS, GraphStream
from mer_models._parts.images import resized
from mer_models._parts.vit_weights import load_vit
from mer_models.registry import MODELS
from mer_models.unified_fgs_vs import UnifiedFGSVS, _Fusion
from preprocess.base.errors import UsageError

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {"vit": "vit_tiny_patch16_224", "image_size": 32, "pretrained": "none"}


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


@pytest.mark.parametrize("params", [{}, {"stream": "graph"}, {"stream": "visual"}])
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
    assert count(network.graph.autoencoder) == 3_849_729


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
        assert torch.equal(find(nodes)[0], torch.eye(LANDMARKS)), "the learned matrix starts at 0"
        find.mix.copy_(torch.rand(LANDMARKS, LANDMARKS))
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
    assert spread[True] == pytest.approx((-1.0, -1.0 + 2 * 16 / 255 / 255)), "65 / 986 of 255 is 16.8, a whole 16"


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
    torch.manual_seed(0)
    network = MODELS.get("fgs_patch_means").build(n_classes=3, graph_width=64).eval()
    stream = network.graph
    patches = clips(1)[0]
    seen: list[torch.Tensor] = []
    stream.embed.register_forward_pre_hook(lambda _, values: seen.append(values[0]))
    with torch.no_grad():
        network(patches)
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
        graph = 4 * (channels + 1) * width + 2 * 2 * width
        time = depth * (3 * width * width + 3 * width) + (width * width + 3 * width if stride > 1 else 0)
        attention = (width + 1) * width // 4 + 2 * width // 4 + 2 * (width // 4 + 1) * width
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


def test_the_whole_system_is_what_the_name_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []

    def fetch(setting: str, given: str, build: Any) -> Any:
        monkeypatch.setattr("timm.create_model", lambda name, pretrained=False, **_: asked.append((name, pretrained)))
        build()
        raise UsageError(f"{setting} is {given}")

    monkeypatch.setattr("mer_models.unified_fgs_vs.fetched_from_hub", fetch)
    for as_published in (False, True):
        with pytest.raises(UsageError, match=r"unified_fgs_vs\.pretrained is default"):
            UnifiedFGSVS(n_classes=3, as_published=as_published)
    assert asked == [("vit_large_patch16_224.orig_in21k", True)] * 2


def test_the_quick_system_is_whole() -> None:
    info = MODELS.get("unified_fgs_vs")
    network = info.build(n_classes=3, **info.quick_params)
    assert network.graph
    assert network.visual
    assert not network.graph.as_published
    assert network.graph.embed[1].in_features == 64, "nothing passes by the graph"


def test_the_published_graph_reads_the_patches_numbers_on_as_they_lie() -> None:
    for as_published in (False, True):
        stream = GraphStream(64, as_published=as_published).eval()
        stream.front = torch.nn.Identity()
        seen: list[torch.Tensor] = []
        stream.autoencoder.register_forward_pre_hook(lambda _, nodes, seen=seen: seen.append(nodes[0]))
        patches = torch.zeros(2, 459, 7, 7)
        patches[1, 2 * 51 + 17, 3, 5] = 1.0
        with torch.no_grad():
            stream(patches)
        place = (2 * 51 + 17) * 49 + 3 * 7 + 5
        expected = [1, place // 459, place // 51 % 9, place % 51] if as_published else [1, 3 * 7 + 5, 2, 17]
        assert seen[0].nonzero().tolist() == [expected]


def test_published_links_are_those_of_the_authors_class() -> None:
    """The numbers are those of shayhan-ameen/Unified_MaE_and_ME_Recognition@593fea0, model/st_gcn.py: EdgePredictor.

    The output of the whole system does not show them, since it reads their diagonal alone, which is set to 1.
    """
    system = with_fixed_weights(build(as_published=True))
    with torch.no_grad():
        links = system.graph.autoencoder(fixed_input((2, 49, 9, LANDMARKS)))[0]
    assert links[0, 1:6].tolist() == pytest.approx(
        [-283.10342, -66.725449, -297.65427, 7.0715184, -209.19333], rel=1e-4
    )
    assert links[1, [0, 2]].tolist() == pytest.approx([104.45642, -66.725571], rel=1e-4)


def test_the_published_graph_stream_is_the_authors() -> None:
    """The numbers are those of model/MMER_model.py: facial_graph_stream, which the system's own hardly hang on."""
    system = with_fixed_weights(build(as_published=True))
    with torch.no_grad():
        found = system.graph(fixed_input((4, 459, 7, 7), 0, (-1000.0, 1000.0)))
    assert found[0, :4].tolist() == pytest.approx([-0.009469, -0.2149301, -0.0911028, -0.0430286], abs=2e-6)
    assert found[3, :4].tolist() == pytest.approx([-0.0092761, -0.2148869, -0.0911133, -0.0430635], abs=2e-6)


def test_links_start_as_correlations_and_a_learned_matrix_multiplies_them() -> None:
    torch.manual_seed(0)
    find = GraphAutoencoder(49, ((16, 1, 1),), LANDMARKS, as_published=False).eval()
    nodes, off = torch.rand(2, 49, 9, LANDMARKS), 1 - torch.eye(LANDMARKS)
    with torch.no_grad():
        start = find(nodes)
        find.mix.copy_(torch.rand(LANDMARKS, LANDMARKS))
        torch.testing.assert_close(find(nodes) * off, (start @ find.mix) * off, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("as_published", [False, True])
def test_weights_of_the_graph_are_drawn_by_what_leaves_a_layer(as_published: bool) -> None:
    torch.manual_seed(0)
    stream = GraphStream(512, as_published=as_published)
    drawn = [layer for part in (stream.autoencoder, stream.network, stream.embed) for layer in part.modules()]
    drawn = [layer for layer in drawn if isinstance(layer, torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Linear)]
    assert len(drawn) > 20
    for layer in drawn:
        leaving = layer.weight.shape[0] * layer.weight[0, 0].numel()
        assert layer.weight.std().item() == pytest.approx((2 / leaving) ** 0.5, rel=0.15)
        assert layer.bias is not None
        assert not layer.bias.any()


def vit() -> Any:
    import timm

    torch.manual_seed(0)
    return timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=32, depth=2)


def as_hugging_face(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a transformer's weights under the names of Hugging Face's class, with its idle layer behind."""
    names = {
        "cls_token": "embeddings.cls_token",
        "pos_embed": "embeddings.position_embeddings",
        "patch_embed.proj": "embeddings.patch_embeddings.projection",
        "norm": "layernorm",
    }
    inside = {
        "norm1": "layernorm_before",
        "norm2": "layernorm_after",
        "attn.proj": "attention.output.dense",
        "mlp.fc1": "intermediate.dense",
        "mlp.fc2": "output.dense",
    }
    found = {"pooler.dense.weight": torch.zeros(2, 2)}
    for name, value in weights.items():
        whole, _, kind = name.rpartition(".")
        if not name.startswith("blocks."):
            found[names[name] if name in names else f"{names[whole]}.{kind}"] = value
            continue
        _, layer, part = whole.split(".", 2)
        if part == "attn.qkv":
            for word, piece in zip(("query", "key", "value"), value.chunk(3), strict=True):
                found[f"encoder.layer.{layer}.attention.attention.{word}.{kind}"] = piece.contiguous()
        else:
            found[f"encoder.layer.{layer}.{inside[part]}.{kind}"] = value
    return found


@pytest.mark.parametrize("names", ["timm", "hugging_face"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_are_read_from_a_file_under_either_names(tmp_path: Path, names: str, suffix: str) -> None:
    from safetensors.torch import save_file

    trained, file = vit(), tmp_path / f"vit{suffix}"
    weights = trained.state_dict() if names == "timm" else as_hugging_face(trained.state_dict())
    save_file(weights, file) if suffix == ".safetensors" else torch.save(weights, file)
    network = vit()
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    load_vit(network, "m.pretrained", str(file))
    assert all(torch.equal(value, trained.state_dict()[name]) for name, value in network.state_dict().items())


def test_files_that_hold_other_weights_are_named(tmp_path: Path) -> None:
    file, weights = tmp_path / "vit.pth", vit().state_dict()
    torch.save({**weights, "pos_embed": torch.zeros(1, 9, 192)}, file)
    with pytest.raises(UsageError, match=r"pos_embed is \(1, 9, 192\), the network's \(1, 5, 192\)"):
        load_vit(vit(), "m.pretrained", str(file))
    torch.save({name: value for name, value in weights.items() if name != "norm.bias"}, file)
    with pytest.raises(UsageError, match=r"holds no norm\.bias\. Expected .* 2 layers of 192 values and 5 places"):
        load_vit(vit(), "m.pretrained", str(file))
    torch.save({**weights, "head2.weight": torch.zeros(3)}, file)
    with pytest.raises(UsageError, match=r"the network has no head2\.weight"):
        load_vit(vit(), "m.pretrained", str(file))
    file.write_bytes(b"no weights")
    with pytest.raises(UsageError, match="cannot be read"):
        load_vit(vit(), "m.pretrained", str(file))
    with pytest.raises(UsageError, match=r"m\.pretrained is .* no such file"):
        load_vit(vit(), "m.pretrained", str(tmp_path / "none.pth"))


def test_a_file_of_weights_is_what_the_system_starts_from(tmp_path: Path) -> None:
    file = tmp_path / "vit.pth"
    torch.save(build(stream="visual", seed=3).visual.image.state_dict(), file)
    first, again = (build(stream="visual", pretrained=str(file), seed=seed) for seed in (1, 2))
    assert torch.equal(first.visual.image.blocks[0].mlp.fc1.weight, again.visual.image.blocks[0].mlp.fc1.weight)
    assert not torch.equal(first.visual.narrow.weight, again.visual.narrow.weight)
    assert {layer.eps for layer in first.visual.image.modules() if isinstance(layer, torch.nn.LayerNorm)} == {1e-12}


def test_trained_weights_that_timm_lacks_are_named() -> None:
    with pytest.raises(UsageError, match=r"timm has no weights 'vit_tiny_patch16_224\.orig_in22k'"):
        build(vit="vit_tiny_patch16_224.orig_in22k")
