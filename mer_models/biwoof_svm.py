"""Bi-WOOF, direction histograms weighted by magnitude and by strain, and a linear support vector machine."""

from __future__ import annotations

from mer_models._parts.own_feature import also_on
from mer_models._parts.published import accuracy_and_f1, megc2019_cde
from mer_models._parts.svm import REFUSED, REFUSED_SCALES, SEARCH, SupportVectorModel
from mer_models.contracts import Resources
from mer_models.registry import register_model


@register_model(
    "biwoof_svm",
    features=("biwoof",),
    paper=(
        "S.-T. Liong, J. See, K. Wong, R. C.-W. Phan: Less is more: Micro-expression recognition from video using apex "
        "frame, Signal Processing: Image Communication 62, 2018"
    ),
    resources=Resources(cpus=1, gpu=0.0, pack=64),
    published=(
        *megc2019_cde(
            full=(0.6296, 0.6227),
            casme2=(0.7805, 0.8026),
            samm=(0.5211, 0.5139),
            smic=(0.5727, 0.5829),
            selection="unknown",
            reference=(
                "comparison table of the HTNet paper (wangzhifengharrison/HTNet, images/state_of_art.png); whether "
                "settings were chosen on the test subjects is not said"
            ),
        ),
        *accuracy_and_f1(
            {"CASME II loso 5 classes": (0.5885, 0.6100), "SMIC loso 3 classes": (0.6220, 0.6200)},
            selection="unknown",
            reference="comparison table of pakchoi-php/SRMCL (README)",
        ),
    ),
    refused=REFUSED + REFUSED_SCALES,
    search=SEARCH,
)
class BiwoofSVM(SupportVectorModel):
    """Linear support vector machine on the doubly weighted direction histograms of 5x5 blocks of the face.

    Inputs
    ------
    biwoof : (n, 200) float32 of length 1: eight directions a block. ``biwoof_svm/biwoof_as_published`` and
        ``biwoof_svm/biwoof_100`` (n, 288) are the same machine on the descriptors of public code.

    Parameters
    ----------
    C : weight of the margin violations, above 0. No source prints it; 1 is scikit-learn's default.
    kernel : ``linear``, ``rbf`` or ``poly`` (cubic).
    gamma : of ``rbf`` and ``poly``: ``scale`` (1 / (200 * variance)), ``auto`` (1 / 200) or a number above 0.
    scale : how each value is scaled, fitted on the training samples: ``none``, ``unit`` (0..1) or ``standard``.
    """

    def __init__(
        self,
        n_classes: int,
        C: float = 1.0,
        kernel: str = "linear",
        gamma: str | float = "scale",
        scale: str = "none",
    ) -> None:
        super().__init__(n_classes, name="biwoof_svm", C=C, kernel=kernel, gamma=gamma, scale=scale)


also_on("biwoof_svm", "biwoof_as_published", "biwoof_100", said="the descriptors of public code are")
