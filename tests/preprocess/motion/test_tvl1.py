"""TV-L1 flow in compiled Python, held against OpenCV's."""

from __future__ import annotations

import dataclasses
import importlib
import platform
import sys

import cv2
import numpy as np
import pytest
import works
from numba.core.caching import CacheImpl

from preprocess.base.errors import UsageError
from preprocess.base.hashing import canonical_json
from preprocess.motion.tvl1 import Settings, tvl1_flow
from preprocess.recipes import FEATURES
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


@pytest.mark.slow
@pytest.mark.parametrize("step", [0.8, 0.5])
@pytest.mark.parametrize(("height", "width"), [(128, 128), (61, 84), (24, 17), (9, 12)])
def test_it_gives_opencvs_numbers_to_the_bit(height: int, width: int, step: float) -> None:
    for seed, shift in enumerate([(1.3, -0.7), (-3.2, 2.4)]):
        first, second = moved_texture(height, width, shift, seed)
        np.testing.assert_array_equal(
            tvl1_flow(first, second, Settings(scale_step=step)), opencv(first, second, scaleStep=step)
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "value", "opencv_name"),
    [
        ("tau", 0.125, "tau"),
        ("lambda", 0.05, "lambda_"),
        ("theta", 0.1, "theta"),
        ("levels", 2, "nscales"),
        ("scale_step", 0.6, "scaleStep"),
        ("warps", 2, "warps"),
        ("outer", 2, "outerIterations"),
        ("inner", 3, "innnerIterations"),
        ("median", 1, "medianFiltering"),
        ("median", 3, "medianFiltering"),
        ("epsilon", 0.1, "epsilon"),
    ],
)
def test_each_option_of_a_recipe_is_that_of_opencv(option: str, value: float, opencv_name: str) -> None:
    first, second = moved_texture(44, 48, (2.3, -1.7), seed=6)
    work = works.work_of(frames=np.stack([first, second])[None, ..., None])
    found = works.run("flow", work, pairs="consecutive", tvl1={option: value}).flow
    assert found is not None
    np.testing.assert_array_equal(found[0, 0], opencv(first, second, **{opencv_name: value}))
    assert not np.array_equal(found[0, 0], tvl1_flow(first, second)), "the option changes nothing"


def test_options_go_together_and_start_from_the_methods_own() -> None:
    first, second = moved_texture(44, 48, (2.3, -1.7), seed=7)
    work = works.work_of(frames=np.stack([first, second])[None, ..., None])
    given: dict[str, float] = {"lambda": 0.3, "tau": 0.2, "levels": 3, "median": 1}
    names = {"lambda_": 0.3, "tau": 0.2, "nscales": 3, "medianFiltering": 1}
    for method, step in (("tvl1", 0.8), ("tvl1_half", 0.5)):
        found = works.run("flow", work, pairs="consecutive", method=method, tvl1=given).flow
        assert found is not None
        np.testing.assert_array_equal(found[0, 0], opencv(first, second, scaleStep=step, **names))


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("tvl1", {"tau": 0}, "tvl1: tau is 0; expected a number above 0"),
        ("tvl1", {"lambda": -0.1}, "tvl1: lambda is -0.1; expected a number above 0"),
        ("tvl1", {"lambda": "0.1"}, "tvl1: lambda is '0.1'; expected a number above 0"),
        ("tvl1", {"theta": float("nan")}, "tvl1: theta is nan; expected a number above 0"),
        ("tvl1", {"theta": float("inf")}, "tvl1: theta is inf; expected a number above 0"),
        ("tvl1", {"levels": 0}, "tvl1: levels is 0; expected a whole number above 0"),
        ("tvl1", {"levels": 2.5}, "tvl1: levels is 2.5; expected a whole number above 0"),
        ("tvl1", {"warps": True}, "tvl1: warps is True; expected a whole number above 0"),
        ("tvl1", {"outer": 0}, "tvl1: outer is 0; expected a whole number above 0"),
        ("tvl1", {"inner": None}, "tvl1: inner is None; expected a whole number above 0"),
        ("tvl1_half", {"scale_step": 1}, "tvl1: scale_step is 1; expected a number between 0 and 1"),
        ("tvl1", {"median": 7}, r"tvl1: median is 7; expected 1 \(no filter\), 3 or 5"),
        ("tvl1", {"epsilon": -1}, "tvl1: epsilon is -1; expected a number of at least 0"),
        ("tvl1", {"lamda": 0.1}, "tvl1 has no option 'lamda'. Did you mean: lambda"),
        ("tvl1", 0.1, "tvl1 is 0.1; expected option: value of tau, lambda, theta, levels"),
        ("farneback", {"tau": 0.1}, "tvl1 is {'tau': 0.1}, but the method is 'farneback'"),
    ],
)
def test_options_out_of_range_are_refused(method: str, given: object, message: str) -> None:
    frames = np.zeros((1, 2, 16, 16, 1), np.uint8)
    with pytest.raises(UsageError, match=f"^Step flow: {message}"):
        works.run("flow", works.work_of(frames=frames), pairs="consecutive", method=method, tvl1=given)


def test_options_count_in_what_decides_a_features_shards() -> None:
    usual = FEATURES.get("flow_uvs_28")

    def decides(tvl1: dict[str, float] | None) -> str:
        steps = tuple((name, {**given, "tvl1": tvl1} if name == "flow" else given) for name, given in usual.steps)
        return canonical_json(dataclasses.replace(usual, steps=steps).as_json())

    found = [decides(one) for one in (None, {"lambda": 0.1}, {"lambda": 0.2}, {"theta": 0.1})]
    assert len(set(found)) == 4
    assert found[0] == canonical_json(usual.as_json())


@pytest.mark.slow
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

    def counted(first: np.ndarray, second: np.ndarray, settings: Settings) -> np.ndarray:
        pairs.append((first, second))
        return tvl1_flow(first, second, settings)

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


@pytest.mark.slow
def test_it_compiles_anew_where_no_folder_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a disk that is read-only, for a user without a home folder."""
    monkeypatch.setattr(CacheImpl, "_locator_classes", [])
    monkeypatch.delitem(sys.modules, "preprocess.motion.tvl1_steps", raising=False)
    steps = importlib.import_module("preprocess.motion.tvl1_steps")
    flow, dual_x, dual_y = (np.ones((2, 3, 4), np.float32) for _ in range(3))
    steps.dual_step(flow, dual_x, dual_y, np.float32(0.5))
    np.testing.assert_array_equal(dual_x, np.ones((2, 3, 4)))
