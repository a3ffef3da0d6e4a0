"""How well each flow method finds the motion of faces, where it is known: end-point errors in pixels.

    python tests/benchmarks/flow_accuracy.py [--subjects 6] [--clips 5]

Clips are rendered as CASME II lies on disk and go through the steps of flow_uvs_28: face, onset and apex, aligned to
128 x 128, flow. A method is worth something where its error is clearly below that of no flow at all.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from benchmark_report import machine_facts, print_table, run_plainly
from known_motion import measured_and_true_flow, rendered_clips

from preprocess.faces.finder import DlibFaceFinder
from preprocess.steps.flow import METHODS
from preprocess.synth.databases import Options
from preprocess.synth.expressions import STRENGTHS


def main() -> None:
    """Measure and print."""
    import cv2

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=6, help="people of each strength (default 6)")
    parser.add_argument("--clips", type=float, default=5.0, help="clips of each person, on average (default 5)")
    parser.add_argument("--like", default="casme2", help="casme2 (default), samm or smic")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    facts = machine_facts()
    rows = []
    with tempfile.TemporaryDirectory(prefix="flow-accuracy-") as folder:
        for strength in STRENGTHS:
            options = Options(arguments.like, arguments.subjects, arguments.clips, 0, strength)
            errors: dict[str, list[float]] = defaultdict(list)
            strong: dict[str, list[float]] = defaultdict(list)
            seconds: dict[str, float] = defaultdict(float)
            finder = DlibFaceFinder()
            count = 0
            for clip, film, truth in rendered_clips(options, Path(folder) / strength):
                finder.find(clip)
                count += 1
                for method in METHODS:
                    start = time.perf_counter()
                    measured, true = measured_and_true_flow(clip, film, finder, method, truth.apex)
                    seconds[method] += time.perf_counter() - start
                    note(errors[method], strong[method], measured, true)
                note(errors["no flow"], strong["no flow"], np.zeros_like(true), true)
            for method in [*METHODS, "no flow"]:
                took = f"{1000 * seconds[method] / count:.0f}" if method in METHODS else ""
                shares = [f"{np.mean(values[method]) / np.mean(values['no flow']):.2f}" for values in (errors, strong)]
                means = [f"{np.mean(values[method]):.3f}" for values in (errors, strong)]
                rows.append([strength, method, str(count), means[0], shares[0], means[1], shares[1], took])
    names = ["strength", "method", "clips", "error", "of none", "where it moves", "of none", "ms a clip, load included"]
    print_table(f"End-point error in pixels of the 128 x 128 face, {arguments.like}", names, rows)
    print("\n'where it moves': the tenth of the pixels that move most, head motion taken away")
    print(*facts, sep="\n")


def note(errors: list[float], strong: list[float], measured: np.ndarray, true: np.ndarray) -> None:
    """Take up a clip's mean end-point error, over the face and where the expression moves it."""
    error = np.linalg.norm(measured - true, axis=2)[8:-8, 8:-8]
    inner = true[8:-8, 8:-8]
    moves = np.linalg.norm(inner - np.median(inner, axis=(0, 1)), axis=2)
    errors.append(float(error.mean()))
    strong.append(float(error[moves >= np.quantile(moves, 0.9)].mean()))


if __name__ == "__main__":
    run_plainly(main)
