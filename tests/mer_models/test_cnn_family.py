"""The four networks on nine grey frames: their two forms, what as_published changes, and their recurrent layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from mer_models._parts.frame_cnn import ValueNorm
from mer_models.cnn_lstm import _ReLULSTM
from mer_models.convlstm import _ConvLSTM, _hard_sigmoid
from mer_models.registry import MODELS

pytestmark = pytest.mark.slow

NAMES = ("cnn3d", "cnn_lstm", "convlstm", "cnn2d_vote")


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def build(name: str, n_classes: int = 3, seed: int = 0, image_size: int = 32, **params: Any) -> torch.nn.Module:
    torch.manual_seed(seed)
    return MODELS.get(name).build(n_classes=n_classes, image_size=image_size, **params)


def frames(n: int, seed: int = 0, side: int = 32) -> torch.Tensor:
    return torch.rand(n, 9, 1, side, side, generator=torch.Generator().manual_seed(seed))


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def convolution(channels: int, width: int, size: int) -> int:
    return width * (channels * size + 1)


def linear(width: int, width_out: int) -> int:
    return (width + 1) * width_out


@pytest.mark.parametrize(("n", "n_classes"), [(1, 2), (4, 2), (1, 3), (4, 7)])
@pytest.mark.parametrize("as_published", [False, True])
def test_logits_of_any_batch_size_and_class_count(name: str, n: int, n_classes: int, as_published: bool) -> None:
    network = build(name, n_classes, as_published=as_published)
    for mode in (True, False):
        with torch.no_grad():
            logits = network.train(mode)(frames(n))
        assert logits.shape == (n, n_classes)
        assert logits.dtype == torch.float32
        assert logits.isfinite().all()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_gradients_reach_every_parameter(name: str, n_classes: int) -> None:
    network = build(name, n_classes).eval()
    functional.cross_entropy(network(frames(8)), torch.arange(8) % n_classes).backward()
    assert [key for key, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0] == []


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_sample_does_not_see_its_neighbours(name: str, n_classes: int) -> None:
    network, batch = build(name, n_classes), frames(4)
    with torch.no_grad():
        network(batch)
        network.eval()
        alone = torch.cat([network(batch[row : row + 1]) for row in range(4)])
        torch.testing.assert_close(network(batch), alone, rtol=1e-4, atol=1e-5)


def test_as_published_changes_the_output(name: str) -> None:
    corrected, published = (build(name, as_published=switch).eval() for switch in (False, True))
    with torch.no_grad():
        assert not torch.allclose(corrected(frames(2)), published(frames(2)), atol=1e-3)


def test_as_published_pixels_reach_255(name: str) -> None:
    for as_published, highest in ((False, 1.0), (True, 255.0)):
        entered = build(name, as_published=as_published).enter(torch.ones(1, 9, 1, 128, 128))
        assert entered.shape == (1, 9, 1, 32, 32)
        torch.testing.assert_close(entered, torch.full_like(entered, highest))


def test_the_form_follows_the_classes_or_is_chosen(name: str) -> None:
    def forms(n_classes: int) -> list[list[str]]:
        networks = [build(name, n_classes, form=form) for form in ("auto", "binary", "multiclass")]
        return [[repr(module) for module in network.modules()][1:] for network in networks]

    for n_classes, same in ((2, 1), (3, 2), (7, 2)):
        auto, *chosen = forms(n_classes)
        assert auto == chosen[same - 1]
        assert chosen[0] != chosen[1]


def lstm_size(values: int) -> int:
    return linear(values, 4 * 32) + 32 * 4 * 32


SIZES = {
    ("cnn3d", 2): convolution(1, 64, 27) + convolution(64, 96, 27) + linear(96 * 5 * 900, 24) + linear(24, 2),
    ("cnn3d", 3): convolution(1, 32, 27)
    + convolution(32, 64, 27)
    + 2 * (96 + 32)
    + linear(64 * 5 * 900, 32)
    + linear(32, 3),
    ("cnn_lstm", 2): convolution(1, 32, 9) + convolution(32, 64, 9) + lstm_size(57600) + linear(32, 24) + linear(24, 2),
    ("cnn_lstm", 3): convolution(1, 32, 9) + convolution(32, 64, 9) + lstm_size(57600) + linear(32, 24) + linear(24, 3),
    ("convlstm", 2): convolution(1 + 32, 128, 9) + linear(9 * 32 * 63**2, 48) + linear(48, 2),
    ("convlstm", 3): convolution(1 + 32, 128, 9) + linear(9 * 32 * 63**2, 64) + linear(64, 3),
    ("cnn2d_vote", 2): (
        convolution(1, 32, 9) + convolution(32, 64, 9) + 2 * (32 + 64 + 64) + linear(57600, 64) + linear(64, 2)
    ),
    ("cnn2d_vote", 3): (
        convolution(1, 64, 9) + convolution(64, 128, 9) + convolution(128, 256, 9) + 2 * (64 + 128 + 256 + 384 + 96)
    )
    + linear(256 * 14**2, 384)
    + linear(384, 96)
    + linear(96, 3),
}


@pytest.mark.parametrize(("model", "n_classes"), SIZES)
def test_sizes_counted_from_the_layers(model: str, n_classes: int) -> None:
    with torch.device("meta"):
        network = MODELS.get(model).build(n_classes=n_classes)
    assert count(network) == SIZES[model, n_classes]


@pytest.mark.parametrize(("n_classes", "size"), [(2, 18_718_506), (3, 16_608_003)])
def test_cnn3ds_size_as_published(n_classes: int, size: int) -> None:
    widths, dense, normalised = ((64, 96), 24, 0) if n_classes == 2 else ((32, 64), 32, 2 * (96 + 32))
    maps = convolution(1, widths[0], 9) + convolution(*widths, 9) + normalised
    assert size == maps + linear(widths[1] * 9 * 900, dense) + linear(dense, n_classes)
    with torch.device("meta"):
        assert count(MODELS.get("cnn3d").build(n_classes=n_classes, as_published=True)) == size


@pytest.mark.parametrize("as_published", [False, True])
def test_the_maps_of_cnn3d_see_several_frames_unless_as_published(as_published: bool) -> None:
    network = build("cnn3d", as_published=as_published).eval()
    before, after = frames(1), frames(1)
    after[:, 4] = frames(1, seed=1)[:, 4]
    with torch.no_grad():
        maps = [network.maps(network.enter(clip).transpose(1, 2)) for clip in (before, after)]
    touched = (maps[0] - maps[1]).abs().amax(dim=(0, 1, 3, 4)) > 1e-6
    assert touched.tolist() == ([False] * 4 + [True] + [False] * 4 if as_published else [True] * 5)


def test_the_relu_lstm_is_pytorchs_but_for_its_relu(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    ours, theirs = _ReLULSTM(20).eval(), torch.nn.LSTM(20, 32, batch_first=True)
    order = torch.cat([torch.arange(start, start + 32) for start in (0, 32, 96, 64)])  # theirs has the candidate third
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(ours.enter.weight[order])
        theirs.weight_hh_l0.copy_(ours.recur.weight[order])
        theirs.bias_ih_l0.copy_(ours.enter.bias[order])
        theirs.bias_hh_l0.zero_()
        values = torch.randn(3, 9, 20)
        expected = theirs(values)[0][:, -1]
        assert not torch.allclose(ours(values), expected, atol=1e-2)
        assert (ours(values) >= 0).all()
        monkeypatch.setattr(functional, "relu", torch.tanh)
        torch.testing.assert_close(ours(values), expected)


def test_the_relu_lstm_drops_a_value_from_all_frames_of_a_clip() -> None:
    layer = _ReLULSTM(400).train()
    seen: list[torch.Tensor] = []
    layer.enter.register_forward_pre_hook(lambda _, values: seen.append(values[0]))
    layer(torch.ones(2, 9, 400))
    kept = seen[0] > 0
    assert (kept == kept[:, :1]).all()
    assert not torch.equal(kept[0, 0], kept[1, 0])
    assert 0.45 < kept.float().mean() < 0.75


def test_the_convlstm_is_an_lstm_at_each_pixel_but_for_its_relu_and_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    ours, theirs = _ConvLSTM(2, 4), torch.nn.LSTM(2, 4, batch_first=True)
    order = torch.cat([torch.arange(start, start + 4) for start in (0, 4, 12, 8)])
    with torch.no_grad():
        for convolution_ in (ours.enter, ours.recur):
            centre = convolution_.weight[:, :, 1, 1].clone()
            convolution_.weight.zero_()[:, :, 1, 1] = centre
        theirs.weight_ih_l0.copy_(ours.enter.weight[order][:, :, 1, 1])
        theirs.weight_hh_l0.copy_(ours.recur.weight[order][:, :, 1, 1])
        theirs.bias_ih_l0.copy_(ours.enter.bias[order])
        theirs.bias_hh_l0.zero_()
        clip = torch.randn(1, 5, 2, 6, 6)
        pixel = theirs(clip[:, :, :, 2, 3])[0]
        published = torch.stack(ours(clip), dim=1)
        assert (published >= 0).all()
        assert not torch.allclose(published[:, :, :, 1, 2], pixel, atol=1e-2)
        monkeypatch.setattr(functional, "relu", torch.tanh)
        monkeypatch.setattr("mer_models.convlstm._hard_sigmoid", torch.sigmoid)
        states = torch.stack(ours(clip), dim=1)
        assert states.shape == (1, 5, 4, 4, 4)
        torch.testing.assert_close(states[:, :, :, 1, 2], pixel)


def test_a_state_of_the_convlstm_spreads_to_its_neighbours() -> None:
    torch.manual_seed(0)
    layer, before, after = _ConvLSTM(1, 4), torch.zeros(1, 3, 1, 9, 9), torch.zeros(1, 3, 1, 9, 9)
    after[0, 0, 0, 4, 4] = 1.0
    with torch.no_grad():
        changes = [(a - b).abs().amax(dim=(0, 1)) > 1e-9 for a, b in zip(layer(before), layer(after), strict=True)]
    assert [int(change.sum()) for change in changes] == [9, 25, 49]


def test_a_clips_logits_are_those_of_its_frames_log_probabilities() -> None:
    network = build("cnn2d_vote").eval()
    with torch.no_grad():
        single = network(frames(2).flatten(0, 1)[:, None].expand(-1, 9, -1, -1, -1)).unflatten(0, (2, 9))
        expected = single.log_softmax(dim=2).mean(dim=1)
        torch.testing.assert_close(network(frames(2)).softmax(dim=1), expected.softmax(dim=1))


def frame_logits(rows: list[int], sure: float, n_classes: int) -> torch.Tensor:
    """Return (9, n_classes): frame i is for class rows[i], the first frame very sure of it."""
    logits = functional.one_hot(torch.tensor(rows), n_classes).float()
    logits[0] *= sure
    return logits


def test_as_published_the_frames_vote(monkeypatch: pytest.MonkeyPatch) -> None:
    corrected, published = (build("cnn2d_vote", 2, as_published=switch).eval() for switch in (False, True))
    logits = frame_logits([1, 1, 1, 1, 0, 0, 0, 0, 0], sure=50.0, n_classes=2)[None]
    for network in (corrected, published):
        monkeypatch.setattr(network, "_frames_logits", lambda _: logits)
    assert corrected(frames(1)).argmax(dim=1) == 1, "one sure frame outweighs the others"
    torch.testing.assert_close(published(frames(1)), torch.tensor([[0.5, -0.5]]))
    torch.testing.assert_close(published.train()(frames(1)), corrected(frames(1)))


def test_as_published_a_class_scores_above_0_with_five_of_nine(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build("cnn2d_vote", as_published=True).eval()
    for rows, five in (([0, 0, 0, 0, 1, 1, 1, 2, 2], False), ([0, 0, 0, 0, 0, 1, 1, 2, 2], True)):
        logits = frame_logits(rows, 1.0, 3)[None]
        monkeypatch.setattr(network, "_frames_logits", lambda _, logits=logits: logits)
        scores = network(frames(1))[0]
        assert scores.argmax() == 0
        assert (scores > 0).tolist() == [five, False, False]


@pytest.mark.parametrize("as_published", [False, True])
def test_frames_are_trained_one_by_one(as_published: bool) -> None:
    network = build("cnn2d_vote", as_published=as_published).eval()
    batch, labels = frames(4), torch.tensor([0, 2, 1, 1])
    logits = network._frames_logits(batch)
    expected = torch.stack([functional.cross_entropy(logits[:, at], labels) for at in range(9)]).mean()
    torch.testing.assert_close(network.loss(batch, labels=labels, criterion=functional.cross_entropy), expected)


@pytest.mark.slow
def test_each_learns_eight_clips_by_heart(name: str) -> None:
    labels = torch.arange(8) % 2
    clips = 0.3 * frames(8)
    for clip, label in zip(clips, labels, strict=True):
        clip[3:, :, 4 + 14 * int(label) : 14 + 14 * int(label), 8:24] += 0.6
    network = build(name, 2)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(40):
        network.train()
        optimizer.zero_grad()
        functional.cross_entropy(network(clips), labels).backward()
        optimizer.step()
        with torch.no_grad():
            if torch.equal(network.eval()(clips).argmax(dim=1), labels):
                return
    pytest.fail(f"{name} still confuses eight clips after 40 steps")


@pytest.mark.parametrize("as_published", [False, True])
def test_every_frame_counts_and_so_does_their_order_where_frames_are_not_classified_alone(
    name: str, as_published: bool
) -> None:
    network, clip = build(name, as_published=as_published).eval(), frames(1)
    # Votes are counted outside training; the logits that are counted stand before that.
    read = network._frames_logits if name == "cnn2d_vote" else network
    with torch.no_grad():
        before = read(clip)
        for place in range(9):
            changed = clip.clone()
            changed[:, place] = 0
            assert not torch.equal(read(changed), before), f"frame {place} makes no difference"
        reversed_ = network(clip.flip(1))
        assert torch.allclose(reversed_, network(clip), rtol=1e-4, atol=1e-6) == (name == "cnn2d_vote")


MAPS = {
    ("cnn3d", 2): [(1, 64), (64, 96)],
    ("cnn3d", 3): [(1, 32), (32, 64)],
    ("cnn_lstm", 2): [(1, 32), (32, 64)],
    ("cnn_lstm", 3): [(1, 32), (32, 64)],
    # Four gates of each state.
    ("convlstm", 2): [(1, 4 * 32), (32, 4 * 32)],
    ("convlstm", 3): [(1, 4 * 32), (32, 4 * 32)],
    ("cnn2d_vote", 2): [(1, 32), (32, 64)],
    ("cnn2d_vote", 3): [(1, 64), (64, 128), (128, 256)],
}
DROPOUTS = {
    ("cnn3d", 2): [0.35],
    ("cnn3d", 3): [0.27],
    ("cnn_lstm", 2): [0.3, 0.4, 0.35],
    ("cnn_lstm", 3): [0.3, 0.4, 0.3],
    ("convlstm", 2): [0.3],
    ("convlstm", 3): [0.3],
    ("cnn2d_vote", 2): [0.3],
    ("cnn2d_vote", 3): [0.42, 0.25],
}


@pytest.mark.parametrize(("model", "n_classes"), MAPS)
def test_maps_in_proportion_and_shares_dropped(model: str, n_classes: int) -> None:
    layers = list(build(model, n_classes, maps=8).modules())
    first = {"cnn3d": {2: 64}, "cnn2d_vote": {3: 64}}.get(model, {}).get(n_classes, 32)
    expected = [(max(1, before * 8 // first), after * 8 // first) for before, after in MAPS[model, n_classes]]
    convolutions = [layer for layer in layers if isinstance(layer, torch.nn.Conv2d | torch.nn.Conv3d)]
    assert [(layer.in_channels, layer.out_channels) for layer in convolutions] == expected
    dropped = [layer.p for layer in layers if isinstance(layer, torch.nn.Dropout | torch.nn.Dropout1d)]
    assert dropped == DROPOUTS[model, n_classes]


def test_the_forms_of_cnn_lstm_differ_in_dropout_alone() -> None:
    shapes = [
        [(key, values.shape) for key, values in build("cnn_lstm", 3, form=form).state_dict().items()]
        for form in ("binary", "multiclass")
    ]
    assert shapes[0] == shapes[1]


def test_gates_are_a_line_between_0_and_1() -> None:
    given = torch.tensor([-9.0, -2.5, -1.0, 0.0, 1.0, 2.5, 9.0])
    torch.testing.assert_close(_hard_sigmoid(given), torch.tensor([0.0, 0.0, 0.3, 0.5, 0.7, 1.0, 1.0]))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_weights_start_as_keras_draws_them(name: str, n_classes: int) -> None:
    network = build(name, n_classes)
    recurrent = name in ("cnn_lstm", "convlstm")
    for key, weight in network.named_parameters():
        if key == "time.recur.weight":
            flat = weight.flatten(1)
            shorter = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
            torch.testing.assert_close(shorter, torch.eye(len(shorter)), rtol=0, atol=1e-5)
        elif key.endswith("weight") and weight.dim() > 1:
            entering, leaving = weight[0].numel(), weight.shape[0] * weight[0, 0].numel()
            most = (6 / (entering + leaving) if recurrent else 6 / entering) ** 0.5
            assert weight.abs().max() <= most
            assert weight.abs().max() > 0.9 * most or weight.numel() < 100
        elif key == "time.enter.bias":
            states = len(weight) // 4
            assert weight.tolist() == [0.0] * states + [1.0] * states + [0.0] * 2 * states
        elif key.endswith("bias"):
            assert not weight.any()


@pytest.mark.parametrize("as_published", [False, True])
def test_normalisation_is_bounded_as_in_keras_and_as_published_as_slow(name: str, as_published: bool) -> None:
    norms = [part for part in build(name, as_published=as_published).modules() if hasattr(part, "running_mean")]
    assert len(norms) == {"cnn3d": 3, "cnn2d_vote": 5}.get(name, 0)
    assert {(norm.eps, norm.momentum) for norm in norms} <= {(1e-3, 0.01 if as_published else 0.1)}


def test_a_lone_sample_is_normalised_by_running_statistics() -> None:
    norm = ValueNorm(4)
    norm.running_mean.copy_(torch.arange(4.0))
    values = torch.randn(1, 4)
    given = norm.train()(values)
    torch.testing.assert_close(given, norm.eval()(values))
    assert norm.running_mean.tolist() == [0, 1, 2, 3]
