"""Flow, strain and their tensors, held against motions that are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import portraits
import pytest
import works

from preprocess.base.errors import UsageError
from preprocess.faces.alignment import transform_points
from preprocess.faces.finder import DlibFaceFinder
from preprocess.recipes import FEATURES
from preprocess.steps import Work
from preprocess.steps.flow import remembered_tvl1

SIZE = 128


@pytest.fixture(scope="module")
def finder() -> DlibFaceFinder:
    return DlibFaceFinder()


def filmed(folder: Path, finder: Any, motions: list[portraits.Motion | None], *, noise: float = 0.0) -> Work:
    """Return the loaded, aligned grey frames of a face that moves by each motion in turn (from rest)."""
    frames = [portraits.frame(motion, noise=noise, seed=seed) for seed, motion in enumerate(motions)]
    clip = portraits.clip_of(portraits.write_frames(folder, frames), apex=len(frames))
    work = Work(clip=clip, finder=finder)
    for name, options in (("face", {"size": [SIZE, SIZE]}), ("select", {"frames": "onset_to_apex"}), ("load", {})):
        work = works.run(name, work, **options)
    return work


def true_flow(work: Work, motion: portraits.Motion) -> np.ndarray:
    """Return the motion from the first frame in the pixels of the aligned face, (SIZE, SIZE, 2).

    ``motion`` is told at the place it leads to; the flow is wanted at the place it starts from.
    """
    assert work.transform is not None
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)
    back = cv2.invertAffineTransform(work.transform)
    places = np.stack([x, y], axis=-1) @ back[:, :2].T + back[:, 2]
    moved = np.zeros_like(places)
    for _ in range(20):
        moved = np.stack(motion(*np.moveaxis(places + moved, -1, 0)), axis=-1)
    return moved @ work.transform[:, :2].T


def inside(work: Work) -> np.ndarray:
    """Return the mask of the face itself, without the flat background beside it."""
    assert work.face is not None
    assert work.transform is not None
    mask = np.zeros((SIZE, SIZE), np.uint8)
    points = np.rint(transform_points(work.face.landmarks, work.transform)).astype(np.int32)
    cv2.fillConvexPoly(mask, cv2.convexHull(points), 1)
    return mask.astype(bool)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "noise", "within"),
    [("tvl1", 0.0, 0.05), ("tvl1", 3.0, 0.06), ("farneback", 0.0, 0.10), ("dis", 0.0, 0.08)],
)
def test_flow_recovers_a_known_smooth_motion(
    tmp_path: Path, finder: Any, method: str, noise: float, within: float
) -> None:
    motion = portraits.bump(portraits.MOUTH, -2.0, -3.0)
    work = filmed(tmp_path, finder, [None, motion], noise=noise)
    flow = works.run("flow", work, method=method).flow
    assert flow is not None
    assert flow.shape == (1, 1, SIZE, SIZE, 2)
    assert flow.dtype == np.float32
    truth, face = true_flow(work, motion), inside(work)
    error = np.linalg.norm(flow[0, 0] - truth, axis=2)[face].mean()
    still = np.linalg.norm(truth, axis=2)[face].mean()
    assert error < within, f"mean end-point error in pixels; {still:.2f} without any flow"
    assert error < 0.5 * still
    peak = np.unravel_index(np.linalg.norm(truth, axis=2).argmax(), (SIZE, SIZE))
    np.testing.assert_allclose(flow[0, 0][peak], truth[peak], atol=0.3)


def test_head_motion_is_removed_and_the_expression_stays(tmp_path: Path, finder: Any) -> None:
    smile = portraits.bump(portraits.MOUTH, 0.0, -3.0, reach=25.0)
    work = filmed(tmp_path, finder, [None, portraits.together(smile, portraits.shift(3.0, 2.0))])
    kept = works.run("flow", work, head_motion="keep").flow
    removed = works.run("flow", work, head_motion="remove").flow
    assert kept is not None
    assert removed is not None
    assert work.transform is not None
    head = work.transform[:, :2] @ [3.0, 2.0]
    np.testing.assert_allclose((kept - removed)[0, 0, 5, 5], head, atol=0.15)
    face, truth = inside(work), true_flow(work, smile)
    assert np.linalg.norm(removed[0, 0] - truth, axis=2)[face].mean() < 0.15
    assert np.linalg.norm(kept[0, 0] - truth, axis=2)[face].mean() > 1.0


def test_pairs_are_the_frames_they_say(tmp_path: Path, finder: Any) -> None:
    motions = [None, *(portraits.bump(portraits.MOUTH, 0.0, -level, reach=50.0) for level in (2.0, 4.0, 6.0))]
    work = filmed(tmp_path, finder, motions)
    apex = works.run("flow", work, pairs="onset_apex").flow
    each = works.run("flow", work, pairs="first_to_each").flow
    steps = works.run("flow", work, pairs="consecutive").flow
    assert apex is not None
    assert each is not None
    assert steps is not None
    assert (apex.shape[1], each.shape[1], steps.shape[1]) == (1, 3, 3)
    assert np.array_equal(apex[:, 0], each[:, 2])
    assert np.array_equal(steps[:, 0], each[:, 0])
    rows, columns = (round(float(value)) for value in _mouth(work)[::-1])
    up = -each[0, :, rows, columns, 1]
    assert np.all(np.diff(up) > 0.5)
    np.testing.assert_allclose(-steps[0, :, rows, columns, 1], up[0], atol=0.25)


def test_from_the_apex_to_the_offset_is_back_again(tmp_path: Path, finder: Any) -> None:
    smile = portraits.bump(portraits.MOUTH, 0.0, -3.0, reach=50.0)
    frames = [portraits.frame(motion) for motion in (None, smile, None)]
    clip = portraits.clip_of(portraits.write_frames(tmp_path, frames), apex=2)
    work = Work(clip=clip, finder=finder)
    for name, options in (("face", {"size": [SIZE, SIZE]}), ("select", {"frames": "onset_apex_offset"}), ("load", {})):
        work = works.run(name, work, **options)
    back = works.run("flow", work, pairs="apex_offset").flow
    assert back is not None
    rows, columns = (round(float(value)) for value in _mouth(work)[::-1])
    assert back.shape == (1, 1, SIZE, SIZE, 2)
    assert back[0, 0, rows, columns, 1] > 1.0, "the mouth goes down again"


def test_a_pair_needs_both_of_its_frames(tmp_path: Path, finder: Any) -> None:
    work = replace(filmed(tmp_path, finder, [None, None]), key=(("onset", 0), ("apex", 1)))
    with pytest.raises(UsageError, match="the pair apex_offset needs both frames"):
        works.run("flow", work, pairs="apex_offset")


def test_both_ends_of_the_expression_are_compared_with_the_apex() -> None:
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.normal(size=(64, 64)), (0, 0), 3) * 400 + 127
    frames = [np.clip(np.roll(texture, step, axis=1), 0, 255).astype(np.uint8) for step in (0, 2, 1)]
    key = (("onset", 0), ("apex", 1), ("offset", 2))
    work = works.work_of(frames=np.stack(frames)[None, ..., None], key=key, numbers=(1, 2, 3))
    found = works.run("flow", work, pairs="to_apex").flow
    assert found is not None
    assert np.median(found[0, ..., 8:-8, 8:-8, 0], axis=(1, 2)).round(1).tolist() == [2.0, 1.0]
    with pytest.raises(UsageError, match="the pair to_apex needs both frames"):
        works.run("flow", replace(work, key=key[:2]), pairs="to_apex")


@pytest.mark.parametrize(
    ("u", "v", "colour"),
    [(200, 0, (255, 0, 0)), (90, 90, (255, 187, 0)), (255, 128, (255, 111, 0)), (0, 7, (127, 255, 0))],
)
def test_a_direction_map_shows_the_angle_of_the_codes_as_a_hue(u: int, v: int, colour: tuple[int, int, int]) -> None:
    codes = np.zeros((3, 4, 5), np.uint8)
    codes[0], codes[1], codes[2] = u, v, 77
    found = works.tensor("direction_map", works.work_of(tensor=codes))
    assert (found.dtype, found.shape) == (np.uint8, (3, 4, 5))
    assert np.array_equal(found[:, 2, 3], colour)


@pytest.mark.parametrize("tensor", [np.zeros((3, 4, 4), np.float32), np.zeros((2, 3, 4, 4), np.uint8)])
def test_a_direction_map_is_of_one_flow_picture_in_eight_bits(tensor: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"expected uint8 \(C, H, W\) of one pair with u and v first"):
        works.run("direction_map", works.work_of(tensor=tensor))


@pytest.mark.parametrize(
    ("u", "v", "colour"),
    [(2, 0, (255, 0, 0)), (0, 2, (127, 255, 0)), (-2, 0, (0, 255, 255)), (0, -2, (128, 0, 255))],
)
def test_a_flow_wheel_shows_the_direction_as_a_hue_and_the_length_as_brightness(
    u: float, v: float, colour: tuple[int, int, int]
) -> None:
    flow = np.zeros((1, 2, 4, 5, 2), np.float32)
    flow[0, :, 1, 1] = u, v
    flow[0, 1, 2, 2] = 2 * u, 2 * v
    found = works.tensor("flow_wheel", works.work_of(flow=flow))
    assert (found.dtype, found.shape) == (np.uint8, (2, 3, 4, 5))
    assert np.array_equal(found[0, :, 1, 1], colour)
    assert np.array_equal(found[1, :, 2, 2], colour)
    # Each pair has its own range: half of the greatest length is half as bright.
    assert np.array_equal(found[1, :, 1, 1], np.array(colour) // 2)
    assert not found[:, :, 3].any()


def test_a_flow_wheel_has_the_pixels_of_the_public_code() -> None:
    """Of Vision-Intelligence-and-Robots-Group/SLSTT@364656fe18ce, data_init.py: selectframes; rounded in float32."""
    flow = np.sin(0.7 * np.arange(24) ** 2).astype(np.float32).reshape(1, 1, 3, 4, 2)
    found = works.tensor("flow_wheel", works.work_of(flow=flow)).transpose(1, 2, 0).reshape(-1, 3)
    published = [[43, 86, 0], [16, 1, 0], [0, 68, 254], [0, 0, 0]]
    np.testing.assert_allclose(found[:4].astype(int), published, atol=1)


def test_the_own_flow_of_htnet_has_the_pixels_of_its_code() -> None:
    """Of wangzhifengharrison/HTNet@91cf4bda0a2d, get_whole_u_v_os of its *_confusion_matrix.py; cut, not rounded."""
    y, x = np.mgrid[:28, :28]

    def face(right: float, down: float) -> np.ndarray:
        waves = 60 * np.sin(0.9 * (x - right) + 0.3 * np.cos(0.5 * y)) + 50 * np.cos(0.7 * (y - down))
        return (127 + waves).astype(np.uint8)

    frames = np.stack([face(0, 0), face(0.6, 0.4)])[None, ..., None]
    steps = dict(FEATURES.get("flow_farneback_28").steps)
    work = works.work_of(frames=frames, key=(("onset", 0), ("apex", 1)), numbers=(1, 2))
    found = works.tensor("flow_tensor", works.run("flow", work, **steps["flow"]), **steps["flow_tensor"])
    published = [[177, 155, 185], [175, 156, 184], [161, 156, 174], [133, 152, 152]]
    np.testing.assert_allclose(found[:, 14, 4:24:6].T.astype(int), published, atol=1)


def _mouth(work: Work) -> np.ndarray:
    assert work.transform is not None
    return transform_points(np.array([portraits.MOUTH]), work.transform)[0]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tvl1", "farneback", "dis"])
def test_flow_is_the_same_to_the_bit_whatever_came_before_and_however_many_threads(
    tmp_path: Path, finder: Any, method: str
) -> None:
    work = filmed(tmp_path, finder, [None, portraits.bump(portraits.MOUTH, 2, -3), portraits.shift(4, 1)], noise=2.0)
    threads = cv2.getNumThreads()
    results = []
    try:
        for count in (1, 2, 7):
            cv2.setNumThreads(count)
            remembered_tvl1.cache_clear()
            results.append(np.asarray(works.run("flow", work, method=method, pairs="first_to_each").flow))
    finally:
        cv2.setNumThreads(threads)
    remembered_tvl1.cache_clear()
    alone = works.run("flow", work, method=method, pairs="onset_apex").flow
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])
    assert np.array_equal(results[0][:, 1], np.asarray(alone)[:, 0])


def test_strain_is_the_norm_of_the_deformation() -> None:
    y, x = np.mgrid[0:32, 0:32].astype(np.float32)
    for (u_x, u_y, v_x, v_y), wanted in {
        (0.1, 0.0, 0.0, 0.0): 0.1,
        (0.0, 0.0, 0.0, -0.2): 0.2,
        (0.0, 0.1, 0.1, 0.0): np.sqrt(0.5 * 0.2**2),
        (0.0, 0.1, -0.1, 0.0): 0.0,
        (0.1, 0.0, 0.0, 0.1): np.sqrt(0.02),
    }.items():
        flow = np.stack([u_x * x + u_y * y, v_x * x + v_y * y], axis=-1)[None, None]
        strain = works.run("strain", works.work_of(flow=flow)).strain
        np.testing.assert_allclose(strain, wanted, atol=1e-5)


def test_sobel_strain_is_eight_times_the_deformation_and_sees_valid_pixels_only() -> None:
    y, x = np.mgrid[0:32, 0:40].astype(np.float32)
    flow = np.stack([0.1 * x - 0.02 * y, 0.04 * x + 0.03 * y], axis=-1)[None, None]
    true = np.sqrt(0.1**2 + 0.03**2 + 0.5 * 0.02**2)
    whole = works.run("strain", works.work_of(flow=flow), derivative="sobel").strain
    assert whole is not None
    np.testing.assert_allclose(whole[0, 0, 1:-1, 1:-1], 8 * true, rtol=1e-4)
    valid = (x > 5) & (x + y < 55)
    cut = np.where(valid[..., None], flow, 0)
    inside = works.run("strain", works.work_of(flow=cut, valid=valid), derivative="sobel").strain
    assert inside is not None
    np.testing.assert_allclose(inside[0, 0, valid], 8 * true, rtol=1e-4)
    assert not inside[0, 0, ~valid].any()


def test_sobel_strain_of_valid_pixels_is_that_of_the_picture_but_for_its_border() -> None:
    flow = np.random.default_rng(3).normal(size=(1, 1, 20, 24, 2)).astype(np.float32)
    valid = np.ones((20, 24), bool)
    whole, inside = (
        works.run("strain", works.work_of(flow=flow, valid=one), derivative="sobel").strain for one in (None, valid)
    )
    assert whole is not None
    assert inside is not None
    np.testing.assert_allclose(inside[..., 1:-1, 1:-1], whole[..., 1:-1, 1:-1], rtol=1e-4)


def ramps(pairs: int = 1, levels: int = 1) -> Work:
    """Return a work whose u rises to the right from -2 to 2, v is 1, times pair + 1 and level + 1."""
    u = np.tile(np.linspace(-2, 2, 64, dtype=np.float32), (64, 1))
    flow = np.stack([u, np.ones_like(u)], axis=-1)
    factors = np.multiply.outer(np.arange(1, levels + 1), np.arange(1, pairs + 1)).astype(np.float32)
    return works.work_of(flow=factors[:, :, None, None, None] * flow)


def test_8bit_spans_each_channel_and_a_constant_one_is_0() -> None:
    tensor = works.tensor("flow_tensor", ramps(), channels=["u", "v", "strain"], size=16, normalise="8bit")
    assert tensor.dtype == np.uint8
    assert tensor.shape == (3, 16, 16)
    assert (tensor[0].min(), tensor[0].max()) == (0, 255)
    assert np.all(np.diff(tensor[0].astype(int), axis=1) > 0)
    assert not tensor[1].any()


def test_raw_values_stay_in_pixels_of_the_frames() -> None:
    tensor = works.tensor("flow_tensor", ramps(), channels=["v", "u", "magnitude", "orientation"], normalise="raw")
    assert tensor.dtype == np.float32
    np.testing.assert_allclose(tensor[0], 1.0)
    assert 1.9 < tensor[1].max() < 2.0
    np.testing.assert_allclose(tensor[2], np.hypot(tensor[0], tensor[1]), rtol=1e-5)
    np.testing.assert_allclose(tensor[3], np.arctan2(tensor[0], tensor[1]), rtol=1e-5)


def test_clip_cuts_at_its_limit() -> None:
    tensor = works.tensor("flow_tensor", ramps(), channels=["u", "v"], size=64, normalise="clip", limit=0.5)
    assert (tensor[0].min(), tensor[0].max()) == (-1.0, 1.0)
    np.testing.assert_allclose(tensor[1], 1.0)
    tensor = works.tensor("flow_tensor", ramps(), channels=["u", "v"], size=64, normalise="clip", limit=4.0)
    np.testing.assert_allclose(tensor[1], 0.25)


def test_the_range_is_the_samples_or_the_pairs_and_never_mixes_levels() -> None:
    work = ramps(pairs=3, levels=2)
    options: dict[str, Any] = {"channels": ["u"], "size": 64, "normalise": "minmax"}
    sample = works.tensor("flow_tensor", work, **options, range_of="sample")
    pair = works.tensor("flow_tensor", work, **options, range_of="pair")
    assert sample.shape == pair.shape == (2, 3, 1, 64, 64)
    np.testing.assert_allclose(np.ptp(sample[:, :, 0], axis=(2, 3)), [[1 / 3, 2 / 3, 1.0]] * 2, rtol=1e-5)
    np.testing.assert_allclose(np.ptp(pair[:, :, 0], axis=(2, 3)), 1.0)


def test_layouts_hold_the_same_numbers() -> None:
    options: dict[str, Any] = {"channels": ["u", "v"], "size": [20, 10], "normalise": "raw"}
    by_time = works.tensor("flow_tensor", ramps(pairs=5), **options)
    by_channel = works.tensor("flow_tensor", ramps(pairs=5), **options, layout="cthw")
    assert by_time.shape == (5, 2, 10, 20)
    assert np.array_equal(by_channel, by_time.swapaxes(0, 1))
    assert by_channel.flags.c_contiguous


@pytest.mark.parametrize(
    ("normalise", "dtype", "highest"),
    [("8bit", np.uint8, 200), ("unit", np.float32, 200 / 255), ("standard", np.float32, 1.0)],
)
def test_frames_become_a_tensor(normalise: str, dtype: type, highest: float) -> None:
    frames = np.zeros((1, 4, 30, 40, 3), np.uint8)
    frames[:, :, :, 20:] = 200
    tensor = works.tensor("frames_tensor", works.work_of(frames=frames), size=[20, 10], normalise=normalise)
    assert tensor.shape == (4, 3, 10, 20)
    assert tensor.dtype == dtype
    assert tensor.max() == pytest.approx(highest, abs=1e-3)
    if normalise == "standard":
        assert abs(float(tensor.mean())) < 1e-5
    layout = works.tensor("frames_tensor", works.work_of(frames=frames), normalise=normalise, layout="cthw")
    assert layout.shape == (3, 4, 30, 40)
    single = works.tensor("frames_tensor", works.work_of(frames=frames[:, :1]), normalise=normalise)
    assert single.shape == (3, 30, 40)


def test_frames_near_two_key_frames_become_a_tensor_of_both() -> None:
    frames = np.broadcast_to(np.arange(6, dtype=np.uint8)[None, :, None, None, None], (1, 6, 4, 5, 3))
    tensor = works.tensor("frames_tensor", works.work_of(frames=frames), layout="tmchw")
    assert tensor.shape == (2, 3, 3, 4, 5)
    assert tensor.flags.c_contiguous
    assert tensor[:, :, 0, 0, 0].tolist() == [[0, 1, 2], [3, 4, 5]]
    levels = works.work_of(frames=np.concatenate([frames, frames + 10]))
    assert works.tensor("frames_tensor", levels, layout="tmchw")[:, 1, 2, 0, 0, 0].tolist() == [5, 15]
    with pytest.raises(UsageError, match=r"as many frames near the onset as near the apex; there are 5\. Choose them"):
        works.tensor("frames_tensor", works.work_of(frames=frames[:, :5]), layout="tmchw")


@pytest.mark.parametrize(
    ("step", "options", "message"),
    [
        ("flow", {}, "needs frames: put the step load before it"),
        ("flow", {"method": "tv-l1"}, "Did you mean: tvl1"),
        ("flow_tensor", {}, "needs flow: put the step flow before it"),
        ("flow_tensor", {"channels": ["u", "w"]}, "channels is 'w'"),
        ("flow_tensor", {"limit": 0}, "above 0"),
        ("strain", {}, "needs flow"),
        ("frames_tensor", {}, "needs frames"),
    ],
)
def test_bad_options_and_orders_are_refused(step: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        works.run(step, works.work_of(), **options)


def test_pairs_that_the_chosen_frames_cannot_give_are_refused() -> None:
    one = works.work_of(frames=np.zeros((1, 1, 8, 8, 1), np.uint8), key=(("apex", 0),))
    with pytest.raises(UsageError, match="onset_apex needs both frames"):
        works.run("flow", one)
    with pytest.raises(UsageError, match="need two frames; 1 is loaded"):
        works.run("flow", one, pairs="consecutive")
    two = works.work_of(frames=np.zeros((1, 2, 8, 8, 1), np.uint8), key=(("onset", 0), ("apex", 1)))
    with pytest.raises(UsageError, match="put the step face before load"):
        works.run("flow", two, head_motion="remove")
