"""Random draws that depend on nothing but a seed and the name of what is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from preprocess.base.hashing import digest

if TYPE_CHECKING:
    import numpy as np

VERSION = 2
"""Raised whenever the same seed gives other pictures or other sheets."""


def generator(seed: int, *names: str) -> np.random.Generator:
    """Return a generator of its own for whatever the names name, so that no draw depends on the order of drawing."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(int(digest(["synth", VERSION, seed, *names]), 16)))
