"""STSTNet: three parallel shallow convolution streams over flow and strain."""

from __future__ import annotations

import torch
from torch import nn

from mer_models._parts.checks import refused_shares, require_share
from mer_models._parts.published import megc2019_cde
from mer_models.contracts import Checked, PublicWeights, PublishedScore, Resources, TrainingRecipe
from mer_models.registry import register_model
from mer_models.search import loguniform

STREAM_WIDTHS = (3, 5, 8)
MEB_REFERENCE = (
    "the pair of Varanka et al. (arXiv:2211.11425, table 3; a notebook in tvaranka/meb): the last of 500 epochs, and "
    "the best epoch on the test subject; Adam 5e-5 with weight decay 0.001, another flow algorithm"
)


@register_model(
    "ststnet",
    features=("flow_uvs_28",),
    paper=(
        "S.-T. Liong, Y. S. Gan, J. See, H.-Q. Khor, Y.-C. Huang: Shallow Triple Stream Three-dimensional CNN "
        "(STSTNet) for Micro-expression Recognition, FG 2019, arXiv:1902.03634"
    ),
    recipe=TrainingRecipe(epochs=800, batch_size=256, lr=5e-5, optimizer="adam", input_range="raw"),
    resources=Resources(cpus=1, gpu=0.125, pack=8),
    published=(
        *megc2019_cde(
            full=(0.7353, 0.7186),
            casme2=(0.8382, 0.8190),
            samm=(0.6588, 0.6415),
            smic=(0.6801, 0.6703),
            selection="unknown",
            reference=(
                "UF1 as in the paper; UAR recomputed from the authors' prediction log (STSTNet_logfile.txt in "
                "christy1206/STSTNet). The UAR the paper prints, .7605 / .8686 / .6810 / .7013, is macro precision: "
                "ground truth and prediction were swapped."
            ),
        ),
        PublishedScore(
            "MEGC2019 cde full",
            uf1=0.7209,
            uar=0.725,
            selection="last",
            reference="PyTorch re-run over 800 epochs in christy1206/STSTNet (main.py and its log)",
        ),
        *megc2019_cde(
            full=(0.7127, None),
            casme2=(0.7036, None),
            samm=(0.6619, None),
            smic=(0.7139, None),
            selection="last",
            reference=MEB_REFERENCE,
        ),
        *megc2019_cde(
            full=(0.7740, None),
            casme2=(0.8692, None),
            samm=(0.7040, None),
            smic=(0.7214, None),
            selection="oracle",
            reference=MEB_REFERENCE,
        ),
    ),
    checked=(
        Checked(
            against="christy1206/STSTNet@1afb56e670ee, main.py: STSTNet",
            form={},
            inputs=((4, 3, 28, 28),),
            outputs=(
                -0.047306,
                0.719047,
                0.664540,
                -0.035476,
                0.699553,
                0.696798,
                -0.007905,
                0.636764,
                0.711871,
                -0.010493,
                0.574986,
                0.710690,
            ),
            difference=0.0,
        ),
    ),
    public_weights=PublicWeights(
        source="christy1206/STSTNet@1afb56e670ee, STSTNet_Weights",
        names=(
            (r"conv[123]\.(weight|bias)", r"streams.0.\1"),
            (r"bn[123]\.(\w+)", r"streams.2.\1"),
            (r"fc\.(\w+)", r"classifier.\1"),
        ),
        channels="bgr",
    ),
    quick={"epochs": 40, "batch_size": 32, "lr": 1e-3},
    refused=refused_shares(),
    search={"lr": loguniform(1e-5, 1e-2), "dropout": (0.0, 0.3, 0.5)},
)
class STSTNet(nn.Module):
    """Three streams of one 3x3 convolution each (3, 5 and 8 filters), concatenated, averaged and classified.

    The streams see the same input with the same kernel size, and nothing mixes their filters before the classifier. So
    here the three are one convolution of 16 filters: the same function and the same distribution of first weights, in a
    third of the kernels. A stream is convolution (padding 2: 30x30), ReLU, batch normalisation, max-pooling 3 with
    stride 3 and padding 1 (10x10), dropout. The 16 maps together are average-pooled by 2 (5x5) and flattened to 400
    values.

    Inputs
    ------
    flow_uvs_28 : (n, 3, 28, 28) float32.

    Parameters
    ----------
    dropout : share of the values that a stream drops in training, 0 <= dropout < 1.

    Notes
    -----
    With three classes it has 1,683 parameters. The 162 k that a comparison table prints for "STSTNet" belong to another
    network: that copy has no batch normalisation and puts a 400x400 layer before the classifier.

    The public PyTorch script reads its samples class by class and does not shuffle them, so that a batch holds few
    classes; here they are shuffled (``shuffle`` in the recipe).
    """

    def __init__(self, n_classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        require_share("ststnet.dropout", dropout)
        width = sum(STREAM_WIDTHS)
        self.streams = nn.Sequential(
            nn.Conv2d(3, width, kernel_size=3, padding=2),
            nn.ReLU(),
            nn.BatchNorm2d(width),
            nn.MaxPool2d(kernel_size=3, stride=3, padding=1),
            nn.Dropout(dropout),
        )
        self.pool = nn.AvgPool2d(2)
        self.classifier = nn.Linear(width * 5 * 5, n_classes)

    def forward(self, flow: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of flow images (n, 3, 28, 28)."""
        return self.classifier(self.pool(self.streams(flow)).flatten(1))
