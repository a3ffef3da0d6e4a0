"""LBP-TOP and a support vector machine: the baseline that came with the first micro-expression databases."""

from __future__ import annotations

from mer_models._parts.own_feature import also_on
from mer_models._parts.published import accuracy_and_f1, megc2019_cde
from mer_models._parts.svm import REFUSED, REFUSED_SCALES, SEARCH, SupportVectorModel
from mer_models.contracts import Refused, Resources
from mer_models.registry import register_model


@register_model(
    "lbp_top_svm",
    features=("lbp_top",),
    paper=(
        "G. Zhao, M. Pietikainen: Dynamic Texture Recognition Using Local Binary Patterns with an Application to "
        "Facial Expressions, IEEE TPAMI 29(6), 2007; setting of T. Varanka, Y. Li, W. Peng, G. Zhao: Data Leakage and "
        "Evaluation Issues in Micro-Expression Analysis, IEEE Transactions on Affective Computing, arXiv:2211.11425"
    ),
    resources=Resources(cpus=1, gpu=0.0, pack=16),
    published=(
        *megc2019_cde(
            full=(0.5882, 0.5785),
            casme2=(0.7026, 0.7429),
            samm=(0.3954, 0.4102),
            smic=(0.2000, 0.5280),
            selection="unknown",
            reference=(
                "comparison table of the HTNet paper (wangzhifengharrison/HTNet, images/state_of_art.png); whether "
                "settings were chosen on the test subjects is not said. The pair of smic looks like a misprint: no "
                "prediction of its 70, 51 and 43 clips with a UAR of .528 has a UF1 below .37"
            ),
        ),
        *accuracy_and_f1(
            {"CASME II loso 5 classes": (0.3968, 0.3589), "SMIC loso 3 classes": (0.4338, 0.3421)},
            selection="unknown",
            reference="comparison table of pakchoi-php/SRMCL (README)",
        ),
    ),
    # On so few samples the default weight is too small: the cubic kernel then predicts the most frequent class alone.
    quick={"kernel": "linear", "C": 10.0},
    refused=(*REFUSED, *REFUSED_SCALES, Refused("degree", 0, "a whole number of at least 1")),
    search=SEARCH,
)
class LbpTopSVM(SupportVectorModel):
    """Support vector machine with a cubic kernel on histograms of local binary patterns.

    Inputs
    ------
    lbp_top : (n, 11328) float32: 8x8 blocks, three planes, 59 uniform patterns. ``lbp_top_svm/lbp_top_as_published``
        and ``lbp_top_svm/lbp_top_4x4x2_as_published`` (n, 5664) are the same machine on the descriptors of public code.

    Parameters
    ----------
    C : weight of the margin violations, above 0. The publication does not print it; 1 is scikit-learn's default.
    kernel : ``poly``, ``rbf`` or ``linear``.
    degree : of the polynomial, 1 or more.
    gamma : ``scale`` (1 / (11328 * variance)), ``auto`` (1 / 11328) or a number above 0.
    scale : how each value is scaled, fitted on the training samples: ``none``, ``unit`` (0..1) or ``standard``.
    """

    def __init__(
        self,
        n_classes: int,
        C: float = 1.0,
        kernel: str = "poly",
        degree: int = 3,
        gamma: str | float = "scale",
        scale: str = "none",
    ) -> None:
        super().__init__(n_classes, name="lbp_top_svm", C=C, kernel=kernel, gamma=gamma, degree=degree, scale=scale)


also_on("lbp_top_svm", "lbp_top_as_published", "lbp_top_4x4x2_as_published", said="the descriptors of public code are")
