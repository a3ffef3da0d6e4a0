"""SSSNet: a small, shallow convolutional network over flow at 64x64."""

from __future__ import annotations

import torch
from torch import nn

from mer_models._parts.checks import refused_shares, require_share
from mer_models._parts.published import megc2019_cde
from mer_models.contracts import Checked, Resources, TrainingRecipe
from mer_models.registry import register_model


@register_model(
    "sssnet",
    features=("flow_uvs_64",),
    paper=(
        "T. Varanka, W. Peng, G. Zhao: Micro-Expression Recognition with Noisy Labels, IS&T International Symposium on "
        "Electronic Imaging 2021, Human Vision and Electronic Imaging, doi:10.2352/ISSN.2470-1173.2021.11.HVEI-157"
    ),
    recipe=TrainingRecipe(epochs=200, batch_size=32, lr=1e-4, optimizer="adam", weight_decay=1e-3, input_range="unit"),
    resources=Resources(cpus=1, gpu=0.125, pack=8),
    published=megc2019_cde(
        full=(0.7394, None),
        casme2=(0.8517, None),
        samm=(0.6023, None),
        smic=(0.6991, None),
        selection="last",
        reference=(
            "T. Varanka, Y. Li, W. Peng, G. Zhao: Data Leakage and Evaluation Issues in Micro-Expression Analysis, "
            "arXiv:2211.11425, figure 2 (73.9), and its notebook in tvaranka/meb; pooled over the folds. Averaged over "
            "them, the notebook prints .6662"
        ),
    ),
    checked=(
        Checked(
            against="tvaranka/meb@f731b0a98168, meb/models/me_networks.py: SSSNet",
            form={},
            inputs=((4, 3, 64, 64),),
            outputs=(
                0.011765,
                -0.563294,
                0.037663,
                0.014586,
                -0.568076,
                0.029970,
                0.018084,
                -0.562149,
                0.040317,
                0.015942,
                -0.547428,
                0.052418,
            ),
            difference=0.0,
        ),
    ),
    quick={"epochs": 6, "batch_size": 16, "lr": 2e-3},
    refused=refused_shares(),
)
class SSSNet(nn.Module):
    """Two convolutions and two dense layers.

    Convolution 5x5 3 to 32 without padding, ReLU, max-pooling 3 (20x20), batch normalisation, channel dropout;
    convolution 3x3 32 to 64 without padding, ReLU, max-pooling 2 (9x9), batch normalisation, channel dropout; dense
    layers 5184 to 256 (ReLU, dropout) to the classes.

    Inputs
    ------
    flow_uvs_64 : (n, 3, 64, 64) float32.

    Parameters
    ----------
    dropout : share of the channels, and of the dense layer's values, dropped in training, 0 <= dropout < 1.

    Notes
    -----
    With three classes it has 1,349,251 parameters. The recipe is that of the published scores (tvaranka/meb, notebook
    of figure 2): Adam 1e-4 with weight decay 0.001, 200 epochs, batches of 32.

    =================  =======================================  ====================================================
    part               here                                     there
    =================  =======================================  ====================================================
    output             logits                                   probabilities, of which the cross-entropy takes the
                                                                softmax again
    flow               TV-L1                                    Matlab's "secrets of optical flow" (classic+nl-fast)
    =================  =======================================  ====================================================
    """

    def __init__(self, n_classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        require_share("sssnet.dropout", dropout)
        self.maps = nn.Sequential(
            nn.Conv2d(3, 32, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(3),
            nn.BatchNorm2d(32),
            nn.Dropout2d(dropout),
            nn.Conv2d(32, 64, kernel_size=3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(64),
            nn.Dropout2d(dropout),
        )
        self.classifier = nn.Sequential(
            nn.Linear(64 * 9 * 9, 256), nn.ReLU(), nn.Dropout(dropout), nn.Linear(256, n_classes)
        )

    def forward(self, flow: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of flow images (n, 3, 64, 64)."""
        return self.classifier(self.maps(flow).flatten(1))
