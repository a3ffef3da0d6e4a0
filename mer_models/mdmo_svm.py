"""MDMO, the main directional mean optical flow of 36 face regions, and a support vector machine."""

from __future__ import annotations

from mer_models._parts.own_feature import also_on
from mer_models._parts.published import accuracy_and_f1
from mer_models._parts.svm import REFUSED, REFUSED_SCALES, SEARCH, SupportVectorModel
from mer_models.contracts import Resources
from mer_models.registry import register_model


@register_model(
    "mdmo_svm",
    features=("mdmo",),
    paper=(
        "Y.-J. Liu, J.-K. Zhang, W.-J. Yan, S.-J. Wang, G. Zhao, X. Fu: A Main Directional Mean Optical Flow Feature "
        "for Spontaneous Micro-Expression Recognition, IEEE Transactions on Affective Computing 7(4), 2016"
    ),
    resources=Resources(cpus=1, gpu=0.0, pack=64),
    published=accuracy_and_f1(
        {"CASME II loso 5 classes": (0.5169, 0.4966), "SMIC loso 3 classes": (0.5897, 0.5845)},
        selection="unknown",
        reference=(
            "comparison table of pakchoi-php/SRMCL (README); whether settings were chosen on the test subjects is "
            "not said"
        ),
    ),
    refused=REFUSED + REFUSED_SCALES,
    search=SEARCH,
)
class MdmoSVM(SupportVectorModel):
    """Support vector machine on one motion vector for each of 36 face regions.

    Inputs
    ------
    mdmo : (n, 72) float32: 36 weighted magnitudes, then 36 weighted directions. ``mdmo_svm/mdmo_as_published`` is the
        same machine on the descriptor of public code.

    Parameters
    ----------
    C : weight of the margin violations, above 0; 28 as in the public benchmark code tvaranka/meb.
    kernel : ``rbf``, ``linear`` or ``poly`` (cubic).
    gamma : ``scale`` (1 / (72 * variance)), ``auto`` (1 / 72) or a number above 0.
    scale : how each value is scaled, fitted on the training samples: ``none``, ``unit`` (0..1) or ``standard``. The
        descriptor weighs magnitudes against directions on purpose; ``unit`` and ``standard`` undo that.
    """

    def __init__(
        self,
        n_classes: int,
        C: float = 28.0,
        kernel: str = "rbf",
        gamma: str | float = "scale",
        scale: str = "none",
    ) -> None:
        super().__init__(n_classes, name="mdmo_svm", C=C, kernel=kernel, gamma=gamma, scale=scale)


also_on("mdmo_svm", "mdmo_as_published", said="the descriptor of public code is")
