"""The floor that every model must beat: the most frequent answer of the training samples, whatever the face does."""

from __future__ import annotations

import numpy as np

from mer_models._parts.checks import stored_arrays
from mer_models.contracts import Resources
from mer_models.registry import register_model

_SHARES = (1e-6, 1 - 1e-6)
"""Frequencies beyond these count as these: the log-odds of never and always are infinite."""


@register_model(
    "majority",
    features=(),
    paper="Baseline without a paper: predicts the most frequent class of the training samples.",
    resources=Resources(cpus=1, gpu=0.0, pack=256),
)
class Majority:
    """Predict the most frequent training class; of equally frequent classes, the one with the lowest index.

    The scores of every sample are the class frequencies of the training samples, so their sum is 1. In a multi-label
    task they are the log-odds of each class's frequency: positive where more than half of the training samples show the
    class.

    Inputs
    ------
    None. It also predicts for clips that no feature can be made of.
    """

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes
        self._scores = np.zeros(n_classes, dtype=np.float32)

    def fit(self, *features: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
        """Count the classes.

        Parameters
        ----------
        features : ignored.
        y : (n,) int64, class indices; or (n, n_classes), 0 and 1.
        rng : not used.
        """
        if y.ndim == 2:
            shares = np.clip(y.mean(axis=0), *_SHARES)
            self._scores = np.log(shares / (1 - shares)).astype(np.float32)
            return
        counts = np.bincount(y, minlength=self.n_classes)
        self._scores = (counts / counts.sum()).astype(np.float32)

    def scores(self, *features: np.ndarray) -> np.ndarray:
        """Return the scores of any sample, (1, n_classes) float32; one row a sample where features are given."""
        return np.tile(self._scores, (len(features[0]) if features else 1, 1))

    def state(self) -> dict[str, np.ndarray]:
        """Return ``scores``, (n_classes,) float32."""
        return {"scores": self._scores}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from what ``state`` returned; DataError where the arrays are another model's."""
        self._scores = stored_arrays("majority", state, ["scores"])["scores"]
