"""Subjects: the portrait with another geometry, skin, hair, light and background."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from preprocess.synth import portrait
from preprocess.synth.bumps import Bump, field, solve
from preprocess.synth.draws import generator

if TYPE_CHECKING:
    import numpy as np

# dlib's numbering with left and right exchanged, for mirrored portraits.
MIRRORED = [*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1), 45, 44, 43, 42, 47, 46,
            39, 38, 37, 36, 41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65]  # fmt: skip


@dataclass(frozen=True)
class Person:
    """A subject, in pixels of the enlarged portrait.

    Attributes
    ----------
    picture : (900, 1536, 3) uint8 RGB, coloured and lit.
    bumps : the geometry of the face: at q is seen what ``picture`` shows at q + field(q).
    landmarks : (68, 2), where dlib's points are seen.
    width : of the face, from jaw to jaw.
    """

    picture: np.ndarray
    bumps: tuple[Bump, ...]
    landmarks: np.ndarray
    width: float


@functools.lru_cache(maxsize=4)
def make_person(seed: int, name: str) -> Person:
    """Draw a person at random. Equal seeds and names give equal people."""
    import numpy as np

    rng = generator(seed, name, "person")
    mirrored = bool(rng.integers(2))
    points = portrait.ENLARGED * portrait.landmarks()
    bumps = tuple(_geometry(points, rng))
    width = portrait.picture().shape[1]
    picture = _coloured(rng)
    if mirrored:
        picture = np.ascontiguousarray(picture[:, ::-1])
        points = (points * [-1.0, 1.0] + [width - 1.0, 0.0])[MIRRORED]
        bumps = tuple(Bump(width - 1.0 - bump.x, bump.y, -bump.dx, bump.dy, bump.radius) for bump in bumps)
    seen = solve(lambda q: field(bumps, q[:, 0], q[:, 1]), points)
    return Person(picture, bumps, seen, float(seen[16, 0] - seen[0, 0]))


def _geometry(points: np.ndarray, rng: np.random.Generator) -> list[Bump]:
    """Return how the face differs from the portrait's: proportions, features, and a smooth random warp."""

    def middle(*numbers: int) -> np.ndarray:
        return points[list(numbers)].mean(axis=0)

    unit = 0.01 * (points[16, 0] - points[0, 0])
    eyes, brows, jaw, jowls, mouth = rng.normal(0.0, unit, (5, 2)).clip(-2.0 * unit, 2.0 * unit)
    chin, nose, smile, thick = rng.normal(0.0, unit, 4).clip(-2.0 * unit, 2.0 * unit)
    shut = unit * rng.uniform(1.0, 3.0)
    parts: list[tuple[np.ndarray, float, float, float]] = []
    for out, brow, eye, cheek, jowl, wing, corner in (
        (-1.0, (18, 19, 20), range(36, 42), 3, 6, 31, 48),
        (1.0, (23, 24, 25), range(42, 48), 13, 10, 35, 54),
    ):
        parts += [
            (middle(*brow), out * brows[0], 1.2 * brows[1], 12 * unit),
            (middle(*eye), out * 1.2 * eyes[0], eyes[1], 12 * unit),
            (points[cheek], out * 2.2 * jaw[0], jaw[1], 18 * unit),
            (points[jowl], out * 2.0 * jowls[0], jowls[1], 16 * unit),
            (points[wing], out * nose, 0.0, 7 * unit),
            # The portrait laughs; a face at rest has its lip corners lower and further in.
            (points[corner], out * (1.5 * unit + mouth[0]), -(3.0 * unit + smile), 9 * unit),
        ]
    parts += [
        (middle(57, 8), 0.0, 2.0 * chin, 18 * unit),
        (middle(33, 30), 0.0, 1.5 * mouth[1], 14 * unit),
        (middle(51, 62), 0.0, -shut - thick, 7 * unit),
        (middle(57, 66), 0.0, shut, 8 * unit),
    ]
    places = rng.uniform(points.min(axis=0), points.max(axis=0), (10, 2))
    shifts = rng.normal(0.0, 1.3 * unit, (10, 2))
    parts += [(at, dx, dy, 20 * unit) for at, (dx, dy) in zip(places, shifts, strict=True)]
    return [Bump(float(at[0]), float(at[1]), float(dx), float(dy), radius) for at, dx, dy, radius in parts]


def _coloured(rng: np.random.Generator) -> np.ndarray:
    """Return the portrait with another skin, hair, light, background and contrast: (900, 1536, 3) uint8."""
    import cv2
    import numpy as np

    image, (skin, hair) = portrait.picture(), portrait.skin_and_hair()
    height, width = image.shape[:2]
    dark = rng.beta(1.2, 1.6)
    tone = np.array([1.03, 1.0, 0.98]) * (1.0 - dark) + np.array([0.60, 0.47, 0.38]) * dark
    pores = cv2.GaussianBlur(rng.standard_normal((height, width), dtype=np.float32), (0, 0), 1.2)
    blotches = cv2.GaussianBlur(rng.standard_normal((height, width), dtype=np.float32), (0, 0), 3.5)
    texture = 1.0 + 0.10 * pores + 0.15 * blotches
    tone = tone * rng.normal(1.0, 0.02, 3)
    hair_tone = rng.uniform(0.25, 1.1) * np.array([1.0, rng.uniform(0.85, 1.0), rng.uniform(0.7, 1.0)])
    wall = rng.uniform(0.45, 1.0) * rng.normal(1.0, 0.05, 3)
    y, x = np.ogrid[:height, :width]
    y, x = y.astype(np.float32), x.astype(np.float32)
    angle, strength = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.0, 0.35)
    light = 1.0 + strength * ((x / width - 0.44) * 2.0 * np.cos(angle) + (y / height - 0.45) * np.sin(angle))
    contrast, brightness = rng.uniform(0.75, 1.1), rng.uniform(-18.0, 12.0)
    skin, hair = skin[..., 0], hair[..., 0]
    rest = (1.0 - skin - hair).clip(0.0, 1.0)
    coloured = np.empty_like(image, dtype=np.uint8)
    # A channel at a time: over an innermost axis of three values numpy takes several times as long.
    for channel in range(3):
        gain = skin * tone[channel] * texture + hair * hair_tone[channel] + rest * wall[channel]
        lit = image[..., channel] * gain.astype(np.float32) * light
        coloured[..., channel] = np.clip(128.0 + contrast * (lit - 128.0) + brightness, 0.0, 255.0)
    return coloured
