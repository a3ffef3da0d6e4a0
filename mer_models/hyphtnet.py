"""HypHTNet: HTNet whose samples are drawn together and pushed apart by class in hyperbolic space."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mer_models._parts.checks import require
from mer_models._parts.losses import likeness
from mer_models._parts.poincare import distances, to_ball
from mer_models.contracts import Checked, Criterion, Refused, Resources, TrainingRecipe
from mer_models.htnet import HEADS, HTNet
from mer_models.registry import register_model


@register_model(
    "hyphtnet",
    features=("flow_uvs_28",),
    paper=(
        "HyperHTNet for micro-expression recognition, a graduation project at Beihang University, 2024, public as "
        "Arksuzuran/HypHTNet; without a paper"
    ),
    recipe=TrainingRecipe(epochs=800, batch_size=256, lr=5e-5, optimizer="adam", input_range="raw", shuffle=False),
    resources=Resources(cpus=1, gpu=0.5, pack=2),
    checked=(
        Checked(
            against="Arksuzuran/HypHTNet@9ecb8dd02457, model.py: HTNet",
            form={"as_published": True, "dim": 12},
            inputs=((4, 3, 28, 28),),
            outputs=(
                1.092291,
                1.135579,
                1.025989,
                0.962766,
                1.106811,
                1.196048,
                0.898828,
                1.091828,
                1.177867,
                0.909173,
                1.021363,
                0.991054,
            ),
            difference=2e-6,
        ),
    ),
    quick={"dim": 24, "embedding": 32, "epochs": 15, "batch_size": 32, "lr": 1e-3, "input_range": "standard"},
    refused=(
        Refused("dim", 2, "a whole number of at least 3"),
        Refused("embedding", 0, "a whole number of at least 1"),
        Refused("curvature", 0.0, "a number above 0"),
        Refused("longest", 0.0, "a number above 0"),
        Refused("contrast", -0.1, "a number from 0 to 1"),
        Refused("contrast", 1.1, "a number from 0 to 1"),
        Refused("temperature", 0.0, "a number above 0"),
    ),
)
class HypHTNet(HTNet):
    """HTNet with a second head, in training only, that puts each sample at a point of the Poincaré ball.

    The network is ``htnet``; its classifier starts orthogonal, with biases of 0. The second head normalises the face's
    4 ``dim`` values once more for itself, maps them linearly to ``embedding`` values (orthogonal, biases of 0),
    normalises each over the batch, cuts what is longer than ``longest``, and takes the exponential map at the centre.

    The loss is (1 - ``contrast``) times the cross-entropy, plus ``contrast`` times the mean over samples of
    softplus((sum of distances to those of its class - sum of those to all others) / ``temperature``). In a multi-label
    task each pair counts to both sums, by the share of labels that the two have in common (Jaccard).

    Inputs
    ------
    flow_uvs_28 : (n, 3, 28, 28) float32 of an aligned, upright face.

    Parameters
    ----------
    dim : width of the first level, at least 3. The published 256 gives 118,830,979 parameters with three
        classes, 117,521,286 as published.
    embedding : numbers of a point.
    curvature : of the space, without its sign: the ball has the radius 1 / sqrt(curvature).
    longest : length to which vectors are cut before they are mapped.
    contrast : share of the second term of the loss.
    temperature : divides distances.
    as_published : do as the public code (Arksuzuran/HypHTNet, model.py, utils.py and main_HTNet.py) does where that
        departs from its idea. (1) to (3) as ``htnet``: blocks of a single patch, positions of one number, areas cut
        with x and y exchanged. (4) Distances are Euclidean, straight through the ball, though the code has the ball's
        own beside them.

    Notes
    -----
    The public repository prints no scores of its own (the table among its pictures is HTNet's), so that none are
    listed. Its code keeps, for each subject, the last of the epochs that are best by accuracy on that subject: an
    ``oracle``.

    Both forms sum distances over the batch, as the public code does. In a batch of one class in the majority, that
    class is drawn together most, and rare classes hardly; of the loss of 4.08 that its log shows after ten epochs,
    3.01 are this term, despite its share of 0.002. As in ``htnet``, raw pixels outweigh what the first layers add, and
    the same areas serve every sample.
    """

    def __init__(
        self,
        n_classes: int,
        dim: int = 256,
        embedding: int = 128,
        curvature: float = 0.1,
        longest: float = 2.3,
        contrast: float = 0.002,
        temperature: float = 0.2,
        as_published: bool = False,
    ) -> None:
        require(dim >= HEADS[0], "hyphtnet.dim", dim, f"a whole number of at least {HEADS[0]}")
        require(embedding >= 1, "hyphtnet.embedding", embedding, "a whole number of at least 1")
        require(curvature > 0, "hyphtnet.curvature", curvature, "a number above 0")
        require(longest > 0, "hyphtnet.longest", longest, "a number above 0")
        require(0 <= contrast <= 1, "hyphtnet.contrast", contrast, "a number from 0 to 1")
        require(temperature > 0, "hyphtnet.temperature", temperature, "a number above 0")
        super().__init__(n_classes, dim, as_published)
        self.curvature = curvature
        self.longest = longest
        self.contrast = contrast
        self.temperature = temperature
        self.straight = as_published
        width = self.classifier.in_features
        self.own_norm = nn.LayerNorm(width)
        place = nn.Linear(width, embedding)
        self.place = nn.Sequential(place, nn.BatchNorm1d(embedding))
        for layer in (self.classifier, place):
            nn.init.orthogonal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def loss(self, flow: Tensor, labels: Tensor, criterion: Criterion) -> Tensor:
        """Return the weighted sum of the cross-entropy and of the contrast of the batch; see ``NetworkWithLoss``."""
        face = self.face(flow)
        told = criterion(self.classifier(self.norm(face).mean(dim=(1, 2))), labels)
        apart = self._apart(self.points(face)) / self.temperature
        alike = likeness(labels)
        contrast = functional.softplus((alike * apart - (1 - alike) * apart).sum(dim=1)).mean()
        return (1 - self.contrast) * told + self.contrast * contrast

    def points(self, face: Tensor) -> Tensor:
        """Return the points (n, embedding) of the ball at which samples stand, from what ``face`` returns."""
        values = self.place(self.own_norm(face).mean(dim=(1, 2)))
        return to_ball(values, self.curvature, self.longest)

    def _apart(self, points: Tensor) -> Tensor:
        """Return how far the points are from each other, (n, n)."""
        return torch.cdist(points, points) if self.straight else distances(points, self.curvature)
