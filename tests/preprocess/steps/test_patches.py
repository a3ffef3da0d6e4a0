"""Patches hold the pixels around each landmark, in the order that networks expect."""

from __future__ import annotations

import numpy as np
import pytest
from works import standard_face, tensor, work_of

from preprocess.base.errors import UsageError
from preprocess.faces.landmark_sets import BROWS_MOUTH_30, MHSSA_MASK


def coordinates(times: int, size: int) -> np.ndarray:
    """Frames whose pixel at (t, y, x) is 10000 t + 100 y + x."""
    t, y, x = np.indices((times, size, size))
    return (10000 * t + 100 * y + x)[None, ..., None].astype(np.float32)


def moving_face(times: int, size: int) -> np.ndarray:
    return np.concatenate([standard_face(size) + t for t in range(times)])


def test_a_patch_is_the_square_around_its_landmark() -> None:
    face = moving_face(2, 60)
    cut = tensor("patches", work_of(frames=coordinates(2, 60), landmarks=face), of="frames", points="brows_mouth_30")
    assert cut.shape == (2, 30, 7, 7)
    for t in range(2):
        for slot, point in enumerate(BROWS_MOUTH_30):
            x, y = np.rint(face[t, point])
            assert cut[t, slot, 3, 3] == 10000 * t + 100 * y + x
            assert cut[t, slot, 0, 6] == 10000 * t + 100 * (y - 3) + x + 3


def test_maps_can_all_be_cut_at_the_first_face() -> None:
    work = work_of(frames=coordinates(2, 60), landmarks=moving_face(2, 60))
    cut = tensor("patches", work, of="frames", points="inner_51", at="first")
    assert np.array_equal(cut[1], cut[0] + 10000)


def test_merged_patches_run_map_after_map() -> None:
    work = work_of(frames=coordinates(3, 60), landmarks=moving_face(3, 60))
    apart = tensor("patches", work, of="frames", points="inner_51")
    merged = tensor("patches", work, of="frames", points="inner_51", merge=True)
    assert merged.shape == (153, 7, 7)
    assert np.array_equal(merged[51 + 4], apart[1, 4])


def test_flow_of_several_levels_keeps_levels_pairs_and_components_apart() -> None:
    flow = np.zeros((4, 3, 60, 60, 2), np.float32)
    flow[..., 0] = np.arange(4)[:, None, None, None]
    flow[..., 1] = np.arange(3)[None, :, None, None]
    cut = tensor("patches", work_of(flow=flow, landmarks=moving_face(4, 60)), of="flow", points="brows_mouth_30")
    assert cut.shape == (4, 3, 2, 30, 7, 7)
    assert np.array_equal(np.unique(cut[2, :, 0]), [2])
    assert np.array_equal(np.unique(cut[:, 1, 1]), [1])


def test_beyond_the_border_the_border_is_repeated() -> None:
    face = np.full((1, 68, 2), -50, np.float32)
    face[0, 48:] = (500, 3)
    cut = tensor("patches", work_of(frames=coordinates(1, 60), landmarks=face), of="frames", points="brows_mouth_30")
    assert np.all(cut[0, :10] == 0)
    assert np.array_equal(cut[0, 10], np.repeat(100 * np.arange(7)[:, None] + 59, 7, axis=1))


def test_empty_slots_of_a_padded_layout_are_zero() -> None:
    work = work_of(strain=np.ones((1, 1, 60, 60), np.float32), landmarks=standard_face(60))
    cut = tensor("patches", work, of="strain", points="mhssa_72")
    assert np.array_equal(cut[0].all(axis=(1, 2)), MHSSA_MASK)
    assert not cut[0][~np.array(MHSSA_MASK)].any()


def test_patches_that_cannot_be_cut_are_refused() -> None:
    frames = coordinates(3, 60)
    with pytest.raises(UsageError, match="put the step landmarks before it"):
        tensor("patches", work_of(frames=frames), of="frames", points="inner_51")
    with pytest.raises(UsageError, match="3 maps, but landmarks of 1 frames"):
        tensor("patches", work_of(frames=frames, landmarks=standard_face(60)), of="frames", points="inner_51")
    with pytest.raises(UsageError, match="odd number"):
        tensor("patches", work_of(frames=frames, landmarks=standard_face(60)), of="frames", points="inner_51", size=6)
