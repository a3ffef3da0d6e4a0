"""Landmark sets name the points that the papers use, and mirroring a set mirrors the face."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.data import astronaut
from works import standard_face

from preprocess.base.errors import UsageError
from preprocess.faces import landmark_sets as sets
from preprocess.faces.detectors import Detectors


def test_sets_have_the_published_sizes() -> None:
    sizes = {name: len(points) for name, points in sets.LANDMARK_SETS.items()}
    assert sizes == {
        "all_68": 68,
        "inner_51": 51,
        "brows_mouth_30": 30,
        "au_graph_12": 12,
        "rigid_19": 19,
        "mdmo_13": 13,
        "mhssa_72": 72,
        "mhssa_72_as_published": 72,
    }
    assert [len(points) for points in sets.MHSSA_REGIONS.values()] == [5, 5, 6, 6, 9, 12]
    assert sum(sets.MHSSA_MASK) == 43
    assert np.bincount(sets.MHSSA_REGION_IDS).tolist() == [12] * 6


def test_regions_of_the_72_layout_lie_where_their_names_say() -> None:
    face = standard_face()[0]
    centre = {name: face[list(points)].mean(axis=0) for name, points in sets.MHSSA_REGIONS.items()}
    assert centre["left_brow"][0] < centre["nose"][0] < centre["right_brow"][0]
    assert centre["left_eye"][0] < centre["nose"][0] < centre["right_eye"][0]
    heights = [centre[name][1] for name in ("left_brow", "left_eye", "nose", "outer_lip")]
    assert heights == sorted(heights)
    # The public code's "nose" is where the eyes are.
    eyes = set(range(36, 48))
    assert set(sets.MHSSA_REGIONS_AS_PUBLISHED["nose"]) < eyes


@pytest.mark.parametrize("name", sorted(sets.LANDMARK_SETS))
def test_mirroring_values_mirrors_a_symmetric_face(name: str) -> None:
    points = sets.landmark_set(name)
    order = list(sets.mirrored(points))
    assert sorted(order) == list(range(len(points)))
    assert [order[i] for i in order] == list(range(len(points)))
    face = standard_face(100)[0][list(points)]
    empty = np.array(points) == sets.PADDING
    face[empty] = 50
    assert np.allclose(face[order], face * (-1, 1) + (100, 0), atol=1e-3)
    assert [order[i] for i in np.flatnonzero(empty)] == np.flatnonzero(empty).tolist()


def test_mirroring_all_68_swaps_the_sides_of_every_landmark() -> None:
    face = standard_face(100)[0]
    assert np.allclose(face[list(sets.MIRROR_68)], face * (-1, 1) + (100, 0), atol=1e-3)


@pytest.mark.slow
def test_mirroring_agrees_with_the_landmarks_of_a_real_face_in_a_mirrored_picture() -> None:
    picture = cv2.cvtColor(astronaut(), cv2.COLOR_RGB2GRAY)
    detectors = Detectors()

    def found(grey: np.ndarray) -> np.ndarray:
        grey = np.ascontiguousarray(grey)
        return detectors.fit(grey, detectors.hog(grey, 640)[0]).landmarks

    seen, flipped = found(picture), found(picture[:, ::-1])
    turned_back = flipped[list(sets.MIRROR_68)] * (-1, 1) + (picture.shape[1] - 1, 0)
    width = seen[16, 0] - seen[0, 0]
    apart = np.linalg.norm(turned_back - seen, axis=1)
    # The predictor is not quite symmetric itself; two points in each other's place are much farther apart.
    assert apart.mean() < 0.03 * width
    assert apart[17:].max() < 0.08 * width


def test_sets_without_a_mirror_image_are_refused() -> None:
    with pytest.raises(UsageError, match="no mirror image"):
        sets.mirrored((17, 18))
    with pytest.raises(UsageError, match="Did you mean: inner_51"):
        sets.landmark_set("inner_50")
