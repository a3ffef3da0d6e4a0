"""TV-L1 flow in numpy, held against OpenCV's."""

from __future__ import annotations

import platform

import cv2
import numpy as np
import pytest
import works

from preprocess.motion.tvl1 import tvl1_flow
from preprocess.steps import flow as flow_step

X86 = platform.machine() in ("x86_64", "AMD64")
pytestmark = pytest.mark.skipif(not X86, reason="OpenCV's compiler rounds otherwise for other processors")


def moved_texture(height: int, width: int, shift: tuple[float, float], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a smooth random picture, and it after a shift and some noise, both uint8."""
    draw = np.random.default_rng(seed)
    whole = cv2.GaussianBlur(draw.normal(size=(height + 16, width + 16)), (0, 0), 3)
    whole = 127 + 50 * whole / whole.std()
    back = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    after = cv2.warpAffine(whole, back, (width + 16, height + 16), flags=cv2.INTER_CUBIC)
    after += draw.normal(scale=2, size=after.shape)
    first, second = (np.clip(np.rint(one), 0, 255).astype(np.uint8)[8:-8, 8:-8] for one in (whole, after))
    return np.ascontiguousarray(first), np.ascontiguousarray(second)


def opencv(first: np.ndarray, second: np.ndarray, **options: float) -> np.ndarray:
    return cv2.optflow.DualTVL1OpticalFlow_create(**options).calc(first, second, None)


@pytest.mark.parametrize("step", [0.8, 0.5])
@pytest.mark.parametrize(("height", "width"), [(128, 128), (61, 84), (24, 17), (9, 12)])
def test_it_gives_opencvs_numbers_to_the_bit(height: int, width: int, step: float) -> None:
    for seed, shift in enumerate([(1.3, -0.7), (-3.2, 2.4)]):
        first, second = moved_texture(height, width, shift, seed)
        np.testing.assert_array_equal(tvl1_flow(first, second, step), opencv(first, second, scaleStep=step))


def test_features_of_two_scale_steps_do_not_share_a_flow() -> None:
    first, second = moved_texture(96, 96, (5.0, 3.0), seed=5)
    frames = np.stack([first, second])[None, ..., None]
    for method, step in (("tvl1", 0.8), ("tvl1_half", 0.5), ("tvl1", 0.8)):
        found = works.run("flow", works.work_of(frames=frames), pairs="consecutive", method=method).flow
        assert found is not None
        np.testing.assert_array_equal(found[0, 0], opencv(first, second, scaleStep=step))


def test_a_flat_patch_moves_with_its_surroundings_and_a_flat_picture_not_at_all() -> None:
    first, second = moved_texture(64, 64, (1.0, 0.0), seed=3)
    first[20:40, 20:40] = second[20:40, 20:40] = 90
    flow = tvl1_flow(first, second)
    assert np.isfinite(flow).all()
    np.testing.assert_array_equal(flow, opencv(first, second))
    flat = np.full((32, 32), 77, np.uint8)
    np.testing.assert_array_equal(tvl1_flow(flat, flat), 0)


def test_a_pair_that_two_chains_take_is_computed_once_and_nobody_spoils_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = []

    def counted(first: np.ndarray, second: np.ndarray, shrink: float) -> np.ndarray:
        pairs.append((first, second))
        return tvl1_flow(first, second, shrink)

    monkeypatch.setattr(flow_step, "tvl1_flow", counted)
    flow_step.remembered_tvl1.cache_clear()
    first, second = moved_texture(32, 32, (1.0, 0.0), seed=4)
    frames = np.stack([first, second, first])[None, ..., None]
    every = works.run("flow", works.work_of(frames=frames), pairs="first_to_each").flow
    assert every is not None
    expected = every[0, 0].copy()
    every[...] = 9
    again = works.run("flow", works.work_of(frames=frames[:, :2], key=(("onset", 0), ("apex", 1)))).flow
    assert again is not None
    np.testing.assert_array_equal(again[0, 0], expected)
    assert len(pairs) == 2
