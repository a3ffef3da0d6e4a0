"""Rendered long recordings on disk, laid out as SMIC-E is: up to three expressions each, rest and blinks between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preprocess.base.errors import UsageError
from preprocess.synth.databases import LIKE, SMIC_SHORT, Options, dealt
from preprocess.synth.image_file import write_image
from preprocess.synth.recordings import Scene, Shown, draw_recording, scripted
from preprocess.synth.sheets import write_sheet

LONG = "long"
"""The variant of long recordings."""
LIKES = ("smic",)
"""The databases whose long recordings can be rendered."""
MOST = 3
"""The most expressions of one recording."""


@dataclass(frozen=True)
class LongPlan:
    """One recording to render, whose frames count from 1.

    Attributes
    ----------
    subject, clip : ids of the person and of the recording.
    emotion : what all of its expressions show, as annotated.
    scene : what is rendered.
    """

    subject: str
    clip: str
    emotion: str
    scene: Scene

    @property
    def name(self) -> str:
        """``subject/clip``."""
        return f"{self.subject}/{self.clip}"

    @property
    def folder(self) -> str:
        """Where its frames lie below the root."""
        return f"SMIC-HS-E/HS/s{int(self.subject[1:]):02d}/{self.clip}"

    def shown(self) -> tuple[int, list[Shown]]:
        """Return the number of its frames, and its expressions with the numbers that their frames have on disk."""
        _, frames, shown = scripted(self.scene)
        return frames, [Shown(one.emotion, one.onset + 1, one.apex + 1, one.offset + 1) for one in shown]


def plan_long(options: Options) -> list[LongPlan]:
    """Return the recordings of a database: the expressions of each person, those of one emotion together.

    Raises
    ------
    UsageError : the options cannot be obeyed.
    """
    options.check()
    if options.like not in LIKES or options.full_size:
        raise UsageError(
            f"Long recordings are rendered like {' and '.join(LIKES)}, and not in full size. Give --like {LIKES[0]}."
        )
    recordings = []
    for subject, emotions in dealt(options):
        for emotion, short in SMIC_SHORT.items():
            of_emotion = [one for one in emotions if one == emotion]
            for first in range(0, len(of_emotion), MOST):
                clip = f"{subject}_{short}_{first // MOST + 1:02d}"
                together = tuple(of_emotion[first : first + MOST])
                scene = Scene(options.like, subject, together, strength=options.strength, seed=options.seed, take=clip)
                recordings.append(LongPlan(subject, clip, emotion, scene))
    return recordings


def write_recordings(recordings: Sequence[LongPlan], root: Path) -> int:
    """Write the frames of some recordings below a folder, and return how many recordings these are."""
    for one in recordings:
        film, frames, _ = draw_recording(one.scene)
        folder = root / one.folder
        folder.mkdir(parents=True)
        for time in range(frames):
            write_image(folder / f"image{time + 1:06d}.jpg", film.frame(time))
    return len(recordings)


def write_annotation(recordings: Sequence[LongPlan], root: Path) -> None:
    """Write ``SMIC-HS-E_annotation.xlsx``: a row a recording, with a pair of frames for each expression."""
    pairs = [f"{word}{which}F" for which in ("", "2", "3") for word in ("Onset", "Offset")]
    rows: list[list[Any]] = [["Subject", "Filename", None, *pairs, "FirstF", "LastF", "Emotion"]]
    for one in recordings:
        frames, shown = one.shown()
        told: list[int | None] = [number for each in shown for number in (each.onset, each.offset)]
        told += [None] * (len(pairs) - len(told))
        rows.append([int(one.subject[1:]), one.clip, None, *told, 1, frames, one.emotion])
    write_sheet(root / "SMIC-HS-E_annotation.xlsx", rows)


def facts_of(one: LongPlan) -> dict[str, Any]:
    """Return what is true of a recording, for the mark of the database."""
    frames, shown = one.shown()
    return {"folder": one.folder, "emotion": one.emotion, "frames": frames, "shown": [vars(each) for each in shown]}


def seconds_of(recordings: Sequence[LongPlan]) -> float:
    """Return how long recordings last together."""
    return sum(one.shown()[0] / LIKE[one.scene.like].camera.fps for one in recordings)
