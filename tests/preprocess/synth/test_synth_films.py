"""Rendered films: faces that dlib finds, motion that is known exactly, equal for equal seeds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from preprocess.base.errors import UsageError
from preprocess.faces.finder import DlibFaceFinder
from preprocess.samples.clip import Clip
from preprocess.synth.action_units import AUS
from preprocess.synth.databases import LIKE, ClipPlan, Options, film, plan
from preprocess.synth.draws import generator
from preprocess.synth.expressions import (
    COMBINATIONS,
    STRENGTHS,
    Expression,
    Unit,
    draw_expression,
    draw_habits,
)
from preprocess.synth.film import Film
from preprocess.synth.people import make_person

pytestmark = pytest.mark.slow

SMALL = {like: Options(like, subjects=2, clips=2.0) for like in LIKE}
QUIET = dataclasses.replace(LIKE["casme2"].camera, noise=0.0, flicker=0.0)


def quiet_film(expression: Expression, name: str = "a clip") -> Film:
    """Return the film of a person before a camera without noise and flicker."""
    return Film(make_person(0, "casme2/sub01"), expression, QUIET, 0, name)


def expression(au: int, side: str = "", peak: float = 6.0) -> Expression:
    """Return a strong expression of one action unit, from frame 0 over 12 to 40."""
    return Expression("any", (Unit(au, side, peak, 1.0, 1.0, 1.8, True),), 12, 28, 0.2)


def difference(first: np.ndarray, second: np.ndarray, made: Film) -> float:
    """Return the mean absolute difference inside the face."""
    low, high = made.landmarks.min(axis=0).astype(int), made.landmarks.max(axis=0).astype(int)
    part = np.s_[low[1] : high[1], low[0] : high[0]]
    return float(np.abs(first[part].astype(float) - second[part]).mean())


def moved(made: Film, number: int) -> np.ndarray:
    """Return how far a landmark moves until frame 12 against the nose bridge, which no expression moves much."""
    flow = made.true_flow(12)
    (x, y), (nose_x, nose_y) = np.rint(made.landmarks[[number, 28]]).astype(int)
    return flow[y, x] - flow[nose_y, nose_x]


@pytest.mark.parametrize("like", LIKE)
def test_a_frame_depends_on_nothing_but_seed_clip_and_time(like: str) -> None:
    clip = plan(SMALL[like])[1]
    one, two = film(SMALL[like], clip), film(SMALL[like], clip)
    later = one.frame(9)
    np.testing.assert_array_equal([two.frame(time) for time in (0, 3, 9)][2], later)
    other = dataclasses.replace(SMALL[like], seed=1)
    assert (film(other, plan(other)[1]).frame(9) != later).mean() > 0.5
    camera = LIKE[like].camera
    assert later.shape == (camera.height, camera.width) + (() if camera.grey else (3,))
    assert later.dtype == np.uint8


@pytest.mark.parametrize("like", LIKE)
@pytest.mark.parametrize("strength", STRENGTHS)
def test_what_one_frame_shows_the_true_flow_finds_in_another(like: str, strength: str) -> None:
    """Two frames differ; fetched along the flow, they are equal but for noise, flicker and rounding."""
    options = dataclasses.replace(SMALL[like], strength=strength)
    clip = plan(options)[0]
    camera = dataclasses.replace(LIKE[like].camera, noise=0.0, flicker=0.0)
    made = Film(make_person(0, f"{like}/{clip.subject}"), clip.expression, camera, 0, clip.name)
    onset, later = made.frame(0), made.frame(clip.expression.rise)
    flow = made.true_flow(clip.expression.rise)
    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    fetched = cv2.remap(later, x + flow[..., 0], y + flow[..., 1], cv2.INTER_CUBIC)
    # What remains is the blur of interpolating twice.
    assert difference(onset, fetched, made) < min(1.5, 0.6 * difference(onset, later, made))
    back = made.true_flow(0, start=clip.expression.rise)
    there = cv2.remap(back, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR)
    inside = np.s_[40:-40, 40:-40]
    assert np.abs(flow + there)[inside].max() < 0.1


def test_action_units_move_what_they_should() -> None:
    corner = moved(quiet_film(expression(12)), 48)
    assert corner[0] < -2
    assert corner[1] < -2, "a smile pulls the lip corner outwards and up"
    assert moved(quiet_film(expression(15)), 54)[1] > 2, "its depressor pulls it down"
    assert moved(quiet_film(expression(1)), 21)[1] < -2, "the inner brow goes up"
    assert moved(quiet_film(expression(4)), 21)[1] > 2, "or down"
    one_sided = quiet_film(expression(14, "L"))
    # The subject's left lies right in the picture.
    assert moved(one_sided, 54)[0] > 2
    assert abs(moved(one_sided, 48)[0]) < 1


def test_the_peak_of_the_motion_is_as_asked_for() -> None:
    for peak in (1.0, 2.0, 8.0):
        made = quiet_film(expression(12, peak=peak))
        flow = made.true_flow(12) - quiet_film(expression(12, peak=0.0)).true_flow(12)
        assert np.hypot(*flow.transpose(2, 0, 1)).max() == pytest.approx(peak * made.width / 280, rel=0.25)


@pytest.mark.parametrize("like", LIKE)
def test_expressions_rise_to_the_apex_and_fall_to_the_offset(like: str) -> None:
    clips = plan(Options(like, subjects=6))
    for clip in clips:
        for unit in clip.expression.units:
            level = clip.expression.level(unit, np.arange(clip.offset - clip.onset + 1))
            assert level[0] == 0
            assert level.argmax() == clip.apex - clip.onset
            assert level.max() == 1
            assert np.diff(level[: level.argmax()]).min() >= 0
            assert np.diff(level[level.argmax() :]).max() <= 0
            assert level[-1] < 0.5
        assert (clip.offset - clip.onset) / LIKE[like].camera.fps < 0.5, "a micro-expression"
        assert clip.first <= clip.onset < clip.apex < clip.offset <= clip.last
    places = [(clip.apex - clip.onset) / (clip.offset - clip.onset) for clip in clips]
    assert np.std(places) > 0.05
    assert 0.3 < np.mean(places) < 0.48


def test_macro_expressions_are_stronger_and_longer() -> None:
    micro, macro = (plan(Options("casme2", subjects=4, strength=strength)) for strength in STRENGTHS)

    def strongest(clips: list[ClipPlan]) -> list[float]:
        return [max(unit.peak for unit in clip.expression.units) for clip in clips]

    assert np.median(strongest(macro)) > 3 * np.median(strongest(micro))
    assert min(clip.offset - clip.onset for clip in macro) > max(clip.offset - clip.onset for clip in micro)


@pytest.fixture(scope="module")
def finder() -> DlibFaceFinder:
    return DlibFaceFinder()


@pytest.mark.parametrize("like", LIKE)
def test_dlib_finds_the_face_where_the_film_says_it_is(like: str, finder: DlibFaceFinder, tmp_path: Path) -> None:
    for clip in plan(SMALL[like])[:2]:
        made = film(SMALL[like], clip)
        frame = made.frame(0)
        path = tmp_path / f"{clip.clip}{LIKE[like].suffix}"
        cv2.imwrite(str(path), frame if frame.ndim == 2 else frame[..., ::-1])
        face = finder.find(Clip(f"{like}/{clip.name}", {1: path}, onset=1, offset=1))
        assert face.way == "hog"
        assert face.faces == 1
        apart = np.linalg.norm(face.landmarks - made.landmarks, axis=1)
        assert apart[17:].mean() < 0.04 * made.width


def test_every_emotion_has_its_units_and_people_their_habits() -> None:
    habits = [draw_habits(0, person, tuple(AUS)) for person in ("a", "b")]
    assert habits[0] == draw_habits(0, "a", tuple(AUS)) != habits[1]
    for emotion in COMBINATIONS:
        seen = {
            draw_expression(generator(0, emotion, str(number)), emotion, habits[0], "micro", (30, 60)).facs
            for number in range(40)
        }
        assert seen <= set(COMBINATIONS[emotion])
        assert len(seen) > 1


def test_options_that_cannot_be_obeyed_are_refused() -> None:
    for options, message in (
        (Options("casme3", 3), "No database like 'casme3' can be rendered. Did you mean: casme2?"),
        (Options("samm", 3, strength="tiny"), "Unknown strength 'tiny'; expected micro or macro"),
        (Options("samm", 0), "0 subjects were asked for; expected 1 to 99"),
        (Options("samm", 3, clips=0.0), "0.0 clips a subject were asked for; expected 1 to 99"),
        (Options("samm", 3, seed=-1), "The seed is -1"),
    ):
        with pytest.raises(UsageError) as error:
            plan(options)
        assert message in str(error.value)


def test_what_equal_seeds_give_is_pinned() -> None:
    """A change of people, plans or pictures must come with a new VERSION, or old trees would pass for new ones."""
    clips = plan(Options("casme2", subjects=8))
    first = clips[0]
    assert (len(clips), first.name, first.emotion, first.expression.facs) == PINNED_CLIP
    shown = film(Options("casme2", subjects=8), first).frame(10)
    # The last bit of exp and sin may differ between platforms.
    np.testing.assert_allclose(cv2.resize(shown, (4, 3), interpolation=cv2.INTER_AREA)[..., 0], PINNED_FRAME, atol=1)


PINNED_CLIP = (54, "sub01/EP10_01", "sadness", "1+4")
PINNED_FRAME = [[186, 61, 84, 178], [196, 127, 144, 184], [207, 86, 54, 148]]
