"""A fitted model as MLflow serves it: features in, class and probabilities out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.plan.predicting import Fitted, load_fitted

if TYPE_CHECKING:
    import pandas as pd


class ServedModel:
    """What MLflow calls."""

    def __init__(self, fitted: Fitted) -> None:
        self._fitted = fitted

    def predict(self, model_input: dict[str, np.ndarray], params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return a row a sample: the class, and a probability (of an estimator: a score) for each class.

        Parameters
        ----------
        model_input : feature -> (n, ...) values, as the signature says.
        params : not used.
        """
        import pandas as pd

        features = {
            recipe.name: np.asarray(model_input[recipe.name], dtype=recipe.dtype) for recipe in self._fitted.recipes
        }
        count = len(next(iter(features.values())))
        scores = self._fitted.scores(features, [str(number) for number in range(count)])
        probabilities = self._fitted.probabilities(scores)
        shown = scores if probabilities is None else probabilities
        table = pd.DataFrame(shown.astype(np.float64), columns=list(self._fitted.classes))
        table.insert(0, "predicted", ["+".join(names) for names in self._fitted.predicted(scores)])
        return table


def _load_pyfunc(path: str) -> ServedModel:
    """Return the model of a folder that `merbench fit` wrote; MLflow calls this."""
    return ServedModel(load_fitted(Path(path), "cpu"))
