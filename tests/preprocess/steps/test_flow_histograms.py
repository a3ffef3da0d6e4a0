"""HOOF, Bi-WOOF and MDMO against constant fields, hand-computed means and NumPy's histograms."""

from __future__ import annotations

import numpy as np
import pytest
from works import constant_flow, standard_face, tensor, work_of

from preprocess.base.errors import UsageError
from preprocess.steps.mdmo import region_masks
from preprocess.steps.strain import optical_strain

RANDOM = np.random.default_rng(1).normal(size=(1, 1, 57, 60, 2)).astype(np.float32)


def biwoof(flow: np.ndarray, strain: np.ndarray | None = None, **options: object) -> np.ndarray:
    strain = optical_strain(flow) if strain is None else strain
    return tensor("biwoof", work_of(flow=flow, strain=strain), **options).reshape(-1, 8)


def mdmo(flow: np.ndarray, **options: object) -> tuple[np.ndarray, np.ndarray]:
    found = tensor("mdmo", work_of(flow=flow, landmarks=standard_face(flow.shape[2])), **options)
    assert found.shape == (72,)
    return found[:36], found[36:]


def same_angle(found: np.ndarray, expected: float) -> bool:
    return bool(np.allclose(np.exp(1j * found / 0.2), np.exp(1j * expected), atol=1e-4))


@pytest.mark.parametrize("bin_", range(8))
def test_hoof_of_a_constant_flow_is_one_bin(bin_: int) -> None:
    angle = bin_ * np.pi / 4 + 0.2
    found = tensor("hoof", work_of(flow=constant_flow(2 * np.cos(angle), 2 * np.sin(angle), pairs=3))).reshape(-1, 8)
    assert found.shape == (25, 8)
    assert np.allclose(found, np.eye(8)[bin_])


def test_hoof_weighs_by_magnitude_and_pools_pairs() -> None:
    flow = constant_flow(1, 0, pairs=2)
    flow[:, 1] = (0, -3)
    found = tensor("hoof", work_of(flow=flow), blocks=[2, 3]).reshape(6, 8)
    assert np.allclose(found[:, 0], 0.25)
    assert np.allclose(found[:, 6], 0.75)
    assert not tensor("hoof", work_of(flow=np.zeros_like(flow))).any()


def test_hoof_keeps_blocks_apart() -> None:
    flow = constant_flow(0, 0, size=57)
    flow[:, :, 40:, 50:] = (-1, 0)
    found = tensor("hoof", work_of(flow=flow), blocks=[3, 4]).reshape(3, 4, 8)
    assert found[2, 3, 4] == 1
    assert found.sum() == 1


def test_biwoof_is_the_weighted_histogram_of_numpy_times_strain() -> None:
    strain = optical_strain(RANDOM)
    found = biwoof(RANDOM, reach=0, norm="none")
    angle = np.degrees(np.arctan2(RANDOM[..., 1], RANDOM[..., 0]))[0, 0]
    magnitude = np.hypot(RANDOM[..., 0], RANDOM[..., 1])[0, 0]
    for row in range(5):
        for column in range(5):
            part = np.s_[57 * row // 5 : 57 * (row + 1) // 5, 12 * column : 12 * (column + 1)]
            local, _ = np.histogram(angle[part], np.arange(-180, 181, 45), weights=magnitude[part])
            expected = local / local.sum() * strain[0, 0][part].sum()
            assert np.allclose(found[5 * row + column], expected, rtol=1e-4)


def test_biwoof_has_length_one_whatever_the_size_of_the_motion() -> None:
    found = biwoof(RANDOM)
    assert found.size == 200
    assert np.isclose(np.linalg.norm(found), 1, atol=1e-6)
    assert np.allclose(found, biwoof(3 * RANDOM), atol=1e-6)
    assert np.allclose(biwoof(3 * RANDOM, norm="none"), 3 * biwoof(RANDOM, norm="none"), rtol=1e-4)
    assert not biwoof(np.zeros_like(RANDOM)).any()


def test_biwoof_gives_a_block_the_weight_of_its_strain() -> None:
    strain = np.zeros((1, 1, 50, 50), np.float32)
    strain[0, 0, 20:30, 10:20] = 2
    alone = biwoof(constant_flow(-0.1, -0.2, size=50), strain, reach=0, norm="none")
    assert np.argwhere(alone).tolist() == [[2 * 5 + 1, 1]]
    assert alone[11, 1] == 200
    # With a reach of one pixel the eight neighbours see the block's edge, as in the authors' code.
    reaching = biwoof(constant_flow(-0.1, -0.2, size=50), strain, reach=1, norm="none")[:, 1].reshape(5, 5)
    assert reaching[1, 1] == 20
    assert reaching[1, 0] == 2
    assert (reaching > 0).sum() == 9


def test_biwoof_resizes_first_on_request() -> None:
    assert biwoof(RANDOM, size=[100, 100], reach=0, norm="none").shape == (25, 8)
    assert not np.allclose(biwoof(RANDOM, size=[100, 100]), biwoof(RANDOM))


@pytest.mark.parametrize("angle", [0.1, 0.7, 1.5, 2.4, 3.14, 4.0, 5.2, 6.2])
def test_mdmo_of_a_constant_flow_is_its_direction_everywhere(angle: float) -> None:
    rho, theta = mdmo(constant_flow(3 * np.cos(angle), 3 * np.sin(angle), size=112, pairs=4))
    assert np.allclose(rho, 0.8, atol=1e-6)
    assert np.allclose(theta, 0.2 * (angle - np.pi), atol=1e-5)


def test_mdmo_takes_the_main_direction_and_leaves_the_others() -> None:
    flow = constant_flow(0, 1, size=112)
    flow[:, :, :, ::3] = (-20, 0)
    rho, theta = mdmo(flow)
    assert same_angle(theta, np.pi / 2 - np.pi)
    assert np.allclose(rho, 0.8)


def test_mdmo_weighs_pairs_by_their_share_in_all_magnitudes() -> None:
    flow = constant_flow(1, 0, size=112, pairs=2)
    flow[:, 1] = (0, 3)
    # (1, 0) with weight 1/4 and (0, 3) with weight 3/4.
    _, theta = mdmo(flow)
    assert same_angle(theta, np.arctan2(2.25, 0.25) - np.pi)
    # Published: weights are sums of directions, which is 0 for motion to the right.
    _, published = mdmo(flow, as_published=True)
    assert same_angle(published, np.pi / 2 - np.pi)


def test_mdmo_averages_directions_around_zero() -> None:
    flow = constant_flow(1, 0.1, size=112)
    flow[:, :, ::2] = (1, -0.1)
    _, theta = mdmo(flow)
    assert np.all(np.abs(np.abs(theta / 0.2) - np.pi) < 0.2)
    _, published = mdmo(flow, as_published=True)
    assert np.all(np.abs(published / 0.2) < 1)


def test_mdmo_as_published_has_the_numbers_of_its_public_code() -> None:
    """Of tvaranka/meb@f731b0a98168, traditional_methods.py: MDMO_video, whose angles OpenCV approximates."""
    y, x = np.mgrid[:112, :112]
    pairs = [(np.sin(0.11 * x + 0.07 * y + p) + 0.3, np.cos(0.05 * x - 0.13 * y + p)) for p in range(4)]
    flow = np.stack([np.stack(pair, axis=-1) for pair in pairs]).astype(np.float32)
    found = tensor("mdmo", work_of(flow=flow[None], landmarks=np.rint(standard_face(112))), as_published=True)
    np.testing.assert_allclose(found[:6], [0.338946, 0.105367, 0.391165, 0.404312, 0.721592, 0.771814], atol=1e-3)
    theta = [-0.194357, 0.415135, -0.617627, 0.40573, 0.250577, 0.255844]
    np.testing.assert_allclose(found[36:42], theta, atol=1e-3)


def test_mdmo_as_published_takes_motion_up_and_right_for_motion_to_the_right() -> None:
    flow = constant_flow(0, 2, size=112, pairs=1)
    # A third of the pixels moves down, a third to the right, a third up and to the right.
    flow[..., 1::3, :, :], flow[..., 2::3, :, :] = (2, 0), (2, -2)
    _, theta = mdmo(flow)
    _, published = mdmo(flow, as_published=True)
    assert np.isclose(theta, 0.2 * (np.pi / 2 - np.pi), atol=1e-3).mean() > 0.2
    # The plain mean of 0 and of 315 degrees is 157.5.
    assert np.abs(published - 0.2 * (np.radians(157.5) - np.pi)).min() < 0.02


def test_mdmo_tells_regions_apart() -> None:
    flow = constant_flow(0, 0, size=112)
    flow[:, :, 60:] = (0, 2)
    rho, _ = mdmo(flow)
    assert np.all(rho[:14] == 0)
    assert np.all(rho[22:28] == np.float32(0.8))
    assert not mdmo(np.zeros_like(flow))[0].any()


def test_mdmo_regions_mirror_each_other_and_never_vanish() -> None:
    masks = region_masks(standard_face(113)[0], 113, 113)
    assert masks.shape == (36, 113, 113)
    mirrored = [5, 4, 3, 2, 1, 0, 13, 12, 11]
    for left, right in enumerate(mirrored):
        assert abs(int(masks[left].sum()) - int(masks[right].sum())) <= 0.12 * masks[right].sum() + 12
    outside = region_masks(standard_face(113)[0] - 1000, 113, 113)
    assert outside.any(axis=(1, 2)).all()


def test_bad_input() -> None:
    with pytest.raises(UsageError, match="flow of one pair of frames; the steps before it made 2"):
        biwoof(constant_flow(1, 0, pairs=2))
    with pytest.raises(UsageError, match="needs strain"):
        tensor("biwoof", work_of(flow=RANDOM))
    with pytest.raises(UsageError, match="one magnification level"):
        tensor("hoof", work_of(flow=np.repeat(RANDOM, 2, axis=0)))
    with pytest.raises(UsageError, match="beta is 2"):
        mdmo(RANDOM, beta=2)
