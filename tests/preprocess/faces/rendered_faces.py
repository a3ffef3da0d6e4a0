"""Pictures of faces whose landmarks are known: scikit-image's portrait, and rendered people of every database."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from preprocess.synth import portrait
from preprocess.synth.databases import Options, film, plan


@dataclass(frozen=True)
class Sight:
    """A grey picture (H, W) uint8 and the landmarks (68, 2) in it."""

    picture: np.ndarray
    landmarks: np.ndarray


@functools.cache
def astronaut() -> Sight:
    """Return the portrait's head, enlarged three times."""
    from skimage.data import astronaut as whole

    head = cv2.cvtColor(whole(), cv2.COLOR_RGB2GRAY)[:300, 80:380]
    large = cv2.resize(head, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    return Sight(large, (portrait.landmarks() - [80, 0] + 0.5) * 3 - 0.5)


@functools.cache
def rendered(like: str, strength: str = "micro") -> Sight:
    """Return the onset of the first clip of a rendered database."""
    options = Options(like, 1, 1.0, strength=strength)
    made = film(options, plan(options)[0])
    frame = made.frame(0)
    return Sight(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) if frame.ndim == 3 else frame, np.asarray(made.landmarks))


FACES: list[Callable[[], Sight]] = [
    astronaut,
    *(functools.partial(rendered, like) for like in ("casme2", "samm", "smic")),
]
