"""Flattened optical flow and a support vector machine: the classical baseline "OF+SVM"."""

from __future__ import annotations

import numpy as np

from mer_models._parts.svm import REFUSED, SEARCH, SupportVectorModel
from mer_models.contracts import Resources
from mer_models.registry import register_model


@register_model(
    "flow_svm",
    features=("flow_uvs_28",),
    paper=(
        "OF+SVM baseline (SVM with C = 28 on flattened flow) of T. Varanka, Y. Li, W. Peng, G. Zhao: "
        "Data Leakage and Evaluation Issues in Micro-Expression Analysis, "
        "IEEE Transactions on Affective Computing, arXiv:2211.11425"
    ),
    resources=Resources(cpus=1, gpu=0.0, pack=64),
    refused=REFUSED,
    search=SEARCH,
)
class FlowSVM(SupportVectorModel):
    """Support vector machine on the flattened flow image, one machine for each pair of classes.

    The published baseline flattens 32x32x3 maps; this one takes the 28x28x3 maps that the other flow models take.

    Inputs
    ------
    flow_uvs_28 : (n, 3, 28, 28) float32 in 0..255. It is divided by 255 and flattened to (n, 2352) here.

    Parameters
    ----------
    C : weight of the margin violations, above 0.
    kernel : ``rbf``, ``linear`` or ``poly`` (cubic).
    gamma : width of the rbf kernel. ``scale`` is 1 / (2352 * variance of the training values), ``auto`` is 1 / 2352;
        else a number above 0.
    """

    def __init__(self, n_classes: int, C: float = 28.0, kernel: str = "rbf", gamma: str | float = "scale") -> None:
        super().__init__(n_classes, name="flow_svm", C=C, kernel=kernel, gamma=gamma)

    def vectors(self, *features: np.ndarray) -> np.ndarray:
        """Return (n, 2352) float64 in 0..1."""
        return super().vectors(*features) / 255.0
