"""What hours of film cost `merbench predict`: memory, seconds and disk, of a short film and of one ten times as long.

    python tests/benchmarks/long_film.py [--minutes 2 20] [--fps 30] [--quick]

A rendered recording of about a minute (a person who rests, blinks and shows expressions, as SMIC's camera would film
him) is played again and again, forwards and backwards so that nothing jumps, until the film is as long as asked for. A
model is fitted on three rendered people, and `merbench predict` is run as a command; its memory is the most that its
process held (VmHWM). What an hour takes is the difference of the two films, scaled.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_report import ROOT, held, machine_facts, own_environment, print_table, run_plainly, timed

from preprocess.synth.databases import Options
from preprocess.synth.recordings import Scene, draw_recording
from preprocess.synth.trees import render

MERBENCH = [sys.executable, str(ROOT / "merbench.py")]
HEADINGS = (
    "frames",
    "MB of film",
    "expressions",
    "core s",
    "core s a minute",
    "clock s",
    "most memory MiB",
    "output MB",
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs=2, default=(2.0, 20.0), help="of the two films")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--model", default="flow_svm")
    parser.add_argument("--quick", action="store_true", help="a fifth and half of a minute")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.minutes = (0.2, 0.5)
    facts = machine_facts()
    with tempfile.TemporaryDirectory(prefix="long-film-") as name:
        folder = Path(name)
        model = _fitted(arguments.model, folder)
        pictures = _pictures(arguments.fps, 0.1 if arguments.quick else 1.0)
        measured = [_measured(folder, model, pictures, minutes, arguments.fps) for minutes in arguments.minutes]
    rows = [[f"{one['minutes']:g} min", *_cells(one)] for one in measured]
    print_table(f"merbench predict, {arguments.model}, {arguments.fps:g} fps", ["film", *HEADINGS], rows)
    short, long = measured
    more = long["minutes"] - short["minutes"]
    for what, unit in (("memory", "MiB"), ("core", "s of a core"), ("output", "MB of output")):
        print(f"another hour of film: {60 * (long[what] - short[what]) / more:.1f} {unit}")
    print(*facts, sep="\n")


def _fitted(model: str, folder: Path) -> Path:
    render(Options("smic", 3, 4.0, seed=1), folder / "smic")
    options = ["--data", str(folder / "smic"), "--results", str(folder / "runs"), "--preset", "quick"]
    timed([*MERBENCH, "fit", model, "--out", str(folder / "model"), *options])
    return folder / "model"


def _pictures(fps: float, minutes: float) -> list[np.ndarray]:
    """Return the frames of one recording at a rate, each the nearest of the camera's."""
    words = itertools.cycle(("negative", "positive", "surprise"))
    emotions = tuple(itertools.islice(words, max(2, round(9 * minutes))))
    film, frames, _ = draw_recording(Scene("smic", "p0", emotions, rest=(4.0, 8.0)))
    step = film.camera.fps / fps
    return [film.frame(round(number * step)) for number in range(int((frames - 1) / step))]


def _measured(folder: Path, model: Path, pictures: list[np.ndarray], minutes: float, fps: float) -> dict[str, Any]:
    file, out = folder / f"film_{minutes:g}.mp4", folder / f"out_{minutes:g}"
    frames = _write(file, pictures, round(60 * minutes * fps), fps)
    command = [*MERBENCH, "predict", str(file), "--model", str(model), "--out", str(out), "--device", "cpu"]
    started = time.monotonic()
    process = subprocess.Popen(command, env=own_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    ended, status, usage, most = 0, 0, None, 0.0
    while not ended:
        # Not ru_maxrss: it begins with what this process holds.
        most = max(most, held(process.pid))
        time.sleep(0.1)
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
    if status or usage is None:
        raise SystemExit(f"{' '.join(command)} failed: {process.stderr.read().decode() if process.stderr else ''}")
    (recording,) = json.loads((out / "predictions.json").read_text())["recordings"]
    size = sum(one.stat().st_size for one in out.iterdir())
    core = usage.ru_utime + usage.ru_stime
    told = {"minutes": minutes, "frames": frames, "film": file.stat().st_size / 1e6, "output": size / 1e6, "core": core}
    told |= {
        "found": len(recording["expressions"]),
        "memory": most,
        "clock": time.monotonic() - started,
    }
    file.unlink()
    return told


def _write(file: Path, pictures: list[np.ndarray], frames: int, fps: float) -> int:
    import cv2

    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
    turned = itertools.cycle([*pictures, *reversed(pictures)])
    for picture in itertools.islice(turned, frames):
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()
    return frames


def _cells(one: dict[str, Any]) -> list[str]:
    a_minute = one["core"] / one["minutes"]
    numbers = [f"{one['frames']}", f"{one['film']:.0f}", f"{one['found']}", f"{one['core']:.0f}", f"{a_minute:.1f}"]
    return [*numbers, f"{one['clock']:.0f}", f"{one['memory']:.0f}", f"{one['output']:.2f}"]


if __name__ == "__main__":
    run_plainly(main)
