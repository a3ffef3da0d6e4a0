"""Small flow images that a model must be able to tell apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

CORNERS = ((8, 8), (8, 20), (20, 8), (20, 20), (14, 14))


@pytest.fixture
def easy_flow() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Return a maker of flow images (n, 3, 28, 28) float32 in 0..255 and labels: each class moves its own corner."""

    def make(n: int, n_classes: int = 3, noise: float = 20.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        y = np.arange(n, dtype=np.int64) % n_classes
        x = 120 + noise * rng.standard_normal((n, 3, 28, 28))
        for image, label in zip(x, y, strict=True):
            row, column = CORNERS[label]
            image[:, row - 4 : row + 4, column - 4 : column + 4] += 90
        return x.clip(0, 255).astype(np.float32), y

    return make


@pytest.fixture
def silent_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hugging Face's hub is out of reach, and nothing of it is in the cache."""

    class Session:
        def head(self, address: str, timeout: float) -> NoReturn:
            raise ConnectionError(f"no route to {address} in {timeout:g} s")

    monkeypatch.setattr("huggingface_hub.get_session", Session)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
