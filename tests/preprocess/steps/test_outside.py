"""Where a face's square reaches outside of the picture: no feature depends on what is drawn there, or is led by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import portraits
import pytest
from works import run, standard_face

from preprocess.faces.alignment import face_transform, pixels_inside, transform_points, warp
from preprocess.faces.detectors import Detectors
from preprocess.faces.face import Face
from preprocess.recipes import FEATURES
from preprocess.samples.clip import Clip
from preprocess.steps import Work

# Rows and columns of the portrait that a tight crop shows: half of the aligned face's square lies outside of it.
ROWS, COLUMNS = slice(105, 345), slice(230, 420)
FRAMES = 15


class FaceAt:
    """A finder that knows where the face is, upright, and fits landmarks with dlib."""

    def __init__(self) -> None:
        self._detectors = Detectors()

    def find(self, clip: Clip, detector: str = "hog") -> Face:
        height, width = ROWS.stop - ROWS.start, COLUMNS.stop - COLUMNS.start
        points = standard_face(1)[0] * (1.6 * width) - (0.3 * width, 0.25 * width)
        return Face(points.astype(np.float32), (0, 0, width, height), 1, "hog")

    def landmarks(self, picture: np.ndarray, box: tuple[int, int, int, int], turn: float = 0.0) -> np.ndarray:
        return self._detectors.fit(picture, box, turn).landmarks


def write_clip(folder: Path, motion: Callable[[float], Any], noise: float = 2.0) -> Clip:
    frames = [portraits.frame(motion(index / 7), noise=noise, seed=index)[ROWS, COLUMNS] for index in range(FRAMES)]
    files = portraits.write_frames(folder, frames)
    return Clip("casme2/sub01/EP01", files, None, 1, 8, FRAMES, 200.0)


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """A smile and raised brows, cropped tightly."""

    def motion(share: float) -> portraits.Motion:
        share = min(share, 2 - share)
        return portraits.together(
            portraits.bump(portraits.MOUTH, 0, -4 * share), portraits.bump((262, 149), 0, -3 * share)
        )

    return write_clip(tmp_path_factory.mktemp("outside") / "moving", motion)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """A face that does not move, with the noise of a camera."""
    return write_clip(tmp_path_factory.mktemp("outside") / "still", lambda share: None, noise=4.0)


def drawn_otherwise(picture: np.ndarray, transform: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the aligned picture with stripes in the place of what is not there."""
    drawn = warp(picture, transform, size)
    inside = pixels_inside(transform, (picture.shape[1], picture.shape[0]), size)
    stripes = np.random.default_rng(int(picture.sum()) % 1000).integers(0, 255, drawn.shape).astype(np.uint8)
    return np.where(inside.reshape(inside.shape + (1,) * (drawn.ndim - 2)), drawn, stripes)


@pytest.fixture(scope="module")
def made() -> tuple[dict[str, Work], dict[str, Work]]:
    """What the first steps of features have made of the clip, as it is and drawn otherwise: once for all features."""
    return {}, {}


@pytest.mark.slow
@pytest.mark.parametrize("name", FEATURES.names())
def test_no_feature_depends_on_what_is_drawn_outside_of_the_picture(
    name: str, moving: Clip, made: tuple[dict[str, Work], dict[str, Work]], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = FEATURES.get(name)
    tensor = recipe.compute(moving, FaceAt(), made[0]).tensor
    monkeypatch.setattr("preprocess.steps.load.warp", drawn_otherwise)
    again = recipe.compute(moving, FaceAt(), made[1]).tensor
    assert tensor is not None
    assert again is not None
    assert tensor.std() > 0
    assert np.array_equal(tensor, again)


@pytest.mark.parametrize("spot", ["profile", "roi_difference"])
def test_an_apex_is_found_without_a_look_at_what_is_drawn_outside(
    spot: str, moving: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = replace(moving, apex=None)
    found = run("select", run("face", Work(clip=clip, finder=FaceAt())), spot=spot).numbers
    assert abs(found[1] - 8) <= 2
    monkeypatch.setattr("preprocess.steps._apex_spotting.warp", drawn_otherwise)
    assert run("select", run("face", Work(clip=clip, finder=FaceAt())), spot=spot).numbers == found


def flow_of(clip: Clip, method: str) -> Work:
    work = Work(clip=clip, finder=FaceAt())
    chain: list[tuple[str, dict[str, Any]]] = [("face", {}), ("select", {}), ("load", {}), ("landmarks", {})]
    for step, options in [*chain, ("flow", {"method": method}), ("strain", {})]:
        work = run(step, work, **options)
    return work


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tvl1", "farneback", "dis"])
def test_a_still_face_with_noise_moves_nowhere_outside(method: str, still: Clip) -> None:
    work = flow_of(still, method)
    assert work.flow is not None
    assert work.strain is not None
    assert work.valid is not None
    assert 0.3 < 1 - work.valid.mean() < 0.7
    assert np.abs(work.flow[0, 0][work.valid]).max() > 0
    assert not work.flow[0, 0][~work.valid].any()
    assert not work.strain[0, 0][~work.valid].any()


def test_the_face_keeps_the_whole_range_of_eight_bits_and_outside_stands_no_motion(moving: Clip) -> None:
    work = flow_of(moving, "tvl1")
    assert work.valid is not None
    images = run("flow_tensor", work, size=128).tensor
    assert images is not None
    for image in images:
        assert image[work.valid].min() == 0
        assert image[work.valid].max() == 255
        assert len(np.unique(image[~work.valid])) == 1, "one value: that of no motion"
    u, _, strain = (image[~work.valid][0] for image in images)
    assert strain == 0
    moved = work.flow[0, 0, ..., 0][work.valid]  # type: ignore[index]
    assert u == np.rint(255 * np.clip(-moved.min() / np.ptp(moved), 0, 1))


def test_head_motion_that_is_taken_out_leaves_nothing_outside(moving: Clip) -> None:
    work = flow_of(moving, "farneback")
    assert work.valid is not None
    for after in (run("align_flow", work), run("flow", work, method="farneback", head_motion="remove")):
        assert after.flow is not None
        assert not after.flow[0, 0][~work.valid].any()


def test_the_share_outside_is_noted_above_a_twentieth(moving: Clip) -> None:
    work = flow_of(moving, "dis")
    assert work.valid is not None
    (note,) = work.notes
    assert note == f"{1 - work.valid.mean():.0%} of the face's square lies outside of the picture: no data there"
    whole = run("load", run("select", Work(clip=moving, finder=FaceAt())))
    assert whole.valid is None, "without a face the whole picture is taken"


def test_frames_are_black_outside(moving: Clip) -> None:
    work = flow_of(moving, "dis")
    assert work.valid is not None
    frames = run("frames_tensor", work).tensor
    assert frames is not None
    assert not frames[:, 0][:, ~work.valid].any()
    standard = run("frames_tensor", work, normalise="standard").tensor
    assert standard is not None
    inside = standard[:, 0][:, work.valid]
    assert inside.mean() == pytest.approx(0, abs=1e-4)
    assert inside.std() == pytest.approx(1, abs=1e-3)
    assert not standard[:, 0][:, ~work.valid].any()


def test_a_registered_crop_is_the_face_itself_unless_alignment_is_wanted(moving: Clip) -> None:
    class Nobody(FaceAt):
        def find(self, clip: Clip, detector: str = "hog") -> Face:
            raise AssertionError("a registered crop needs no search")

    clip = replace(moving, registered=True)
    work = run("load", run("select", run("face", Work(clip=clip, finder=Nobody()), size=[64, 64])))
    first = cv2.imread(str(clip.files[1]), cv2.IMREAD_GRAYSCALE)
    assert work.valid is None
    assert work.frames is not None
    assert work.frames.shape == (1, 2, 64, 64, 1)
    small = cv2.resize(first, (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(work.frames[0, 0, ..., 0].astype(int) - small).mean() < 1.5
    aligned = run("face", Work(clip=clip, finder=FaceAt()), crops="align")
    assert aligned.face is not None
    assert clip.fingerprint() != moving.fingerprint()


def test_landmarks_lie_on_a_stretched_crop(moving: Clip) -> None:
    clip = replace(moving, registered=True)
    work = run("landmarks", run("load", run("select", run("face", Work(clip=clip, finder=FaceAt()), size=[64, 64]))))
    height, width = ROWS.stop - ROWS.start, COLUMNS.stop - COLUMNS.start
    wanted = (FaceAt().find(clip).landmarks + 0.5) * (64 / width, 64 / height) - 0.5
    assert work.landmarks is not None
    assert np.allclose(work.landmarks[0], wanted, atol=1e-3)


@pytest.mark.parametrize("angle", [0.0, 20.0, 90.0])
def test_pixels_inside_are_those_whose_whole_surface_the_recording_has(angle: float) -> None:
    transform = cv2.getRotationMatrix2D((20, 15), angle, 0.7) + np.array([[0, 0, 8.0], [0, 0, 3.0]])
    inside = pixels_inside(transform, (50, 40), (48, 48))
    # Sixteen points of each pixel's surface, carried back into the recording.
    spots = np.linspace(-0.5, 0.5, 4)
    y, x, down, right = np.meshgrid(np.arange(48), np.arange(48), spots, spots, indexing="ij")
    back = transform_points(np.stack([x + right, y + down], axis=-1), cv2.invertAffineTransform(transform))
    there = (back >= -0.501).all(axis=-1) & (back <= np.array([49.501, 39.501])).all(axis=-1)
    assert np.array_equal(inside, there.all(axis=(2, 3)))
    assert 0.2 < inside.mean() < 0.9
    assert pixels_inside(face_transform(standard_face()[0], (48, 48)), (500, 500), (48, 48)).shape == (48, 48)
