"""Inputs for any model of the registry, drawn in the shapes and ranges that the recipes of its features promise."""

from __future__ import annotations

import numpy as np
import torch

from mer_models.registry import ModelInfo
from preprocess.recipes import FEATURES

UNIT = {"raw": 1.0, "unit": 255.0, "standard": 64.0}
# Networks that resize images, or average over space at the end, are fed small ones: (height, width), frames of a clip.
SMALL_SIDE = 36
SMALL_CLIP = 4
FEEDS_ON_ANY_SIZE = ("timm/", "video/", "mmnet", "capsulenet_me", "slstt", "samer", "au_fusion")

# Landmarks lie in an image of this side, and say nothing of the class.
POINTS_IN = {"landmarks_28": 28}


def feature_shape(info: ModelInfo, feature: str, small: bool) -> tuple[int, ...]:
    """Return the shape of one sample's feature as its recipe promises it, or with fewer pixels and frames."""
    shape = FEATURES.get(feature).shape
    if not small or not info.name.startswith(FEEDS_ON_ANY_SIZE):
        return shape
    sides = tuple(min(side, SMALL_SIDE) for side in shape[-2:])
    if feature.startswith("flow_clip"):
        return (shape[0], SMALL_CLIP, *sides)
    if feature.startswith("flow_long"):
        return (SMALL_CLIP, shape[1], *sides)
    return (*shape[:-2], *sides)


def random_arrays(info: ModelInfo, n: int, seed: int = 0, small: bool = True) -> list[np.ndarray]:
    """Return the model's features of n samples, float32: 0..255 where they are stored as bytes, else around 0.

    Landmarks lie anywhere in their image.
    """
    rng = np.random.default_rng(seed)
    arrays = []
    for feature in info.features:
        shape = (n, *feature_shape(info, feature, small))
        stored_as_bytes = FEATURES.get(feature).dtype == "uint8"
        if feature in POINTS_IN:
            values = rng.uniform(0, POINTS_IN[feature] - 1, shape)
        else:
            values = rng.uniform(0, 255, shape) if stored_as_bytes else rng.standard_normal(shape)
        arrays.append(values.astype(np.float32))
    return arrays


def easy_arrays(
    info: ModelInfo, n: int, n_classes: int = 3, noise: float = 20.0, seed: int = 0
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return features of n samples and their classes: each class brightens its own rows (of a vector, its own part)."""
    rng = np.random.default_rng(seed)
    y = np.arange(n, dtype=np.int64) % n_classes
    arrays = []
    for feature in info.features:
        shape = feature_shape(info, feature, small=True)
        if feature in POINTS_IN:
            face = rng.uniform(0, POINTS_IN[feature] - 1, shape)
            arrays.append((face + 0.5 * rng.standard_normal((n, *shape))).astype(np.float32))
            continue
        values = 120 + noise * rng.standard_normal((n, *shape))
        rows = np.moveaxis(values, -2 if len(shape) > 1 else -1, 1)
        band = rows.shape[1] // n_classes
        for sample, label in zip(rows, y, strict=True):
            # What comes later in a clip is brighter, since some models look at changes alone.
            later = np.linspace(0.5, 1, shape[0]).reshape(-1, *[1] * (len(shape) - 2)) if len(shape) > 2 else 1.0
            sample[label * band : (label + 1) * band] += 90 * later
        if FEATURES.get(feature).dtype != "uint8":
            values = (values - 120) / 64
        arrays.append(values.clip(-255, 255).astype(np.float32))
    return arrays, y


def as_tensors(info: ModelInfo, arrays: list[np.ndarray]) -> tuple[torch.Tensor, ...]:
    """Return arrays as the engine hands them over, in the recipe's input range."""
    assert info.recipe is not None
    return tuple(torch.from_numpy(values) / UNIT[info.recipe.input_range] for values in arrays)
