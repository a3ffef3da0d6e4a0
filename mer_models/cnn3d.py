"""3DCNN: two convolutions over space and time, and two dense layers, on nine grey frames."""

from __future__ import annotations

import torch
from torch import nn

from mer_models._parts.frame_cnn import (
    FRAMES,
    FULL_SIZE,
    QUICK,
    FrameInput,
    ValueNorm,
    checked_on_small_frames,
    is_binary,
    pooled,
    register_frame_cnn,
    scaled,
    start_as_keras,
)
from mer_models.contracts import Resources


@register_frame_cnn(
    "cnn3d",
    Resources(cpus=1, gpu=0.5, pack=2),
    quick={**QUICK, "image_size": 40, "epochs": 9, "lr": 5e-4, "batch_size": 16},
    checked=checked_on_small_frames(
        "load_model_3dcnn",
        binary=(
            *(-15.637276, -36.673412, -25.266134, -28.777273, -25.412327, -29.379332),
            *(-17.237600, -26.767471, -22.847965, -34.715721, -29.132446, -28.713257),
        ),
        multiclass=(
            *(-61.609135, 20.861467, 26.275867, -40.824833, 37.076069, 6.238170, -4.930343),
            *(-59.223034, 23.240330, 35.675205, -21.024448, 48.015495, 10.510177, -12.631001),
        ),
        difference=1.3e-4,
        as_published=True,
    ),
)
class CNN3D(nn.Module):
    """Two convolutions, each with ReLU and a pooling by two in space, and two dense layers.

    Binary form : 64 and 96 maps, a dense layer of 24, dropout 0.35.
    Multiclass form : 32 and 64 maps with batch normalisation after each pooling, a dense layer of 32, dropout 0.27,
    batch normalisation.

    Convolutions are unpadded. Weights start as He et al. draw them.

    Inputs
    ------
    frames_9_128 : (n, 9, 1, 128, 128) float32 in 0..1: onset, three, apex, three, offset.

    Parameters
    ----------
    form : ``binary``, ``multiclass``, or ``auto``: binary where there are two classes.
    image_size : side that frames are resized to, at least 32; a smaller one is faster.
    maps : of the first convolution, the next ones in proportion; 0 for as many as said above. Fewer are faster.
    as_published : reproduces what the public code does:

    ===========  ===============================  ===================================================
    part         default                          as_published
    ===========  ===============================  ===================================================
    kernel       (3, 3, 3): nine frames become    (1, 3, 3): each frame for itself; only the dense
                 seven, then five                 layers see more than one
    pixels       0..1                             0..255 (the recipe's 0..1 times 255)
    batch norm   running statistics with          0.01, so that they take hundreds of steps to settle
                 momentum 0.1
    ===========  ===============================  ===================================================

    Notes
    -----
    With three classes it has 9,272,643 parameters (as published 16,608,003), with two 10,535,850 (18,718,506).

    The recipe changes every clip anew each epoch and weighs rare classes more; the public code adds changed copies of
    rare classes' clips to its data before it splits them. The learning rate follows the training loss; there, the
    validation loss.
    """

    def __init__(
        self, n_classes: int, form: str = "auto", image_size: int = FULL_SIZE, maps: int = 0, as_published: bool = False
    ) -> None:
        super().__init__()
        binary = is_binary("cnn3d", form, n_classes)
        widths, dense, dropout = ((64, 96), 24, 0.35) if binary else ((32, 64), 32, 0.27)
        first, second = scaled("cnn3d", widths, maps)
        reach = 1 if as_published else 3
        self.enter = FrameInput("cnn3d", image_size, as_published)
        self.reductions = (self.enter.reduce,)
        self.maps = nn.Sequential(
            *_stage(1, first, reach, normalise=not binary),
            *_stage(first, second, reach, normalise=not binary),
        )
        frames, side = FRAMES - 2 * (reach - 1), pooled(pooled(image_size))
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(second * frames * side**2, dense),
            nn.ReLU(),
            nn.Dropout(dropout),
            *(() if binary else (ValueNorm(dense),)),
            nn.Linear(dense, n_classes),
        )
        start_as_keras(self, "he", as_published)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of frames (n, 9, 1, h, w)."""
        return self.classifier(self.maps(self.enter(frames).transpose(1, 2)))


def _stage(channels: int, width: int, reach: int, normalise: bool) -> tuple[nn.Module, ...]:
    """Return a convolution over ``reach`` frames and a pooling, and batch normalisation where it is wanted."""
    layers = (nn.Conv3d(channels, width, (reach, 3, 3)), nn.ReLU(), nn.MaxPool3d((1, 2, 2)))
    return (*layers, nn.BatchNorm3d(width)) if normalise else layers
