"""How many faces are found, which way, and how far their landmarks lie from the true ones.

    python tests/benchmarks/face_detection.py [--subjects 12] [--clips 8]

One rendered frame a clip, as CASME II, SAMM and SMIC show their people, and cut out as tightly as their cropped copies
are (280 x 340 in CASME II), in three widths. Target: landmarks for at least 99.5 % of the clips.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from benchmark_report import machine_facts, print_table, run_plainly

from preprocess.faces.finder import DlibFaceFinder
from preprocess.samples.clip import Clip, ClipError
from preprocess.synth.databases import LIKE, Options, film, plan

TARGET = 0.995
# A way to cut: (frame, landmarks) -> (picture, landmarks in it).
Cut = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def whole(frame: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the frame as it is."""
    return frame, landmarks


def tight(margin: float) -> Cut:
    """Return a cut to the face, brows to chin with a forehead, ``margin`` of its width on each side, 280 x 340."""

    def cut(frame: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        left, right = landmarks[0, 0], landmarks[16, 0]
        side = margin * (right - left)
        width = right - left + 2 * side
        bottom = landmarks[8, 1] + side
        top = bottom - width * 340 / 280
        scale = 280 / width
        matrix = np.array([[scale, 0, -(left - side) * scale], [0, scale, -top * scale]])
        picture = cv2.warpAffine(frame, matrix, (280, 340), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
        return picture, landmarks * scale + matrix[:, 2]

    return cut


CUTS: dict[str, Cut] = {
    "whole": whole,
    "crop, margin 10 %": tight(0.10),
    "crop, margin 2 %": tight(0.02),
    "crop, margin -4 %": tight(-0.04),
}


def clips(options: Options, cut: Cut, folder: Path) -> Iterator[tuple[Clip, np.ndarray]]:
    """Yield clips of one image file, and the true landmarks in it."""
    for number, clip in enumerate(plan(options)):
        made = film(options, clip)
        picture, landmarks = cut(made.frame(0), made.landmarks)
        path = folder / f"{number}{LIKE[options.like].suffix}"
        cv2.imwrite(str(path), picture if picture.ndim == 2 else picture[..., ::-1])
        yield Clip(f"{options.like}/{clip.name}", {1: path}, onset=1, offset=1), landmarks


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=12, help="people of each database (default 12)")
    parser.add_argument("--clips", type=float, default=8.0, help="clips of each person, on average (default 8)")
    arguments = parser.parse_args()
    facts = machine_facts()
    rows = []
    found_of_all = [0, 0]
    finder = DlibFaceFinder()
    for like in LIKE:
        for name, cut in CUTS.items():
            ways: Counter[str] = Counter()
            errors, start = [], time.perf_counter()
            with tempfile.TemporaryDirectory(prefix="face-detection-") as folder:
                options = Options(like, arguments.subjects, arguments.clips)
                for clip, landmarks in clips(options, cut, Path(folder)):
                    try:
                        face = finder.find(clip)
                    except ClipError:
                        ways["none"] += 1
                        continue
                    ways[face.way] += 1
                    width = landmarks[16, 0] - landmarks[0, 0]
                    errors.append(np.linalg.norm(face.landmarks - landmarks, axis=1)[17:].mean() / width)
            total, found = ways.total(), ways.total() - ways["none"]
            found_of_all = [found_of_all[0] + found, found_of_all[1] + total]
            seconds = (time.perf_counter() - start) / total
            told = ", ".join(f"{way} {count}" for way, count in ways.most_common())
            error = [f"{100 * np.mean(errors):.1f}", f"{100 * np.max(errors):.1f}"]
            rows.append([f"{like}, {name}", f"{found}/{total}", *error, f"{1000 * seconds:.0f}", told])
    names = ["pictures", "found", "landmark error, mean", "max (% of face width)", "ms a clip", "ways"]
    print_table("Faces found", names, rows)
    rate = found_of_all[0] / found_of_all[1]
    print(f"\nLandmarks for {rate:.2%} of {found_of_all[1]} clips; target at least {TARGET:.1%}.")
    print(*facts, sep="\n")


if __name__ == "__main__":
    run_plainly(main)
