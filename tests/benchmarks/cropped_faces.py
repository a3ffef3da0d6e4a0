"""What flow is worth on tightly cropped faces: its error inside the picture, and the range that the face keeps.

    python tests/benchmarks/cropped_faces.py [--subjects 4] [--clips 4] [--like casme2]

The same clips are rendered raw and tightly cropped. Faces are aligned in both; of the crop about half of the aligned
square lies outside of the picture. Errors of raw clips are those of the pixels that the crop shows, too.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from benchmark_report import machine_facts, print_table, run_plainly
from known_motion import flow_work, in_the_crop, rendered_clips, true_flow_of

from preprocess.faces.finder import DlibFaceFinder
from preprocess.samples.clip import Clip
from preprocess.steps import STEPS
from preprocess.steps.flow import METHODS
from preprocess.synth.databases import ClipPlan, Options
from preprocess.synth.film import Film

FORMS = (("raw", "align"), ("cropped", "align"), ("cropped", "as_face"))


def main() -> None:
    """Measure and print."""
    import cv2

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=4, help="people (default 4)")
    parser.add_argument("--clips", type=float, default=4.0, help="clips of each person, on average (default 4)")
    parser.add_argument("--like", default="casme2", help="casme2 (default), samm or smic")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    finder, rows = DlibFaceFinder(), []
    with tempfile.TemporaryDirectory(prefix="cropped-faces-") as folder:
        for variant, crops in FORMS:
            options = Options(arguments.like, arguments.subjects, arguments.clips, variant=variant)
            clips = list(rendered_clips(options, Path(folder) / variant))
            for method in METHODS:
                facts = [_facts(one, finder, method, crops, cropped=variant == "cropped") for one in clips]
                outside, error, none, kept = np.mean(facts, axis=0)
                numbers = [f"{outside:.0%}", f"{error:.3f}", f"{error / none:.2f}", f"{kept:.0%}"]
                rows.append([variant, crops, method, str(len(clips)), *numbers])
    names = ["variant", "crops", "method", "clips", "outside", "error inside", "of none", "range kept"]
    print_table(f"Flow from onset to apex, 128 x 128 pixels, {arguments.like}", names, rows)
    print("\n'range kept': share of the 8-bit range of u, v and strain that pixels inside the picture use")
    print(*machine_facts(), sep="\n")


def _facts(
    one: tuple[Clip, Film, ClipPlan], finder: DlibFaceFinder, method: str, crops: str, *, cropped: bool
) -> tuple[float, float, float, float]:
    """Return share outside, mean error inside, mean true motion inside, and the share of the range kept."""
    clip, film, truth = one
    work = flow_work(clip, finder, method, truth.apex, crops)
    true = true_flow_of(work, film, truth.apex, cropped)
    inside = np.ones((128, 128), bool) if work.valid is None else work.valid
    outside = 1 - inside.mean()
    inside = inside if cropped else inside & in_the_crop(work, film)
    images = STEPS.get("flow_tensor").run(work, size=128).tensor
    assert work.flow is not None
    assert images is not None
    error = np.linalg.norm(work.flow[0, 0] - true, axis=2)[inside].mean()
    kept = np.mean([np.ptp(image[inside]) / 255 for image in images.astype(float)])
    return float(outside), float(error), float(np.linalg.norm(true, axis=2)[inside].mean()), float(kept)


if __name__ == "__main__":
    run_plainly(main)
