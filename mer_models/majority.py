"""The floor that every model must beat: the most frequent class of the training samples, whatever the face does."""

from __future__ import annotations

import numpy as np

from mer_models._checks import stored_arrays
from mer_models.registry import Resources, register_model


@register_model(
    "majority",
    features=("flow_uvs_28",),
    paper="Baseline without a paper: predicts the most frequent class of the training samples.",
    resources=Resources(cpus=1, gpu=0.0, pack=256),
)
class Majority:
    """Predict the most frequent training class; of equally frequent classes, the one with the lowest index.

    Input : flow_uvs_28, (n, 3, 28, 28) float32; only the number of samples is looked at.
    The scores of every sample are the class frequencies of the training samples, so they sum to 1.
    """

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes
        self._frequencies = np.zeros(n_classes, dtype=np.float32)

    def fit(self, *features: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
        """Count the classes; y : (n,) int64 class indices. Nothing is drawn from ``rng``."""
        counts = np.bincount(y, minlength=self.n_classes)
        self._frequencies = (counts / counts.sum()).astype(np.float32)

    def scores(self, *features: np.ndarray) -> np.ndarray:
        """Return the training class frequencies for each of the n samples, (n, n_classes) float32."""
        return np.tile(self._frequencies, (len(features[0]), 1))

    def state(self) -> dict[str, np.ndarray]:
        """Return ``frequencies``, (n_classes,) float32."""
        return {"frequencies": self._frequencies}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Take up what ``state`` returned; DataError where the arrays are another model's."""
        self._frequencies = stored_arrays("majority", state, ["frequencies"])["frequencies"]
