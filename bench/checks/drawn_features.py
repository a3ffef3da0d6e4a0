"""Features drawn at random in the shapes and ranges that their recipes promise, for models to be tried on."""

from __future__ import annotations

import numpy as np

from mer_models.registry import ModelInfo
from preprocess.recipes import FEATURES

MIDDLE, SPREAD = 120.0, 64.0
"""Mean and deviation of the values of drawn pictures, which are stored as bytes."""
BRIGHTER = 90.0
"""How much a class brightens its part of an easy sample."""


def random_samples(info: ModelInfo, n: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the model's features of n samples without any class, as ``drawn_feature`` draws them."""
    return [drawn_feature(feature, n, rng) for feature in info.features]


def drawn_feature(feature: str, n: int, rng: np.random.Generator, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return a feature of n samples, float32: 0..255 where it is stored as bytes, else normal around 0.

    Landmarks lie anywhere in their picture.

    Parameters
    ----------
    feature : its name.
    n : number of samples.
    rng : what is drawn from.
    shape : of one sample; the recipe's where None.
    """
    shape = (n, *(shape or FEATURES.get(feature).shape))
    if side := _width_of_points(feature):
        return rng.random(shape, dtype=np.float32) * np.float32(side - 1)
    if FEATURES.get(feature).dtype == "uint8":
        return rng.random(shape, dtype=np.float32) * np.float32(255)
    return rng.standard_normal(shape, dtype=np.float32)


def easy_samples(
    info: ModelInfo, labels: np.ndarray, n_classes: int, rng: np.random.Generator, noise: float = 20.0, seed: int = 0
) -> list[np.ndarray]:
    """Return features in which each class brightens its own rows (of a vector, its own part).

    Parameters
    ----------
    info : the model whose features are drawn.
    labels : (n,) int64, the class of each sample.
    n_classes : how many parts there are.
    rng : draws the noise.
    noise : its deviation, of values in 0..255.
    seed : of the one face whose landmarks, which tell no class, all samples show with a little noise.

    Returns
    -------
    An array (n, ...) float32 for each feature, in the ranges of ``random_samples``.
    """
    arrays = []
    for feature in info.features:
        shape = FEATURES.get(feature).shape
        if side := _width_of_points(feature):
            face = np.random.default_rng(seed).uniform(0, side - 1, shape)
            arrays.append((face + 0.5 * rng.standard_normal((len(labels), *shape))).astype(np.float32))
            continue
        values = MIDDLE + noise * rng.standard_normal((len(labels), *shape), dtype=np.float32)
        rows = np.moveaxis(values, -2 if len(shape) > 1 else -1, 1)
        band = rows.shape[1] // n_classes
        # What comes later in a clip is brighter, since some models look at changes alone.
        later = np.linspace(0.5, 1, shape[0]).reshape(-1, *[1] * (len(shape) - 2)) if len(shape) > 2 else 1.0
        for sample, label in zip(rows, labels, strict=True):
            sample[label * band : (label + 1) * band] += BRIGHTER * later
        if FEATURES.get(feature).dtype != "uint8":
            values = (values - MIDDLE) / SPREAD
        arrays.append(values.clip(-255, 255).astype(np.float32))
    return arrays


def as_stored(feature: str, values: np.ndarray) -> np.ndarray:
    """Return drawn values in the type that the feature is stored in."""
    dtype = np.dtype(FEATURES.get(feature).dtype)
    return values.clip(0, 255).astype(dtype) if dtype == np.uint8 else values.astype(dtype)


def _width_of_points(feature: str) -> float:
    """Return the width of the picture that a feature's landmarks lie in, 0 for a feature without landmarks."""
    layout = FEATURES.get(feature).layout
    return layout.content.width if "x" in layout.axes else 0.0
