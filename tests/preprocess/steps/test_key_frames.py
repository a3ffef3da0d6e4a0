"""The steps face, select, load and landmarks on clips of a real face: alignment, key frames, bad input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import portraits
import pytest

from preprocess.base.errors import UsageError
from preprocess.faces.alignment import face_transform, transform_points, warp
from preprocess.faces.face import Face
from preprocess.faces.finder import DlibFaceFinder
from preprocess.samples.clip import Clip, ClipError
from preprocess.steps import STEPS, Work, _landmark_motion

LENGTH, APEX = 17, 6


@pytest.fixture(scope="module")
def finder() -> DlibFaceFinder:
    return DlibFaceFinder()


@pytest.fixture(scope="module")
def smile(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """17 frames, numbers 101 to 117, whose mouth moves up and to the left; the apex is 107."""
    frames = portraits.expression(LENGTH, APEX, lambda level: portraits.bump(portraits.MOUTH, -3 * level, -4 * level))
    files = portraits.write_frames(tmp_path_factory.mktemp("smile"), frames, first=101)
    return portraits.clip_of(files, apex=101 + APEX, fps=200.0)


def chain(clip: Clip, finder: Any, *steps: tuple[str, dict[str, Any]]) -> Work:
    work = Work(clip=clip, finder=finder)
    for name, options in steps:
        step = STEPS.get(name)
        work = step.run(work, **step.options(options, "test"))
    return work


def selected(clip: Clip, finder: Any, **options: Any) -> Work:
    return chain(clip, finder, ("select", options))


def without(clip: Clip, *numbers: int) -> Clip:
    return replace(clip, files={number: path for number, path in clip.files.items() if number not in numbers})


def damaged(clip: Clip, folder: Path, *numbers: int) -> Clip:
    """Return the clip with these frames cut in half, in files of their own."""
    files = dict(clip.files)
    for number in numbers:
        content = Path(files[number]).read_bytes()
        files[number] = folder / f"img{number}.png"
        files[number].write_bytes(content[: len(content) // 2])
    return replace(clip, files=files)


def test_alignment_brings_eyes_and_nose_to_their_places_however_the_head_is_held(finder: DlibFaceFinder) -> None:
    whole = cv2.cvtColor(portraits.frame(), cv2.COLOR_RGB2GRAY)
    aligned = []
    for angle, scale, x, y in [(0, 1.0, 0, 0), (14, 0.8, 60, -20), (-11, 1.2, -40, 30)]:
        turn = cv2.getRotationMatrix2D((320, 240), angle, scale)
        turn[:, 2] += x, y
        picture = cv2.warpAffine(whole, turn, (640, 480), borderMode=cv2.BORDER_REFLECT)
        landmarks = finder.landmarks(picture, _square(transform_points(_neutral(finder, whole), turn)))
        transform = face_transform(landmarks, (128, 128))
        eyes = transform_points(landmarks, transform)[36:48].reshape(2, 6, 2).mean(axis=1)
        assert abs(eyes[0, 1] - eyes[1, 1]) < 1.5, "level"
        assert 45 < eyes[1, 0] - eyes[0, 0] < 52
        aligned.append(warp(picture, transform, (128, 128))[20:110, 20:110].astype(float))
    for other in aligned[1:]:
        assert np.corrcoef(aligned[0].ravel(), other.ravel())[0, 1] > 0.97


def _neutral(finder: DlibFaceFinder, picture: np.ndarray) -> np.ndarray:
    return finder.landmarks(picture, (194, 108, 452, 366))


def _square(points: np.ndarray) -> tuple[int, int, int, int]:
    middle, half = points.mean(axis=0), (points.max(axis=0) - points.min(axis=0)).max() / 2
    left, top, right, bottom = (round(float(edge)) for edge in (*(middle - half), *(middle + half)))
    return left, top, right, bottom


def test_the_box_alignment_does_not_turn_the_picture() -> None:
    landmarks = np.random.default_rng(0).uniform(100, 300, (68, 2)).astype(np.float32)
    landmarks[36:42], landmarks[42:48], landmarks[31:36] = (150, 150), (250, 190), (190, 260)
    straight = face_transform(landmarks, (64, 64), align="box")
    assert straight[0, 1] == straight[1, 0] == 0
    assert straight[0, 0] == straight[1, 1] > 0
    assert face_transform(landmarks, (64, 64))[0, 1] != 0


@pytest.mark.slow
def test_a_margin_shows_more_and_a_size_changes_nothing_else(finder: DlibFaceFinder, smile: Clip) -> None:
    narrow = chain(smile, finder, ("face", {"margin": 0.0})).transform
    wide = chain(smile, finder, ("face", {"margin": 0.5})).transform
    large = chain(smile, finder, ("face", {"margin": 0.0, "size": [256, 256]})).transform
    assert narrow is not None
    assert wide is not None
    assert large is not None
    np.testing.assert_allclose(narrow[:, :2], 2 * wide[:, :2])
    np.testing.assert_allclose(large[:, :2], 2 * narrow[:, :2])


def test_all_frames_go_through_one_transform_so_that_stillness_stays_still(
    tmp_path: Path, finder: DlibFaceFinder
) -> None:
    frames = [portraits.frame(portraits.bump(portraits.MOUTH, 0, 5.0 * (index == 2))) for index in range(4)]
    clip = portraits.clip_of(portraits.write_frames(tmp_path, frames))
    loaded = chain(clip, finder, ("face", {}), ("select", {"frames": "clip"}), ("load", {})).frames
    assert loaded is not None
    assert np.array_equal(loaded[0, 0], loaded[0, 1])
    changed = np.abs(loaded[0, 0].astype(int) - loaded[0, 2])
    assert changed[:20].max() <= 1, "the forehead did not move"
    assert changed[80:].max() > 30


def test_a_large_recording_shrinks_without_aliasing() -> None:
    stripes = np.tile(np.uint8([0, 255]), (600, 300))
    shrunk = warp(stripes, np.array([[0.2, 0.0, 0.0], [0.0, 0.2, 0.0]]), (120, 120))
    assert np.abs(shrunk[2:-2, 2:-2].astype(int) - 128).max() < 60
    slope = np.add.outer(0.1 * np.arange(600), 0.3 * np.arange(600)).astype(np.float32)
    same = warp(slope, np.array([[0.2, 0.0, 0.0], [0.0, 0.2, 0.0]]), (120, 120))
    # Pixel (i, j) of the shrunk picture shows the place (5 i, 5 j) of the large one.
    np.testing.assert_allclose(same[5:-5, 5:-5], slope[::5, ::5][5:-5, 5:-5], atol=0.1)


@pytest.mark.parametrize(
    ("frames", "count", "wanted", "roles"),
    [
        ("apex", None, [107], {"apex": 0}),
        ("onset_apex", None, [101, 107], {"onset": 0, "apex": 1}),
        ("onset_apex_offset", None, [101, 107, 117], {"onset": 0, "apex": 1, "offset": 2}),
        ("clip", None, [*range(101, 118)], {"onset": 0, "offset": 16}),
        ("onset_to_apex", None, [*range(101, 108)], {"onset": 0, "apex": 6}),
        ("uniform", 5, [101, 105, 109, 113, 117], {"onset": 0, "offset": 4}),
        ("uniform_to_apex", 4, [101, 103, 105, 107], {"onset": 0, "apex": 3}),
        ("around_apex", 5, [105, 106, 107, 108, 109], {"apex": 2}),
        ("around_apex", 15, [101, *range(102, 116)], {"onset": 0, "apex": 6}),
        ("onset_around_apex", 5, [101, 105, 106, 107, 108, 109], {"onset": 0, "apex": 3}),
        ("onset_around_apex", 13, [101, *range(102, 115)], {"onset": 0, "apex": 6}),
        (
            *("onset_around_apex", 31),
            [101, *(102 + half // 2 for half in range(31))],
            {"onset": 0, "apex": 11, "offset": 31},
        ),
        ("unified_11", None, [101, 102, 103, 103, 104, 104, 105, 106, 106, 107, 108], {"onset": 0, "apex": 9}),
        ("binary_9", None, [101, 102, 104, 105, 107, 109, 112, 114, 117], {"onset": 0, "apex": 4, "offset": 8}),
    ],
)
def test_frames_are_chosen_as_told(
    smile: Clip, finder: Any, frames: str, count: int | None, wanted: list[int], roles: dict[str, int]
) -> None:
    """unified_11 as in shayhan-ameen/Unified_MaE_and_ME_Recognition@593fea0, process_dataset.py: dataset_process."""
    work = selected(smile, finder, frames=frames, count=count)
    assert list(work.numbers) == wanted
    assert dict(work.key) == roles
    assert work.notes == ()


@pytest.mark.parametrize(
    ("way", "steps"),
    [
        (0, [0, 0, 0, 0, 0]),
        (3, [0, 0, 0, 0, 0]),
        (4, [-1, 0, 0, 0, 1]),
        (20, [-1, 0, 0, 0, 1]),
        (30, [-2, -1, 0, 1, 2]),
        (40, [-2, -1, 0, 1, 2]),
        (120, [-6, -3, 0, 3, 6]),
    ],
)
def test_moments_near_key_frames_are_a_twentieth_of_the_way_from_them_at_any_frame_rate(
    finder: Any, way: int, steps: list[int]
) -> None:
    # Frames before the onset and after the offset are no part of the expression.
    clip = Clip("casme2/sub01/EP01", {number: Path() for number in range(301)}, onset=50, apex=50 + way, offset=250)
    work = selected(clip, finder, frames="near_onset_apex", count=5)
    assert list(work.numbers) == [50 + max(0, step) for step in steps] + [max(50, 50 + way + step) for step in steps]
    found = {role: work.numbers[index] for role, index in work.key}
    assert found == {"onset": 50, "apex": 50 + way}
    assert work.notes == ()


def test_moments_near_a_missing_key_frame_are_those_nearest_to_them(finder: Any) -> None:
    there = [number for number in range(301) if number not in (50, 109, 110)]
    clip = Clip("casme2/sub01/EP01", {number: Path() for number in there}, onset=50, apex=110, offset=250)
    work = selected(clip, finder, frames="near_onset_apex", count=5)
    assert work.numbers == (51, 51, 51, 52, 53, 107, 108, 111, 112, 113)
    assert work.notes == ("onset 50 is missing: 51 taken", "apex 110 is missing: 111 taken")


def test_a_moment_that_is_missing_is_its_key_frame_and_never_the_other_one(finder: Any) -> None:
    clip = Clip("casme2/sub01/EP01", {number: Path() for number in (50, 51, 55, 57)}, onset=50, apex=54, offset=57)
    work = selected(clip, finder, frames="near_onset_apex", count=3)
    assert work.numbers == (50, 50, 51, 55, 55, 55)


def test_a_clip_shorter_than_the_count_repeats_frames(smile: Clip, finder: Any) -> None:
    short = replace(smile, onset=105, offset=108)
    assert selected(short, finder, frames="uniform", count=7).numbers == (105, 105, 106, 106, 107, 107, 108)
    assert selected(short, finder, frames="around_apex", count=6).numbers == (105, 106, 107, 108, 108, 108)


def test_a_missing_key_frame_is_replaced_by_the_nearest_and_noted(smile: Clip, finder: Any) -> None:
    work = selected(without(smile, 107, 108, 101), finder, frames="onset_apex")
    assert work.numbers == (102, 106)
    assert work.notes == ("onset 101 is missing: 102 taken", "apex 107 is missing: 106 taken")


def test_a_damaged_key_frame_is_replaced_by_the_nearest_and_noted(tmp_path: Path, smile: Clip, finder: Any) -> None:
    broken = damaged(smile, tmp_path, 107, 106)
    work = chain(broken, finder, ("face", {}), ("select", {}), ("load", {}))
    assert work.numbers == (101, 108)
    assert work.notes[0].startswith("frame 107 is damaged: 108 taken")
    assert "img107.png is truncated" in work.notes[0]
    sound = chain(replace(smile, apex=108), finder, ("face", {}), ("select", {}), ("load", {}))
    assert np.array_equal(np.asarray(work.frames), np.asarray(sound.frames))


def test_key_frames_that_end_as_one_frame_are_refused(tmp_path: Path, smile: Clip, finder: Any) -> None:
    only = without(smile, *(number for number in smile.files if number not in (101, 107)))
    with pytest.raises(ClipError, match=r"casme2/sub01/EP01: apex 107 .*onset 101 .*frame 101"):
        chain(damaged(only, tmp_path, 107), finder, ("face", {}), ("select", {}), ("load", {}))
    missing = without(smile, *(number for number in smile.files if number != 103))
    with pytest.raises(ClipError, match="no motion is left"):
        chain(missing, finder, ("face", {}), ("select", {}), ("load", {}))


def test_a_clip_whose_frames_are_all_damaged_is_refused(tmp_path: Path, smile: Clip, finder: Any) -> None:
    broken = damaged(smile, tmp_path, *smile.files)
    with pytest.raises(ClipError, match=r"casme2/sub01/EP01: frame \d+: .*truncated"):
        chain(broken, finder, ("face", {}), ("select", {}), ("load", {}))


def test_frames_of_two_sizes_are_refused(tmp_path: Path, finder: Any) -> None:
    small = cv2.resize(portraits.frame(), (320, 240))
    clip = portraits.clip_of(portraits.write_frames(tmp_path, [portraits.frame(), small]), apex=2)
    with pytest.raises(ClipError, match="frame 2 has 320x240 pixels, the ones before it 640x480"):
        chain(clip, finder, ("face", {}), ("select", {}), ("load", {}))


def test_a_clip_of_grey_and_colour_frames_gives_one_kind(tmp_path: Path, finder: Any) -> None:
    colour = portraits.frame()
    mixed = [colour, cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)]
    clip = portraits.clip_of(portraits.write_frames(tmp_path, mixed), apex=2)
    grey = chain(clip, finder, ("face", {}), ("select", {}), ("load", {"color": "grey"})).frames
    rgb = chain(clip, finder, ("face", {}), ("select", {}), ("load", {"color": "rgb"})).frames
    assert grey is not None
    assert rgb is not None
    assert grey.shape == (1, 2, 128, 128, 1)
    assert np.abs(grey[0, 0].astype(int) - grey[0, 1]).max() <= 1
    assert rgb.shape == (1, 2, 128, 128, 3)
    assert np.ptp(rgb[0, 0].astype(int), axis=2).max() > 50 > np.ptp(rgb[0, 1].astype(int), axis=2).max()


def test_notes_tell_of_two_faces_and_of_a_fallback(smile: Clip) -> None:
    class Crowded:
        def find(self, clip: Clip, detector: str = "hog") -> Face:
            return Face(np.random.default_rng(0).uniform(0, 99, (68, 2)), (0, 0, 99, 99), 103, "cnn", faces=2)

    notes = chain(smile, Crowded(), ("face", {})).notes
    assert notes == ("2 faces in frame 103: the largest taken", "face found by cnn in frame 103")


def test_landmarks_are_in_the_pixels_of_the_loaded_frames(smile: Clip, finder: Any) -> None:
    steps = [("face", {"size": [200, 200]}), ("select", {"frames": "onset_apex"}), ("load", {})]
    fixed = chain(smile, finder, *steps, ("landmarks", {"per": "clip"}))
    fitted = chain(smile, finder, *steps, ("landmarks", {"per": "frame"}))
    assert fixed.landmarks is not None
    assert fitted.landmarks is not None
    assert fixed.landmarks.shape == (2, 68, 2)
    assert np.array_equal(fixed.landmarks[0], fixed.landmarks[1])
    assert np.linalg.norm(fixed.landmarks[0, 17:] - fitted.landmarks[0, 17:], axis=1).mean() < 1.5
    moved = fitted.landmarks[1] - fitted.landmarks[0]
    mouth = moved[48:60].mean(axis=0)
    # The mouth's middle moved by (-2.0, -2.7) of these pixels, its corners less.
    assert -2.1 < mouth[0] < -0.5
    assert -2.8 < mouth[1] < -1.0
    assert np.abs(moved[36:48].mean(axis=0)).max() < 0.8


@pytest.mark.slow
def test_key_frames_by_landmark_motion_are_those_of_rise_and_fall(
    tmp_path: Path, finder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mouth moves in the frames that lead to 6, 7 and 8, and back in those that lead to 14, 15 and 16."""
    levels = [0.0] * 5 + [1 / 3, 2 / 3] + [1.0] * 6 + [2 / 3, 1 / 3] + [0.0] * 5
    frames = [portraits.frame(portraits.bump(portraits.MOUTH, 0, -12 * level, reach=50)) for level in levels]
    clip = portraits.clip_of(portraits.write_frames(tmp_path, frames, suffix=".jpg"), apex=20)
    points = _landmark_motion.aligned_landmarks(Work(clip=clip, finder=finder), clip.numbers)
    monkeypatch.setattr(_landmark_motion, "aligned_landmarks", lambda work, numbers: points)
    assert selected(clip, finder, frames="landmark_motion_top", count=6).numbers == (6, 7, 8, 14, 15, 16)
    first, *rise, hold, before, after, last = selected(clip, finder, frames="landmark_motion_steps", count=7).numbers
    assert (first, last) == (1, 20)
    assert all(5 <= number <= 8 for number in rise)
    assert 8 <= hold <= 13
    assert all(13 <= number <= 16 for number in (before, after))
    monkeypatch.setattr(_landmark_motion, "aligned_landmarks", lambda work, numbers: points[: len(numbers)])
    rise = replace(clip, apex=11)
    assert selected(rise, finder, frames="landmark_motion_top", count=3).numbers == (6, 7, 8)
    work = selected(rise, finder, frames="landmark_motion_steps", count=4)
    assert (work.numbers[0], work.numbers[-1], dict(work.key)) == (1, 11, {"onset": 0, "apex": 3})


@pytest.mark.parametrize(
    ("way", "most", "steps"),
    [
        ([0, 0, 0, 5, 5, 5, 6, 6, 6, 8], (104, 107, 110), (101, 104, 110)),
        ([0, 3, 3, 6, 6, 9, 9, 12, 12, 12], (102, 104, 106), (101, 104, 110)),
        ([0] * 10, (102, 106, 110), (101, 105, 110)),
    ],
)
def test_frames_are_chosen_by_the_way_of_the_landmarks(
    smile: Clip, finder: Any, monkeypatch: pytest.MonkeyPatch, way: list[int], most: Any, steps: Any
) -> None:
    """The first frame has no frame before it; of equal motions the earlier counts; without any, steps are equal.

    The first way gives the same frames, with one landmark, in landmark_motion_based_keyframe_selection of
    shayhan-ameen/Unified_MaE_and_ME_Recognition@593fea0, process_dataset.py; it counts from the second frame.
    """
    points = np.array(way, dtype=float)[:, None, None] * np.ones((10, 51, 2))
    monkeypatch.setattr(_landmark_motion, "aligned_landmarks", lambda work, numbers: points[: len(numbers)])
    monkeypatch.setattr(_landmark_motion, "SMOOTH", 1e-3)
    clip = replace(smile, apex=110)
    assert selected(clip, finder, frames="landmark_motion_top", count=3).numbers == most
    assert selected(clip, finder, frames="landmark_motion_steps", count=3).numbers == steps
    everything = tuple(range(101, 111))
    assert selected(clip, finder, frames="landmark_motion_top", count=10).numbers == everything
    doubled = selected(clip, finder, frames="landmark_motion_top", count=20).numbers
    assert sorted(doubled) == list(doubled)
    assert set(doubled) == set(everything)


@pytest.mark.parametrize("spot", ["profile", "roi_difference", "midpoint"])
def test_of_two_frames_the_second_is_spotted_as_the_apex(smile: Clip, finder: Any, spot: str) -> None:
    """Flow from the onset to itself is nothing, and says nothing of the face."""
    two = replace(without(smile, *range(102, 107), *range(108, 118)), apex=None)
    work = selected(two, finder, frames="onset_apex", spot=spot)
    assert work.numbers == (101, 107)


def test_a_single_frame_serves_only_what_needs_no_motion(smile: Clip, finder: Any) -> None:
    one = replace(smile, onset=104, apex=104, offset=104)
    for options in ({"frames": "onset_apex"}, {"frames": "clip"}, {"frames": "uniform", "count": 5}):
        with pytest.raises(ClipError, match="frame 104 is the only one from onset to offset, so no motion is left"):
            selected(one, finder, **options)
    assert selected(one, finder, frames="apex").numbers == (104,)


@pytest.mark.parametrize(
    ("step", "options", "message"),
    [
        ("select", {"frames": "onset_appex"}, "Did you mean: onset_apex"),
        ("select", {"frames": "uniform"}, "count is None"),
        ("select", {"frames": "onset_apex", "count": 3}, "takes no count"),
        ("select", {"frames": "uniform", "count": 0}, "above 0"),
        ("select", {"frames": "near_onset_apex", "count": 4}, "count is 4; frames near_onset_apex takes an odd number"),
        ("select", {"frames": "near_onset_apex", "count": 1}, "count is 1; .* an odd number of at least 3"),
        ("face", {"size": [128]}, r"size is \[128\]"),
        ("face", {"align": "affine"}, "Known: box, similarity"),
        ("load", {"color": "gray"}, "Did you mean: grey"),
        ("landmarks", {}, "needs frames: put the step load before it"),
    ],
)
def test_bad_options_and_orders_are_refused(
    smile: Clip, finder: Any, step: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        chain(smile, finder, (step, options))
