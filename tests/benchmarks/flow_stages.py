"""Where the seconds of one clip go: each step of a feature, and the parts of finding a face.

    python tests/benchmarks/flow_stages.py [--data PATH] [--clips 12] [--feature flow_uvs_28]

Without ``--data``, clips like those of CASME II (640x480, 200 frames a second) are rendered first. Seconds are those of
the processor, in one thread, so that other work on the machine counts little; models are loaded before.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from benchmark_report import machine_facts, median_of, print_table, run_plainly

from preprocess.datasets import read_source
from preprocess.faces.detectors import Detectors
from preprocess.faces.finder import HOG_SIDE, DlibFaceFinder
from preprocess.recipes import FEATURES
from preprocess.samples.clip import Clip
from preprocess.samples.frames import FrameReader
from preprocess.steps import STEPS, Work
from preprocess.steps.flow import remembered_tvl1
from preprocess.synth.databases import Options
from preprocess.synth.trees import render

T = TypeVar("T")


def main() -> None:
    import cv2

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of a database; clips are rendered where it is not given")
    parser.add_argument("--clips", type=int, default=12, help="clips to measure, spread over the data")
    parser.add_argument("--feature", default="flow_uvs_28")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = given.data
        if path is None:
            path = Path(folder) / "casme2"
            render(Options("casme2", subjects=4, clips=max(2.0, given.clips / 4)), path)
        clips = [clip for dataset in read_source(path) for clip in dataset.clips.values()]
        _measure(clips[:: max(1, len(clips) // given.clips)][: given.clips], given.feature)


def _measure(clips: list[Clip], feature: str) -> None:
    detectors = Detectors()
    _load(clips[0], detectors, feature)
    remembered_tvl1.cache_clear()
    seconds: dict[str, list[float]] = defaultdict(list)

    def timed(name: str, work: Callable[[], T]) -> T:
        start = time.process_time()
        result = work()
        seconds[name].append(time.process_time() - start)
        return result

    for clip in clips:
        with FrameReader(clip) as reader:
            picture = timed("  of face: reading a frame", partial(reader.read, reader.numbers[0]))
        boxes = timed("  of face: HOG detection", partial(detectors.hog, picture, HOG_SIDE))
        timed("  of face: landmarks", partial(detectors.fit, picture, boxes[0]))
        work = Work(clip=clip, finder=_new_finder(detectors))
        for name, options in FEATURES.get(feature).steps:
            step = STEPS.get(name)
            work = timed(name, partial(step.run, work, **step.options(options, feature)))
    for fact in machine_facts():
        print(fact)
    whole = [sum(column) for column in zip(*(v for k, v in seconds.items() if not k.startswith(" ")), strict=True)]
    rows = [["whole clip", median_of([1000 * one for one in whole], 1)]]
    for name in sorted(seconds, key=lambda one: (one.startswith(" "), -sum(seconds[one]))):
        rows.append([name, median_of([1000 * one for one in seconds[name]], 1)])
    print_table(f"{feature}: milliseconds of one core a clip, {len(clips)} clips", ["step", "ms"], rows)


def _new_finder(detectors: Detectors) -> DlibFaceFinder:
    """Return a finder that remembers nothing and whose models are loaded."""
    finder = DlibFaceFinder()
    finder._detectors = detectors
    return finder


def _load(clip: Clip, detectors: Detectors, feature: str) -> None:
    """Run everything once: models are loaded and modules imported."""
    FEATURES.get(feature).compute(clip, _new_finder(detectors))


if __name__ == "__main__":
    run_plainly(main)
