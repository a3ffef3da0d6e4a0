"""How fast raw films become shards: `merbench prepare` against the plain loop, and a second time with nothing changed.

    python tests/benchmarks/prepare_speed.py [--clips 500] [--folder DIR]

A database like CASME II is rendered (eight people; further ones are hard links to their frames), and ``flow_uvs_28`` is
made of all of it: by a loop in one process that makes the same dlib and OpenCV calls (but OpenCV's own TV-L1, which
gives the same bits) and nothing else, with the threads that OpenCV takes by itself and with one; by `merbench prepare`
as a command, which uses threads as long as little is left to do; and on a Ray that is up, with workers that are warm.
The tensors of the plain loop and of the shards are compared byte by byte. Memory is the peak of the sum over all
processes of the proportional set size.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmark_report import ROOT, machine_facts, print_table, run_plainly
from readme_commands import Figures, watch

PEOPLE = 8
FEATURE = "flow_uvs_28"
TARGET, TARGET_SECONDS = 1.7, 3.0


def make_database(root: Path, clips: int) -> int:
    """Render a database and multiply its people by hard links until it has ``clips`` clips; return how many it has."""
    from preprocess.synth.databases import Options, plan
    from preprocess.synth.sheets import SHEETS
    from preprocess.synth.trees import render

    options = Options("casme2", subjects=PEOPLE)
    rendered = plan(options)
    if render(options, root):
        everything = list(rendered)
        for copy in range(1, -(-clips // len(rendered))):
            for clip in rendered:
                subject = f"sub{int(clip.subject[3:]) + PEOPLE * copy:02d}"
                twin = dataclasses.replace(clip, subject=subject, folder=clip.folder.replace(clip.subject, subject))
                (root / twin.folder).mkdir(parents=True)
                for frame in (root / clip.folder).iterdir():
                    os.link(frame, root / twin.folder / frame.name)
                everything.append(twin)
        SHEETS["casme2"](root, everything)
    return sum(1 for _ in root.glob("CASME2_RAW_selected/*/*"))


def plain_loop(database: Path, out: Path, threads: int = 0) -> dict[str, Any]:
    """Make the tensors in a loop, with the same dlib and OpenCV calls; write them and tell the seconds it took."""
    import cv2
    import numpy as np

    from preprocess.datasets import read_source
    from preprocess.faces.alignment import face_transform, warp
    from preprocess.faces.detectors import Detectors
    from preprocess.faces.finder import HOG_SIDE, DlibFaceFinder
    from preprocess.steps import Work
    from preprocess.steps._apex_spotting import SPOTTERS
    from preprocess.steps.strain import optical_strain

    if threads:
        cv2.setNumThreads(threads)
    detectors, finder, tensors = Detectors(), DlibFaceFinder(), {}
    clips = read_source(database)[0].clips
    solver = cv2.optflow.DualTVL1OpticalFlow_create()
    start = time.perf_counter()
    for sample_id, clip in clips.items():
        apex = clip.apex or SPOTTERS["profile"](Work(clip, finder), clip.numbers)
        onset = cv2.imread(str(clip.files[clip.onset]), cv2.IMREAD_GRAYSCALE)
        face = detectors.fit(onset, detectors.hog(onset, HOG_SIDE)[0])
        transform = face_transform(face.landmarks, (128, 128))
        peak = cv2.imread(str(clip.files[apex]), cv2.IMREAD_GRAYSCALE)
        first, second = (warp(picture, transform, (128, 128)) for picture in (onset, peak))
        solver.collectGarbage()
        flow = solver.calc(first, second, None)
        planes = [flow[..., 0], flow[..., 1], optical_strain(flow)]
        small = np.stack([cv2.resize(plane, (28, 28), interpolation=cv2.INTER_AREA) for plane in planes])
        low, high = small.min(axis=(1, 2), keepdims=True), small.max(axis=(1, 2), keepdims=True)
        tensors[sample_id] = np.rint((small - low) / (high - low) * 255).astype(np.uint8)
    seconds = time.perf_counter() - start
    np.savez(out / "plain.npz", **{name.replace("/", "|"): tensor for name, tensor in tensors.items()})
    return {"seconds": seconds}


def one_core(database: Path, out: Path) -> dict[str, Any]:
    """Do as the plain loop does, with OpenCV in one thread."""
    return plain_loop(database, out, threads=1)


def warm_ray(database: Path, out: Path) -> dict[str, Any]:
    """Make everything on a Ray that is up, after its workers have made two subjects; tell clips and seconds."""
    from bench.workers.clip_tasks import make_on_ray
    from bench.workers.ray_session import RaySession
    from preprocess.datasets import read_source
    from preprocess.shards.making import Result
    from preprocess.shards.prepare import prepare

    figures: dict[str, Any] = {}

    def execute(tasks: Any) -> Iterator[Result]:
        yield from make_on_ray(tasks[:2])
        start = time.perf_counter()
        yield from make_on_ray(tasks[2:])
        figures["seconds"] = time.perf_counter() - start
        figures["clips"] = sum(len(task.clips) for task in tasks[2:])

    with RaySession(None, None) as session:
        session.cluster()
        prepare(read_source(database)[0], out / "warm", [FEATURE], execute=execute)
    return figures


def second_time(database: Path, out: Path) -> dict[str, Any]:
    """Prepare what is prepared already, as the command does; tell the seconds of its work and of its imports."""
    start = time.perf_counter()
    from rich.console import Console

    from bench.commands.prepare import prepare
    from bench.config import RunConfig

    imported = time.perf_counter()
    prepare(RunConfig(data=[str(database)], results=str(out / "runs")), None, False, Console(file=sys.stderr))
    return {"imports": imported - start, "seconds": time.perf_counter() - imported}


ROLES = {"plain": plain_loop, "one_core": one_core, "warm": warm_ray, "again": second_time}


def run_role(role: str, database: Path, out: Path) -> tuple[Figures, dict[str, Any]]:
    """Run one of ``ROLES``, or the command, in a process of its own; return what was seen of it and what it tells."""
    command = [sys.executable, str(Path(__file__)), "--role", role, "--database", str(database), "--out", str(out)]
    if role == "command":
        program = [sys.executable, "-c", "from bench.cli import main; main()"]
        command = [*program, "prepare", "--data", str(database), "--results", str(out / "runs")]
    log = out / f"{role}.txt"
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with log.open("w") as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        figures = watch(process, ROOT / ".venv", start)
    if figures.status:
        raise SystemExit(f"{role} ended with status {figures.status}:\n{log.read_text()[-2000:]}")
    told = [line for line in log.read_text().splitlines() if line.startswith("FIGURES ")]
    return figures, json.loads(told[-1].removeprefix("FIGURES ")) if told else {}


def differing(database: Path, out: Path) -> int:
    """Return how many tensors of the plain loop differ from the shards'."""
    import numpy as np

    from preprocess.datasets import read_source
    from preprocess.shards.prepare import prepare

    prepared = prepare(read_source(database)[0], out / "runs" / "shards", [FEATURE])
    tensors = dict(zip(prepared.samples["sample_id"], prepared.load(FEATURE), strict=True))
    with np.load(out / "plain.npz") as plain:
        return sum(not np.array_equal(plain[name.replace("/", "|")], tensor) for name, tensor in tensors.items())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=500)
    parser.add_argument("--folder", type=Path, help="keeps the rendered database; default: a temporary folder")
    parser.add_argument("--role", choices=sorted(ROLES), help=argparse.SUPPRESS)
    parser.add_argument("--database", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        print("FIGURES", json.dumps(ROLES[arguments.role](arguments.database, arguments.out)))
        return
    facts = machine_facts()
    with _folder(arguments.folder) as folder, tempfile.TemporaryDirectory(prefix="prepare-speed-") as name:
        database, out = folder / f"casme2-{arguments.clips}", Path(name)
        clips = make_database(database, arguments.clips)
        frames = sum(1 for _ in database.glob("CASME2_RAW_selected/*/*/*.jpg"))
        single_seen, single = run_role("one_core", database, out)
        plain_seen, plain = run_role("plain", database, out)
        command_seen, _ = run_role("command", database, out)
        warm_seen, warm = run_role("warm", database, out)
        again_seen, again = run_role("again", database, out)
        different = differing(database, out)
    plain_pace, warm_pace = clips / plain["seconds"], warm["clips"] / warm["seconds"]
    rows = [
        _row("plain loop, one process: whole program", clips, plain_seen.seconds, 1.0, plain_seen),
        _row("`merbench prepare`: whole command", clips, command_seen.seconds, 0, command_seen, plain_seen.seconds),
        _row("plain loop: the loop alone", clips, plain["seconds"], 1.0, plain_seen),
        _row("the same, OpenCV in one thread", clips, single["seconds"], 0, single_seen, plain["seconds"]),
        _row("Ray Data, workers warm", warm["clips"], warm["seconds"], warm_pace / plain_pace, warm_seen),
    ]
    names = ["way", "seconds", "clips/s", f"x plain (target {TARGET})", "peak PSS, MiB (processes)"]
    print_table(f"{FEATURE} from {clips} raw clips of {frames / clips:.0f} frames", names, rows)
    work = [f"{again['seconds']:.2f}", f"{again['imports']:.2f}", f"{again_seen.seconds:.2f}"]
    names = ["nothing changed", f"work (target {TARGET_SECONDS:.0f})", "its imports", "whole process"]
    print_table("The same command again, seconds", names, [[f"{clips} clips, {frames} files", *work]])
    print("", f"tensors that differ between plain loop and shards: {different} of {clips}", *facts, sep="\n")


def _row(what: str, clips: int, seconds: float, times: float, seen: Figures, plain: float = 0.0) -> list[str]:
    factor = times or plain / seconds
    return [what, f"{seconds:.1f}", f"{clips / seconds:.2f}", f"{factor:.2f}", f"{seen.peak:.0f} ({seen.processes})"]


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="prepare-speed-data-") as name:
        yield Path(name)


if __name__ == "__main__":
    run_plainly(main)
