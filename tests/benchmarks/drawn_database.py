"""A plug-in for ``data_plane.py``: two drawn databases of a chosen size, and networks that look at little of them.

``drawn=FOLDER`` reads ``FOLDER/drawn.json``: how many samples and people each database has, how many features, and
the bytes of a sample's tensor.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from mer_models.contracts import Resources, TrainingRecipe
from mer_models.registry import register_model
from preprocess.datasets import DATASETS, Adapter, Found, RawDataset, RawFeature
from preprocess.samples.table import samples_table

NAME, SIZES = "drawn", "drawn.json"
EMOTIONS = ("negative", "positive", "surprise")
MOST_FEATURES = 3
FRAMES, CHANNELS = 16, 3


def feature_name(number: int) -> str:
    """Return the name of one of the drawn features."""
    return f"drawn_{number}"


def find(path: Path) -> list[Found]:
    """Recognise a folder by its file of sizes."""
    return [Found(NAME, path)] if (path / SIZES).is_file() else []


def read(found: Found) -> list[RawDataset]:
    """Return both databases; their tensors are drawn when they are asked for."""
    sizes = json.loads((found.root / SIZES).read_text())
    return [_dataset(name, sizes) for name in ("drawn_a", "drawn_b")]


def _dataset(name: str, sizes: dict[str, int]) -> RawDataset:
    rows = [
        {
            "sample_id": f"{name}/s{number % sizes['subjects']:03d}/c{number:05d}",
            "dataset": name,
            "subject": f"{name}/s{number % sizes['subjects']:03d}",
            "clip": f"c{number:05d}",
            "emotion": EMOTIONS[number // sizes["subjects"] % len(EMOTIONS)],
        }
        for number in range(sizes["samples"])
    ]
    side = math.isqrt(sizes["bytes"] // (FRAMES * CHANNELS))
    features = {feature_name(number): _feature(number, side) for number in range(sizes["features"])}
    return RawDataset(name, samples_table(rows), synthetic=True, features=features)


def _feature(number: int, side: int) -> RawFeature:
    shape = (FRAMES, CHANNELS, side, side)

    def compute(sample_id: str) -> np.ndarray:
        seed = list(hashlib.sha256(f"{number} {sample_id}".encode()).digest()[:8])
        return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)

    recipe = {"name": feature_name(number), "source": "drawn", "side": side}
    return RawFeature(recipe, shape, "uint8", lambda sample_id: sample_id, compute, "tchw")


DATASETS.add(NAME, Adapter(NAME, "drawn tensors", SIZES, find, read), origin=__file__)


class LooksAtLittle(nn.Module):
    """A linear layer over a corner of the first frame."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(CHANNELS * 8 * 8, n_classes)

    def forward(self, frames: Tensor) -> Tensor:
        """Take (n, 16, 3, h, w), values of 0..255, and return (n, n_classes)."""
        logits: Tensor = self.layer(frames[:, 0, :, :8, :8].flatten(1) / 255)
        return logits


def _register(number: int) -> None:
    register_model(
        f"looks_at_{number}",
        features=(feature_name(number),),
        paper="Written for a benchmark, without a paper.",
        recipe=TrainingRecipe(epochs=1, batch_size=32, lr=0.001, input_range="raw"),
        resources=Resources(gpu=0.0, pack=4),
    )(LooksAtLittle)


for _number in range(MOST_FEATURES):
    _register(_number)
