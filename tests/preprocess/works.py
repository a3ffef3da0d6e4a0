"""Works for tests of single steps: arrays where a chain of steps would have put them, without any file."""

from __future__ import annotations

from typing import Any

import numpy as np

from preprocess.faces.face import Face
from preprocess.samples.clip import Clip
from preprocess.steps import STEPS, Work


class NoFinder:
    """A face finder for steps that need none."""

    def find(self, clip: Clip, *_: Any) -> Face:
        raise AssertionError("this step must not look for a face")


def work_of(**arrays: Any) -> Work:
    return Work(clip=Clip(sample_id="casme2/sub01/EP01"), finder=NoFinder(), **arrays)


def run(step: str, work: Work, **options: Any) -> Work:
    """Run a registered step as a recipe would, all options checked and filled."""
    found = STEPS.get(step)
    return found.run(work, **found.options(options, "test"))


def tensor(step: str, work: Work, **options: Any) -> np.ndarray:
    result = run(step, work, **options).tensor
    assert result is not None
    return result


def constant_flow(u: float, v: float, size: int = 56, pairs: int = 1) -> np.ndarray:
    return np.broadcast_to(np.float32([u, v]), (1, pairs, size, size, 2)).copy()


def standard_face(size: int = 112) -> np.ndarray:
    """Return plausible landmarks (1, 68, 2) of an upright, symmetric face that fills a square picture."""
    jaw = [(0.5 - 0.42 * np.cos(a), 0.38 + 0.54 * np.sin(a)) for a in np.linspace(0, np.pi, 17)]
    left_brow = list(zip(np.linspace(0.16, 0.42, 5), (0.28, 0.25, 0.24, 0.25, 0.27), strict=True))
    bridge = [(0.5, y) for y in (0.36, 0.43, 0.50, 0.57)]
    nostrils = list(zip(np.linspace(0.42, 0.58, 5), (0.61, 0.62, 0.63, 0.62, 0.61), strict=True))
    left_eye = [(0.22, 0.38), (0.26, 0.36), (0.32, 0.36), (0.36, 0.38), (0.32, 0.40), (0.26, 0.40)]
    right_eye = [(1 - left_eye[i][0], left_eye[i][1]) for i in (3, 2, 1, 0, 5, 4)]
    outer = [(0.5 - 0.16 * np.cos(a), 0.76 - 0.06 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 13)[:12]]
    inner = [(0.5 - 0.11 * np.cos(a), 0.76 - 0.02 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 9)[:8]]
    right_brow = [(1 - x, y) for x, y in reversed(left_brow)]
    points = [*jaw, *left_brow, *right_brow, *bridge, *nostrils, *left_eye, *right_eye, *outer, *inner]
    return (np.array(points) * size)[None].astype(np.float32)
