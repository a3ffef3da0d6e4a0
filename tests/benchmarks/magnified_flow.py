"""How far magnified flow is from the known motion: methods of magnification and flow, at brow and mouth landmarks.

    python tests/benchmarks/magnified_flow.py [--clips 6] [--factors 1.2 2 3] [--strength micro]

Clips like those of CASME II are rendered, aligned to 128x128, interpolated to 10 frames from onset to apex, magnified,
and the flow between neighbouring frames is summed up. It should be the factor times the true motion from onset to apex.
``none`` is the flow straight from onset to apex, not magnified. Errors are mean distances in pixels; seconds are those
of one core for all factors.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_report import machine_facts, print_table, run_plainly

from preprocess.datasets import read_source
from preprocess.faces.finder import DlibFaceFinder
from preprocess.faces.landmark_sets import BROWS_MOUTH_30
from preprocess.samples.clip import Clip
from preprocess.steps import STEPS, Work
from preprocess.synth.databases import Options
from preprocess.synth.trees import render, rendered_film

FLOWS = ("tvl1", "farneback", "dis")
SIZE = 128


def main() -> None:
    import cv2

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--factors", type=float, nargs="+", default=[1.2, 2.0, 3.0])
    parser.add_argument("--strength", choices=("micro", "macro"), default="micro")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    errors: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "casme2"
        render(Options("casme2", subjects=3, clips=max(2, given.clips / 3), strength=given.strength), root)
        clips = [clip for clip in read_source(root)[0].clips.values() if clip.apex is not None][: given.clips]
        finder = DlibFaceFinder()
        truth = [_measure(clip, finder, root, given.factors, errors, seconds) for clip in clips]
    for fact in machine_facts():
        print(fact)
    rows = [
        [" + ".join(key), *(f"{value:.3f}" for value in np.mean(errors[key], axis=0)), f"{np.mean(seconds[key]):.2f}"]
        for key in errors
    ]
    sizes = np.mean(truth) * np.array(given.factors)
    rows.append(["(length of the motion)", *(f"{size:.3f}" for size in sizes), ""])
    names = ["magnification + flow", *(f"error at {factor:g}" for factor in given.factors), "seconds"]
    print_table(f"{len(clips)} {given.strength} clips, {len(BROWS_MOUTH_30)} landmarks each", names, rows)


def _measure(
    clip: Clip,
    finder: DlibFaceFinder,
    root: Path,
    factors: Sequence[float],
    errors: dict[tuple[str, str], list[np.ndarray]],
    seconds: dict[tuple[str, str], list[float]],
) -> float:
    """Add the errors and seconds of each pair of methods for one clip; return the mean length of its true motion."""
    work = Work(clip=clip, finder=finder)
    for name, options in (("face", {"size": [SIZE, SIZE]}), ("select", {"frames": "onset_to_apex"}), ("load", {})):
        work = _run(name, work, **options)
    work = _run("landmarks", work)
    points = np.rint(work.landmarks[0][list(BROWS_MOUTH_30)]).astype(int)  # type: ignore[index]
    true = _true_motion(work, root)[points[:, 1], points[:, 0]]
    even = _run("interpolate", work, count=10, method="flow")
    for magnification in ("none", "eulerian", "phase"):
        start = time.process_time()
        magnified = work if magnification == "none" else _run("magnify", even, method=magnification, factors=factors)
        spent = time.process_time() - start
        pairs = "onset_apex" if magnification == "none" else "consecutive"
        for method in FLOWS:
            start = time.process_time()
            flow = _run("flow", magnified, method=method, pairs=pairs).flow.sum(axis=1)  # type: ignore[union-attr]
            found = flow[:, points[:, 1], points[:, 0]]
            wanted = np.array([1.0] * len(found) if magnification == "none" else factors)[:, None, None] * true
            error = np.linalg.norm(found - wanted, axis=-1).mean(axis=1)
            errors[magnification, method].append(np.broadcast_to(error, len(factors)) if len(error) == 1 else error)
            seconds[magnification, method].append(spent + time.process_time() - start)
    return float(np.linalg.norm(true, axis=-1).mean())


def _true_motion(work: Work, root: Path) -> np.ndarray:
    """Return the true motion (H, W, 2) from onset to the annotated apex, in pixels of the aligned face."""
    import cv2

    clip = work.clip
    film, _ = rendered_film(root, clip.sample_id.split("/", 1)[1])
    assert clip.onset is not None
    assert clip.apex is not None
    assert work.transform is not None
    flow = film.true_flow(clip.apex - clip.onset)
    return cv2.warpAffine(flow, work.transform, (SIZE, SIZE)) @ work.transform[:, :2].T


def _run(name: str, work: Work, **options: Any) -> Work:
    step = STEPS.get(name)
    return step.run(work, **step.options(options, "benchmark"))


if __name__ == "__main__":
    run_plainly(main)
