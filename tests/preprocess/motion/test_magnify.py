"""Magnification: a known small motion becomes as many times as large as told, by every method."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import portraits
import pytest
import works

from preprocess.base.errors import DataError, UsageError
from preprocess.motion.phase_pyramid import steerable_bands
from preprocess.motion.temporal_filter import changes
from preprocess.steps import Work

LENGTH, APEX, SIZE = 15, 7, 96
# The face's middle in the frames below, and how far the mouth moves up there at the apex, in their pixels.
PEAK = 0.4


def around_the_mouth(frame: np.ndarray) -> np.ndarray:
    x, y = (round(value) for value in portraits.MOUTH)
    half = SIZE // 2
    return frame[y - half : y + half, x - half : x + half].mean(axis=2)


@pytest.fixture(scope="module")
def moving() -> Work:
    """15 grey frames of 96x96 pixels around the mouth, which moves up by PEAK and back."""
    frames = portraits.expression(
        LENGTH, APEX, lambda level: portraits.bump(portraits.MOUTH, 0.0, -PEAK * level, reach=25.0)
    )
    grey = [around_the_mouth(frame) for frame in frames]
    stack = np.rint(grey).astype(np.uint8)[None, ..., None]
    work = works.work_of(frames=stack, numbers=tuple(range(LENGTH)), key=(("onset", 0), ("apex", APEX)))
    return replace(work, clip=replace(work.clip, fps=100.0))


def motion(frames: np.ndarray, level: int = 0, index: int = APEX) -> float:
    """Return how far the mouth moved up from the first frame to another, by least squares around the middle."""
    first, other = frames[level, 0, ..., 0].astype(float), frames[level, index, ..., 0].astype(float)
    rows = slice(SIZE // 2 - 12, SIZE // 2 + 12)
    down = np.gradient((first + other) / 2, axis=0)[rows, rows]
    return float(((other - first)[rows, rows] * down).sum() / (down**2).sum())


def magnified(work: Work, **options: Any) -> np.ndarray:
    frames = works.run("magnify", work, **options).frames
    assert frames is not None
    assert frames.dtype == np.float32
    assert frames.min() >= 0
    assert frames.max() <= 255
    return frames


@pytest.mark.slow
@pytest.mark.parametrize(("method", "within"), [("eulerian", 0.15), ("phase", 0.15)])
def test_a_small_motion_is_multiplied_by_the_factor(moving: Work, method: str, within: float) -> None:
    factors = [1.0, 1.5, 2.0, 3.0]
    assert moving.frames is not None
    before = motion(moving.frames)
    assert before == pytest.approx(PEAK, rel=0.15)
    frames = magnified(moving, method=method, factors=factors)
    assert frames.shape == (4, *moving.frames.shape[1:])
    for level, factor in enumerate(factors):
        assert motion(frames, level) / before == pytest.approx(factor, rel=within)
        np.testing.assert_allclose(frames[level, 0], moving.frames[0, 0], atol=0.01)
    np.testing.assert_allclose(frames[0], moving.frames[0], atol=0.01)


@pytest.mark.parametrize("method", ["eulerian", "phase"])
def test_several_factors_in_one_pass_are_what_each_gives_alone(moving: Work, method: str) -> None:
    both = magnified(moving, method=method, factors=[2.0, 4.0])
    alone = magnified(moving, method=method, factors=[4.0])
    assert np.array_equal(both[1:], alone)


def test_phase_carries_further_than_eulerian(moving: Work) -> None:
    assert moving.frames is not None
    truth = around_the_mouth(portraits.frame(portraits.bump(portraits.MOUTH, 0.0, -6 * PEAK, reach=25.0)))
    errors = {"none": np.abs(moving.frames[0, APEX, ..., 0] - truth).mean()}
    for method in ("eulerian", "phase"):
        errors[method] = np.abs(magnified(moving, method=method, factors=[6.0])[0, APEX, ..., 0] - truth).mean()
    assert errors["phase"] < 0.3 * errors["none"]
    assert errors["phase"] < 0.7 * errors["eulerian"] < 0.7 * errors["none"]


@pytest.mark.parametrize("filter_name", ["butterworth", "ideal"])
def test_a_band_keeps_what_is_in_it_and_drops_the_rest(filter_name: str) -> None:
    time = np.arange(200) / 100.0
    slow, fast = np.sin(2 * np.pi * 2 * time), np.sin(2 * np.pi * 20 * time)
    signal = np.stack([slow, fast, slow + fast], axis=1)
    low = changes(signal, filter_name, None, 0.06)
    high = changes(signal, filter_name, 0.1, 0.4)
    inner = slice(30, -30)
    both = np.stack([slow, fast], axis=1)[inner]
    for kept, other, filtered in ((0, 1, low), (1, 0, high)):
        moved = filtered[inner] - filtered[inner].mean(axis=0)
        assert np.std(moved[:, kept]) == pytest.approx(np.std(both[:, kept]), rel=0.1)
        assert np.std(moved[:, other]) < 0.1 * np.std(both[:, other])
        np.testing.assert_allclose(moved[:, 2], moved[:, 0] + moved[:, 1], atol=1e-4)
    assert not filtered[0].any(), "nothing has changed at the first frame"


def test_flicker_outside_the_band_is_not_magnified(moving: Work) -> None:
    assert moving.frames is not None
    flicker = 6.0 * (-1.0) ** np.arange(LENGTH)
    noisy = replace(moving, frames=np.clip(moving.frames + flicker[None, :, None, None, None], 0, 255))
    wide = magnified(noisy, factors=[4.0])
    narrow = magnified(noisy, factors=[4.0], high=15.0)
    jump = {
        name: np.abs(np.diff(frames[0, 2:].mean(axis=(1, 2, 3)))).mean()
        for name, frames in (("wide", wide), ("narrow", narrow))
    }
    assert jump["wide"] > 40
    assert jump["narrow"] < 20


@pytest.mark.slow
def test_colour_frames_keep_their_colours(moving: Work) -> None:
    assert moving.frames is not None
    colour = np.concatenate([moving.frames, moving.frames // 2, 255 - moving.frames], axis=-1)
    for method in ("eulerian", "phase"):
        frames = magnified(replace(moving, frames=colour), method=method)
        grey = magnified(moving, method=method)
        np.testing.assert_allclose(frames[..., :1], grey, atol=0.01)
        assert frames.shape == colour.shape


def test_the_bands_of_the_steerable_pyramid_cover_the_middle_frequencies_evenly() -> None:
    total = np.zeros((64, 64))
    for kernel, _ in steerable_bands(64, 64):
        mirrored = np.roll(kernel[::-1, ::-1], 1, axis=(0, 1))
        total += kernel.astype(np.float64) ** 2 + mirrored.astype(np.float64) ** 2
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64), indexing="ij"))
    np.testing.assert_allclose(total[(radius > 0.06) & (radius < 0.34)], 1.0, atol=1e-5)
    assert total.max() < 1 + 1e-5
    assert total[0, 0] == 0


@pytest.fixture
def scripted(tmp_path: Path) -> Path:
    """A network that adds factor - 1 times the difference: linear magnification."""
    import torch

    class Linear(torch.nn.Module):
        def forward(self, first: torch.Tensor, frame: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
            return frame + (factor - 1.0) * (frame - first)

    path = tmp_path / "magnifier.pt"
    torch.jit.script(Linear()).save(str(path))
    return path


def test_a_network_of_the_users_is_called_with_first_frame_frame_and_factor(moving: Work, scripted: Path) -> None:
    assert moving.frames is not None
    frames = magnified(moving, method="weights", weights=str(scripted), factors=[1.0, 3.0])
    clip = moving.frames[0].astype(np.float32)
    np.testing.assert_allclose(frames[0], clip, atol=1e-2)
    np.testing.assert_allclose(frames[1], np.clip(clip + 2 * (clip - clip[:1]), 0, 255), atol=1e-2)


def test_weights_that_cannot_be_used_are_named(moving: Work, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs the option weights"):
        magnified(moving, method="weights")
    with pytest.raises(DataError, match=r"absent\.pt are not a file"):
        magnified(moving, method="weights", weights=str(tmp_path / "absent.pt"))
    text = tmp_path / "text.pt"
    text.write_text("no network")
    with pytest.raises(DataError, match=r"text\.pt cannot be loaded as TorchScript"):
        magnified(moving, method="weights", weights=str(text))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factors": []}, "above 0"),
        ({"factors": [0.0]}, "above 0"),
        ({"low": 5.0, "high": 2.0}, "expected low < high"),
        ({"high": -1.0}, "above 0"),
        ({"method": "lagrangian"}, "method is 'lagrangian'"),
        ({"filter": "box"}, "filter is 'box'"),
    ],
)
def test_bad_options_are_refused(moving: Work, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        magnified(moving, **options)


def test_a_band_in_hertz_needs_a_frame_rate_and_levels_are_made_once(moving: Work) -> None:
    unknown = replace(moving, clip=replace(moving.clip, fps=None))
    with pytest.raises(UsageError, match="frame rate of casme2/sub01/EP01 is not known"):
        magnified(unknown, high=20.0)
    with pytest.raises(UsageError, match="magnified already"):
        magnified(works.run("magnify", moving, factors=[1.0, 2.0]))
