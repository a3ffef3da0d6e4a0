"""Long recordings: a rendered person who shows expressions, blinks and rests between them; all times are known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from preprocess.base.errors import DataError
from preprocess.synth.action_units import AUS
from preprocess.synth.databases import LIKE
from preprocess.synth.draws import generator
from preprocess.synth.expressions import Expression, Unit, draw_expression, draw_habits
from preprocess.synth.film import Film
from preprocess.synth.people import make_person

if TYPE_CHECKING:
    import numpy as np

BLINK = 45
"""The action unit of a blink."""


@dataclass(frozen=True)
class Shown:
    """One expression of a recording.

    Attributes
    ----------
    emotion : the database's word for it.
    onset, apex, offset : the true frames, counted from 0.
    """

    emotion: str
    onset: int
    apex: int
    offset: int


@dataclass(frozen=True)
class Scene:
    """What is rendered.

    Attributes
    ----------
    like : the database whose camera and expressions are taken, a key of ``LIKE``.
    person : any name; another one gives another face.
    emotions : the expressions in order, words of that database.
    rest : seconds between two of them, from and to.
    blinks : how many times the person blinks in a minute.
    strength : ``micro`` or ``macro``.
    seed : equal scenes give equal films.
    take : tells the recordings of one person apart.
    """

    like: str
    person: str
    emotions: tuple[str, ...]
    rest: tuple[float, float] = (1.5, 3.0)
    blinks: float = 10.0
    strength: str = "micro"
    seed: int = 0
    take: str = ""

    @property
    def name(self) -> str:
        """The person's."""
        return f"{self.like}/{self.person}"


@dataclass(frozen=True)
class Series:
    """Expressions one after the other, as a film takes one expression: its units are those of all, each with its time.

    Attributes
    ----------
    units : of all expressions, in order.
    starts : the frame at which the expression of each unit begins.
    of : the expression of each unit.
    rise, fall : what a film takes for the length of one expression, about which the head sways.
    """

    units: tuple[Unit, ...]
    starts: tuple[int, ...]
    of: tuple[Expression, ...]
    rise: int
    fall: int

    def level(self, unit: Unit, time: np.ndarray | float) -> np.ndarray:
        """Return how far a unit has moved at some times."""
        place = next(number for number, one in enumerate(self.units) if one is unit)
        return self.of[place].level(unit, time - self.starts[place])


def draw_recording(scene: Scene) -> tuple[Film, int, list[Shown]]:
    """Return the film of a scene, the number of its frames, and its expressions. The film's times count from 0."""
    series, frames, shown = scripted(scene)
    person, camera = make_person(scene.seed, scene.name), LIKE[scene.like].camera
    return Film(person, series, camera, scene.seed, "/".join([scene.name, "recording", *_takes(scene)])), frames, shown


def scripted(scene: Scene) -> tuple[Series, int, list[Shown]]:
    """Return what happens in a scene, the number of its frames, and its expressions, without filming anything."""
    like = LIKE[scene.like]
    camera = like.camera
    rng = generator(scene.seed, scene.name, "recording", *_takes(scene))
    habits = draw_habits(scene.seed, scene.name, tuple(AUS))
    shortest, longest = like.frames if scene.strength == "micro" else (2 * like.frames[1], 4 * like.frames[1])
    time, parts, shown = _rest(rng, scene, camera.fps), [], []
    for emotion in scene.emotions:
        words = like.expresses.get(emotion, (emotion.lower(),))
        one = draw_expression(rng, str(rng.choice(words)), habits, scene.strength, (shortest, longest))
        parts.append((time, one))
        shown.append(Shown(emotion, time, time + one.rise, time + one.rise + one.fall))
        time += one.rise + one.fall + _rest(rng, scene, camera.fps)
    parts += [(int(at), _blink(rng, camera.fps)) for at in _blink_times(rng, scene, time, camera.fps)]
    usual = round((shortest + longest) / 2)
    series = Series(
        units=tuple(unit for _, one in parts for unit in one.units),
        starts=tuple(start for start, one in parts for _ in one.units),
        of=tuple(one for _, one in parts for _ in one.units),
        rise=usual // 2,
        fall=usual - usual // 2,
    )
    return series, time, shown


def _takes(scene: Scene) -> list[str]:
    return [scene.take] if scene.take else []


def write_video(film: Film, frames: int, file: Path, fps: float | None = None) -> None:
    """Write a film as a video.

    Parameters
    ----------
    film : the film.
    frames : how many of its times there are, from 0 on.
    file : its ending says the format: avi (MJPG) or mp4.
    fps : frames a second of the video, each the nearest of the film; None for those of the camera.

    Raises
    ------
    DataError : no video of this format can be written here.
    """
    import cv2

    codec = {".avi": "MJPG", ".mp4": "mp4v"}[file.suffix]
    camera = film.camera
    code = cv2.VideoWriter_fourcc(*codec)  # type: ignore[attr-defined]
    rate = fps or camera.fps
    writer = cv2.VideoWriter(str(file), code, rate, (camera.width, camera.height))
    if not writer.isOpened():
        raise DataError(f"{file}: OpenCV cannot write {codec} videos here.")
    try:
        for number in range(math.ceil(frames * rate / camera.fps)):
            picture = film.frame(min(frames - 1, round(number * camera.fps / rate)))
            grey = picture.ndim == 2
            writer.write(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR if grey else cv2.COLOR_RGB2BGR))
    finally:
        writer.release()


def _rest(rng: np.random.Generator, scene: Scene, fps: float) -> int:
    return round(float(rng.uniform(*scene.rest)) * fps)


def _blink_times(rng: np.random.Generator, scene: Scene, frames: int, fps: float) -> np.ndarray:
    return rng.integers(0, max(1, frames), int(rng.poisson(scene.blinks * frames / fps / 60)))


def _blink(rng: np.random.Generator, fps: float) -> Expression:
    """Return a blink: lids that are shut within a twelfth of a second and open within a sixth."""
    unit = Unit(BLINK, "", float(rng.uniform(4.0, 9.0)), 1.0, 1.0, 1.5, coded=False)
    return Expression("blink", (unit,), max(2, round(fps / 12)), max(3, round(fps / 6)), 0.0)
