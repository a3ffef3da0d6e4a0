"""MOL: micro-expression, optical flow and landmarks learned together from a sequence of frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mer_models._parts.checks import refused_shares, require, require_share
from mer_models._parts.f5c import F5C
from mer_models._parts.flow_estimator import FlowEstimator
from mer_models._parts.images import Resized
from mer_models.contracts import Checked, Criterion, Refused, Resources, TrainingRecipe
from mer_models.registry import register_model

FRAMES = 8
PAIRS = FRAMES - 1
POINTS = 68
FULL = 144
"""Side of the frames before 128x128 are cut from them, in whose pixels flow and landmarks are given."""
SIZES = (64, 128)
"""Sides that the smallest map of the flow estimator divides, up to what is cut from whole frames."""
SHRINK = 8
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)


@register_model(
    "mol",
    features=("frames_8_144", "flow_between_8_144", "landmarks_8_144"),
    targets=("flow_between_8_144", "landmarks_8_144"),
    paper=(
        "Z. Shao, Y. Cheng, F. Li, Y. Zhou, X. Lu, Y. Xie, L. Ma: MOL: joint estimation of micro-expression, optical "
        "flow, and landmark via transformer-graph-style convolution, IEEE TPAMI 2025"
    ),
    recipe=TrainingRecipe(
        epochs=240, batch_size=32, lr=1e-4, optimizer="adamw", weight_decay=1e-3, input_range="signed"
    ),
    resources=Resources(cpus=1, gpu=1.0, pack=1),
    checked=(
        Checked(
            against="CYF-cuber/MOL@0a7545544579, MOL_model.py: MOL",
            form={"as_published": True, "flow_weight": 0.0},
            inputs=((2, FRAMES, 1, FULL, FULL),),
            outputs=(0.0793055, -0.0109231, 0.0775678, 0.0899357, -0.0074007, 0.0309064),
            difference=6e-8,
        ),
    ),
    quick={
        "image_size": 64,
        "maps": 16,
        "flow_pairs": 1,
        "landmark_weight": 0.01,
        "dropout": 0.2,
        "epochs": 1,
        "batch_size": 16,
        "lr": 5e-3,
        "input_range": "difference",
    },
    refused=(
        Refused("image_size", 144, "64 or 128"),
        Refused("maps", 24, "a multiple of 16"),
        Refused("neighbours", 0, "a whole number from 1 to 128", {"maps": 128}),
        Refused("neighbours", 17, "a whole number from 1 to 16", {"maps": 16}),
        Refused("flow_pairs", 0, "a whole number from 1 to 7"),
        Refused("flow_pairs", 8, "a whole number from 1 to 7"),
        Refused("flow_weight", -1.0, "a number of at least 0"),
        Refused("landmark_weight", -0.1, "a number of at least 0"),
        *refused_shares(),
    ),
)
class MOL(nn.Module):
    """Maps of both frames of each neighbouring pair, which recognition, flow and landmarks share.

    1. Four convolutions without a function between them (4x4 to 1x1, three with stride 2) make 128 maps of 16x16 of
       each of the eight frames.
    2. Two F5C blocks with weights of their own, one for the first frame of a pair and one for the second: a
       convolution as long as the map and closed to a ring along each axis, then an edge convolution on a graph that
       links each map to the 4 that are most alike, and a 1x1 convolution; residuals around both.
    3. Recognition: the maps of all seven pairs, 14 in time, through a 3-D convolution (32 filters of 2x2 and five
       moments), max-pooling, and two linear layers with dropout.
    4. Flow, in training only: FlowNetC on both frames of a pair, beside the maps of both.
    5. Landmarks, in training only: from the maps of the second frame, a convolution and two linear layers.

    In training, ``image_size`` pixels are cut from each clip's frames at random, at the same place of all frames; in
    evaluation from their middle. The loss is the cross-entropy, plus ``flow_weight`` times the mean squared error of
    the flow in pixels divided by the seven pairs, plus ``landmark_weight`` times the mean distance along x and y (their
    sum) of the landmarks in distances of the eyes, summed over seven frames.

    Inputs
    ------
    frames_8_144 : (n, 8, 1, 144, 144) float32.
    flow_between_8_144 : (n, 7, 2, 144, 144) float32, in pixels; only the loss is given it.
    landmarks_8_144 : (n, 8, 68, 2) float32, in pixels; only the loss is given it.

    Parameters
    ----------
    image_size : side of what is cut from frames, 128 as published or 64; frames are first resized to nine eighths.
    maps : channels of the shared maps, a multiple of 16; all others are reduced in proportion, those of the first
        convolution no further than to 4. The published 128 gives
        44,119,709 parameters with three classes, 44,086,685 as published (the public class holds 18,180 more that it
        never uses); 39,730,282 of them estimate flow.
    neighbours : links of a map, itself among them.
    flow_pairs : pairs of neighbouring frames whose flow is estimated in a training step; the published 7 are all, fewer
        are drawn anew each step.
    flow_weight : of the flow's loss; with 0 no flow is estimated.
    landmark_weight : of the landmarks' loss; with 0 none are looked for. The public code's README takes 0.1; 0.5 where
        nothing is said.
    dropout : share of the values that is set to 0 before each linear layer of the recognition, in training.
    as_published : do as the public code (CYF-cuber/MOL, modules/CCC.py) does where that departs from the paper's
        channel correspondence. (1) Links go between places of the map whose channels are alike, the same for all
        channels, and not between channels. (2) What another one has more has a map's own values subtracted twice.
        (3) The 1x1 convolution after it, which the paper draws, is missing. And in training, (4) landmarks are moved by
        the sum of five drawn corners and not by the one at which frames are cut: the public code (dataset.py) cuts five
        times from the same frames, and subtracts each corner from the same array.

    Notes
    -----
    Published with CASME II and SAMM in three and five classes and SMIC in three, each alone, leaving one subject out.
    No scores are listed here: the paper's tables were not at hand, and the public repository prints none. What its
    code would print has three peculiarities, none of which is reproduced. Sequences of the test subject are made as
    those of training (the option that would tell them apart is never handed on): as many interleaved ones of eight
    frames as a clip has, each cut at five random places, and each counts as a sample of its own. They are normalised by
    the mean and the greatest value of all the subject's sequences. And while the weights of the epoch that is best on
    the test subject are stored, the printed scores are those of the last one.

    In both forms a clip is one sequence, evenly spaced from onset to offset; places are drawn anew each time; all
    frames of a clip are aligned alike, where the public code aligns each by its own landmarks; and 1,000 steps are 240
    epochs of SAMM's clips. Batch normalisation takes the seven pairs together, where the public code takes each by
    itself. A part of its fully-connected convolution that is never used, and the halves of kernels and positions that
    are cut off, are left out.
    """

    def __init__(
        self,
        n_classes: int,
        image_size: int = 128,
        maps: int = 128,
        neighbours: int = 4,
        flow_pairs: int = PAIRS,
        flow_weight: float = 10.0,
        landmark_weight: float = 0.1,
        dropout: float = 0.5,
        as_published: bool = False,
    ) -> None:
        super().__init__()
        require(image_size in SIZES, "mol.image_size", image_size, " or ".join(map(str, SIZES)))
        require(maps >= 16 and maps % 16 == 0, "mol.maps", maps, "a multiple of 16")
        require(1 <= neighbours <= maps, "mol.neighbours", neighbours, f"a whole number from 1 to {maps}")
        require(1 <= flow_pairs <= PAIRS, "mol.flow_pairs", flow_pairs, f"a whole number from 1 to {PAIRS}")
        require(flow_weight >= 0, "mol.flow_weight", flow_weight, "a number of at least 0")
        require(landmark_weight >= 0, "mol.landmark_weight", landmark_weight, "a number of at least 0")
        require_share("mol.dropout", dropout)
        self.image_size = image_size
        self.flow_pairs = flow_pairs
        self.flow_weight = flow_weight
        self.landmark_weight = landmark_weight
        self.corners_summed = 5 if as_published else 1
        whole = image_size * FULL // max(SIZES)
        self.reductions = Resized((whole, whole)), Resized((whole, whole)), None
        self.enlarged = FULL / whole
        self.margin = whole - image_size
        side = image_size // SHRINK
        first = max(4, maps // 16)
        self.stack = nn.Sequential(
            nn.Conv2d(1, first, kernel_size=4, stride=2),
            nn.Conv2d(first, maps // 4, kernel_size=3, stride=2),
            nn.Conv2d(maps // 4, maps // 2, kernel_size=2, stride=2, padding=1),
            nn.Conv2d(maps // 2, maps, kernel_size=1),
        )
        self.blocks = nn.ModuleList(F5C(maps, side, neighbours, as_published=as_published) for _ in range(2))
        pooled = (side // 4) ** 2 * ((2 * PAIRS - 4) // 2)
        self.recognise = nn.Sequential(
            nn.Conv3d(maps, maps // 4, kernel_size=(2, 2, 5), stride=(2, 2, 1)),
            nn.MaxPool3d(kernel_size=2),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(maps // 4 * pooled, 2 * maps),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(2 * maps, n_classes),
        )
        if landmark_weight:
            self.locate = nn.Sequential(
                nn.Conv2d(maps, maps // 4, kernel_size=3),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(maps // 4 * (side - 2) ** 2, 4 * maps),
                nn.ReLU(),
                nn.Linear(4 * maps, 2 * POINTS),
            )
        if flow_weight:
            self.flow = FlowEstimator(maps // 2, 2 * maps, side)

    def forward(self, frames: Tensor) -> Tensor:
        """Return the logits (n, n_classes) of frames (n, 8, 1, s, s)."""
        return self._recognised(*self._shared(self._cut(self.reductions[0](frames), self._middle(frames))))

    def loss(self, frames: Tensor, flow: Tensor, landmarks: Tensor, labels: Tensor, criterion: Criterion) -> Tensor:
        """Return the loss of recognition plus the weighted losses of flow and landmarks; see ``NetworkWithLoss``.

        Parameters
        ----------
        frames : (n, 8, 1, s, s).
        flow : (n, 7, 2, s, s), from each frame to the next.
        landmarks : (n, 8, 68, 2).
        """
        corners, moves = self._corners(frames)
        clip = self._cut(self.reductions[0](frames), corners)
        before, after = self._shared(clip)
        loss = criterion(self._recognised(before, after), labels)
        if self.landmark_weight:
            # (row, column) to x and y, in pixels of the whole frames.
            places = landmarks[:, 1:] - self.enlarged * moves.flip(1)[:, None, None]
            loss = loss + self.landmark_weight * _distance(self._located(after), places)
        if self.flow_weight:
            pairs = self._drawn_pairs().to(frames.device)
            true = self._cut(self.reductions[1](flow[:, pairs]), corners)
            error = functional.mse_loss(self._estimated(clip, before, after, pairs), true)
            loss = loss + self.flow_weight * error / PAIRS
        return loss

    def _middle(self, frames: Tensor) -> Tensor:
        return torch.full((len(frames), 2), self.margin // 2, device=frames.device)

    def _corners(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows and columns (n, 2) at which each clip is cut, and by which its landmarks are moved.

        At random in training, else those of the middle.
        """
        if not self.training:
            return (self._middle(frames),) * 2
        drawn = torch.randint(self.margin + 1, (self.corners_summed, len(frames), 2)).to(frames.device)
        return drawn[0], drawn.sum(dim=0)

    def _drawn_pairs(self) -> Tensor:
        """Return the numbers of the pairs whose flow is estimated: in training ``flow_pairs`` of them, else all."""
        if not self.training or self.flow_pairs == PAIRS:
            return torch.arange(PAIRS)
        return torch.randperm(PAIRS)[: self.flow_pairs]

    def _cut(self, pictures: Tensor, corners: Tensor) -> Tensor:
        """Return (n, t, c, size, size) of pictures (n, t, c, whole, whole)."""
        along = corners[..., None] + torch.arange(self.image_size, device=corners.device)
        rows, columns = along[:, None, None, 0, :, None], along[:, None, None, 1, None, :]
        n, times, channels, _, width = pictures.shape
        cut = pictures.gather(3, rows.expand(n, times, channels, -1, width))
        return cut.gather(4, columns.expand(*cut.shape[:4], -1))

    def _shared(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maps (n, 7, maps, h, w) of the first and of the second frame of each pair."""
        maps = self.stack(clip.flatten(0, 1)).unflatten(0, clip.shape[:2])
        ends = maps[:, :-1], maps[:, 1:]
        first, second = (
            block(end.flatten(0, 1)).unflatten(0, end.shape[:2]) for block, end in zip(self.blocks, ends, strict=True)
        )
        return first, second

    def _recognised(self, before: Tensor, after: Tensor) -> Tensor:
        # (n, maps, h, w, 14): both frames of the first pair, both of the second, and so on.
        return self.recognise(torch.stack([before, after], dim=2).flatten(1, 2).permute(0, 2, 3, 4, 1))

    def _located(self, after: Tensor) -> Tensor:
        """Return the landmarks (n, 7, 68, 2) of the second frame of each pair, in pixels of what was cut."""
        return self.locate(after.flatten(0, 1)).reshape(*after.shape[:2], POINTS, 2)

    def _estimated(self, clip: Tensor, before: Tensor, after: Tensor, pairs: Tensor) -> Tensor:
        """Return the flow (n, pairs, 2, size, size) between both frames of the given pairs."""
        beside = torch.cat([before[:, pairs], after[:, pairs]], dim=2).flatten(0, 1)
        first, second = (clip[:, frames].flatten(0, 1) for frames in (pairs, pairs + 1))
        return self.flow(first, second, beside).unflatten(0, (len(clip), len(pairs)))


def _distance(found: Tensor, true: Tensor) -> Tensor:
    """Return the mean error of landmarks (n, t, 68, 2), |x| + |y| in distances of the eyes, summed over t."""
    eyes = true[:, :, LEFT_EYE].mean(dim=2) - true[:, :, RIGHT_EYE].mean(dim=2)
    errors = (found - true).abs().sum(dim=(2, 3)) / eyes.norm(dim=2).clamp_min(1.0)
    return errors.sum(dim=1).mean() / POINTS
