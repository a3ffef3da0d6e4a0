"""Dual-Inception: two inception blocks over horizontal and two over vertical flow, fused by a dense layer."""

from __future__ import annotations

import torch
from torch import nn

from mer_models._parts.frame_cnn import start_as_keras
from mer_models._parts.inception import Inception
from mer_models._parts.published import megc2019_cde
from mer_models.contracts import Checked, Resources, TrainingRecipe
from mer_models.registry import register_model


@register_model(
    "dual_inception",
    features=("flow_uvs_28",),
    paper=(
        "L. Zhou, Q. Mao, L. Xue: Dual-Inception Network for Cross-Database Micro-Expression Recognition, "
        "FG 2019, pp. 642-646"
    ),
    recipe=TrainingRecipe(epochs=40, batch_size=3, lr=1e-4, optimizer="adam", input_range="unit"),
    resources=Resources(cpus=1, gpu=0.125, pack=8),
    published=megc2019_cde(
        full=(0.7322, 0.7278),
        casme2=(0.8621, 0.8560),
        samm=(0.5868, 0.5663),
        smic=(0.6645, 0.6726),
        selection="unknown",
        reference=(
            "comparison table of the HTNet paper (wangzhifengharrison/HTNet, images/state_of_art.png); the authors' "
            "code (xly135846/MEGC2019) keeps the epoch with the lowest loss on validation subjects, repeats all folds "
            "100 times and stores every score: which repeat was printed is not said"
        ),
    ),
    checked=(
        Checked(
            against="xly135846/MEGC2019@0637394e53a5, dual_inception.py: create_inception_model",
            form={"as_published": True},
            inputs=((4, 3, 28, 28),),
            outputs=(
                0.590412,
                0.078325,
                -0.124992,
                0.587215,
                0.074284,
                -0.122304,
                0.589666,
                0.074229,
                -0.115767,
                0.586865,
                0.078745,
                -0.115984,
            ),
            difference=1.2e-7,
        ),
    ),
    quick={"epochs": 5, "batch_size": 16, "lr": 1e-3, "input_range": "standard"},
)
class DualInception(nn.Module):
    """Two streams of two inception blocks, one over u and one over v; 6272 values through a layer of 1024.

    An inception block has four paths of equal width (1x1; 1x1 then 3x3; 1x1 then 5x5; 3x3 max-pooling then 1x1), a ReLU
    after every convolution, and ends in max-pooling 2: 28x28 to 24 maps of 14x14 (6 a path) to 64 maps of 7x7 (16 a
    path).

    Inputs
    ------
    flow_uvs_28 : (n, 3, 28, 28) float32; the optical strain is not used.

    Parameters
    ----------
    as_published : do as the authors' code (xly135846/MEGC2019) does. (1) It reads each flow component as a picture of
        three channels, all the same, so that a stream's first convolutions have three weights for each of ours. (2) Its
        first weights are those of Keras: Glorot's uniform ones, and biases of 0.

    Notes
    -----
    With three classes it has 6,449,867 parameters, the 6.45 M that Off-TANet's comparison table prints (as published
    6,449,963). Off-TANet's own copy has no ReLU behind the 1x1 path.

    The recipe is that of the authors' code: Adam 1e-4, 40 epochs, shuffled batches of 3, values divided by 255. Two
    things there are left out in both forms. It trains on the two databases that the test subject does not belong to,
    and validates on the third. And it asks for class weights by the word "auto", where Keras takes a dictionary.
    """

    def __init__(self, n_classes: int, as_published: bool = False) -> None:
        super().__init__()
        self.channels = 3 if as_published else 1
        self.stream_u, self.stream_v = _stream(self.channels), _stream(self.channels)
        self.classifier = nn.Sequential(nn.Linear(2 * 64 * 7 * 7, 1024), nn.ReLU(), nn.Linear(1024, n_classes))
        if as_published:
            start_as_keras(self, "glorot", as_published)

    def forward(self, flow: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of flow images (n, 3, 28, 28)."""
        u, v = (flow[:, place : place + 1].expand(-1, self.channels, -1, -1) for place in (0, 1))
        maps = torch.cat([self.stream_u(u), self.stream_v(v)], dim=1)
        return self.classifier(maps.flatten(1))


def _stream(channels: int) -> nn.Sequential:
    return nn.Sequential(Inception(channels, 6), Inception(24, 16))
