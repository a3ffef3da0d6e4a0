"""How far from the true apex each way of spotting ends, on clips whose apex is known.

    python tests/benchmarks/apex_spotting.py [--subjects 6] [--clips 6]

Clips are rendered as SMIC and CASME II lie on disk, are read by their adapters, and lose what their sheet says of the
apex. The midpoint of the clip is what several public preprocessings take instead of spotting.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from benchmark_report import machine_facts, print_table, run_plainly
from known_motion import rendered_clips, without_apex

from preprocess.faces.finder import DlibFaceFinder
from preprocess.steps import STEPS, Work
from preprocess.steps._apex_spotting import SPOTTERS
from preprocess.synth.databases import LIKE, Options


def main() -> None:
    """Measure and print."""
    import cv2

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=6, help="people of each database (default 6)")
    parser.add_argument("--clips", type=float, default=6.0, help="clips of each person, on average (default 6)")
    parser.add_argument("--seed", type=int, default=0, help="of the rendering (default 0)")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    facts = machine_facts()
    rows = []
    with tempfile.TemporaryDirectory(prefix="apex-spotting-") as folder:
        for like in ("smic", "casme2"):
            options = Options(like, arguments.subjects, arguments.clips, arguments.seed)
            errors: dict[str, list[int]] = defaultdict(list)
            seconds: dict[str, float] = defaultdict(float)
            finder = DlibFaceFinder()
            for clip, _, truth in rendered_clips(options, Path(folder) / like):
                bare = without_apex(clip)
                finder.find(bare)
                for spot in SPOTTERS:
                    start = time.perf_counter()
                    work = STEPS.get("face").run(Work(clip=bare, finder=finder))
                    work = STEPS.get("select").run(work, frames="onset_apex", spot=spot)
                    seconds[spot] += time.perf_counter() - start
                    errors[spot].append(abs(work.numbers[dict(work.key)["apex"]] - truth.apex))
            ms = 1000 / LIKE[like].camera.fps
            for spot, values in errors.items():
                mean, median = float(np.mean(values)), float(np.median(values))
                off = f"{np.mean(np.array(values) > 5):.0%}"
                took = f"{1000 * seconds[spot] / len(values):.0f}"
                figures = [f"{mean:.2f}", f"{median:.1f}", f"{mean * ms:.0f}", f"{median * ms:.0f}", off, took]
                rows.append([like, spot, str(len(values)), *figures])
    names = ["like", "spotting", "clips", "mean frames", "median frames", "mean ms", "median ms", "off by > 5"]
    print_table("Absolute error of the apex", [*names, "ms a clip"], rows)
    print(*facts, sep="\n")


if __name__ == "__main__":
    run_plainly(main)
