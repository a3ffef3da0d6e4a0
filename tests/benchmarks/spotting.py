"""How many expressions of long recordings are spotted, and recognised, where all of them are known.

    python tests/benchmarks/spotting.py [--people 6] [--expressions 10] [--fps own,25,30] [--model ststnet] [--quick]

Recordings are rendered as SMIC's and CASME II's cameras would film them: people who rest, blink and show expressions,
written as videos (MJPG), read as `merbench predict` reads them. Intervals that overlap by half of their union count as
found; precision, recall and F1 come from the pooled counts. A model is fitted on a rendered database like SMIC of other
people; STRS is the F1 of spotting times the UF1 of the classes over the intervals found. `--fps own,25,30` also films
them as ordinary cameras do, and tells what `merbench predict` says of such films.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from benchmark_report import machine_facts, print_table, run_plainly

from preprocess.faces.finder import face_finder
from preprocess.samples.clip import Clip
from preprocess.spotting.recordings import Recording, Span, cut, open_recording
from preprocess.spotting.spotter import LONGEST, LONGEST_MACRO, spot, spotted_apex
from preprocess.synth.databases import LIKE
from preprocess.synth.recordings import Scene, Shown, draw_recording, write_video
from results.scores.spotting import SpottingScore, match, spotting_score, strs

Recognise = Callable[[Clip], str]

NAMES = ("expressions", "found", "false", "missed", "precision", "recall", "F1")
ERRORS = ("onset ms", "apex ms", "offset ms", "within 0.1 s", "s a minute of film")


@dataclasses.dataclass
class Tally:
    """What was spotted in the recordings of one row."""

    score: SpottingScore = dataclasses.field(default_factory=lambda: SpottingScore(0, 0, 0))
    errors: list[list[float]] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    film: float = 0.0
    told: dict[str, int] = dataclasses.field(default_factory=dict)
    true: list[str] = dataclasses.field(default_factory=list)
    said: list[str] = dataclasses.field(default_factory=list)

    def row(self) -> list[str]:
        """Return the cells of the table."""
        score, errors = self.score, np.array(self.errors or [[np.nan] * 3])
        cells = [str(score.found + score.missed), str(score.found), str(score.false), str(score.missed)]
        cells += [f"{value:.2f}" for value in (score.precision, score.recall, score.f1)]
        cells += [f"{value:.0f}" for value in 1000 * errors.mean(axis=0)]
        return [*cells, f"{(errors[:, [0, 2]].max(axis=1) <= 0.1).mean():.0%}", f"{60 * self.seconds / self.film:.0f}"]


def main() -> None:
    """Measure and print."""
    import cv2

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=6, help="recordings of each camera, each another person")
    parser.add_argument("--expressions", type=int, default=10, help="expressions of each recording")
    parser.add_argument("--like", default="smic,casme2", help="cameras (default smic,casme2)")
    parser.add_argument("--strength", default="micro", choices=("micro", "macro"))
    parser.add_argument("--fps", default="own", help="frames a second that are written, such as own,25,30")
    parser.add_argument("--model", default="", help="fit this model on a rendered database and recognise with it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="one person and four expressions a camera")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.people, arguments.expressions = 1, 4
    cv2.setNumThreads(1)
    facts = machine_facts()
    rows, told, notes = [], [], []
    with tempfile.TemporaryDirectory(prefix="spotting-") as name:
        recognise = _recogniser(arguments.model, Path(name), arguments.quick) if arguments.model else None
        for like, rate in itertools.product(arguments.like.split(","), arguments.fps.split(",")):
            tally, fps = Tally(), LIKE[like].camera.fps if rate == "own" else float(rate)
            for person in range(arguments.people):
                _measure(tally, _scene(like, person, arguments), Path(name) / "film.avi", fps, recognise)
            rows.append([f"{like}, {fps:g} fps, {arguments.strength}", *tally.row()])
            notes += [f"{like}, {fps:g} fps, {number} recordings: {note}" for note, number in tally.told.items()]
            if recognise is not None:
                told.append([f"{like}, {fps:g} fps", *_recognised(tally)])
    print_table("Spotting", ["camera", *NAMES, *ERRORS], rows)
    if told:
        print_table(
            f"Recognising with {arguments.model}", ["camera", "found", "right", "UF1 of the found", "STRS"], told
        )
    print(*notes, *facts, sep="\n")


def _scene(like: str, person: int, arguments: argparse.Namespace) -> Scene:
    words = itertools.islice(itertools.cycle(sorted(LIKE[like].emotions)), person, None)
    emotions = tuple(itertools.islice(words, arguments.expressions))
    return Scene(like, f"p{person}", emotions, strength=arguments.strength, seed=arguments.seed)


def _measure(tally: Tally, scene: Scene, file: Path, fps: float, recognise: Recognise | None) -> None:
    film, frames, shown = draw_recording(scene)
    write_video(film, frames, file, fps)
    start = time.process_time()
    recording = open_recording(file)
    spotting = spot(recording, LONGEST if scene.strength == "micro" else LONGEST_MACRO)
    tally.seconds += time.process_time() - start
    tally.film += frames / film.camera.fps
    for note in (*spotting.notes, *([spotting.reason] if spotting.reason else [])):
        tally.told[note] = tally.told.get(note, 0) + 1
    true = [(one.onset / film.camera.fps, one.offset / film.camera.fps) for one in shown]
    spotted = [(recording.seconds(span.onset), recording.seconds(span.offset)) for span in spotting.spans]
    tally.score += spotting_score(spotted, true)
    pairs = {i: shown[j] for i, j in match(spotted, true)}
    _look_closer(tally, recording, spotting.spans, pairs, film.camera.fps, recognise)


def _look_closer(
    tally: Tally,
    recording: Recording,
    spans: Sequence[Span],
    pairs: dict[int, Shown],
    fps: float,
    recognise: Recognise | None,
) -> None:
    for place, (span, clip) in enumerate(cut(recording, spans)):
        if place not in pairs:
            continue
        one = pairs[place]
        apex = spotted_apex(dataclasses.replace(clip, apex=None), face_finder())
        frames = ((span.onset, one.onset), (apex, one.apex), (span.offset, one.offset))
        tally.errors.append([abs(found / recording.fps - true / fps) for found, true in frames])
        if recognise is not None:
            tally.true.append(one.emotion)
            tally.said.append(recognise(dataclasses.replace(clip, apex=apex)))


def _recogniser(model: str, folder: Path, quick: bool) -> Recognise:
    """Return what tells the class of a clip: a model that is fitted on a rendered database like SMIC."""
    from rich.console import Console

    from bench.commands.fit import fit
    from bench.config import RunConfig
    from bench.plan.predicting import load_fitted
    from preprocess.synth.databases import Options
    from preprocess.synth.trees import render

    options = Options("smic", 3 if quick else 10, 4.0 if quick else 8.0, seed=1)
    render(options, folder / "smic")
    config = RunConfig(data=[str(folder / "smic")], results=str(folder / "runs"), preset="quick")
    fit(config, model, None, folder / "model", Console(quiet=True))
    fitted = load_fitted(folder / "model", "cpu")

    def recognise(clip: Clip) -> str:
        tensors = {one.name: one.compute(clip, face_finder()).tensor for one in fitted.recipes}
        features = {name: tensor[None] for name, tensor in tensors.items() if tensor is not None}
        return fitted.predicted(fitted.scores(features, ["clip"]))[0][0]

    return recognise


def _recognised(tally: Tally) -> list[str]:
    from preprocess.labels.tasks import TASKS

    task = TASKS.get("megc3")
    known = {word: label for of in ("smic", "casme2") for word, label in task.mapping(of).items() if label is not None}
    places = {name: place for place, name in enumerate(task.classes)}
    kept = [(known[true], said) for true, said in zip(tally.true, tally.said, strict=True) if true in known]
    if not kept:
        return ["0", "-", "-", "-"]
    true, said = (np.array([places[name] for name in names]) for names in zip(*kept, strict=True))
    total = strs(tally.score, true, said, len(places))
    return [str(len(kept)), f"{(true == said).mean():.2f}", f"{total / tally.score.f1:.2f}", f"{total:.2f}"]


if __name__ == "__main__":
    run_plainly(main)
