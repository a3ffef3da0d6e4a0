"""Clips of a real face that moves as told: scikit-image's public-domain portrait, warped by known displacements."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from preprocess.samples.clip import Clip

WIDTH, HEIGHT = 640, 480
# Frame pixels per pixel of the portrait, and the portrait's pixel in the frame's middle.
ZOOM = 2.6
MIDDLE = (223.0, 125.0)
# Where the parts of the face are in a frame without motion (x, y), and how wide the motion of one reaches (sigma).
MOUTH, LEFT_BROW, NOSE = (319.0, 293.0), (262.0, 149.0), (324.0, 239.0)
REACH = 40.0

# Pixel grids x and y (H, W) of a frame -> where its content moved (u, v), each (H, W), in pixels.
Motion = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def bump(centre: tuple[float, float], u: float, v: float, reach: float = REACH) -> Motion:
    """Return a smooth local motion: (u, v) pixels at its centre, a Gaussian around it."""

    def motion(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weight = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * reach**2))
        return u * weight, v * weight

    return motion


def shift(u: float, v: float) -> Motion:
    """Return the motion of the whole head by (u, v) pixels."""
    return lambda x, y: (np.full_like(x, u), np.full_like(y, v))


def together(*motions: Motion) -> Motion:
    """Return the sum of motions."""

    def motion(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = [one(x, y) for one in motions]
        return sum(u for u, _ in parts), sum(v for _, v in parts)  # type: ignore[return-value]

    return motion


def frame(motion: Motion | None = None, *, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Return one frame (480, 640, 3) uint8 RGB whose content moved by ``motion`` from the frame without one.

    The motion is that of the place it leads to: content now at p was at p - motion(p).
    """
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    u, v = motion(x, y) if motion is not None else (0.0, 0.0)
    map_x = ((x - u - WIDTH / 2) / ZOOM + MIDDLE[0]).astype(np.float32)
    map_y = ((y - v - HEIGHT / 2) / ZOOM + MIDDLE[1]).astype(np.float32)
    picture = cv2.remap(_portrait(), map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    if not noise:
        return picture
    noisy = picture + np.random.default_rng(seed).normal(0.0, noise, picture.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def without_face() -> np.ndarray:
    """Return a frame (480, 640, 3) uint8 RGB that shows no face: grass."""
    from skimage.data import grass

    return np.repeat(cv2.resize(grass(), (WIDTH, HEIGHT))[..., None], 3, axis=2)


def write_frames(
    folder: Path, frames: Sequence[np.ndarray], *, first: int = 1, suffix: str = ".png", stem: str = "img"
) -> dict[int, Path]:
    """Write frames (RGB, or grey with two axes) as image files; return frame number -> file."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for number, picture in enumerate(frames, start=first):
        files[number] = folder / f"{stem}{number}{suffix}"
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if picture.ndim == 3 else picture
        assert cv2.imwrite(str(files[number]), bgr)
    return files


def clip_of(files: dict[int, Path], **times: int | float | None) -> Clip:
    """Return the clip of these files; onset and offset are the first and last one unless given."""
    numbers = sorted(files)
    return Clip(
        **{"sample_id": "casme2/sub01/EP01", "files": files, "onset": numbers[0], "offset": numbers[-1], **times}
    )


def expression(length: int, apex: int, motion: Callable[[float], Motion], **options: float) -> list[np.ndarray]:
    """Return ``length`` frames in which a motion rises from 0 to 1 at frame index ``apex`` and falls back to 0."""
    levels = [
        0.5 - 0.5 * np.cos(np.pi * (index / apex if index <= apex else (length - 1 - index) / (length - 1 - apex)))
        for index in range(length)
    ]
    return [frame(motion(float(level)), seed=index, **options) for index, level in enumerate(levels)]  # type: ignore[arg-type]


@functools.cache
def _portrait() -> np.ndarray:
    from skimage.data import astronaut

    return astronaut()
