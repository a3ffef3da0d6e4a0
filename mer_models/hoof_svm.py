"""Histograms of oriented optical flow (HOOF) and a support vector machine."""

from __future__ import annotations

from mer_models._parts.published import accuracy_and_f1
from mer_models._parts.svm import REFUSED, REFUSED_SCALES, SEARCH, SupportVectorModel
from mer_models.contracts import Resources
from mer_models.registry import register_model


@register_model(
    "hoof_svm",
    features=("hoof",),
    paper=(
        "R. Chaudhry, A. Ravichandran, G. Hager, R. Vidal: Histograms of Oriented Optical Flow and Binet-Cauchy "
        "Kernels on Nonlinear Dynamical Systems for the Recognition of Human Actions, CVPR 2009"
    ),
    resources=Resources(cpus=1, gpu=0.0, pack=64),
    published=accuracy_and_f1(
        {"SAMM loso objective classes": (0.4217, 0.33), "CASME II loso objective classes": (0.6964, 0.56)},
        selection="unknown",
        reference=(
            "quoted in the text of the ELBPTOP paper; whether settings were chosen on the test subjects is not said"
        ),
    ),
    refused=REFUSED + REFUSED_SCALES,
    search=SEARCH,
)
class HoofSVM(SupportVectorModel):
    """Support vector machine on the direction histograms of 5x5 blocks of the face.

    Inputs
    ------
    hoof : (n, 200) float32: eight directions a block; each histogram has the sum 1.

    Parameters
    ----------
    C : weight of the margin violations, above 0; 28 as in the other flow baselines of arXiv:2211.11425.
    kernel : ``rbf``, ``linear`` or ``poly`` (cubic).
    gamma : ``scale`` (1 / (200 * variance)), ``auto`` (1 / 200) or a number above 0.
    scale : how each value is scaled, fitted on the training samples: ``none``, ``unit`` (0..1) or ``standard``.
    """

    def __init__(
        self,
        n_classes: int,
        C: float = 28.0,
        kernel: str = "rbf",
        gamma: str | float = "scale",
        scale: str = "none",
    ) -> None:
        super().__init__(n_classes, name="hoof_svm", C=C, kernel=kernel, gamma=gamma, scale=scale)
