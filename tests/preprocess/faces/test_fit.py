"""A fit is judged region by region, and follows a face that shifts, turns or reaches beyond the picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from rendered_faces import FACES, Sight

from preprocess.faces.alignment import face_transform, landmark_box, landmark_turn, placement, transform_points, warp
from preprocess.faces.detectors import Detectors
from preprocess.faces.fit import Fit, eye_distance, regions_apart
from preprocess.faces.landmark_sets import FACE_REGIONS
from preprocess.faces.mean_shape import mean_shape

SHARED = Detectors()
INNER = [name for name in FACE_REGIONS if name != "jaw"]


@pytest.fixture(scope="module", params=FACES)
def sight(request: pytest.FixtureRequest) -> Sight:
    return request.param()  # type: ignore[no-any-return]


def detected(picture: np.ndarray) -> tuple[int, int, int, int]:
    return SHARED.hog(picture, 640)[0]


def region_errors(found: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Return how far each region's middle lies from the true one, in distances between the eyes."""
    away = {
        name: found[list(points)].mean(axis=0) - true[list(points)].mean(axis=0)
        for name, points in FACE_REGIONS.items()
    }
    return {name: float(np.linalg.norm(one)) / eye_distance(true) for name, one in away.items()}


def test_the_mean_face_is_symmetric_and_placed_where_it_is() -> None:
    from preprocess.faces.landmark_sets import MIRROR_68

    mean = mean_shape()
    assert np.allclose(mean[list(MIRROR_68)], mean * (-1, 1) + (1, 0), atol=2e-4)
    turn = np.deg2rad(200)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    middle, side, degrees = placement(((mean - 0.5) @ rotation) * 90 + [300, 200])
    assert np.allclose(middle, [300, 200], atol=0.1)
    assert side == pytest.approx(90, abs=0.1)
    assert degrees % 360 == pytest.approx(200, abs=0.1)


@pytest.mark.slow
def test_fits_of_faces_lie_where_they_should_and_are_plausible(sight: Sight) -> None:
    fit = SHARED.fit(sight.picture, detected(sight.picture))
    assert fit.plausible(0.03)
    assert max(region_errors(fit.landmarks, sight.landmarks).values()) < 0.06


@pytest.mark.slow
@pytest.mark.parametrize("box", [(0.1, 0.0), (-0.1, 0.0), (0.0, 0.1), (0.0, -0.1)])
def test_a_box_that_is_off_gives_the_same_face(sight: Sight, box: tuple[float, float]) -> None:
    left, top, right, bottom = detected(sight.picture)
    x, y = round(box[0] * (right - left)), round(box[1] * (right - left))
    fit = SHARED.fit(sight.picture, (left + x, top + y, right + x, bottom + y))
    assert max(region_errors(fit.landmarks, sight.landmarks).values()) < 0.07


@pytest.mark.slow
@pytest.mark.parametrize(
    ("region", "move"),
    [
        ("mouth", (0.0, 0.4)),
        ("mouth", (0.0, 0.3)),
        ("mouth", (0.35, 0.0)),
        ("mouth", (0.0, -0.4)),
        ("nose", (0.0, 0.5)),
        ("nose", (0.0, -0.5)),
        ("brows", (0.0, -0.4)),
        ("brows", (0.0, 0.35)),
        ("jaw", (0.0, -0.5)),
        ("jaw", (0.6, 0.0)),
        ("eyes", (0.0, 0.5)),
    ],
)
def test_one_region_in_the_wrong_place_is_implausible(sight: Sight, region: str, move: tuple[float, float]) -> None:
    fit = SHARED.fit(sight.picture, detected(sight.picture))
    wrong = fit.landmarks.copy()
    wrong[list(FACE_REGIONS[region])] += np.float32(move) * eye_distance(wrong)
    # The mean over all points cannot see it, since every fit is wrong alike.
    moved = Fit(wrong, fit.spread, fit.regions, fit.turn)
    assert not moved.plausible(0.1)
    assert moved.faults(0.1)


def test_a_region_whose_fits_differ_is_implausible_however_well_the_others_agree(sight: Sight) -> None:
    true = sight.landmarks
    unit = eye_distance(true)
    fits = np.repeat(true[None], 5, axis=0)
    fits[:2, 48:] += [0.0, 0.3 * unit]
    fit = Fit.of(fits, 0.0)
    assert fit.spread < 0.06
    assert "mouth" in fit.faults(0.06)
    assert set(fit.faults(0.06)) == {"mouth"}


def test_a_wide_open_mouth_and_a_strong_smile_are_plausible(sight: Sight) -> None:
    true = sight.landmarks.astype(np.float32)
    unit = eye_distance(true)
    opened = true.copy()
    opened[[*range(55, 60), *range(65, 68)]] += np.float32([0, 0.5]) * unit
    opened[5:12] += np.float32([0, 0.4]) * unit
    assert Fit(opened, 0.01).faults(0.03) == {}
    smile = true.copy()
    smile[[48, 60]] += np.float32([-0.15, -0.15]) * unit
    smile[[54, 64]] += np.float32([0.15, -0.15]) * unit
    assert Fit(smile, 0.01).faults(0.03) == {}


def test_regions_are_compared_wherever_the_faces_are() -> None:
    mean = 100 * mean_shape()
    turned = mean @ np.array([[0.0, 2.0], [-2.0, 0.0]]) + [30, -10]
    assert max(regions_apart(mean, turned).values()) < 1e-6
    turned[48:] += [-0.3 * eye_distance(turned), 0.0]
    apart = regions_apart(mean, turned)
    assert max(apart, key=lambda name: apart[name]) == "mouth"
    assert apart["mouth"] == pytest.approx(0.3, abs=0.02)


def crops(sight: Sight) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return crops of a face, 280 pixels wide, so tight that its fit's window reaches outside; and their landmarks."""
    true, result = sight.landmarks, []
    width = true[16, 0] - true[0, 0]
    middle, low = (true[0, 0] + true[16, 0]) / 2, true[8, 1]
    for share, right, cut in [(1.0, 0, 0.0), (0.92, 0, 0.1), (0.92, 0.06, 0.0), (0.84, -0.06, 0.0), (0.84, 0, 0.12)]:
        side = share * width
        left, bottom = middle + (right - 0.5) * side, low + (0.04 - cut) * width
        top = max(bottom - side * 340 / 280, 0)
        edges = [round(float(edge)) for edge in (left, top, left + side, bottom)]
        part = sight.picture[edges[1] : edges[3], max(edges[0], 0) : edges[2]]
        scale = 280 / part.shape[1]
        size = (280, round(part.shape[0] * scale))
        there = (true - [max(edges[0], 0), edges[1]] + 0.5) * [280 / part.shape[1], size[1] / part.shape[0]] - 0.5
        result.append((cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC), there))
    return result


@pytest.mark.slow
def test_tight_crops_keep_every_region_in_its_place(sight: Sight) -> None:
    for number, (picture, true) in enumerate(crops(sight)):
        found = SHARED.hog(picture, 640) or SHARED.hog_padded(picture, 640)
        fit = SHARED.fit(picture, found[0])
        errors = region_errors(fit.landmarks, true)
        assert max(errors[name] for name in INNER) < 0.08, (number, errors)
        # What the picture shows of the jaw draws the rest; a dark edge would be taken for its outline.
        assert errors["jaw"] < 0.17, (number, errors)
        assert fit.plausible(0.03)


@pytest.mark.slow
@pytest.mark.parametrize("turn", [-135, -60, 20, 90, 180])
def test_a_fit_that_knows_the_turn_finds_turned_faces(sight: Sight, turn: float) -> None:
    height, width = sight.picture.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -turn, 0.7)
    picture, true = cv2.warpAffine(sight.picture, matrix, (width, height)), transform_points(sight.landmarks, matrix)
    assert abs((landmark_turn(true) - turn + 180) % 360 - 180) < 8
    fit = SHARED.fit(picture, landmark_box(true), turn - 15)
    assert fit.plausible(0.03)
    assert max(region_errors(fit.landmarks, true).values()) < 0.06
    assert abs((fit.turn - turn + 180) % 360 - 180) < 8


@pytest.mark.slow
@pytest.mark.parametrize("size", [112, 128, 224])
def test_landmarks_frame_by_frame_follow_a_face_that_shifts(sight: Sight, size: int) -> None:
    transform = face_transform(sight.landmarks, (size, size))
    points = transform_points(sight.landmarks, transform)
    box, turn = landmark_box(points), landmark_turn(points)

    def at(shift: np.ndarray) -> np.ndarray:
        moved = transform + np.column_stack([np.zeros((2, 2)), shift])
        return SHARED.fit(warp(sight.picture, moved, (size, size)), box, turn, fine=True).landmarks

    start = at(np.zeros(2))
    for pixels in (1, 2, 4):
        for direction in range(0, 8, pixels):
            angle = direction * math.pi / 4
            shift = pixels * np.rint([1.2 * math.cos(angle), 1.2 * math.sin(angle)])
            away = np.linalg.norm(at(shift) - start - shift, axis=1).mean()
            assert away < 0.2, (pixels, direction, away)
