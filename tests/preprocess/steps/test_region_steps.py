"""Regions of action units, mosaics, grids, landmark coordinates, motion and shape pictures."""

from __future__ import annotations

import numpy as np
import pytest
from works import constant_flow, run, standard_face, tensor, work_of

from preprocess.base.errors import UsageError
from preprocess.faces.landmark_sets import AU_GRAPH_12
from preprocess.samples.clip import ClipError
from preprocess.steps.au_rois import main_motion
from preprocess.steps.strain import optical_strain

FACE = standard_face(112)


def test_au_rois_of_a_moving_head_are_still() -> None:
    found = tensor("au_rois", work_of(flow=constant_flow(2, -1, size=112, pairs=3), landmarks=FACE))
    assert found.shape == (3, 12, 2)
    assert np.allclose(found, 0, atol=1e-6)


def test_au_rois_show_a_local_motion_at_its_node_only() -> None:
    flow = constant_flow(2, -1, size=112)
    x, y = np.rint(FACE[0, 48]).astype(int)
    flow[0, 0, y - 5 : y + 6, x - 5 : x + 6] += (0, 3)
    found = tensor("au_rois", work_of(flow=flow, landmarks=FACE))[0]
    node = AU_GRAPH_12.index(48)
    assert np.allclose(found[node], (0, 3), atol=1e-5)
    assert np.allclose(np.delete(found, node, axis=0), 0, atol=1e-5)


def test_au_rois_take_each_pairs_landmarks_on_request() -> None:
    faces = np.concatenate([FACE, FACE + np.float32([0, 20])]).astype(np.float32)
    flow = constant_flow(0, 0, size=112, pairs=2)
    x, y = np.rint(faces[1, 19]).astype(int)
    flow[0, 1, y - 5 : y + 6, x - 5 : x + 6] = (0, -2)
    work = work_of(flow=flow, landmarks=faces)
    node = AU_GRAPH_12.index(19)
    assert np.allclose(tensor("au_rois", work, at="each")[1, node], (0, -2))
    assert np.allclose(tensor("au_rois", work, at="first")[1, node], 0)
    # Flow between neighbours leads to the later one, whose landmarks AUW-GCN takes.
    later = work_of(flow=flow[:, 1:], landmarks=faces)
    assert np.allclose(tensor("au_rois", later, at="later")[0, node], (0, -2))
    assert np.allclose(tensor("au_rois", later, at="each")[0, node], 0)
    with pytest.raises(UsageError, match="2 pairs, but landmarks of 1 frames"):
        tensor("au_rois", work, at="later")


@pytest.mark.parametrize("jpeg", [False, True])
def test_flow_codes_are_coarse_shares_of_a_range_and_nothing_outside(jpeg: bool) -> None:
    flow = constant_flow(0.7, -3, size=32)
    flow[0, 0, :, 16:] = (0.7 - 0.03, 40)
    valid = np.ones((32, 32), bool)
    valid[:, 28:] = False
    found = run("flow_codes", work_of(flow=flow, valid=valid), bound=10, jpeg=jpeg).flow
    assert found is not None
    assert found.dtype == np.float32
    codes = (found + 0.5) * 255
    assert np.allclose(codes[0, 0, :, :28], np.rint(codes[0, 0, :, :28]), atol=1e-3)
    assert np.allclose(found[0, 0, 4, 4], (0.7 / 20, -3 / 20), atol=0.5 / 255)
    assert np.allclose(found[0, 0, 4, 20, 0], found[0, 0, 4, 4, 0]), "less than a code is nothing"
    assert found[0, 0, 4, 20, 1] == 0.5, "what is beyond the range is cut"
    assert not found[0, 0, :, 28:].any()


def test_flow_codes_of_a_jpeg_are_not_those_of_the_picture() -> None:
    flow = np.random.default_rng(0).normal(size=(1, 2, 32, 32, 2)).astype(np.float32)
    exact, stored = (run("flow_codes", work_of(flow=flow), jpeg=jpeg).flow for jpeg in (False, True))
    assert exact is not None
    assert stored is not None
    apart = np.abs(exact - stored) * 255
    assert 0.2 < apart.mean() < 4
    assert np.allclose(exact, flow / 20, atol=0.6 / 255)


def test_au_rois_take_a_wide_range_of_directions_as_down() -> None:
    flow = constant_flow(0, 0, size=112)
    x, y = np.rint(FACE[0, 57]).astype(int)
    # 40 degrees below the right, and straight down: both are down, so both count.
    flow[0, 0, y - 5 : y + 6, x - 5 : x + 1] = (2 * np.cos(np.radians(40)), 2 * np.sin(np.radians(40)))
    flow[0, 0, y - 5 : y + 6, x + 1 : x + 6] = (0, 2)
    found = tensor("au_rois", work_of(flow=flow, landmarks=FACE), share=1.0)[0, AU_GRAPH_12.index(57)]
    assert 60 < np.degrees(np.arctan2(found[1], found[0])) < 70
    assert np.isclose(np.hypot(*found), 2)


def test_main_motion_is_the_mean_of_the_strongest_of_the_fullest_direction() -> None:
    # Five to the right (borders 45, 135, ...), of which the strongest three count; four, much stronger, to the left.
    vectors = np.array([(1, 0), (2, 0), (3, 0), (4, 0), (5, 0)] + [(-50, 0)] * 4, float)
    borders = (45, 135, 225, 315)
    assert np.allclose(main_motion(vectors, borders, 0.6), (4, 0))
    assert np.allclose(main_motion(vectors[None, ::-1], borders, 0.2), [(5, 0)])
    # The direction is that of the sum, the length the mean length.
    assert np.allclose(main_motion(np.array([(3, 2), (3, -2)], float), borders, 1.0), (np.sqrt(13), 0))
    # 100 degrees from the right is down when down is wide, and 20 is right.
    angles = np.radians([20, 35, 145, 100])
    wide = main_motion(np.stack([np.cos(angles), np.sin(angles)], axis=-1), (30, 150, 210, 330), 1.0)
    assert np.allclose(wide, (0, 1), atol=0.1)


def test_a_mosaic_shows_brows_nose_and_mouth_in_their_quarters() -> None:
    flow = constant_flow(0, 0, size=112)
    strain = np.zeros((1, 1, 112, 112), np.float32)
    flow[0, 0, :50, :50, 0] = 1
    flow[0, 0, :50, 62:, 0] = 2
    flow[0, 0, 75:, :, 1] = 3
    strain[0, 0, 40:70, 53:59] = 4
    result = run("roi_mosaic", work_of(flow=flow, strain=strain, landmarks=FACE), size=28)
    assert result.flow is not None
    assert result.strain is not None
    assert result.flow.shape == (1, 1, 28, 28, 2)
    u, v, s = result.flow[0, 0, ..., 0], result.flow[0, 0, ..., 1], result.strain[0, 0]
    assert u[:14, :14].mean() > 0.9
    assert np.allclose(u[:14, 15:27], 2)
    assert not u[14:, 14:].any()
    assert not u[20:].any()
    assert np.allclose(v[17:, 15:27], 3)
    assert not v[:14].any()
    assert np.allclose(s[18:24, 6:8], 4)
    assert not s[:14].any()


def test_grid_means_are_the_means_of_the_blocks() -> None:
    strain = np.random.default_rng(0).random((1, 2, 57, 60)).astype(np.float32)
    found = tensor("roi_grid", work_of(strain=strain), of="strain", blocks=[4, 5])
    assert found.shape == (2, 4, 5)
    expected = strain[0, 1, 57 * 2 // 4 : 57 * 3 // 4, 12:24].mean()
    assert np.isclose(found[1, 2, 1], expected)
    flow = tensor("roi_grid", work_of(flow=constant_flow(2, 5)), of="flow", blocks=[3, 3])
    assert np.allclose(flow, np.broadcast_to(np.array([2, 5])[None, :, None, None], (1, 2, 3, 3)))


def test_landmark_points_follow_the_picture_when_it_is_resized() -> None:
    frames = np.zeros((1, 2, 112, 112, 1), np.uint8)
    faces = np.concatenate([FACE, FACE + 4])
    work = work_of(frames=frames, landmarks=faces, key=(("onset", 0), ("apex", 1)))
    small = tensor("landmark_points", work, size=28)
    assert small.shape == (68, 2)
    # Four pixels become one: their middle 1.5 becomes the middle 0 of the first.
    assert np.allclose(small, (FACE[0] + 4 - 1.5) / 4, atol=1e-5)
    assert np.allclose(tensor("landmark_points", work, frame="all"), faces)
    assert tensor("landmark_points", work, points="inner_51", frame="onset").shape == (51, 2)
    with pytest.raises(UsageError, match="needs the frame 'offset'"):
        tensor("landmark_points", work, frame="offset")


def test_face_areas_are_eyes_and_lip_corners_kept_inside() -> None:
    frames = np.zeros((1, 1, 112, 112, 1), np.uint8)
    work = work_of(frames=frames, landmarks=FACE, key=(("apex", 0),))
    left_eye, right_eye, left_lip, right_lip = tensor("face_areas", work)
    assert left_eye[0] < right_eye[0]
    assert left_eye[1] == right_eye[1] < left_lip[1] == right_lip[1]
    assert np.allclose(left_lip[0] + right_lip[0], 27, atol=1)
    outside = tensor("face_areas", work_of(frames=frames, landmarks=FACE + 500, key=(("apex", 0),)))
    assert np.array_equal(outside, np.full((4, 2), 21))


def test_a_motion_image_keeps_the_apex_and_the_strong_motions() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (1, 3, 40, 40, 1), dtype=np.uint8)
    flow = np.zeros((1, 2, 40, 40, 2), np.float32)
    flow[0, 0, 5:8, 5:8] = (3, 4)
    flow[0, 0, 20, 20] = (0, 0.01)
    found = tensor("motion_image", work_of(frames=frames, flow=flow, key=(("onset", 0), ("apex", 1), ("offset", 2))))
    assert found.shape == (3, 40, 40)
    assert found.dtype == np.uint8
    assert np.array_equal(found[0], frames[0, 1, ..., 0])
    assert np.all(found[1, 5:8, 5:8] == 255)
    assert (found[1] > 0).sum() == 9
    assert not found[2].any()


def test_shape_maps_show_edges_whatever_the_light() -> None:
    y, x = np.mgrid[:64, :64]
    square = ((abs(x - 32) < 12) & (abs(y - 32) < 12)).astype(np.float32)
    frames = np.stack([square * 0, 50 * square + 20, 50 * square + 120, 100 * square])[None, ..., None]
    work = work_of(frames=frames, landmarks=np.repeat(FACE, 4, axis=0), numbers=(1, 2, 3, 4), key=(("apex", 3),))
    result = run("shape_maps", work)
    assert result.frames is not None
    maps = result.frames[0, ..., 0]
    assert maps.shape == (3, 64, 64)
    assert np.allclose(maps[0], maps[1], atol=1e-3)
    assert np.allclose(maps[0], maps[2], atol=1e-3)
    assert maps.min() == 0
    assert maps.max() == 1
    # Far from edges the map is flat; inside of an edge it is brightest, outside of it darkest.
    assert maps[0, 32, 22] > maps[0, 32, 2] > maps[0, 32, 18]
    assert result.numbers == (2, 3, 4)
    assert result.key == (("apex", 2),)
    with pytest.raises(ClipError, match="at least 2 frames"):
        run("shape_maps", work_of(frames=frames[:, :1]))


def test_strain_of_a_mosaic_has_no_seams() -> None:
    rng = np.random.default_rng(0)
    flow = constant_flow(0, 0, size=112)
    flow += rng.normal(size=2).astype(np.float32)
    result = run("roi_mosaic", work_of(flow=flow, strain=optical_strain(flow), landmarks=FACE))
    assert result.strain is not None
    assert not result.strain.any()
    with pytest.raises(UsageError, match="needs strain"):
        run("roi_mosaic", work_of(flow=flow, landmarks=FACE))


@pytest.mark.parametrize(
    ("step", "option", "value"),
    [
        ("stldn", "divisor", "986"),
        ("stldn", "over", "triples"),
        ("lbp_top", "blocks", [8, 8]),
        ("lbp_top", "overlap", 1),
        ("lbp_top", "radius", 0),
        ("lbp_top", "rest", "last"),
        ("lbp_top", "order", "times"),
        ("hoof", "blocks", 5),
        ("hoof", "bins", 0),
        ("biwoof", "blocks", [5, "5"]),
        ("biwoof", "reach", -1),
        ("biwoof", "size", "100"),
        ("biwoof", "rest", "first"),
        ("biwoof", "density", 1),
        ("strain", "derivative", "forward"),
        ("flow_codes", "bound", 0),
        ("flow_codes", "jpeg", 95),
        ("mdmo", "beta", True),
        ("au_rois", "share", None),
        ("au_rois", "radius", 2.5),
        ("au_rois", "at", "last"),
        ("roi_mosaic", "margin", -0.1),
        ("roi_mosaic", "size", 27),
        ("motion_image", "threshold", "high"),
        ("shape_maps", "fine", 9),
        ("roi_grid", "blocks", [0, 5]),
        ("roi_grid", "of", "depth"),
        ("face_areas", "reach", 15),
        ("landmark_points", "frame", "middle"),
        ("align_flow", "points", 19),
    ],
)
def test_options_of_the_wrong_kind_are_refused_by_name(step: str, option: str, value: object) -> None:
    work = work_of(
        frames=np.zeros((1, 9, 56, 56, 1), np.uint8),
        flow=constant_flow(1, 0),
        strain=np.zeros((1, 1, 56, 56), np.float32),
        landmarks=np.repeat(standard_face(56), 9, axis=0),
        key=(("onset", 0), ("apex", 1)),
    )
    with pytest.raises(UsageError) as refused:
        run(step, work, **{option: value})
    assert str(value).strip("[]") in str(refused.value)
    assert "expected" in str(refused.value) or "Known" in str(refused.value) or "Did you mean" in str(refused.value)
    run(step, work, **({"over": "codes"} if step == "stldn" else {}))
