"""``merbench predict``: what a fitted model says of the expressions in recordings."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from bench.config import RunConfig
from bench.console.interrupts import exit_status, terminable
from bench.console.say import say
from bench.plan.predicting import Fitted, load_fitted
from bench.workers.devices import chosen_device
from preprocess.base.errors import UsageError
from preprocess.base.storage import LocalStorage
from preprocess.faces.finder import DlibFaceFinder, face_finder
from preprocess.recipes import load_recipes
from preprocess.samples.clip import Clip, ClipError
from preprocess.spotting.follower import common
from preprocess.spotting.recordings import Recording, Span, cut, open_recording, paths_of, with_apex
from preprocess.spotting.spotter import LONGEST, LONGEST_MACRO, SAME_PLACE, Spotting, spot, spotted_apex
from preprocess.steps import Work
from preprocess.views.clip_view import view_clip
from preprocess.views.recording_view import MOST, Marked, write_recording
from results.views.expressions import MOMENTS, Expression, Reading, as_csv, as_json, as_text

BATCH = 32
"""Expressions whose features are held at a time."""


@dataclass(frozen=True)
class Asked:
    """What is asked of every recording.

    Attributes
    ----------
    onset, apex, offset : frame numbers, where they are given; nothing is spotted then.
    fps : frames a second, where it is given.
    """

    onset: int | None = None
    apex: int | None = None
    offset: int | None = None
    fps: float | None = None

    def check(self, recordings: int) -> None:
        """Check that the frames make an expression of one recording.

        Raises
        ------
        UsageError : they do not.
        """
        given = {f"--{name}": getattr(self, name) for name in MOMENTS if getattr(self, name) is not None}
        if self.fps is not None and not self.fps > 0:
            raise UsageError(f"--fps {self.fps:g}: expected a number above 0.")
        if not given:
            return
        told = " ".join(f"{name} {number}" for name, number in given.items())
        if recordings > 1:
            raise UsageError(f"{told}: frame numbers are those of one recording, and {recordings} were given.")
        if self.onset is None or (self.apex is None and self.offset is None):
            raise UsageError(f"{told}: expected --onset with --apex, --offset or both.")
        if sorted(given.values()) != list(given.values()) or len(set(given.values())) < len(given) or self.onset < 0:
            raise UsageError(f"{told}: expected frame numbers from 0 on, in this order, none twice.")

    @property
    def span(self) -> Span | None:
        """The expression that is given; without an offset it ends as long after the apex as it began before it."""
        if self.onset is None:
            return None
        offset = self.offset if self.offset is not None else 2 * (self.apex or 0) - self.onset
        return Span(self.onset, self.apex, offset)


def predict(config: RunConfig, paths: Sequence[Path], model: Path, out: Path, asked: Asked, console: Console) -> int:
    """Tell what a model says of recordings, and write it as JSON, CSV and a picture of each recording.

    Parameters
    ----------
    config : says the device, and files of recipes.
    paths : videos, folders of frames, folders of videos.
    model : the model's folder.
    out : the folder for what is written.
    asked : the frames of an expression, where they are known.
    console : where it is shown.

    Returns
    -------
    The exit status: 0, or 1 where a recording could not be used.

    Raises
    ------
    MerError : something must be mended first; nothing is written then.
    """
    for file in config.recipes:
        load_recipes(file)
    recordings = [one for path in paths for one in paths_of(path)]
    asked.check(len(recordings))
    fitted = load_fitted(model, chosen_device(config.device))
    for note in fitted.notes:
        say(console, f"note: {note}")
    reader = _Reader(fitted, asked, LocalStorage(out), face_finder(), lambda text: say(console, text))
    readings = []
    try:
        with terminable():
            for name, path in zip(_names(recordings), recordings, strict=True):
                readings.append(reader.read(path, name))
                for line in as_text(readings[-1], fitted.classes):
                    say(console, line)
    except KeyboardInterrupt:
        say(console, f"Interrupted. {len(readings)} of {len(recordings)} recordings were looked at.")
        return exit_status()
    finally:
        if readings:
            reader.storage.write("predictions.json", as_json(readings, fitted.told).encode())
            reader.storage.write("predictions.csv", as_csv(readings, fitted.classes).encode())
    say(console, f"Written: {reader.storage.where('predictions.json')}, predictions.csv, and a picture a recording.")
    return 1 if any(one.failed for one in readings) else 0


class _Reader:
    """Reads one recording after the other."""

    def __init__(
        self, fitted: Fitted, asked: Asked, storage: LocalStorage, finder: DlibFaceFinder, tell: Callable[[str], None]
    ) -> None:
        self._fitted, self._asked, self._finder, self._tell = fitted, asked, finder, tell
        self.storage = storage

    def read(self, path: Path, name: str) -> Reading:
        """Return what is found in a recording, and draw it."""
        reading = Reading(str(path))
        try:
            recording = open_recording(path, self._asked.fps)
            reading = dataclasses.replace(reading, fps=recording.fps)
            spotting = self._spotted(recording)
            if spotting.frames:
                reading = dataclasses.replace(
                    reading,
                    frames=spotting.frames,
                    size=spotting.size,
                    seen=round(spotting.seen, 4),
                    notes=tuple(spotting.notes),
                )
            found, marked = self._expressions(recording, spotting)
        except ClipError as error:
            return dataclasses.replace(reading, reason=str(error), failed=True)
        unused = not spotting.seen and not found
        reading = dataclasses.replace(
            reading, expressions=tuple(found), reason=spotting.reason, failed=unused or _all_failed(found)
        )
        if unused:
            return reading
        write_recording(
            self.storage,
            f"{name}.png",
            f"{path.name}: {self._fitted.stored.configuration['label']}",
            spotting.curve,
            spotting.threshold,
            marked,
            self._fitted.classes,
        )
        return dataclasses.replace(reading, picture=f"{name}.png")

    def _spotted(self, recording: Recording) -> Spotting:
        if (span := self._asked.span) is not None:
            return Spotting(spans=[span])
        macro = bool(self._fitted.stored.configuration["trained_on"]["macro"])
        begun = last = time.monotonic()

        def progress(frames: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last > 10:
                last = now
                film = frames / recording.fps
                self._tell(f"{recording.path.name}: {film:.0f} s of film in {now - begun:.0f} s")

        return spot(recording, LONGEST_MACRO if macro else LONGEST, progress)

    def _expressions(self, recording: Recording, spotting: Spotting) -> tuple[list[Expression], list[Marked]]:
        strongest = sorted(spotting.spans, key=lambda span: -(span.strength or 0.0))[:MOST]
        found: list[Expression] = []
        marked: list[Marked] = []
        waiting: list[tuple[int, dict[str, np.ndarray]]] = []
        for span, whole in cut(recording, spotting.spans):
            try:
                clip, features, notes = self._features(whole, spotting.boxes.get(span.apex or -1))
                waiting.append((len(found), features))
            except ClipError as error:
                clip, notes = whole, ()
                found.append(_unusable(recording, span, str(error).removeprefix(f"{whole.sample_id}: ")))
            else:
                found.append(_expression(recording, with_apex(span, clip.apex or 0), notes))
            view = view_clip(clip, self._finder) if span in strongest else None
            onset, apex, offset = (found[-1].seconds.get(one, 0.0) for one in MOMENTS)
            marked.append(Marked(onset, apex, offset, "", (), view))
            if len(waiting) == BATCH:
                self._score(waiting, found)
        self._score(waiting, found)
        return found, [_told(one, mark) for one, mark in zip(found, marked, strict=True)]

    def _features(self, clip: Clip, box: Any) -> tuple[Clip, dict[str, np.ndarray], tuple[str, ...]]:
        """Return the clip with its apex, what the model is shown of it, and notes."""
        if clip.apex is None or box is not None:
            clip = dataclasses.replace(clip, apex=spotted_apex(dataclasses.replace(clip, apex=None), self._finder))
        if box is not None and common(self._finder.find(clip).box, box) < SAME_PLACE:
            raise ClipError(f"{clip.sample_id}: another face is the larger one here than in the rest of the recording")
        made: dict[str, Work] = {}
        works = {recipe.name: recipe.compute(clip, self._finder, made) for recipe in self._fitted.recipes}
        notes = dict.fromkeys(note for work in works.values() for note in work.notes)
        return clip, {name: work.tensor for name, work in works.items() if work.tensor is not None}, tuple(notes)

    def _score(self, waiting: list[tuple[int, dict[str, np.ndarray]]], found: list[Expression]) -> None:
        if not waiting:
            return
        fitted, classes = self._fitted, self._fitted.classes
        stacked = {one.name: np.stack([features[one.name] for _, features in waiting]) for one in fitted.recipes}
        scores = fitted.scores(stacked, [str(place) for place, _ in waiting])
        probabilities = fitted.probabilities(scores)
        for row, (place, _) in enumerate(waiting):
            found[place] = dataclasses.replace(
                found[place],
                predicted=fitted.predicted(scores[row : row + 1])[0],
                scores=_by_class(classes, scores[row]),
                probabilities=None if probabilities is None else _by_class(classes, probabilities[row]),
            )
        waiting.clear()


def _by_class(classes: Sequence[str], values: np.ndarray) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in zip(classes, values, strict=True)}


def _expression(recording: Recording, span: Span, notes: tuple[str, ...]) -> Expression:
    frames = {"onset": span.onset, "apex": span.apex, "offset": span.offset}
    seconds = {name: round(recording.seconds(number), 4) for name, number in frames.items() if number is not None}
    strength = None if span.strength is None else round(span.strength, 2)
    return Expression(span.onset, span.apex, span.offset, seconds, strength, notes=notes)


def _unusable(recording: Recording, span: Span, reason: str) -> Expression:
    return dataclasses.replace(_expression(recording, span, ()), reason=reason)


def _told(one: Expression, mark: Marked) -> Marked:
    name = " + ".join(one.predicted) or ("not used" if one.reason else "none")
    shown = one.scores if one.probabilities is None else one.probabilities
    lines = (
        name,
        f"frames {one.onset}, {one.apex}, {one.offset}",
        f"{one.seconds.get('onset', 0.0):.2f} to {one.seconds.get('offset', 0.0):.2f} s",
        *(f"{label} {value:.2f}" for label, value in shown.items()),
    )
    return dataclasses.replace(mark, name=name, lines=lines)


def _all_failed(found: Sequence[Expression]) -> bool:
    return bool(found) and all(one.reason for one in found)


def _names(paths: Sequence[Path]) -> list[str]:
    """Return a name for the files of each recording: its own, with a number where another one has it."""
    names: list[str] = []
    for path in paths:
        own = re.sub(r"[^\w.-]+", "_", path.stem if path.is_file() else path.resolve().name) or "recording"
        name, number = own, 1
        while name in names:
            number += 1
            name = f"{own}_{number}"
        names.append(name)
    return names
