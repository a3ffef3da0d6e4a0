"""What following a head that moves is worth, and what it costs where the head holds still.

    python tests/benchmarks/moving_heads.py [--clips 6] [--strength macro]

Clips are rendered as those of CASME II, with heads that go up to more than half a face away by the apex. Three ways
are compared: one transform a clip (`one`), the default (`default`), and every head followed (`all`). Errors are in
pixels of the 128 x 128 face.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from benchmark_report import machine_facts, print_table, run_plainly
from known_motion import flow_shown, without_apex
from moving_heads import FARTHEST, Amounts, expression_flow, goes, moving_clip, nods

from preprocess.faces import following
from preprocess.faces.alignment import inverse, transform_points
from preprocess.faces.finder import DlibFaceFinder
from preprocess.samples.clip import Clip
from preprocess.steps import STEPS, Work
from preprocess.synth.databases import Options, plan
from preprocess.synth.expressions import STRENGTHS
from preprocess.synth.film import Film, Head

AWAY = (0.0, 0.01, 0.02, 0.03, 0.04, 0.06, 0.1, 0.2, 0.5)
WAYS = ("one", "default", "all")
STEPS_OF_FLOW = (("select", {"frames": "onset_apex"}), ("load", {"color": "grey"}), ("flow", {"method": "tvl1"}))


def main() -> None:
    """Measure and print."""
    import cv2

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=6, help="clips, each of another person (default 6)")
    parser.add_argument("--strength", choices=list(STRENGTHS), default="micro")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    facts = machine_facts()
    options = Options("casme2", arguments.clips, 1.0, 0, arguments.strength)
    motions = {f"{share:g} of the face's width": (share * 0.8, -share * 0.6, 0.0, 0.0) for share in AWAY} | FARTHEST
    finder = DlibFaceFinder()
    with tempfile.TemporaryDirectory(prefix="moving-heads-") as name:
        folder = Path(name)
        rows = [
            [name, *_flows(options, amounts, folder / f"flow{n}", finder)]
            for n, (name, amounts) in enumerate(motions.items())
        ]
        title = "Flow from onset to apex against that of the expression alone: mean end-point error"
        print_table(title, ["head goes", *COLUMNS], rows)
        rows = [
            [f"{name}, {course.__name__}", *_apexes(options, amounts, course, folder / f"{course.__name__}{n}", finder)]
            for n, (name, amounts) in enumerate(motions.items())
            for course in (goes, nods)
        ]
        print_table("Error of the spotted apex (profile): mean and largest, frames", ["head", *WAYS], rows)
        _still(options, folder / "still", finder)
    print(*facts, sep="\n")


COLUMNS = ("no flow", "one", "default", "all", "all, of what is shown", "pose rms", "followed")


def _flows(options: Options, amounts: Amounts, folder: Path, finder: DlibFaceFinder) -> list[str]:
    figures: dict[str, list[float]] = defaultdict(list)
    for planned in plan(options):
        head = goes(amounts, planned.apex - planned.onset)
        clip, film = moving_clip(options, planned, folder / planned.subject, head)
        _measure(figures, clip, film, finder)
    return [f"{np.mean(figures[key]):.3f}" for key in COLUMNS]


def _apexes(
    options: Options, amounts: Amounts, course: Callable[[Amounts, int], Head], folder: Path, finder: DlibFaceFinder
) -> list[str]:
    errors: dict[str, list[int]] = defaultdict(list)
    for planned in plan(options):
        head = course(amounts, planned.offset - planned.onset)
        clip, _ = moving_clip(options, planned, folder / planned.subject, head)
        for way in WAYS:
            with _following(way):
                work = STEPS.get("face").run(Work(clip=without_apex(clip), finder=finder), follow=way != "one")
                errors[way].append(abs(STEPS.get("select").run(work).numbers[-1] - planned.apex))
    return [f"{np.mean(errors[way]):.1f}, {max(errors[way])}" for way in WAYS]


def _measure(figures: dict[str, list[float]], clip: Clip, film: Film, finder: DlibFaceFinder) -> None:
    assert clip.onset is not None
    assert clip.apex is not None
    expression = expression_flow(film, clip.apex - clip.onset)
    for way in WAYS:
        with _following(way):
            work = STEPS.get("face").run(Work(clip=clip, finder=finder), follow=way != "one")
        for step, options in STEPS_OF_FLOW:
            work = STEPS.get(step).run(work, **options)
        assert work.flow is not None
        # The expression alone, as the onset's transform shows it.
        still = dataclasses.replace(work, path=None)
        wanted, shown = flow_shown(still, expression), flow_shown(work, film.true_flow(clip.apex - clip.onset))
        figures[way].append(_apart(work.flow[0, 0], wanted))
    figures["all, of what is shown"].append(_apart(work.flow[0, 0], shown))
    figures["no flow"].append(_apart(np.zeros_like(wanted), wanted))
    figures["pose rms"].append(_pose_error(work, film, clip.onset))
    with _following("default"):
        figures["followed"].append(float(STEPS.get("face").run(Work(clip=clip, finder=finder)).path is not None))


def _apart(measured: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(measured - wanted, axis=2)[8:-8, 8:-8].mean())


def _pose_error(work: Work, film: Film, onset: int) -> float:
    """Return how far the path leads from the true one over the face, root mean square over frames, in its pixels."""
    assert work.path is not None
    assert work.transform is not None
    y, x = np.mgrid[0.15:0.85:5j, 0.15:0.85:5j] * 128
    face = np.stack([x.ravel(), y.ravel()], axis=1)
    at_onset = transform_points(face, inverse(work.transform)).astype(np.float64)
    errors = []
    for number in work.path.numbers:
        there = transform_points(at_onset, film.pose(number - onset))
        seen = transform_points(there, work.path.transform(work.transform, number))
        errors.append(np.linalg.norm(seen - face, axis=1))
    return float(np.sqrt(np.mean(np.square(errors))))


def _still(options: Options, folder: Path, finder: DlibFaceFinder) -> None:
    """Print how much a followed head trembles that holds still, and what the look at a still clip costs."""
    trembles, seconds = [], defaultdict(list)
    for planned in plan(options):
        clip, film = moving_clip(options, planned, folder / planned.subject, None)
        with _following("all"):
            work = STEPS.get("face").run(Work(clip=clip, finder=finder))
        trembles.append(_pose_error(work, film, planned.onset))
        for way in ("one", "default"):
            for _ in range(3):
                following._remembered.cache_clear()
                fresh = DlibFaceFinder()
                fresh._detectors = finder._detectors
                start = time.process_time()
                STEPS.get("face").run(Work(clip=clip, finder=fresh), follow=way != "one")
                seconds[way].append(1000 * (time.process_time() - start))
    print(f"\nA head that sways a little, followed: {np.mean(trembles):.3f} px rms from its true way, frame by frame")
    print("Step face, ms a still clip: " + ", ".join(f"{way} {np.median(ms):.1f}" for way, ms in seconds.items()))


@contextmanager
def _following(way: str) -> Iterator[None]:
    """Follow every head while the way is "all"."""
    before = following.FAR
    following._remembered.cache_clear()
    following.FAR = -1.0 if way == "all" else before
    try:
        yield
    finally:
        following.FAR = before
        following._remembered.cache_clear()


if __name__ == "__main__":
    run_plainly(main)
