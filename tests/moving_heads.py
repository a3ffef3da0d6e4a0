"""Clips whose heads go far, beside what is true of them: poses, flow, apex."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from preprocess.faces.alignment import inverse
from preprocess.samples.clip import Clip
from preprocess.synth.databases import LIKE, ClipPlan, Options, film
from preprocess.synth.film import Film, Head
from preprocess.synth.image_file import write_image

# How far a head goes: x, y in widths of the face, angle, logarithm of its growth.
Amounts = tuple[float, float, float, float]
FARTHEST: dict[str, Amounts] = {
    "half a face to the right": (0.5, 0.0, 0.0, 0.0),
    "down and back": (-0.3, 0.25, 0.0, 0.0),
    "a third closer": (0.1, 0.05, 0.0, 0.3),
    "leans": (0.35, 0.1, 0.2, 0.0),
    "all at once": (0.45, -0.1, -0.15, 0.15),
}
"""What large motions of a head there are in tests and benchmarks."""


def goes(amounts: Amounts, length: int) -> Head:
    """Return a head that goes there by the time ``length``, smoothly, and stays."""

    def way(time: int) -> Amounts:
        level = 0.5 - 0.5 * np.cos(np.pi * np.clip(time / length, 0, 1))
        x, y, angle, growth = (float(level * amount) for amount in amounts)
        return x, y, angle, growth

    return way


def nods(amounts: Amounts, length: int) -> Head:
    """Return a head that goes there and is back by the time ``length``."""

    def way(time: int) -> Amounts:
        level = 0.5 - 0.5 * np.cos(2 * np.pi * np.clip(time / length, 0, 1))
        x, y, angle, growth = (float(level * amount) for amount in amounts)
        return x, y, angle, growth

    return way


def moving_clip(
    options: Options, plan: ClipPlan, folder: Path, head: Head | None, suffix: str = ".jpg"
) -> tuple[Clip, Film]:
    """Render one clip of a database with a head that moves: onset to offset, as image files in ``folder``."""
    made = film(options, plan, head)
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for number in range(plan.onset, plan.offset + 1):
        files[number] = folder / f"img{number}{suffix}"
        write_image(files[number], made.frame(number - plan.onset))
    sample_id = f"{options.like}/{plan.name}"
    times = {"onset": plan.onset, "apex": plan.apex, "offset": plan.offset}
    return Clip(sample_id, files, fps=LIKE[options.like].camera.fps, **times), made


def expression_flow(made: Film, time: int) -> np.ndarray:
    """Return the true flow from the onset to a time without what the head does, (height, width, 2) float32."""
    flow = made.true_flow(time)
    height, width = flow.shape[:2]
    here = np.stack(np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64)), axis=-1)
    back = inverse(made.pose(time))
    return ((here + flow) @ back[:, :2].T + back[:, 2] - here).astype(np.float32)
