"""The MHSSA system: patches, attention inside regions, the manifold between them, units counted in training only."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import vmap

from mer_models._parts.action_units import co_occurrence
from mer_models._parts.manifold import geodesics, manifold_distances, plane_of
from mer_models._parts.smacof import smacof_distances
from mer_models.mhssa_gcn import MHSSAGCN, REGION_UNITS, cut_patches
from preprocess.faces.landmark_sets import MHSSA_REGIONS
from preprocess.labels.action_units import SHARED_UNITS
from preprocess.steps.patches import gather_patches

Tensors = tuple[torch.Tensor, torch.Tensor]


def build(dim: int = 32, as_published: bool = False) -> MHSSAGCN:
    torch.manual_seed(0)
    return MHSSAGCN(n_classes=3, dim=dim, as_published=as_published).eval()


def batch(n: int = 3, seed: int = 0) -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    flow = 255 * torch.rand(n, 3, 28, 28, generator=generator)
    return flow, 27 * torch.rand(n, 68, 2, generator=generator)


def annotated(*samples: tuple[int, ...] | None) -> torch.Tensor:
    """Return action units as the engine hands them over; None is a sample without annotation."""
    rows = torch.zeros(len(samples), len(SHARED_UNITS), dtype=torch.int8)
    for row, units in zip(rows, samples, strict=True):
        if units is None:
            row[:] = -1
        else:
            row[[SHARED_UNITS.index(unit) for unit in units]] = 1
    return rows


@pytest.mark.parametrize("dim", [32, 256])
def test_size_counted_from_the_layers(dim: int) -> None:
    def linear(width: int, width_out: int) -> int:
        return (width + 1) * width_out

    norm = 2 * dim
    tokens = linear(147, dim) + 6 * 32 + linear(dim + 32, dim)
    layer = norm + 3 * dim**2 + linear(dim, dim) + norm + linear(dim, 4 * dim) + linear(4 * dim, dim)
    expected = tokens + 3 * layer + norm + linear(dim, dim) + 1 + 3 * linear(dim, dim) + norm + linear(dim, 3)
    assert sum(parameter.numel() for parameter in build(dim).parameters()) == expected


def test_patches_are_those_of_the_preprocessing_step() -> None:
    flow, landmarks = batch()
    landmarks[:, 0], landmarks[:, 1] = -4.0, 40.0
    cut = cut_patches(flow, landmarks.round()).unflatten(2, (3, 7, 7))
    maps = np.moveaxis(flow.numpy(), 1, -1)[None]
    expected = gather_patches(maps, landmarks.numpy(), 3)[0]
    np.testing.assert_array_equal(cut.numpy(), np.moveaxis(expected, -1, 2))


@pytest.mark.parametrize("name", list(MHSSA_REGIONS))
def test_a_landmark_outside_the_regions_is_not_looked_at(name: str) -> None:
    network = build()
    flow, landmarks = batch()
    with torch.no_grad():
        before = network(flow, landmarks)
        landmarks[:, :17] += 5
        assert torch.equal(network(flow, landmarks), before)
        landmarks[:, MHSSA_REGIONS[name][0]] = 27 - landmarks[:, MHSSA_REGIONS[name][0]]
        assert not torch.allclose(network(flow, landmarks), before)


def test_empty_slots_do_not_count() -> None:
    network = build()
    tokens = torch.randn(2, 6, 12, 32)
    changed = torch.where(network.empty[..., None], torch.randn(2, 6, 12, 32), tokens)
    assert not torch.equal(tokens, changed)
    bias = network._proximity(torch.rand(2, 6, 12, 2))
    layer = network.layers[0]
    torch.testing.assert_close(network._mean(layer(tokens, bias)), network._mean(layer(changed, bias)))


def test_nearness_is_bounded_and_the_published_one_makes_attention_the_identity() -> None:
    centres = torch.rand(1, 6, 12, 2) * 27
    lip = torch.softmax(build()._proximity(centres)[0, 5, 0], dim=-1)
    assert lip.max() < 0.25
    lip = torch.softmax(build(as_published=True)._proximity(centres)[0, 5, 0], dim=-1)
    torch.testing.assert_close(lip, torch.eye(12))


def test_geodesics_take_the_shorter_way_round() -> None:
    lengths = torch.tensor([[0.0, 1.0, 5.0], [1.0, 0.0, 1.5], [5.0, 1.5, 0.0]])
    expected = torch.tensor([[0.0, 1.0, 2.5], [1.0, 0.0, 1.5], [2.5, 1.5, 0.0]])
    torch.testing.assert_close(geodesics(lengths[None])[0], expected)


def test_points_of_a_plane_keep_their_distances() -> None:
    from mer_models._parts.manifold import _planar

    points = torch.randn(4, 6, 2, dtype=torch.float64)
    distances = torch.cdist(points, points)
    torch.testing.assert_close(_planar(distances), distances, rtol=1e-3, atol=0.01)


def test_the_plane_has_the_derivative_of_its_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mer_models._parts.manifold.EVEN", 1e-4)
    torch.manual_seed(3)
    square = torch.randn(2, 6, 6, dtype=torch.float64)
    gram = (square @ square.transpose(1, 2)).requires_grad_()
    symmetric = torch.autograd.gradcheck(lambda x: plane_of((x + x.transpose(1, 2)) / 2), gram, rtol=1e-3, atol=1e-3)
    assert symmetric


def test_gradients_are_finite_where_regions_are_alike() -> None:
    for nodes in (torch.ones(2, 6, 8), torch.zeros(2, 6, 8), torch.eye(6).expand(2, 6, 6).clone()):
        nodes.requires_grad_()
        distances = manifold_distances(nodes)
        (gradient,) = torch.autograd.grad(distances.square().sum(), nodes)
        assert distances.isfinite().all()
        assert gradient.isfinite().all()
        assert gradient.abs().max() < 100


def test_manifolds_of_a_batch_are_those_of_its_samples() -> None:
    nodes = torch.randn(3, 6, 16)
    together = manifold_distances(nodes)
    assert torch.equal(together, manifold_distances(nodes))
    alone = torch.stack([manifold_distances(sample[None])[0] for sample in nodes])
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(vmap(manifold_distances)(nodes[:, None])[:, 0], together)


def test_units_that_occur_together_are_counted_on_what_is_handed_over() -> None:
    network = build()
    network.prepare_training(torch.zeros(4).long(), annotated((1,), (4, 7), (12,), None))
    brows = torch.tensor([2.0, 2.0, 1.0, 1.0, 0.0, 0.0]) / 6
    eyes = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, 0.0]) / 4
    uniform = torch.full((6,), 1 / 6)
    torch.testing.assert_close(network.co_occurrence, torch.stack([brows, brows, eyes, eyes, uniform, uniform]))
    assert "co_occurrence" in network.state_dict(), "stored weights must score again alike"


def test_unannotated_samples_leave_regions_linked_alike() -> None:
    network = build()
    network.prepare_training(torch.zeros(2).long(), annotated((1, 9), (10,)))
    network.prepare_training(torch.zeros(2).long(), annotated(None, None))
    torch.testing.assert_close(network.co_occurrence, torch.full((6, 6), 1 / 6))


def test_the_published_counting_leaves_the_diagonal_out() -> None:
    counted = co_occurrence(annotated((1,), (4, 7)), REGION_UNITS, own=False)
    assert counted.diagonal().abs().max() == 0
    torch.testing.assert_close(counted[0], torch.tensor([0.0, 1.0, 0.5, 0.5, 0.0, 0.0]))


def test_counted_units_change_the_logits() -> None:
    network = build()
    with torch.no_grad():
        before = network(*batch())
        network.prepare_training(torch.zeros(2).long(), annotated((1, 9), (10,)))
        assert not torch.allclose(network(*batch()), before)


def test_the_balance_stays_between_manifold_and_units() -> None:
    network = build()
    nodes = torch.randn(1, 6, 32)
    start = network._links(nodes)
    torch.testing.assert_close(start.sum(dim=-1), torch.ones(1, 6))
    torch.nn.init.constant_(network.balance, -100.0)
    torch.testing.assert_close(network._links(nodes)[0], network.co_occurrence)


def test_published_form_is_another_network_of_the_same_size() -> None:
    corrected, published = build(), build(as_published=True)
    published.load_state_dict({**corrected.state_dict(), "balance": torch.tensor(0.5)})
    flow, landmarks = batch()
    with torch.no_grad():
        corrected_logits, published_logits = corrected(flow, landmarks), published(flow, landmarks)
        assert not torch.allclose(corrected_logits, published_logits)
        # Its attention hands every token on as it is: tokens of a region do not see each other.
        tokens = torch.randn(1, 6, 12, 32)
        moved = tokens.clone()
        moved[0, 5, 0] += 1
        bias = published._proximity(27 * torch.rand(1, 6, 12, 2))
        changed = (published.layers[0](tokens, bias) - published.layers[0](moved, bias)).abs().amax(dim=-1)[0, 5]
    assert (changed > 1e-6).tolist() == [True] + [False] * 11


def test_flow_is_brought_to_one_unless_as_published() -> None:
    flow, landmarks = batch()
    flow[:, :, :14], flow[:, :, 14:] = 0, 255
    for as_published, ends in ((False, (-1.0, 1.0)), (True, (0.0, 255.0))):
        network, seen = build(as_published=as_published), []
        network.patch.register_forward_pre_hook(lambda module, given, seen=seen: seen.append(given[0]))
        with torch.no_grad():
            network(flow, landmarks)
        patches = seen[0][:, ~network.empty]
        assert (patches.min().item(), patches.max().item()) == ends


def test_published_centres_are_cut_off_and_held_inside() -> None:
    landmarks = torch.tensor([12.7, 12.2]).expand(1, 68, 2).clone()
    landmarks[:, 17], landmarks[:, 21] = torch.tensor([-2.0, 1.9]), torch.tensor([27.0, 25.0])
    for as_published, place, first, last in (
        (False, [13, 12], [-2, 2], [27, 25]),
        (True, [12, 12], [3, 3], [24, 24]),
    ):
        centres = build(as_published=as_published)._centres(landmarks)[0].unflatten(0, (6, 12))
        # The left brow begins with landmark 21 and ends with landmark 17.
        assert centres[0, [1, 4, 0]].tolist() == [place, first, last]


def test_published_regions_take_eyes_for_the_nose_and_the_nose_for_eyes() -> None:
    for as_published, nose in ((False, 4), (True, None)):
        points = build(as_published=as_published).points.reshape(6, 12)
        looked_at = [region for region in range(6) if set(points[region, :6].tolist()) <= set(range(27, 36))]
        assert looked_at == ([nose] if nose else [2])


def test_published_links_are_scaled_to_their_largest_without_gradients_or_bounds() -> None:
    corrected, published = build(), build(as_published=True)
    nodes = torch.randn(2, 6, 32, requires_grad=True)
    for network in (corrected, published):
        torch.nn.init.zeros_(network.co_occurrence)
    torch.nn.init.constant_(published.balance, 3.0)
    torch.testing.assert_close(published._links(nodes).amax(dim=-1), torch.full((2, 6), 3.0))
    torch.nn.init.constant_(corrected.balance, 100.0)
    torch.testing.assert_close(corrected._links(nodes).sum(dim=-1), torch.ones(2, 6))
    for network, reached in ((corrected, True), (published, False)):
        (gradient,) = torch.autograd.grad(network._links(nodes).square().sum(), nodes, allow_unused=True)
        assert (gradient is not None) == reached


def test_published_empty_slots_take_part_in_attention_and_mean() -> None:
    published, tokens = build(as_published=True), torch.randn(1, 6, 12, 32)
    torch.testing.assert_close(published._mean(tokens), tokens.mean(dim=2))
    bias = published._proximity(27 * torch.rand(1, 6, 12, 2))
    assert (bias >= 0).all(), "masked slots would have the least number there is"


def test_smacof_ends_where_scikit_learns_does() -> None:
    """The numbers are those of scikit-learn 1.6.1: MDS(2, dissimilarity="precomputed", random_state=42)."""
    place = torch.arange(6, dtype=torch.float64)
    apart = 1 + torch.sin(3 * (place[:, None] + place) + (place[:, None] - place).abs()) / 2
    given = apart * (1 - torch.eye(6))
    found = smacof_distances(torch.stack([given, 2 * given]))
    expected = torch.tensor([0.0, 0.903784, 1.31258, 0.730193, 0.641231, 1.494958], dtype=torch.float64)
    torch.testing.assert_close(found[0, 0], expected, rtol=0, atol=2e-6)
    torch.testing.assert_close(smacof_distances(given[None])[0], found[0])
    torch.testing.assert_close(found[0], found[0].T)


def test_smacof_keeps_the_distances_of_points_of_a_plane() -> None:
    points = torch.rand(20, 6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    distances = torch.cdist(points, points)
    error = (smacof_distances(distances) - distances).abs().amax(dim=(1, 2))
    assert error.median() < 0.05, "it ends early"


def test_the_published_layout_is_another_one_than_the_classical() -> None:
    corrected, published = (
        MHSSAGCN(3, dim=32, as_published=True, layout=one).eval() for one in ("classical", "smacof")
    )
    published.load_state_dict(corrected.state_dict())
    with torch.no_grad():
        first, second = corrected(*batch()), published(*batch())
    assert not torch.allclose(first, second, atol=1e-3)
