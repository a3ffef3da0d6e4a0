"""What a model says of the expressions in recordings: as JSON, as CSV, and as a table for the terminal."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from results.views.text import Header, table

MOMENTS = ("onset", "apex", "offset")


@dataclass(frozen=True)
class Expression:
    """One expression of a recording.

    Attributes
    ----------
    onset, apex, offset : frame numbers; the apex is None where the clip could not be used.
    seconds : moment -> its time in the recording.
    strength : how far the change stands out; None where the frames were given.
    predicted : the class, or the classes of a multi-label task; empty where the clip could not be used.
    probabilities : class -> probability; None for a model that gives scores alone.
    scores : class -> what the model computes.
    notes : what a person should know of the clip.
    reason : why it could not be used; "" where it could.
    """

    onset: int
    apex: int | None
    offset: int
    seconds: dict[str, float]
    strength: float | None = None
    predicted: tuple[str, ...] = ()
    probabilities: dict[str, float] | None = None
    scores: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Reading:
    """One recording, and what was found in it.

    Attributes
    ----------
    path : as it was given.
    fps : frames a second; None where it could not be opened.
    frames : how many were read; None where only an expression was.
    size : (width, height) of a frame, as far as it is known.
    seen : share of the recording that shows the face; None where nobody looked.
    expressions : in order of their onsets.
    reason : why there are none; "" where there are.
    failed : whether the recording could not be used at all.
    notes : what a person should know of the recording.
    picture : the name of its picture; "" where there is none.
    """

    path: str
    fps: float | None = None
    frames: int | None = None
    size: tuple[int, int] | None = None
    seen: float | None = None
    expressions: tuple[Expression, ...] = ()
    reason: str = ""
    failed: bool = False
    notes: tuple[str, ...] = ()
    picture: str = ""


def as_json(readings: Sequence[Reading], model: dict[str, Any]) -> str:
    """Return the recordings as JSON.

    Parameters
    ----------
    readings : the recordings.
    model : what is told of the model.
    """
    return json.dumps({"model": model, "recordings": [asdict(one) for one in readings]}, indent=1) + "\n"


def as_csv(readings: Sequence[Reading], classes: Sequence[str]) -> str:
    """Return the recordings as CSV: a row an expression; a recording without any has a row with the reason.

    Parameters
    ----------
    readings : the recordings.
    classes : of the model's task.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    times = [f"{moment}_seconds" for moment in MOMENTS]
    numbers = [f"{kind}_{name}" for kind in ("probability", "score") for name in classes]
    writer.writerow(["recording", *MOMENTS, *times, "strength", "predicted", *numbers, "reason"])
    for reading in readings:
        for one in reading.expressions:
            values = [(of or {}).get(name, "") for of in (one.probabilities, one.scores) for name in classes]
            moments = [one.onset, "" if one.apex is None else one.apex, one.offset]
            seconds = [one.seconds.get(moment, "") for moment in MOMENTS]
            strength = "" if one.strength is None else one.strength
            writer.writerow([reading.path, *moments, *seconds, strength, "+".join(one.predicted), *values, one.reason])
        if not reading.expressions:
            writer.writerow([reading.path, *[""] * (len(MOMENTS) * 2 + 2 + len(numbers)), reading.reason])
    return text.getvalue()


def as_text(reading: Reading, classes: Sequence[str]) -> list[str]:
    """Return the lines of one recording for the terminal."""
    facts = [f"{reading.frames} frames"] if reading.frames is not None else []
    facts += [f"{reading.fps:g} a second"] if reading.fps else []
    facts += ["{}x{} pixels".format(*reading.size)] if reading.size else []
    lines = [f"{reading.path}: {', '.join(facts)}" if facts else reading.path]
    lines += [f"  note: {note}" for note in reading.notes]
    if reading.reason:
        return [*lines, f"  {'NOT USED' if reading.failed else 'no expression'}: {reading.reason}"]
    headers: list[Header] = [("", "left"), *((name, "right") for name in ("frames", "seconds", "strength", *classes))]
    rows = [_row(one, classes) for one in reading.expressions]
    lines += [f"  {line}" for line in table(headers, rows)]
    for one in reading.expressions:
        lines += [f"  frame {one.onset}: {note}" for note in ([f"NOT USED: {one.reason}"] if one.reason else one.notes)]
    return lines


def _row(one: Expression, classes: Sequence[str]) -> list[str]:
    apex = "?" if one.apex is None else one.apex
    seconds = [f"{one.seconds[moment]:.2f}" if moment in one.seconds else "?" for moment in MOMENTS]
    shown = one.scores if one.probabilities is None else one.probabilities
    return [
        " + ".join(one.predicted) or ("-" if one.reason else "none"),
        f"{one.onset}-{apex}-{one.offset}",
        "-".join(seconds),
        "" if one.strength is None else f"{one.strength:.1f}",
        *(f"{shown[name]:.2f}" if name in shown else "" for name in classes),
    ]
