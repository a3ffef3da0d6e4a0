"""Inputs for any model of the registry, drawn in the shapes and ranges that the recipes of its features promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mer_models.registry import ModelInfo
from preprocess.recipes import FEATURES


def picture_of(feature: str) -> float:
    """Return the width of the picture in which a feature's landmarks lie; 0 for a feature of anything else."""
    layout = FEATURES.get(feature).layout
    return layout.content.width if "x" in layout.axes else 0.0


def reduced(network: Any, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Return what a network looks at of its features, as the engine hands it over where that saves memory."""
    reductions = getattr(network, "reductions", (None,) * len(arrays))
    return [
        reduction(torch.from_numpy(values)).numpy() if reduction else values
        for reduction, values in zip(reductions, arrays, strict=True)
    ]


def random_arrays(info: ModelInfo, n: int, seed: int = 0) -> list[np.ndarray]:
    """Return the model's features of n samples, float32: 0..255 where they are stored as bytes, else around 0.

    Landmarks lie anywhere in their picture.
    """
    rng = np.random.default_rng(seed)
    arrays = []
    for feature in info.features:
        shape = (n, *FEATURES.get(feature).shape)
        stored_as_bytes = FEATURES.get(feature).dtype == "uint8"
        if width := picture_of(feature):
            values = rng.uniform(0, width - 1, shape)
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
        shape = FEATURES.get(feature).shape
        if width := picture_of(feature):
            # Where landmarks lie says nothing of the class.
            face = rng.uniform(0, width - 1, shape)
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
    batch = tuple(map(torch.from_numpy, arrays))
    if info.recipe.input_range in ("standard", "difference"):
        return tuple((values - values.mean()) / values.std() for values in batch)
    return tuple(values / 255 for values in batch) if info.recipe.input_range == "unit" else batch
