"""Studies that have the same samples share their arrays, in memory and when they travel."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from typing import Any

import numpy as np

from bench.study.data import StudyData
from bench.study.feature_rows import FeatureRows


class SharedRows:
    """Keeps one of all equal arrays and blocks: forty models on the same people have one table of rows between them."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[Any, ...], np.ndarray] = {}
        self._blocks: dict[str, Any] = {}

    def of(self, data: StudyData) -> StudyData:
        """Return the same data, made of arrays and blocks that were seen before as far as they were."""
        rows = {item.name: getattr(data, item.name) for item in fields(data)}
        shared: dict[str, Any] = {
            name: self._array(value) for name, value in rows.items() if isinstance(value, np.ndarray)
        }
        same = data.with_features(lambda values: self._feature(values) if isinstance(values, FeatureRows) else values)
        return replace(same, **shared)

    def _array(self, array: np.ndarray) -> np.ndarray:
        key = (array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest())
        return self._arrays.setdefault(key, array)

    def _feature(self, values: FeatureRows) -> FeatureRows:
        blocks = tuple(self._blocks.setdefault(block.key, block) for block in values.blocks)
        return replace(values, blocks=blocks, part=self._array(values.part), place=self._array(values.place))
