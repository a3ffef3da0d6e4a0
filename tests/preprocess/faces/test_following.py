"""Heads that move: followed where they go far, left alone where they hold still, told where the face is lost."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import portraits
import pytest
import works
from known_motion import flow_shown, without_apex
from moving_heads import FARTHEST, Amounts, expression_flow, goes, moving_clip, nods

from preprocess.faces import following
from preprocess.faces.alignment import inverse, transform_points, warp
from preprocess.faces.finder import DlibFaceFinder
from preprocess.faces.head_way import HeadPath
from preprocess.samples.clip import Clip
from preprocess.samples.quality import SPREAD
from preprocess.steps import Work
from preprocess.steps._landmark_motion import aligned_landmarks
from preprocess.synth.databases import Options, plan
from preprocess.synth.film import Film

OPTIONS = Options("casme2", subjects=2, clips=1.0)
PLANNED = plan(OPTIONS)[0]
RISE, LENGTH = PLANNED.apex - PLANNED.onset, PLANNED.offset - PLANNED.onset
Course = Callable[[Amounts, int], Any]


@pytest.fixture(scope="module")
def finder() -> DlibFaceFinder:
    return DlibFaceFinder()


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clip, Film]:
    return moving_clip(OPTIONS, PLANNED, tmp_path_factory.mktemp("still"), None)


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Course, int], tuple[Clip, Film]]:
    """Return a maker of clips whose heads go far; each is rendered once."""
    made: dict[tuple[str, str, int], tuple[Clip, Film]] = {}

    def clip_of(name: str, course: Course, length: int) -> tuple[Clip, Film]:
        key = name, course.__name__, length
        if key not in made:
            head = course(FARTHEST[name], length)
            made[key] = moving_clip(OPTIONS, PLANNED, tmp_path_factory.mktemp("far"), head)
        return made[key]

    return clip_of


def faced(clip: Clip, finder: Any, **options: Any) -> Work:
    return works.run("face", Work(clip=clip, finder=finder), **options)


def of_the_head(work: Work) -> dict[str, float]:
    """Return what was measured of the head's way, without what was measured of the landmarks."""
    return {name: value for name, value in work.quality.items() if not name.startswith(SPREAD)}


def flowed(work: Work) -> np.ndarray:
    for step, options in (("load", {}), ("flow", {"method": "tvl1"})):
        work = works.run(step, work, **options)
    assert work.flow is not None
    return work.flow[0, 0]


def off_the_way(work: Work, made: Film, numbers: list[int]) -> np.ndarray:
    """Return how far the aligned face is from where the film says it should be, (T, 25, 2), in its pixels."""
    assert work.transform is not None
    y, x = np.mgrid[0.15:0.85:5j, 0.15:0.85:5j] * 128
    face = np.stack([x.ravel(), y.ravel()], axis=1)
    at_onset = transform_points(face, inverse(work.transform)).astype(np.float64)
    shown = []
    for number in numbers:
        transform = work.transform_of(number)
        assert transform is not None
        shown.append(transform_points(transform_points(at_onset, made.pose(number - PLANNED.onset)), transform))
    return np.stack(shown) - face


def rms(apart: np.ndarray) -> float:
    return float(np.sqrt((apart**2).sum(axis=-1).mean()))


@pytest.mark.slow
def test_a_head_that_holds_still_keeps_its_one_transform_and_its_pictures_to_the_bit(
    still: tuple[Clip, Film], finder: Any
) -> None:
    clip = still[0]
    work = faced(clip, finder)
    assert work.path is None
    assert work.notes == ()
    assert of_the_head(work) == {}
    assert work.transform is not None
    loaded = works.run("load", works.run("select", work, frames="clip"))
    for number, picture in zip(loaded.numbers, np.asarray(loaded.frames)[0, ..., 0], strict=True):
        grey = cv2.imread(str(clip.files[number]), cv2.IMREAD_GRAYSCALE)
        assert grey is not None
        assert np.array_equal(picture, warp(grey, work.transform, (128, 128)))
    bare = without_apex(clip)
    spotted = [works.run("select", faced(bare, finder, follow=follow)).numbers for follow in (True, False)]
    assert spotted[0] == spotted[1]


@pytest.mark.slow
def test_following_a_head_that_holds_still_would_add_no_trembling(
    still: tuple[Clip, Film], finder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "FAR", -1.0)
    following._remembered.cache_clear()
    clip, made = still
    work = faced(clip, finder)
    following._remembered.cache_clear()
    assert work.path is not None
    apart = off_the_way(work, made, list(work.path.numbers))
    slow = cv2.GaussianBlur(apart.reshape(len(apart), -1), (1, 0), sigmaX=1e-6, sigmaY=3.0).reshape(apart.shape)
    assert rms(apart - slow) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("name", FARTHEST)
def test_a_head_that_goes_far_is_followed_to_a_tenth_of_a_pixel(far: Any, finder: Any, name: str) -> None:
    clip, made = far(name, goes, RISE)
    work = faced(clip, finder)
    assert work.path is not None
    assert rms(off_the_way(work, made, list(clip.files))) < 0.15
    assert work.path.lost == ()
    assert work.notes == (f"the head moves by {work.path.extent:.2f} of the face: followed",)
    assert of_the_head(work) == {"head": work.path.extent, "lost": 0.0}
    # In one transform half of such faces is cut off, or more.
    left = faced(clip, finder, follow=False)
    assert left.path is None
    assert rms(off_the_way(left, made, [PLANNED.apex])) > 20


@pytest.mark.slow
@pytest.mark.parametrize("course", [goes, nods])
def test_a_quick_motion_at_a_low_frame_rate_is_followed_to_its_corners(far: Any, finder: Any, course: Course) -> None:
    clip, made = far("all at once", course, LENGTH)
    kept = sorted(clip.files)[::6]
    files = {PLANNED.onset + place: clip.files[number] for place, number in enumerate(kept)}
    slow = Clip(clip.sample_id, files, onset=PLANNED.onset, offset=max(files), fps=200 / 6)
    work = faced(slow, finder)
    assert work.path is not None
    assert work.path.numbers == tuple(files)
    shown = dataclasses.replace(work, path=dataclasses.replace(work.path, numbers=tuple(kept)))
    assert rms(off_the_way(shown, made, kept)) < 0.15


@pytest.mark.slow
@pytest.mark.parametrize("name", FARTHEST)
def test_flow_of_a_followed_head_is_the_expressions(far: Any, still: tuple[Clip, Film], finder: Any, name: str) -> None:
    def error(clip: Clip, made: Film) -> float:
        work = works.run("select", faced(clip, finder))
        # What the flow should be if the head held still, as the onset's transform shows it.
        wanted = flow_shown(dataclasses.replace(work, path=None), expression_flow(made, RISE))
        return float(np.linalg.norm(flowed(work) - wanted, axis=2)[8:-8, 8:-8].mean())

    assert error(*far(name, goes, RISE)) < min(0.3, 1.1 * error(*still))


@pytest.mark.slow
@pytest.mark.parametrize("course", [goes, nods])
@pytest.mark.parametrize("name", FARTHEST)
def test_the_apex_of_a_moving_head_is_found(far: Any, finder: Any, name: str, course: Course) -> None:
    clip = without_apex(far(name, course, LENGTH)[0])
    for work in (faced(clip, finder), Work(clip=clip, finder=finder)):
        assert abs(works.run("select", work).numbers[-1] - PLANNED.apex) <= 2


@pytest.mark.slow
def test_landmark_motion_is_that_of_the_face(far: Any, still: tuple[Clip, Film], finder: Any) -> None:
    ways = []
    for clip in (still[0], far("half a face to the right", goes, RISE)[0]):
        points = aligned_landmarks(Work(clip=clip, finder=finder), list(clip.files)[::6])
        ways.append(np.linalg.norm(points - points[0], axis=2).mean())
    assert ways[1] < 1.5 * ways[0] + 0.5


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.015, 0.03])
def test_whether_a_head_is_followed_is_decided_by_how_far_it_goes(tmp_path: Path, finder: Any, share: float) -> None:
    clip, _ = moving_clip(OPTIONS, PLANNED, tmp_path, goes((share, 0.0, 0.0, 0.0), RISE))
    path = faced(clip, finder).path
    assert (path is not None) == (share > following.FAR)
    assert path is None or path.extent == pytest.approx(share, abs=0.01)


# A portrait that wanders: 25 frames, half of the face's width to the right and a little down.
def wandering(count: int = 25) -> list[np.ndarray]:
    return [
        portraits.frame(portraits.shift(110 * n / (count - 1) - 40, 15 * n / (count - 1)), seed=n) for n in range(count)
    ]


def wanders(number: int, first: int = 1) -> np.ndarray:
    return np.array([110.0, 15.0]) * (number - first) / 24


def gone(path: HeadPath, number: int) -> np.ndarray:
    """Return how far the middle of the face has gone since frame 1."""
    at = np.array([300.0, 220.0])
    first, here = (path.poses[path.numbers.index(one)] for one in (1, number))
    return (here[:, :2] @ at + here[:, 2]) - (first[:, :2] @ at + first[:, 2])


@pytest.mark.slow
def test_missing_and_damaged_frames_lie_on_the_way_between_their_neighbours(tmp_path: Path, finder: Any) -> None:
    files = portraits.write_frames(tmp_path, wandering(), suffix=".jpg")
    files[9].write_bytes(files[9].read_bytes()[:500])
    clip = portraits.clip_of({number: path for number, path in files.items() if number not in (15, 16)}, fps=25.0)
    path = faced(clip, finder).path
    assert path is not None
    assert path.lost == ()
    for number in (9, 15, 16, 25):
        assert np.linalg.norm(gone(path, number) - wanders(number)) < 1


@pytest.mark.slow
def test_a_face_found_in_the_middle_of_a_clip_is_followed_both_ways(tmp_path: Path, finder: Any) -> None:
    clip = portraits.clip_of(portraits.write_frames(tmp_path, wandering(), suffix=".jpg"), fps=25.0)
    face = finder.find(dataclasses.replace(clip, onset=13, offset=13))
    assert face.frame == 13
    path = following.head_path(clip, face, finder)
    assert path is not None
    assert np.allclose(path.poses[path.numbers.index(13)], [[1, 0, 0], [0, 1, 0]])
    for number in (1, 7, 13, 25):
        assert np.linalg.norm(gone(path, number) - wanders(number)) < 1


@pytest.mark.slow
def test_a_video_is_followed_as_images_are(tmp_path: Path, finder: Any) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (640, 480))
    for picture in wandering():
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()
    path = faced(Clip("afew/train/Happy/1", video=tmp_path / "clip.avi"), finder).path
    assert path is not None
    assert path.numbers == tuple(range(25))
    assert path.extent == pytest.approx(0.43, abs=0.06)


@pytest.mark.slow
def test_a_face_that_is_lost_is_told_and_found_again(tmp_path: Path, finder: Any) -> None:
    frames = wandering()
    for index in (9, 10, 11):
        frames[index] = portraits.without_face()
    clip = portraits.clip_of(portraits.write_frames(tmp_path, frames, suffix=".jpg"), fps=25.0)
    work = faced(clip, finder)
    assert work.path is not None
    assert work.path.lost == ((10, 12),)
    assert work.notes[-1].endswith(": followed; the face is lost in frames 10 to 12")
    assert work.quality["lost"] == pytest.approx(3 / 25)
    for number in (9, 11, 13, 25):
        assert np.linalg.norm(gone(work.path, number) - wanders(number)) < 3


@pytest.mark.slow
def test_the_apex_is_no_frame_in_which_the_face_is_lost(tmp_path: Path, finder: Any) -> None:
    frames = portraits.expression(
        25, 8, lambda level: portraits.bump(portraits.MOUTH, -2 * level, -4 * level), noise=1.0
    )
    for index in (12, 13, 14):
        frames[index] = portraits.without_face()
    clip = portraits.clip_of(portraits.write_frames(tmp_path, frames, suffix=".jpg"), fps=25.0)
    work = faced(clip, finder)
    assert work.notes[-1] == "the face is lost in frames 13 to 15"
    for spot in ("profile", "roi_difference"):
        assert abs(works.run("select", work, spot=spot).numbers[-1] - 9) <= 2


@pytest.mark.slow
def test_after_a_cut_the_face_is_lost_to_the_end_and_the_crop_stays_where_it_was(tmp_path: Path, finder: Any) -> None:
    frames = [*wandering()[:15], *[portraits.without_face()] * 5]
    clip = portraits.clip_of(portraits.write_frames(tmp_path, frames, suffix=".jpg"), fps=25.0)
    work = faced(clip, finder)
    assert work.path is not None
    assert work.path.lost == ((16, 20),)
    last, after = (work.transform_of(number) for number in (15, 20))
    assert last is not None
    assert after is not None
    assert np.array_equal(last, after)


def test_a_still_head_that_is_lost_keeps_its_one_transform_and_is_told(tmp_path: Path, finder: Any) -> None:
    frames = [portraits.frame(), *[portraits.without_face()] * 5]
    clip = portraits.clip_of(portraits.write_frames(tmp_path, frames, suffix=".jpg"), fps=25.0)
    work = faced(clip, finder)
    assert work.notes == ("the face is lost in frames 2 to 6",)
    for number in clip.files:
        assert np.array_equal(np.asarray(work.transform_of(number)), np.asarray(work.transform))


def test_pixels_that_any_frame_lacks_are_no_data(tmp_path: Path, finder: Any) -> None:
    frames = [portraits.frame(portraits.shift(-20 * n, 0)) for n in range(9)]
    clip = portraits.clip_of(portraits.write_frames(tmp_path, frames, suffix=".jpg"), fps=25.0, apex=9)
    work = works.run("load", works.run("select", faced(clip, finder), frames="onset_apex"))
    assert work.path is not None
    valid = np.ones((128, 128), bool) if work.valid is None else work.valid
    first, last = (transform_points(np.array([[-0.5, 240.0]]), np.asarray(work.transform_of(n)))[0, 0] for n in (1, 9))
    assert last > first
    assert np.array_equal(valid.all(axis=0), np.arange(128) - 0.5 >= last)


def test_registered_crops_are_not_followed(far: Any, finder: Any) -> None:
    clip = dataclasses.replace(far("leans", goes, RISE)[0], registered=True)
    assert faced(clip, finder).path is None
    assert faced(clip, finder, crops="align").path is not None


@pytest.mark.slow
def test_a_clip_is_followed_once_for_all_of_its_features(
    far: Any, finder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = far("leans", goes, RISE)[0]
    first = faced(clip, finder).path
    monkeypatch.setattr(following, "_Follower", None)
    assert faced(clip, finder, size=[64, 64], margin=0.3).path is first
    assert faced(dataclasses.replace(clip), DlibFaceFinder()).path is first
