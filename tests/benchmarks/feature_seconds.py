"""Every named feature: seconds of one core a clip, and the size of its tensor.

    python tests/benchmarks/feature_seconds.py [--data PATH] [--clips 4] [--features 'flow_*' ...]

Without ``--data``, clips like those of CASME II (640x480, 200 frames a second) are rendered first. Reading the frames
counts, finding the face does not: the features of a clip share it (and more, where their recipes begin alike, which
counts here each time). Seconds are those of the processor, in one thread, so that other work on the machine counts
little.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
from benchmark_report import machine_facts, median_of, print_table, run_plainly

from preprocess.datasets import read_source
from preprocess.faces.finder import DlibFaceFinder
from preprocess.recipes import FEATURES
from preprocess.samples.clip import Clip, ClipError
from preprocess.steps.flow import remembered_tvl1
from preprocess.synth.databases import Options
from preprocess.synth.trees import render


def main() -> None:
    import cv2

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of databases; clips are rendered where it is not given")
    parser.add_argument("--clips", type=int, default=4, help="clips to measure, spread over the data")
    parser.add_argument("--features", nargs="+", default=["*"], help="names or patterns of features")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = given.data
        if path is None:
            path = Path(folder) / "casme2"
            render(Options("casme2", subjects=2, clips=given.clips / 2), path)
        clips = [clip for dataset in read_source(path) for clip in dataset.clips.values()]
        chosen = clips[:: max(1, len(clips) // given.clips)][: given.clips]
        _measure(chosen, FEATURES.select(given.features))


def _measure(clips: list[Clip], features: list[str]) -> None:
    finder = DlibFaceFinder()
    faces = [_seconds(partial(finder.find, clip)) for clip in clips]
    rows = [["(finding the face)", median_of(faces, 2), "", ""]]
    for name in features:
        recipe = FEATURES.get(name)
        try:
            seconds = [_seconds(partial(recipe.compute, clip, finder)) for clip in clips]
        except ClipError as error:
            raise SystemExit(f"{name}: {error}") from error
        kilobytes = prod(recipe.shape) * np.dtype(recipe.dtype).itemsize / 1024
        rows.append([name, median_of(seconds, 2), " x ".join(map(str, recipe.shape)), f"{kilobytes:.1f}"])
    for fact in machine_facts():
        print(fact)
    frames = sorted(len(clip.numbers) for clip in clips)
    title = f"{len(clips)} clips of {frames[0]} to {frames[-1]} frames; seconds of one core a clip"
    print_table(title, ["feature", "seconds", "shape", "KiB"], rows)


def _seconds(work: Callable[[], object]) -> float:
    remembered_tvl1.cache_clear()
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    run_plainly(main)
