"""Apex spotting on faces whose apex is known, with head motion, light and noise."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import portraits
import pytest
import works

from preprocess.faces.finder import DlibFaceFinder
from preprocess.samples.clip import Clip
from preprocess.steps import Work
from preprocess.steps._apex_spotting import SPOTTERS

pytestmark = pytest.mark.slow

LENGTH = 25


@pytest.fixture(scope="module")
def finder() -> DlibFaceFinder:
    return DlibFaceFinder()


# Apex, motion, sway and away as in ``render`` -> clip.
Films = Callable[..., Clip]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Films:
    """Return a maker of films that renders each once. Their files are shared by all tests, which leave them alone."""

    @functools.cache
    def film(
        apex: int, motion: Callable[[float], portraits.Motion], sway: float = 0.0, away: int = LENGTH // 2
    ) -> Clip:
        return render(tmp_path_factory.mktemp("film"), apex, motion, sway, away)

    return film


def render(folder: Path, apex: int, motion: Callable[[float], portraits.Motion], sway: float, away: int) -> Clip:
    """Write LENGTH noisy frames, numbers from 200 on, whose motion is largest at index ``apex``; the apex is not told.

    sway : how far the head goes and comes back, in pixels, farthest at index ``away``; light falls by 4 % meanwhile.
    """
    frames = []
    for index in range(LENGTH):
        head = portraits.shift(sway * _level(index, away), 0.5 * sway * _level(index, away))
        moved = portraits.frame(portraits.together(motion(_level(index, apex)), head), noise=2.5, seed=index)
        light = 1 - 0.04 * index / (LENGTH - 1) * (sway > 0)
        frames.append(np.rint(moved * light).astype(np.uint8))
    return portraits.clip_of(portraits.write_frames(folder, frames, first=200, suffix=".bmp"))


def _level(index: int, peak: int) -> float:
    return index / peak if index <= peak else (LENGTH - 1 - index) / (LENGTH - 1 - peak)


def smile(level: float) -> portraits.Motion:
    return portraits.bump(portraits.MOUTH, -1.0 * level, -2.0 * level)


def frown(level: float) -> portraits.Motion:
    return portraits.bump(portraits.LEFT_BROW, 1.0 * level, 2.0 * level)


def spotted(clip: Clip, finder: Any, spot: str) -> int:
    work = works.run("select", Work(clip=clip, finder=finder), frames="apex", spot=spot)
    assert work.notes == (f"no apex is annotated: {work.numbers[0]} found by {spot}",)
    return work.numbers[0] - 200


@pytest.mark.parametrize("motion", [smile, frown])
@pytest.mark.parametrize("apex", [6, 17])
@pytest.mark.parametrize("spot", ["profile", "roi_difference"])
def test_the_apex_is_found(films: Films, finder: Any, motion: Any, apex: int, spot: str) -> None:
    assert abs(spotted(films(apex, motion), finder, spot) - apex) <= 2


@pytest.mark.parametrize(("apex", "away"), [(6, 17), (17, 6)])
def test_head_motion_and_falling_light_do_not_hide_the_apex(films: Films, finder: Any, apex: int, away: int) -> None:
    assert abs(spotted(films(apex, smile, sway=3.0, away=away), finder, "profile") - apex) <= 2


def test_a_blink_is_not_the_apex(films: Films, tmp_path: Path, finder: Any) -> None:
    clip = films(6, smile)
    shut_files = {}
    for index in (17, 18, 19):
        shut = portraits.frame(portraits.bump((268.0, 172.0), 0, 8, reach=14), noise=2.5, seed=index)
        shut_files |= portraits.write_frames(tmp_path, [shut], first=200 + index, suffix=".bmp")
    blinking = replace(clip, files={**clip.files, **shut_files})
    for spot in ("profile", "roi_difference"):
        assert abs(spotted(blinking, finder, spot) - 6) <= 2


def test_missing_frames_do_not_move_the_apex(films: Films, finder: Any) -> None:
    clip = films(17, smile)
    thinned = replace(clip, files={number: path for number, path in clip.files.items() if not 202 <= number <= 210})
    assert abs(spotted(thinned, finder, "profile") - 17) <= 2


def test_a_damaged_frame_does_not_stop_the_search(films: Films, tmp_path: Path, finder: Any) -> None:
    clip = films(6, smile)
    (tmp_path / "damaged.bmp").write_bytes(b"")
    damaged = replace(clip, files={**clip.files, 205: tmp_path / "damaged.bmp"})
    assert abs(spotted(damaged, finder, "profile") - 6) <= 2


def test_the_midpoint_is_the_middle_frame(films: Films, finder: Any) -> None:
    assert spotted(films(6, smile), finder, "midpoint") == 12


@pytest.mark.parametrize("spot", sorted(SPOTTERS))
@pytest.mark.parametrize("length", [1, 2, 3])
def test_the_shortest_clips_have_an_apex_too(tmp_path: Path, finder: Any, spot: str, length: int) -> None:
    clip = portraits.clip_of(portraits.write_frames(tmp_path, [portraits.frame()] * length, first=200))
    assert 0 <= spotted(clip, finder, spot) < length


@pytest.mark.parametrize("spot", sorted(SPOTTERS))
def test_a_still_clip_has_some_apex(tmp_path: Path, finder: Any, spot: str) -> None:
    clip = portraits.clip_of(portraits.write_frames(tmp_path, [portraits.frame()] * 9, first=200))
    assert 0 <= spotted(clip, finder, spot) < 9


def test_an_annotated_apex_is_never_searched(tmp_path: Path) -> None:
    clip = portraits.clip_of(portraits.write_frames(tmp_path, [portraits.frame()] * 5), apex=2)
    work = works.run("select", Work(clip=clip, finder=works.NoFinder()), frames="onset_apex")
    assert work.numbers == (1, 2)
    unknown = replace(clip, apex=None)
    assert works.run("select", Work(clip=unknown, finder=works.NoFinder()), frames="clip").numbers == (1, 2, 3, 4, 5)
