"""Magnified flow at brows and mouth, met by a graph of the action units that a video network detects."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from mer_models._parts.action_units import UNKNOWN, au_loss, of_units
from mer_models._parts.au_tokens import (
    BROW_LANDMARKS,
    BROW_UNITS,
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
from mer_models._parts.images import FewerSmallerFrames
from mer_models._parts.own_feature import also_on
from mer_models._parts.p3d import P3D, P3D_BLOCKS
from mer_models.contracts import Checked, Criterion, Refused, Resources, TrainingRecipe
from mer_models.registry import register_model

STEPS, FRAMES = 9, 16
LEVEL = 4
"""Place of factor 2.0 among the magnification levels 1.2, 1.4, .. 3.0."""
DEPTH = 6
AU_WEIGHT = 1.0
GRAPH_WIDTHS = (1, 40, 80, REGION_VALUES)


@register_model(
    "au_fusion",
    features=("flow_patches_30", "frames_au_16"),
    paper=(
        "Micro-expression recognition by fusing action unit detection and spatio-temporal features, ICASSP 2024, pp. "
        "5595-5599, public code ini17/Micro-expression-recognition-by-fusing-Action-Unit-detection-and-spatio-temporal"
        "-features; of its scores only the abstract's claim was read"
    ),
    recipe=TrainingRecipe(
        epochs=100,
        batch_size=16,
        lr=1e-4,
        optimizer="adam",
        # The public code's 42nd epoch, counted from 1, is the last one at the whole rate.
        lr_hold=41,
        lr_step=1,
        lr_gamma=0.987,
        augment="amplification",
        input_range="raw",
    ),
    resources=Resources(cpus=1, gpu=1.0, pack=1),
    checked=(
        Checked(
            "ini17/Micro-expression-recognition-by-fusing-Action-Unit-detection-and-spatio-temporal-features@7dede55, "
            "PythonCodes/models/FMER.py: FMER",
            form={"as_published": True},
            inputs=((3, 10, 9, 2, 30, 7, 7), (3, 3, 16, 144, 144)),
            outputs=(
                *(-0.052428, 0.229861, -0.404228, -0.651118, -0.240997, 0.177389),
                *(-0.441648, -0.349216, -0.080888, 0.223737, -0.411325, -0.605156),
            ),
            difference=8.9e-7,
            n_classes=4,
        ),
    ),
    quick={
        "au_depth": 17,
        "au_width": 4,
        "image_size": 32,
        "depth": 1,
        "epochs": 3,
        "batch_size": 8,
        "lr": 1e-3,
        "lr_hold": 0,
        "balance": True,
        "augment": "",
    },
    refused=(
        Refused("au_depth", 50, "63 or 32 or 17"),
        Refused("au_width", 0, "a whole number of at least 1"),
        *(Refused("image_size", value, "0, or a number of pixels from 32") for value in (-1, 31)),
        Refused("depth", 0, "a whole number of at least 1"),
    ),
)
class AUFusion(nn.Module):
    """Brows and mouth as 160 values each, multiplied with 160 values of each of nine action units.

    It uses the magnification 2.0. In training, the recipe's augmentation ``amplification`` puts other levels there,
    drawn anew for each step of each sample of a batch.

    Flow : a convolution for each landmark over u and v, shared by the steps, and one over all steps (3x3 pixels,
    normalisation, ReLU), give 30 tokens of 49 values. Ten of the brows and twenty of the mouth pass six transformer
    layers of their own (8 heads, dense part of 128) and layers of 320 and 160.
    Units : a pseudo-3-D network answers nine questions: AU 1, 2, 4 of the brows, 10, 12, 14, 15, 17, 25 of the mouth.
    Their logits on the diagonal of a 9x9 matrix pass six transformer layers, which make it the links of a graph. Three
    graph layers (40, 80, 160) along these links start from the logits.
    Fusion : inner products of the brows with the first three units and of the mouth with the other six; layer
    normalisation, a layer.

    Inputs
    ------
    flow_patches_30 : (n, 10, 9, 2, 30, 7, 7) float32: u and v in pixels around 30 landmarks in nine steps, at ten
        magnification levels. The steps lie between ten frames: eight at equal steps from onset to apex, one midway to
        the offset, the offset. Without an annotated apex, as in SMIC, or without a frame after it, ten at equal steps
        from onset to offset. ``au_fusion/flow_patches_30_to_apex`` takes ten from onset to apex (spotted
        where nobody annotated it), as another function of the public code does.
    frames_au_16 : (n, 3, 16, 144, 144) float32 in 0..255.

    Parameters
    ----------
    au_depth : layers of the video network: 63 as published, 32 or 17.
    au_width : channels of its first convolution, 64 as published. With 17 layers and 16 channels a sample takes a
        twentieth of the arithmetic (0.3 instead of 6.9 billion multiplications), where no GPU is at hand.
    image_size : side that the video network's frames are resized to; 0 leaves them as they are.
    depth : transformer layers of brows, mouth and links, six as published.
    as_published : changes the training alone. ``loss`` is the criterion plus the units' binary cross-entropy:

    =============  ==============================================  ================================================
    part           default                                         as_published
    =============  ==============================================  ================================================
    units' truth   what the coders saw; samples without            no sample shows any unit, since the public code
                   annotation and AU 25, which is not among the    looks for numbers among characters
                   shared units, weigh nothing
    =============  ==============================================  ================================================

    Notes
    -----
    Weights are drawn, and variances bounded (by 1e-6), as in the public code. Three things differ from it in both
    forms. It cuts patches with x and y exchanged; here the feature cuts them in the right place. Statistics of the
    steps' convolution are those of all nine steps at once. And it keeps the epoch of the best training accuracy, which
    is a matter of the selection here.

    With three classes it has 26,026,251 parameters.
    """

    def __init__(
        self,
        n_classes: int,
        au_depth: int = 63,
        au_width: int = 64,
        image_size: int = 0,
        depth: int = DEPTH,
        as_published: bool = False,
    ) -> None:
        super().__init__()
        depths = " or ".join(str(depth) for depth in P3D_BLOCKS)
        require(au_depth in P3D_BLOCKS, "au_fusion.au_depth", au_depth, depths)
        require(au_width >= 1, "au_fusion.au_width", au_width, "a whole number of at least 1")
        valid = image_size == 0 or image_size >= 32
        require(valid, "au_fusion.image_size", image_size, "0, or a number of pixels from 32")
        require(depth >= 1, "au_fusion.depth", depth, "a whole number of at least 1")
        self.as_published = as_published
        self.reductions = (None, FewerSmallerFrames(FRAMES, image_size))
        self.step = _landmark_convolution(2)
        self.motion = _landmark_convolution(STEPS)
        self.brows, self.mouth = _region(BROW_LANDMARKS, depth), _region(LANDMARKS - BROW_LANDMARKS, depth)
        self.detect = P3D(len(UNITS), au_depth, au_width)
        self.links = TokenEncoder(len(UNITS), 40, depth)
        self.graph = nn.ParameterList(graph_weights(before, after) for before, after in pairwise(GRAPH_WIDTHS))
        self.classifier = nn.Sequential(nn.LayerNorm(len(UNITS), eps=EPSILON), nn.Linear(len(UNITS), n_classes))

    def forward(self, patches: Tensor, frames: Tensor) -> Tensor:
        """Return the logits (n, n_classes) of patches (n, 10, 9, 2, 30, 7, 7) and frames (n, 3, 16, h, w)."""
        return self._run(patches, frames)[0]

    def loss(
        self, *features: Tensor, labels: Tensor, criterion: Criterion, action_units: Tensor | None = None
    ) -> Tensor:
        """Return the criterion plus the binary cross-entropy of the action units that are known.

        Parameters
        ----------
        features : as ``forward`` takes them.
        labels : (n,) class indices.
        criterion : the engine's loss of the logits.
        action_units : (n, 12) of 0 and 1, columns as in ``SHARED_UNITS``, a row of -1 where unknown; None where all
            are.
        """
        logits, answers = self._run(*features)
        if self.as_published:
            truth = torch.zeros_like(answers)
        elif action_units is None:
            truth = torch.full_like(answers, UNKNOWN)
        else:
            truth = of_units(action_units, UNITS)
        return criterion(logits, labels) + AU_WEIGHT * au_loss(answers, truth)

    def _run(self, patches: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of the classes (n, n_classes) and of the units (n, 9)."""
        tokens = self._tokens(patches[:, LEVEL])
        answers = self.detect(self.reductions[1](frames))
        nodes = self._nodes(answers)
        brows, mouth = self.brows(tokens[:, :BROW_LANDMARKS]), self.mouth(tokens[:, BROW_LANDMARKS:])
        first = len(BROW_UNITS)
        met = torch.cat([nodes[:, :first] @ brows[..., None], nodes[:, first:] @ mouth[..., None]], dim=1)
        return self.classifier(met[..., 0]), answers

    def _tokens(self, flow: Tensor) -> Tensor:
        """Return tokens (n, 30, 49) of one level's patches."""
        # Each kernel is as deep as what it convolves, so that its depth can stand in the channels.
        pairs = flow.transpose(2, 3).flatten(0, 1).flatten(1, 2)
        steps = self.step(pairs).unflatten(0, (len(flow), STEPS))
        return self.motion(steps.transpose(1, 2).flatten(1, 2)).flatten(2)

    def _nodes(self, answers: Tensor) -> Tensor:
        """Return the units' values (n, 9, 160) from their logits (n, 9)."""
        links = self.links(torch.diag_embed(answers))
        nodes = answers[..., None]
        for weights in self.graph:
            nodes = functional.leaky_relu(links @ (nodes @ weights), SLOPE)
        return nodes


def _landmark_convolution(depth: int) -> nn.Sequential:
    """Return what makes one map of each landmark's ``depth`` maps; (n, 30 * depth, 7, 7) to (n, 30, 7, 7)."""
    convolution = nn.Conv2d(LANDMARKS * depth, LANDMARKS, kernel_size=3, padding=1, groups=LANDMARKS)
    return nn.Sequential(convolution, nn.BatchNorm2d(LANDMARKS), nn.ReLU())


def _region(landmarks: int, depth: int) -> nn.Sequential:
    """Return what turns tokens (n, landmarks, 49) into (n, 160)."""
    return nn.Sequential(
        TokenEncoder(PATCH_VALUES, 128, depth), perceptron(landmarks * PATCH_VALUES, 320, REGION_VALUES)
    )


also_on(
    "au_fusion",
    ("flow_patches_30_to_apex", "frames_au_16"),
    said="flow that ends at the apex, as another function of the public code has it, is",
)
