"""Arithmetic over valid pixels against the plain way: take the valid part alone, or sum over it in a loop."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from preprocess.motion.valid import box_of, cleared, gradient, lowest_and_span, resized, resized_valid, shrunk, within


@pytest.fixture
def valid() -> np.ndarray:
    """A box of 12 x 9 valid pixels inside of 16 x 16."""
    mask = np.zeros((16, 16), bool)
    mask[2:14, 4:13] = True
    return mask


@pytest.fixture
def planes(valid: np.ndarray) -> np.ndarray:
    """Two planes whose pixels outside are enormous."""
    values = np.random.default_rng(0).normal(size=(2, 16, 16)).astype(np.float32)
    values[:, ~valid] = 1e6
    return values


def test_derivatives_are_those_of_the_valid_part_alone(planes: np.ndarray, valid: np.ndarray) -> None:
    inside = np.s_[:, 2:14, 4:13]
    alone = np.gradient(planes[inside], axis=(1, 2))
    for found, wanted in zip(gradient(planes, valid), alone, strict=True):
        assert np.allclose(found[inside], wanted, atol=1e-6)
        assert not found[:, ~valid].any()
    for found, wanted in zip(gradient(planes, None), np.gradient(planes, axis=(1, 2)), strict=True):
        assert np.array_equal(found, wanted)


def test_a_pixel_of_a_smaller_picture_is_the_mean_of_the_valid_ones_that_fall_into_it(
    planes: np.ndarray, valid: np.ndarray
) -> None:
    small = resized(planes, valid, (4, 4), cv2.INTER_AREA)
    inside = resized_valid(valid, (4, 4), cv2.INTER_AREA)
    assert inside is not None
    assert inside.tolist() == [[False, True, True, False]] * 4
    for row, column in np.argwhere(inside):
        block = np.s_[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        assert np.allclose(small[:, row, column], planes[:, *block][:, valid[block]].mean(axis=1), atol=1e-5)
    assert not small[:, ~inside].any()
    plainly = cv2.resize(planes[0], (4, 4), interpolation=cv2.INTER_AREA)
    assert np.array_equal(resized(planes, None, (4, 4), cv2.INTER_AREA)[0], plainly)


def test_ranges_leave_out_what_is_not_valid(planes: np.ndarray, valid: np.ndarray) -> None:
    low, span = lowest_and_span(planes, valid, (1, 2))
    assert low.ravel() == pytest.approx(planes[:, valid].min(axis=1))
    assert span.ravel() == pytest.approx(np.ptp(planes[:, valid], axis=1))
    nothing = lowest_and_span(planes, np.zeros_like(valid), (1, 2))
    assert [float(part.sum()) for part in nothing] == [0.0, 0.0]


def test_boxes_and_margins(valid: np.ndarray) -> None:
    assert box_of(valid, (16, 16)) == (slice(2, 14), slice(4, 13))
    assert box_of(None, (16, 16)) == box_of(np.zeros_like(valid), (16, 16)) == (slice(0, 16), slice(0, 16))
    smaller = shrunk(valid, 2)
    assert smaller is not None
    assert box_of(smaller, (16, 16)) == (slice(4, 12), slice(6, 11))
    everything = shrunk(np.ones((5, 5), bool), 2)
    assert everything is not None
    assert everything.all(), "the border of the square itself takes nothing away"


def test_what_runs_within_the_box_sees_nothing_else(planes: np.ndarray, valid: np.ndarray) -> None:
    clip = planes[..., None]
    seen = []

    def run(part: np.ndarray) -> np.ndarray:
        seen.append(part)
        return np.stack([part, 2 * part])

    result = within(clip, valid, run)
    assert np.array_equal(seen[0], clip[:, 2:14, 4:13])
    assert result.shape == (2, 2, 16, 16, 1)
    assert np.array_equal(result[1, :, 2:14, 4:13], 2 * clip[:, 2:14, 4:13])
    assert np.abs(result).max() < 1e3


def test_cleared_is_zero_outside_whatever_axes_stand_behind(planes: np.ndarray, valid: np.ndarray) -> None:
    flow = np.stack([planes, planes], axis=-1)
    assert not cleared(flow, valid, axis=-3)[:, ~valid].any()
    assert np.array_equal(cleared(flow, valid, axis=-3)[:, valid], flow[:, valid])
    assert cleared(planes, None) is planes
