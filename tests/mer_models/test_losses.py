"""The losses that networks are published with: known values, and gradients through every network that has one."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from bench.checks.networks import NetworkCase
from bench.checks.published_numbers import fixed_input, with_fixed_weights
from mer_models._parts.losses import contrastive_loss, focal_loss, margin_loss
from mer_models._parts.poincare import distances, to_ball
from mer_models.registry import MODELS

WITH_LOSS = [name for name, info in MODELS.items() if info.kind == "network" and hasattr(info.build, "loss")]


def test_the_networks_with_a_loss_of_their_own() -> None:
    assert {"dual_atme", "capsulenet_me", "samer"} <= set(WITH_LOSS)


def test_focal_loss_without_focus_is_cross_entropy() -> None:
    logits, labels = torch.randn(6, 3), torch.arange(6) % 3
    torch.testing.assert_close(focal_loss(logits, labels, gamma=0.0), functional.cross_entropy(logits, labels))
    shown = functional.one_hot(labels, 3)
    expected = functional.binary_cross_entropy_with_logits(logits, shown.float())
    torch.testing.assert_close(focal_loss(logits, shown, gamma=0.0), expected)


def test_focal_loss_weighs_by_the_missing_probability() -> None:
    # Two classes with logits ln 3 and 0: probabilities 3/4 and 1/4.
    logits = torch.tensor([[3.0, 1.0]]).log()
    probability = torch.tensor([0.75, 0.25])
    for label in (0, 1):
        expected = (1 - probability[label]) ** 2 * -probability[label].log()
        torch.testing.assert_close(focal_loss(logits, torch.tensor([label])), expected)


def test_margin_loss_by_hand() -> None:
    presence = torch.tensor([[0.9, 0.3, 0.0]])
    expected = torch.tensor((0.99 - 0.9) ** 2 + 0.5 * (0.3 - 0.01) ** 2)
    torch.testing.assert_close(margin_loss(presence, torch.tensor([0]), 0.99, 0.01, 0.5), expected)
    both = torch.tensor((0.99 - 0.9) ** 2 + (0.99 - 0.3) ** 2)
    torch.testing.assert_close(margin_loss(presence, torch.tensor([[1, 1, 0]]), 0.99, 0.01, 0.5), both)


def test_contrastive_loss_by_hand() -> None:
    embeddings = functional.normalize(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    labels = torch.tensor([0, 0, 1, 0, 2])
    terms = []
    for anchor in (0, 1, 3):
        others = [row for row in range(5) if row != anchor]
        total = sum(torch.exp(embeddings[anchor] @ embeddings[row] / 0.1) for row in others)
        alike = [row for row in others if labels[row] == labels[anchor]]
        shares = [torch.exp(embeddings[anchor] @ embeddings[row] / 0.1) / total for row in alike]
        terms.append(-torch.stack(shares).log().mean())
    torch.testing.assert_close(contrastive_loss(embeddings, labels, 0.1), torch.stack(terms).mean())


def test_contrastive_loss_weighs_shared_action_units() -> None:
    embeddings = functional.normalize(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    exponentials = torch.exp(embeddings @ embeddings.T / 0.1)
    log_share = {(a, b): (exponentials[a, b] / (exponentials[a].sum() - exponentials[a, a])).log() for a, b in PAIRS}
    # Samples 0 and 1 share one of two units, 0 and 2 one of three, 1 and 2 none.
    shown = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 1, 1]])
    first = -(log_share[0, 1] / 2 + log_share[0, 2] / 3) / (1 / 2 + 1 / 3)
    expected = (first - log_share[1, 0] - log_share[2, 0]) / 3
    torch.testing.assert_close(contrastive_loss(embeddings, shown, 0.1), expected, rtol=1e-4, atol=1e-4)


PAIRS = [(a, b) for a in range(3) for b in range(3) if a != b]


@pytest.mark.parametrize("labels", [[0], [0, 1, 2]], ids=["a single sample", "nobody alike"])
def test_contrastive_loss_without_pairs_is_nothing(labels: list[int]) -> None:
    values = torch.randn(len(labels), 4, requires_grad=True)
    loss = contrastive_loss(functional.normalize(values, dim=1), torch.tensor(labels), 0.1)
    loss.backward()
    assert loss == 0
    assert values.grad is not None
    assert (values.grad == 0).all()


@pytest.mark.slow
def test_the_contrast_is_added_to_the_engines_losses_of_both_halves() -> None:
    case = NetworkCase(MODELS.get("samer"))
    network = case.build().eval()
    batch, labels = case.batch(4), torch.tensor([0, 0, 1, 1])
    with torch.no_grad():
        contrast = network.loss(*batch, labels=labels, criterion=lambda logits, labels: torch.zeros(()))
        whole = network.loss(*batch, labels=labels, criterion=functional.cross_entropy)
        eyes, mouth = network._values(*batch).chunk(2, dim=1)
        plain = functional.cross_entropy(network.classify_eyes(eyes), labels)
        plain += functional.cross_entropy(network.classify_mouth(mouth), labels)
    assert contrast > 0
    torch.testing.assert_close(whole, contrast + 0.7 * plain)


def test_a_sample_alone_has_no_contrast_and_its_whole_cross_entropy() -> None:
    case = NetworkCase(MODELS.get("samer"))
    network, batch = case.build().eval(), case.batch(1)
    with torch.no_grad():
        ones = network.loss(*batch, labels=torch.tensor([0]), criterion=lambda logits, labels: torch.ones(()))
    assert ones == 2


def test_the_logit_of_a_capsule_is_the_log_odds_of_its_length() -> None:
    from mer_models.capsulenet_me import _squash

    vector = torch.tensor([[0.3, -0.4]])
    length = _squash(vector).norm()
    torch.testing.assert_close(torch.logit(length), torch.log(vector.square().sum()), atol=1e-4, rtol=1e-4)


def test_the_contrast_of_samer_is_that_of_the_weighted_values() -> None:
    torch.manual_seed(0)
    network = MODELS.get("samer").build(n_classes=3, image_size=64, width=8).eval()
    images = torch.rand(4, 3, 64, 64)
    shown = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 1, 1], [1, 1, 0]])
    with torch.no_grad():
        halves = [network.eyes(network.early(images[:, :, :32])), network.mouth(network.early(images[:, :, 32:]))]
        for half in halves:
            torch.testing.assert_close(half.norm(dim=1), torch.ones(4))
        plain = torch.cat(halves, dim=1)
        weighted = functional.normalize(plain * network.weigh(plain), dim=1)
        for labels in (torch.tensor([0, 0, 1, 1]), shown):
            added = network.loss(images, labels=labels, criterion=lambda logits, labels: torch.zeros(()))
            torch.testing.assert_close(added, 0.3 * contrastive_loss(weighted, labels, 0.1), rtol=1e-4, atol=1e-5)


def test_capsules_are_trained_by_the_margins_of_their_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    from mer_models import capsulenet_me

    torch.manual_seed(0)
    network = MODELS.get("capsulenet_me").build(n_classes=3, image_size=40, width=4, kernel=3, maps=16).eval()
    route, routed = capsulenet_me._route, []
    monkeypatch.setattr(capsulenet_me, "_route", lambda given: routed.append(route(given)) or routed[-1])
    frames, labels = 4 * torch.rand(4, 2, 1, 3, 40, 40), torch.tensor([0, 1, 2, 0])
    with torch.no_grad():
        # Longer capsules than at the start, so that their lengths differ.
        network.predict.mul_(10)
        logits = network(frames)
        lengths = capsulenet_me._squash(routed[0]).norm(dim=2)
        assert lengths.std() > 1e-4
        torch.testing.assert_close(logits.sigmoid(), lengths, rtol=1e-3, atol=1e-6)
        given = network.loss(frames, labels=labels, criterion=functional.cross_entropy)
        torch.testing.assert_close(given, margin_loss(lengths, labels, 0.99, 0.01, 0.5), rtol=1e-3, atol=1e-5)


def test_the_ways_through_the_poincare_ball_by_hand() -> None:
    """On a line through the centre they are 2 artanh; across, longer than that of the chord to the edge of the ball."""
    points = torch.tensor([[0.0, 0.0], [0.5, 0.0], [-0.5, 0.0], [0.0, 0.5]], requires_grad=True)
    ways = distances(points, curvature=1.0)
    one = 2 * torch.atanh(torch.tensor(0.5))
    torch.testing.assert_close(ways[0], one * torch.tensor([0.0, 1, 1, 1]))
    torch.testing.assert_close(ways[1, 2], 2 * one)
    # The law of cosines in hyperbolic geometry, of a right angle at the centre.
    torch.testing.assert_close(torch.cosh(ways[1, 3]), torch.cosh(one) ** 2)
    torch.testing.assert_close(distances(points / 0.1**0.5, curvature=0.1), ways / 0.1**0.5)
    ways.sum().backward()
    assert points.grad is not None
    assert points.grad.isfinite().all()


def test_vectors_are_cut_and_mapped_into_the_poincare_ball() -> None:
    vectors = torch.tensor([[0.3, 0.4], [30.0, 40.0], [0.0, 0.0]])
    lengths = to_ball(vectors, curvature=0.1, longest=2.3).norm(dim=1)
    root = 0.1**0.5
    expected = torch.tanh(root * torch.tensor([0.5, 2.3, 0.0])) / root
    torch.testing.assert_close(lengths, expected, atol=2e-5, rtol=0)
    # From the centre, the way to a point is twice as long as its vector was.
    ways = distances(to_ball(vectors, 0.1, 99.0), 0.1)
    torch.testing.assert_close(ways[2, 0], torch.tensor(1.0), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("training", "expected"), [(False, 0.6245447), (True, 0.5344738)])
def test_hyphtnets_loss_is_that_of_its_code(training: bool, expected: float) -> None:
    """What LossFunction(alpha=0.5) of Arksuzuran/HypHTNet@9ecb8dd02457, utils.py, gives for what its HTNet does."""
    form = {"as_published": True, "dim": 12, "embedding": 16, "contrast": 0.5}
    network = with_fixed_weights(MODELS.get("hyphtnet").build(n_classes=3, **form)).train(training)
    labels = torch.tensor([0, 1, 2, 0, 1, 0])
    with torch.no_grad():
        loss = network.loss(fixed_input((6, 3, 28, 28)), labels=labels, criterion=functional.cross_entropy)
    assert float(loss) == pytest.approx(expected, abs=5e-6)


@pytest.mark.slow
def test_mols_loss_is_that_of_its_code() -> None:
    """What evaluate of CYF-cuber/MOL@0a7545544579, train.py, logs of its whole class, for weights by the same rule."""
    network = with_fixed_weights(MODELS.get("mol").build(n_classes=3, as_published=True))
    frames, flow = fixed_input((2, 8, 1, 144, 144)), fixed_input((2, 7, 2, 144, 144), 1)
    landmarks = fixed_input((2, 8, 68, 2), 2, (0.0, 143.0))
    labels = torch.tensor([0, 2])
    with torch.no_grad():
        loss = network.loss(frames, flow, landmarks, labels=labels, criterion=functional.cross_entropy)
    assert float(loss) == pytest.approx(1.0875795 + 10 * 0.0734420 + 0.1 * 39.2154, abs=2e-5)


def small_mol(**params: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return MODELS.get("mol").build(n_classes=3, **{"image_size": 64, "maps": 16, **params})


def test_mol_looks_for_flow_and_landmarks_where_frames_are_cut() -> None:
    """Frames, flow and landmarks, all moved alike in the picture, have the same loss where the cut moves with them."""
    network = small_mol().eval()
    generator = torch.Generator().manual_seed(1)
    frames = torch.rand(2, 8, 1, 72, 72, generator=generator)
    flow = torch.randn(2, 7, 2, 72, 72, generator=generator)
    landmarks = 143 * torch.rand(2, 8, 68, 2, generator=generator)
    told = {"labels": torch.tensor([0, 2]), "criterion": functional.cross_entropy}
    corner = torch.tensor([[1, 3]])
    moved = [values.roll((-3, -1), dims=(-2, -1)) for values in (frames, flow)]
    with torch.no_grad():
        middle = network.loss(frames, flow, landmarks, **told)
        network._corners = lambda given: (corner.expand(2, 2),) * 2
        # The middle of 72 begins at 4; a pixel of what is looked at is two of the whole frames, x comes first.
        there = network.loss(*moved, landmarks - 2 * torch.tensor([1.0, 3.0]), **told)
        assert not torch.isclose(network.loss(*moved, landmarks, **told), there)
    torch.testing.assert_close(there, middle)


@pytest.mark.parametrize("as_published", [False, True])
def test_mol_cuts_at_random_while_training_and_as_published_moves_landmarks_too_far(as_published: bool) -> None:
    network = small_mol(as_published=as_published)
    corners, moves = network.train()._corners(torch.zeros(500, 8, 1, 72, 72))
    assert corners.unique().tolist() == list(range(9))
    assert torch.equal(corners, moves) is not as_published
    assert float(moves.float().mean()) == pytest.approx(20 if as_published else 4, rel=0.05)
    corners, moves = network.eval()._corners(torch.zeros(2, 8, 1, 72, 72))
    assert corners.tolist() == moves.tolist() == [[4, 4], [4, 4]]


def test_mol_estimates_the_flow_of_drawn_pairs() -> None:
    network = small_mol(flow_pairs=2, landmark_weight=0.0).train()
    drawn = [tuple(network._drawn_pairs().tolist()) for _ in range(200)]
    assert {len(set(pairs)) for pairs in drawn} == {2}
    assert set(sum(drawn, ())) == set(range(7))
    assert network.eval()._drawn_pairs().tolist() == list(range(7))
    assert not any(name.startswith("locate") for name, _ in network.named_parameters())


def test_hyphtnet_moves_through_the_ball_unless_as_published() -> None:
    face = torch.randn(5, 1, 1, 96, generator=torch.Generator().manual_seed(0))
    for as_published in (False, True):
        network = MODELS.get("hyphtnet").build(n_classes=3, dim=24, embedding=8, as_published=as_published).eval()
        with torch.no_grad():
            points = network.points(face)
            apart = torch.cdist(points, points) if as_published else distances(points, 0.1)
            torch.testing.assert_close(network._apart(points), apart)
            assert points.norm(dim=1).max() < 0.1**-0.5
