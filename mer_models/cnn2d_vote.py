"""2DCNN with a vote: each of nine grey frames is classified for itself, and a clip is what its frames are."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional

from mer_models._parts.frame_cnn import (
    FRAMES,
    FULL_SIZE,
    RECIPE,
    FrameInput,
    ValueNorm,
    checked_on_small_frames,
    is_binary,
    pooled,
    register_frame_cnn,
    scaled,
    start_as_keras,
)
from mer_models.contracts import Criterion, Resources

# The public code trains with 128 frames a batch; a batch here is of clips, of nine frames each.
BATCH_CLIPS = 128 // FRAMES


@register_frame_cnn(
    "cnn2d_vote",
    Resources(cpus=1, gpu=0.5, pack=2),
    recipe=replace(RECIPE, batch_size=BATCH_CLIPS, lr=3.5e-3),
    # Votes are for one class.
    one_class_where=("as_published",),
    # The public code's script for two classes trains this network, alone of the four, on its frames as they are.
    two_classes={"augment": "", "class_weights": False},
    checked=checked_on_small_frames(
        "load_model_2dcnn",
        binary=(
            *(-0.328856, 0.176913, -0.329238, 0.198407, -0.329403, 0.189298),
            *(-0.335031, 0.176497, -0.328734, 0.179658, -0.324956, 0.194628),
        ),
        multiclass=(
            *(-0.409983, 0.176673, -0.299454, 0.095707, -0.034711, -0.012267, -0.039372),
            *(-0.409104, 0.175713, -0.298803, 0.096494, -0.035208, -0.012038, -0.039088),
        ),
        difference=2.7e-7,
    ),
)
class CNN2DVote(nn.Module):
    """A frame's logits through a plain convolutional network; a clip's logits are the mean of its frames'.

    The softmax of these logits is that of the mean of the frames' log-probabilities. Convolutions are 3x3, unpadded,
    each with ReLU, a pooling by two and batch normalisation.

    Binary form : 32 and 64 maps, a dense layer of 64, dropout 0.3, batch normalisation.
    Multiclass form : 64, 128 and 256 maps, dense layers of 384 (dropout 0.42) and 96 (dropout 0.25), each
    with batch normalisation.

    Weights start as He et al. draw them.

    Inputs
    ------
    frames_9_128 : (n, 9, 1, 128, 128) float32 in 0..1: onset, three, apex, three, offset.

    Parameters
    ----------
    form : ``binary``, ``multiclass``, or ``auto``: binary where there are two classes.
    image_size : side that frames are resized to, at least 32; a smaller one is faster.
    maps : of the first convolution, the next ones in proportion; 0 for as many as said above. Fewer are faster.
    as_published : reproduces what the public code does:

    ==========  =========================  ==================================================================
    part        default                    as_published
    ==========  =========================  ==================================================================
    clip        mean of frames' logits     outside training, the number of frames whose likeliest class it
                                           is, less half of the frames: above 0 with five of nine. One class
                                           a sample
    pixels      0..1                       0..255 (the recipe's 0..1 times 255)
    batch norm  running statistics with    0.01, so that they take hundreds of steps to settle
                momentum 0.1
    ==========  =========================  ==================================================================

    Notes
    -----
    The public code takes a clip without five equal votes for an error. Here its most frequent class is taken, the first
    of equal ones; that differs with more than two classes only.

    ``loss`` is the published one: the engine's loss over single frames, each with its clip's label.

    With three classes it has 19,676,739 parameters, with two 3,705,730.

    The recipe changes every clip anew each epoch and weighs rare classes more; the public code adds changed copies of
    rare classes' clips to its data before it splits them. With two classes neither is done, there and here, in this
    network alone. The learning rate follows the training loss; there, the validation loss.
    """

    def __init__(
        self, n_classes: int, form: str = "auto", image_size: int = FULL_SIZE, maps: int = 0, as_published: bool = False
    ) -> None:
        super().__init__()
        self.enter = FrameInput("cnn2d_vote", image_size, as_published)
        self.reductions = (self.enter.reduce,)
        build = _binary if is_binary("cnn2d_vote", form, n_classes) else _multiclass
        self.frame = build(image_size, maps, n_classes)
        self.as_published = as_published
        start_as_keras(self, "he", as_published)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of frames (n, 9, 1, h, w)."""
        logits = self._frames_logits(frames)
        if self.as_published and not self.training:
            votes = functional.one_hot(logits.argmax(dim=2), logits.shape[2])
            return votes.sum(dim=1).float() - logits.shape[1] / 2
        return logits.mean(dim=1)

    def loss(self, *features: torch.Tensor, labels: torch.Tensor, criterion: Criterion) -> torch.Tensor:
        """Return the engine's loss over the frames of a batch."""
        logits = self._frames_logits(*features)
        return criterion(logits.flatten(0, 1), labels.repeat_interleave(logits.shape[1], dim=0))

    def _frames_logits(self, frames: torch.Tensor) -> torch.Tensor:
        """Return (n, 9, n_classes)."""
        return self.frame(self.enter(frames).flatten(0, 1)).unflatten(0, frames.shape[:2])


def _binary(image_size: int, maps: int, n_classes: int) -> nn.Sequential:
    first, last = scaled("cnn2d_vote", (32, 64), maps)
    side = pooled(pooled(image_size))
    return nn.Sequential(
        *(*_stage(1, first), *_stage(first, last), nn.Flatten()),
        *(nn.Linear(last * side**2, 64), nn.ReLU(), nn.Dropout(0.3), ValueNorm(64)),
        nn.Linear(64, n_classes),
    )


def _multiclass(image_size: int, maps: int, n_classes: int) -> nn.Sequential:
    first, second, last = scaled("cnn2d_vote", (64, 128, 256), maps)
    side = pooled(pooled(pooled(image_size)))
    return nn.Sequential(
        *(*_stage(1, first), *_stage(first, second), *_stage(second, last), nn.Flatten()),
        *(nn.Linear(last * side**2, 384), nn.ReLU(), nn.Dropout(0.42), ValueNorm(384)),
        *(nn.Linear(384, 96), nn.ReLU(), nn.Dropout(0.25), ValueNorm(96)),
        nn.Linear(96, n_classes),
    )


def _stage(channels: int, width: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, width, 3), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(width)
