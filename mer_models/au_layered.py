"""Layered relations of landmarks in magnified frames, met frame by frame by a graph of action units."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mer_models._parts.action_units import co_occurrence
from mer_models._parts.au_tokens import (
    BROW_LANDMARKS,
    EPSILON,
    LANDMARKS,
    PATCH_VALUES,
    REGION_VALUES,
    SLOPE,
    UNITS,
    TokenEncoder,
    graph_weights,
    perceptron,
)
from mer_models._parts.checks import require
from mer_models._parts.images import FewerTimes
from mer_models.contracts import Checked, Refused, Resources, TrainingRecipe
from mer_models.registry import register_model

FRAMES = 12
DEPTH = 6
NODE_WIDTHS = (40, 80, REGION_VALUES)


@register_model(
    "au_layered",
    features=("shape_patches_30",),
    paper=(
        "Micro-expression recognition with layered relations and more input frames, ICIP 2023, public code "
        "ini17/Micro-expression-recognition-with-layered-relations-and-more-input-frames; its paper was not read"
    ),
    recipe=TrainingRecipe(epochs=25, batch_size=32, lr=1e-4, optimizer="adam", input_range="raw"),
    resources=Resources(cpus=1, gpu=0.25, pack=4),
    checked=(
        Checked(
            "ini17/Micro-expression-recognition-with-layered-relations-and-more-input-frames@ff0ff2e, models/FMER.py: "
            "FMER",
            form={"as_published": True},
            inputs=((3, 12, 30, 7, 7),),
            outputs=(
                *(-2.263731, 0.404891, -1.171438, -0.669580, -2.268143, 0.403601),
                *(-1.173674, -0.667306, -2.265053, 0.404848, -1.170833, -0.671690),
            ),
            difference=4.8e-7,
            n_classes=4,
        ),
    ),
    quick={"frames": 2, "depth": 1, "epochs": 4, "batch_size": 8, "lr": 3e-4, "input_range": "standard"},
    refused=(
        *(Refused("frames", value, "a divisor of 12") for value in (-1, 0, 5, 24)),
        Refused("depth", 0, "a whole number of at least 1"),
    ),
)
class AULayered(nn.Module):
    """Brows and mouth alone, then together: 160 values a frame, multiplied with 160 values of nine action units.

    Frames : a convolution for each landmark (3x3 pixels, normalisation, ReLU) gives 30 tokens of 49 values. Ten of the
    brows and twenty of the mouth pass six transformer layers of their own (8 heads, dense part of 128), then all pass
    one together, and layers of 980, 320 and 160. All frames share these.
    Units : AU 1, 2, 4, 10, 12, 14, 15, 17, 25. Each frame has values (40) of its own for them, which pass two graph
    layers of its own (80, 160). Inner products with the frame's values, normalised for each frame and for all together,
    are classified.

    Inputs
    ------
    shape_patches_30 : (n, 12, 30, 7, 7) float32, patches of twelve maps around 30 landmarks.

    Parameters
    ----------
    frames : how many of the twelve are used, evenly spaced to the last; a divisor of 12. Fewer are faster.
    depth : transformer layers of brows and mouth, six as published.
    as_published : reproduces what the public code does instead of what it means to do:

    =============  ==============================================  ================================================
    part           default                                         as_published
    =============  ==============================================  ================================================
    links          how often units occur together, each with       a matrix for each frame that is never filled nor
                   itself, rows of sum 1, from the training        trained; what memory held is here a draw from
                   samples handed to ``prepare_training``; plus    -1/3..1/3, which the code describes, but does
                   what each frame learns                          not do
    =============  ==============================================  ================================================

    Notes
    -----
    A unit without annotations, as AU 25, which is not among the shared units, is linked to itself alone at first. Three
    things differ from the public code in both forms. In SMIC, which has no apex, it goes from
    onset to offset; here an apex is spotted. It ends in a logarithm of probabilities, which its cross-entropy
    takes again without effect. And it stops at a training accuracy of 1; here all epochs are run.

    With three classes it has 2,499,973 parameters; 972 fewer as published, whose links are not trained.
    """

    co_occurrence: Tensor
    fixed: Tensor

    def __init__(self, n_classes: int, frames: int = FRAMES, depth: int = DEPTH, as_published: bool = False) -> None:
        super().__init__()
        require(frames >= 1 and FRAMES % frames == 0, "au_layered.frames", frames, "a divisor of 12")
        require(depth >= 1, "au_layered.depth", depth, "a whole number of at least 1")
        self.reductions = (FewerTimes(frames, 1),)
        self.as_published = as_published
        units, (before, between, after) = len(UNITS), NODE_WIDTHS
        convolution = nn.Conv2d(LANDMARKS, LANDMARKS, kernel_size=3, padding=1, groups=LANDMARKS)
        self.enter = nn.Sequential(convolution, nn.BatchNorm2d(LANDMARKS), nn.ReLU())
        self.brows = TokenEncoder(PATCH_VALUES, 128, depth)
        self.mouth = TokenEncoder(PATCH_VALUES, 128, depth)
        self.face = nn.Sequential(
            TokenEncoder(PATCH_VALUES, 128, 1), perceptron(LANDMARKS * PATCH_VALUES, 980, 320, REGION_VALUES)
        )
        self.nodes = nn.Parameter(torch.randn(frames, units, before))
        self.first = _weights(frames, before, between)
        self.second = _weights(frames, between, after)
        if as_published:
            self.register_buffer("fixed", torch.empty(frames, units, units).uniform_(-1 / 3, 1 / 3))
        else:
            self.links = nn.Parameter(torch.zeros(frames, units, units))
            self.register_buffer("co_occurrence", torch.eye(units))
        self.scale = nn.Parameter(torch.ones(frames, units))
        self.shift = nn.Parameter(torch.zeros(frames, units))
        self.classifier = nn.Sequential(nn.LayerNorm(frames * units), nn.Linear(frames * units, n_classes))

    def prepare_training(self, labels: Tensor, action_units: Tensor) -> None:
        """Count how often action units occur together in training samples; as published, the counts are not used.

        Parameters
        ----------
        labels : of the training samples.
        action_units : (n, 12) of 0 and 1, columns as in ``SHARED_UNITS``, a row of -1 where unknown; of the training
            samples.
        """
        if not self.as_published:
            shares = co_occurrence(action_units, [(unit,) for unit in UNITS], own=False)
            shares = shares + torch.eye(len(UNITS), device=shares.device)
            self.co_occurrence.copy_(shares / shares.sum(dim=1, keepdim=True))

    def forward(self, patches: Tensor) -> Tensor:
        """Return the logits (n, n_classes) of patches (n, 12, 30, 7, 7)."""
        patches = self.reductions[0](patches)
        tokens = self.enter(patches.flatten(0, 1)).flatten(2)
        parts = [self.brows(tokens[:, :BROW_LANDMARKS]), self.mouth(tokens[:, BROW_LANDMARKS:])]
        frames = self.face(torch.cat(parts, dim=1)).unflatten(0, patches.shape[:2])
        met = (self._units() @ frames[..., None])[..., 0]
        scaled = functional.layer_norm(met, (len(UNITS),), eps=EPSILON) * self.scale + self.shift
        return self.classifier(scaled.flatten(1))

    def _units(self) -> Tensor:
        """Return the units' values (frames, 9, 160) of each frame."""
        links = self.fixed if self.as_published else self.co_occurrence + self.links
        nodes: Tensor = self.nodes
        for weights in (self.first, self.second):
            nodes = functional.leaky_relu(links @ nodes @ weights, SLOPE)
        return nodes


def _weights(frames: int, width: int, width_out: int) -> nn.Parameter:
    """Return a matrix (width, width_out) of each frame."""
    return nn.Parameter(torch.stack([graph_weights(width, width_out) for _ in range(frames)]))
