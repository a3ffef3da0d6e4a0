"""Interpolation to a fixed number of frames: exact where frames are, on the way in between, whatever the method."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import works

from preprocess.base.errors import DataError, UsageError
from preprocess.steps import Work

SIZE = 64


def blob(x: float, y: float = 32.0) -> np.ndarray:
    """Return a bright spot on a textured ground, (64, 64, 1) float."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE].astype(float)
    spot = 150 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 6.0**2))
    return (spot + 30)[..., None]


def clip_of(xs: Sequence[float], numbers: Sequence[int] | None = None, **fields: Any) -> Work:
    """Return the work of a clip whose spot is at x in each frame; onset, apex and offset go to the clip."""
    frames = np.rint([blob(x) for x in xs]).astype(np.uint8)[None]
    times = {role: fields.pop(role) for role in ("onset", "apex", "offset") if role in fields}
    work = works.work_of(frames=frames, numbers=tuple(numbers or range(len(xs))), **fields)
    return replace(work, clip=replace(work.clip, **times))


def interpolated(work: Work, **options: Any) -> np.ndarray:
    frames = works.run("interpolate", work, **options).frames
    assert frames is not None
    assert frames.dtype == np.float32
    return frames


def place(frame: np.ndarray) -> float:
    """Return the spot's x."""
    weight = np.clip(frame[..., 0] - 45.0, 0, None)
    return float((weight * np.arange(SIZE)).sum() / weight.sum())


@pytest.mark.parametrize("method", ["tim", "flow"])
def test_the_original_count_returns_the_frames(method: str) -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, 9, 20, 24, 3), dtype=np.uint8)
    work = works.work_of(frames=frames, numbers=tuple(range(5, 14)))
    np.testing.assert_allclose(interpolated(work, method=method, count=9), frames, atol=1e-3)


@pytest.mark.parametrize(("method", "within"), [("tim", 0.25), ("flow", 0.3)])
@pytest.mark.parametrize("count", [5, 19, 37])
def test_a_steady_motion_stays_steady(method: str, within: float, count: int) -> None:
    work = clip_of([20 + 2.0 * index for index in range(10)])
    frames = interpolated(work, method=method, count=count)
    assert frames.shape == (1, count, SIZE, SIZE, 1)
    places = [place(frame) for frame in frames[0]]
    np.testing.assert_allclose(places, np.linspace(20, 38, count), atol=within)


def test_flow_draws_the_middle_of_a_large_step_where_a_blend_would_show_two() -> None:
    work = clip_of([28.0, 36.0])
    middle = interpolated(work, method="flow", count=3)[0, 1]
    blend = (blob(28.0) + blob(36.0)) / 2
    truth = blob(32.0)
    assert np.abs(middle - truth).mean() < 0.4 * np.abs(blend - truth).mean()


def test_tim_is_a_smooth_curve_through_the_frames_and_not_a_chain_of_blends() -> None:
    levels = 100 + 50 * np.cos(np.pi * (np.arange(8) + 0.5) / 8)
    frames = np.broadcast_to(levels[None, :, None, None, None], (1, 8, 4, 4, 1)).astype(np.float32)
    work = works.work_of(frames=frames, numbers=tuple(range(8)))
    found = interpolated(work, method="tim", count=29)[0, :, 0, 0, 0]
    wanted = 100 + 50 * np.cos(np.pi * (np.linspace(0, 7, 29) + 0.5) / 8)
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_a_missing_frame_does_not_shift_its_neighbours() -> None:
    numbers = [0, 1, 2, 5, 6, 7, 8]
    work = clip_of([20 + 2.0 * number for number in numbers], numbers)
    places = [place(frame) for frame in interpolated(work, method="flow", count=9)[0]]
    np.testing.assert_allclose(places, 20 + 2.0 * np.arange(9), atol=0.5)


def test_key_frames_numbers_and_landmarks_go_along() -> None:
    landmarks = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((5, 68, 2), np.float32)
    work = clip_of(
        [30.0] * 5, [10, 11, 12, 13, 14], key=(("onset", 0), ("apex", 3), ("offset", 4)), landmarks=landmarks
    )
    result = works.run("interpolate", work, method="tim", count=9)
    assert dict(result.key) == {"onset": 0, "apex": 6, "offset": 8}
    assert result.numbers == (10, 10, 11, 12, 12, 12, 13, 14, 14)
    assert result.landmarks is not None
    np.testing.assert_allclose(result.landmarks[:, 0, 0], np.linspace(0, 4, 9))


def test_one_frame_and_repeated_frames_can_be_interpolated() -> None:
    single = interpolated(clip_of([30.0], [7]), method="tim", count=4)
    assert single.shape[1] == 4
    assert np.ptp(single, axis=1).max() < 1e-3
    repeated = interpolated(clip_of([20.0, 20.0, 24.0, 24.0], [1, 1, 2, 2]), method="flow", count=7)
    places = [place(frame) for frame in repeated[0]]
    assert np.all(np.diff(places) > -0.05)


@pytest.mark.parametrize("length", [3, 9, 14])
def test_longer_clips_are_cut_on_request(length: int) -> None:
    work = clip_of([20.0 + step for step in range(length)], key=(("onset", 0), ("offset", length - 1)))
    result = works.run("interpolate", work, count=9, longer="cut")
    assert result.frames is not None
    assert (result.frames.shape[1], len(result.numbers)) == (9, 9)
    if length < 9:
        assert np.array_equal(result.frames, works.run("interpolate", work, count=9).frames)
    else:
        assert work.frames is not None
        assert np.array_equal(result.frames, work.frames[:, :9].astype(np.float32))
        assert result.numbers == work.numbers[:9]
        assert dict(result.key) == ({"onset": 0, "offset": 8} if length == 9 else {"onset": 0})


# The moments at which the public code asks for frames, by onset, apex, offset and count:
# ini17/Micro-expression-recognition-by-fusing-Action-Unit-detection-and-spatio-temporal-features@7dede55,
# PythonCodes/VideoInterpolation.py: video_interpolation.
PUBLIC = {
    (10, 31, 45, 10): [10, 13, 16, 19, 22, 25, 28, 31, 38, 45],
    (100, 107, 110, 10): [100, 101, 102, 103, 104, 105, 106, 107, 108.5, 110],
    (1, 13, 20, 5): [1, 5, 9, 13, 20],
    (1, 10, 10, 10): [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
}


@pytest.mark.parametrize(("onset", "apex", "offset", "count"), PUBLIC)
def test_most_frames_before_the_apex_are_those_of_the_public_code(
    onset: int, apex: int, offset: int, count: int
) -> None:
    numbers = list(range(onset, offset + 1))
    work = clip_of([10 + number - onset for number in numbers], numbers, onset=onset, apex=apex, offset=offset)
    result = works.run("interpolate", work, method="flow", count=count, times="past_apex")
    assert result.frames is not None
    wanted = np.array(PUBLIC[onset, apex, offset, count], dtype=float)
    np.testing.assert_allclose([place(frame) for frame in result.frames[0]], 10 + wanted - onset, atol=0.2)
    assert result.numbers == tuple(np.rint(wanted))
    key = {"onset": 0, "offset": count - 1}
    assert dict(result.key) == (key if apex == offset else {**key, "apex": count - 3 if count > 5 else count - 2})
    assert len(result.notes) == (apex == offset)


@pytest.mark.parametrize(
    ("there", "times", "wanted", "notes"),
    [
        (
            range(1, 20),
            {"onset": 1, "apex": None, "offset": 19},
            np.linspace(1, 19, 10),
            ["no apex is annotated: frames at equal steps from onset to offset"],
        ),
        (
            range(1, 20),
            {"onset": 1, "apex": 8, "offset": None},
            [*range(1, 9), 13.5, 19],
            ["no offset is annotated: the last frame, 19, taken"],
        ),
        (
            [*range(1, 8), *range(9, 17)],
            {"onset": 1, "apex": 8, "offset": 20},
            [*range(1, 9), 12, 16],
            ["offset 20 is missing: 16 taken", "apex 8 is missing: interpolated"],
        ),
        (
            range(1, 11),
            {"onset": 1, "apex": 14, "offset": 20},
            range(1, 11),
            [
                "offset 20 is missing: 10 taken",
                "no frame lies after the apex: frames at equal steps from onset to offset",
            ],
        ),
    ],
)
def test_what_takes_the_place_of_a_key_frame_that_is_not_there_is_told(
    there: Iterable[int], times: dict[str, int | None], wanted: Iterable[float], notes: list[str]
) -> None:
    numbers = list(there)
    work = clip_of([10.0 + 2 * number for number in numbers], numbers, **times)
    result = works.run("interpolate", work, method="flow", count=10, times="past_apex")
    assert result.frames is not None
    np.testing.assert_allclose([place(frame) for frame in result.frames[0]], 10 + 2.0 * np.array([*wanted]), atol=0.3)
    assert list(result.notes) == notes


def test_a_frame_that_took_a_damaged_ones_place_does_not_stand_still() -> None:
    numbers = [1, 2, 3, 3, 5, 6, 7, 8, 9]
    work = clip_of([20.0 + 2 * number for number in numbers], numbers, onset=1, apex=5, offset=9)
    frames = works.run("interpolate", work, method="flow", count=7, times="past_apex").frames
    assert frames is not None
    np.testing.assert_allclose([place(frame) for frame in frames[0]], [22, 24, 26, 28, 30, 34, 38], atol=0.3)


def test_what_is_done_with_longer_clips_is_checked() -> None:
    with pytest.raises(UsageError, match="longer is 'drop'"):
        works.run("interpolate", clip_of([20.0, 21.0]), count=9, longer="drop")


def test_every_level_is_interpolated() -> None:
    one = clip_of([20.0, 30.0])
    assert one.frames is not None
    two = works.work_of(frames=np.concatenate([one.frames, 255 - one.frames]), numbers=(0, 1))
    frames = interpolated(two, method="tim", count=5)
    np.testing.assert_allclose(frames[0] + frames[1], 255, atol=1e-2)


def test_a_network_of_the_users_is_called_between_its_two_frames(tmp_path: Path) -> None:
    import torch

    class Blend(torch.nn.Module):
        def forward(self, first: torch.Tensor, second: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
            return (1.0 - time) * first + time * second

    path = tmp_path / "interpolator.pt"
    torch.jit.script(Blend()).save(str(path))
    work = clip_of([20.0, 30.0, 44.0])
    assert work.frames is not None
    frames = interpolated(work, method="weights", weights=str(path), count=9)
    source = work.frames[0].astype(float)
    np.testing.assert_allclose(frames[0, 1], 0.75 * source[0] + 0.25 * source[1], atol=1e-2)
    np.testing.assert_allclose(frames[0, 6], 0.5 * source[1] + 0.5 * source[2], atol=1e-2)
    np.testing.assert_allclose(frames[0, 8], source[2], atol=1e-2)


def test_a_network_that_gives_something_else_is_named(tmp_path: Path) -> None:
    import torch

    class Half(torch.nn.Module):
        def forward(self, first: torch.Tensor, second: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
            return first[:, :, ::2]

    path = tmp_path / "half.pt"
    torch.jit.script(Half()).save(str(path))
    with pytest.raises(DataError, match=r"half\.pt gave \(1, 3, 32, 64\); expected \(1, 3, 64, 64\)"):
        interpolated(clip_of([20.0, 30.0]), method="weights", weights=str(path), count=3)
    with pytest.raises(DataError, match=r"absent\.pt are not a file"):
        interpolated(clip_of([20.0, 30.0]), method="weights", weights=str(tmp_path / "absent.pt"), count=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs the option 'count'"),
        ({"count": 0}, "above 0"),
        ({"count": 3, "method": "rife"}, "method is 'rife'"),
        ({"count": 3, "times": "past"}, "Did you mean: past_apex"),
        ({"count": 2, "times": "past_apex"}, "count 2, .*; expected a count of 3 or more"),
        ({"count": 9, "times": "past_apex", "longer": "cut"}, "longer 'cut'; expected"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        interpolated(clip_of([20.0, 30.0]), **options)
