"""LBP-TOP against a plain implementation of the definition, and its published sizes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from works import run, tensor, work_of

from preprocess.base.errors import UsageError
from preprocess.samples.clip import ClipError
from preprocess.steps.lbp_top import overlapping, plane_patterns

CLIP = np.random.default_rng(2).integers(0, 200, (12, 40, 44), dtype=np.uint8)


def histograms(clip: np.ndarray, **options: object) -> np.ndarray:
    return tensor("lbp_top", work_of(frames=np.asarray(clip)[None, ..., None]), **options).reshape(-1, 3, 59)


def bits(plane: np.ndarray, row: int, column: int) -> tuple[int, ...]:
    """The eight signs around a pixel at radius 1, by bilinear interpolation, anticlockwise from the right."""
    found = []
    for k in range(8):
        y, x = row - np.sin(k * np.pi / 4), column + np.cos(k * np.pi / 4)
        y0, x0 = int(np.floor(round(y, 9))), int(np.floor(round(x, 9)))
        fy, fx = round(y, 9) - y0, round(x, 9) - x0
        square = plane[y0 : y0 + 2, x0 : x0 + 2].astype(float)
        weights = np.outer([1 - fy, fy], [1 - fx, fx])[: square.shape[0], : square.shape[1]]
        found.append(int((square * weights).sum() >= float(plane[row, column]) - 1e-9))
    return tuple(found)


def test_patterns_of_all_planes_are_those_of_the_definition() -> None:
    patterns = plane_patterns(CLIP, 1, "nri_uniform")
    assert patterns.shape == (3, 10, 38, 42)
    code_of: dict[tuple[int, ...], int] = {}
    for t, y, x in np.random.default_rng(0).integers((1, 1, 1), (11, 39, 43), (300, 3)):
        planes = ((CLIP[t], y, x), (CLIP[:, y, :], t, x), (CLIP[:, :, x].T, y, t))
        for plane, (picture, row, column) in enumerate(planes):
            signs = bits(picture, row, column)
            changes = sum(a != b for a, b in zip(signs, signs[1:] + signs[:1], strict=True))
            code = int(patterns[plane, t - 1, y - 1, x - 1])
            assert (code == 58) == (changes > 2)
            if changes <= 2:
                assert code_of.setdefault(signs, code) == code
    # Uniform patterns have a number each.
    assert len(set(code_of.values())) == len(code_of) > 30


def test_every_histogram_sums_to_one_and_light_does_not_count() -> None:
    found = histograms(CLIP, blocks=[4, 4, 2], radius=1)
    assert np.allclose(found.sum(axis=-1), 1, atol=1e-6)
    assert np.array_equal(found, histograms(CLIP + 40, blocks=[4, 4, 2], radius=1))
    assert np.array_equal(found, histograms(CLIP.astype(np.float32) + 0.3, blocks=[4, 4, 2], radius=1))


def test_swapping_the_sides_of_the_picture_swaps_the_temporal_planes() -> None:
    static = np.repeat(CLIP[:1], 12, axis=0)
    found = histograms(static, blocks=[1, 1, 1], radius=1)[0]
    turned = histograms(np.ascontiguousarray(static.transpose(0, 2, 1)), blocks=[1, 1, 1], radius=1)[0]
    # In a still clip a neighbour in time equals its pixel: the patterns of XT know x only, and have few values.
    assert (found[1] > 0).sum() < (found[0] > 0).sum() / 3
    assert np.isclose(np.sort(found[1]), np.sort(turned[2])).all()


def test_a_flat_clip_has_one_pattern() -> None:
    found = histograms(np.full((8, 20, 20), 90, np.uint8), blocks=[2, 2, 1], radius=3)
    assert np.array_equal(np.sort(found, axis=-1)[..., -2:], np.broadcast_to([0, 1], (4, 3, 2)))


def test_published_sizes_and_bins() -> None:
    clip = np.random.default_rng(3).integers(0, 255, (10, 112, 112), dtype=np.uint8)
    assert histograms(clip, blocks=[8, 8, 1], overlap=0.7, radius=3).size == 11328
    assert histograms(clip, blocks=[4, 4, 2], radius=1).size == 4 * 4 * 2 * 3 * 59
    wrong = histograms(clip, blocks=[4, 4, 2], radius=1, codes="uniform_as_published")
    assert not wrong[..., 10:].any()
    assert histograms(clip, blocks=[4, 4, 2], radius=1)[..., 10:].any()


def test_orders_hold_the_same_histograms_and_blocks_may_leave_the_rest_out() -> None:
    whole = CLIP[:12, :38, :42]
    blocks = histograms(whole, blocks=[4, 4, 2], radius=1).reshape(2, 4, 4, 3, 59)
    planes = histograms(whole, blocks=[4, 4, 2], radius=1, order="planes").reshape(3, 4, 4, 2, 59)
    assert np.array_equal(planes, blocks.transpose(3, 1, 2, 0, 4))
    # 36 and 40 pixels inside the border fill the blocks; 38 and 43 leave 2 and 3 over at the right and at the bottom.
    dropped = histograms(CLIP[:, :40, :], blocks=[4, 4, 2], radius=1, rest="drop")
    assert np.array_equal(dropped, histograms(CLIP[:, :38, :42], blocks=[4, 4, 2], radius=1))
    with pytest.raises(UsageError, match="rest is 'drop' and overlap"):
        histograms(CLIP, overlap=0.5, rest="drop")


def test_a_clip_without_a_frame_for_each_span_of_time_is_told() -> None:
    assert histograms(CLIP[:4], blocks=[4, 4, 2], radius=1).size == 5664
    with pytest.raises(ClipError, match="lbp_top of radius 1 and 2 spans of time needs 4 frames, not 3"):
        histograms(CLIP[:3], blocks=[4, 4, 2], radius=1)


def test_overlapping_blocks_span_the_picture() -> None:
    # 106 pixels inside the border of a 112-pixel face: blocks of 21 pixels that share 9.
    spans = overlapping(106, 8, 0.7)
    assert spans[0][0] == 0
    assert spans[-1][1] == 106
    assert {end - start for start, end in spans} == {21}
    assert all(8 <= first[1] - second[0] <= 9 for first, second in itertools.pairwise(spans))


def test_bad_input() -> None:
    with pytest.raises(ClipError, match="casme2/sub01/EP01: lbp_top of radius 3 needs 7 frames, not 6"):
        histograms(CLIP[:6])
    with pytest.raises(UsageError, match="cannot be cut into 50 blocks"):
        histograms(CLIP, blocks=[50, 1, 1])
    with pytest.raises(UsageError, match="needs frames: put the step load before"):
        run("lbp_top", work_of())


def meb(clip: np.ndarray) -> np.ndarray:
    return tensor("lbp_top_meb", work_of(frames=clip[None, ..., None])).reshape(64, 3, 59)


def test_lbp_top_as_published_has_the_counts_of_its_public_code() -> None:
    """Of tvaranka/meb@f731b0a98168, traditional_methods.py: LBPTOP. All 11,328 were compared, and equal."""
    t, y, x = np.mgrid[:10, :112, :112]
    found = meb(
        (127 + 60 * np.sin(0.31 * x + 0.2 * t) + 60 * np.cos(0.23 * y - 0.3 * t + 0.001 * x * y)).astype(np.uint8)
    )
    published = {
        (0, 0): ({19: 172, 32: 138, 9: 99}, 1764),
        (9, 1): ({14: 126, 58: 86, 39: 69}, 1116),
        (27, 2): ({14: 255, 43: 198, 38: 67}, 1116),
        (63, 0): ({19: 179, 26: 104, 38: 104}, 1936),
    }
    for (block, plane), (counts, total) in published.items():
        histogram = found[block, plane]
        assert {pattern: histogram[pattern] for pattern in counts} == counts
        assert histogram.sum() == total
        assert histogram.max() == max(counts.values())


def test_no_pixel_counts_more_than_twice_as_published() -> None:
    found = meb(np.full((9, 112, 112), 90, np.uint8))
    assert set(np.flatnonzero(found.any(axis=(0, 1)))) == {57}, "neighbours as bright as the centre set their bit"
    pixels = 3 * 106 * 106
    assert pixels < found[:, 0].sum() <= 2 * pixels


def test_lbp_top_as_published_takes_whole_clips_of_seven_frames() -> None:
    with pytest.raises(ClipError, match="lbp_top_meb of radius 3 needs 7 frames, not 6"):
        meb(np.zeros((6, 112, 112), np.uint8))
    assert meb(np.zeros((7, 112, 112), np.uint8)).sum()


def test_lbp_top_as_published_counts_nothing_outside_of_the_recording() -> None:
    clip = np.random.default_rng(3).integers(0, 200, (7, 112, 112), dtype=np.uint8)
    valid = np.ones((112, 112), bool)
    valid[:, 60:] = False
    other = np.where(valid, clip, 255 - clip)
    counts = [tensor("lbp_top_meb", work_of(frames=one[None, ..., None], valid=valid)) for one in (clip, other)]
    assert np.array_equal(*counts)
    assert 0 < counts[0].sum() < meb(clip).sum()
