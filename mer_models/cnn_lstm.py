"""CNN+LSTM: two convolutions on each of nine grey frames, a recurrent layer over the frames."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mer_models._parts.frame_cnn import (
    FULL_SIZE,
    QUICK,
    FrameInput,
    checked_on_small_frames,
    is_binary,
    pooled,
    register_frame_cnn,
    scaled,
    start_as_keras,
    start_recurrence,
)
from mer_models.contracts import Resources

WIDTHS = (32, 64)
STATE, DENSE = 32, 24
FLAT_DROPOUT, MEMORY_DROPOUT = 0.3, 0.4


@register_frame_cnn(
    "cnn_lstm",
    Resources(cpus=1, gpu=0.25, pack=2),
    quick={**QUICK, "epochs": 12, "lr": 2e-3, "batch_size": 16},
    checked=checked_on_small_frames(
        "load_model_cnn_lstm",
        binary=(
            *(-0.090765, -0.002925, -0.087592, 0.000784, -0.089997, -0.008298),
            *(-0.088678, -0.008577, -0.088933, -0.003732, -0.087747, 0.002001),
        ),
        multiclass=(
            *(-0.090765, -0.002925, 0.012551, 0.052903, 0.175924, -0.112928, 0.023971),
            *(-0.087592, 0.000784, 0.015664, 0.048073, 0.173839, -0.108983, 0.027931),
        ),
        difference=3.4e-8,
    ),
)
class CNNLSTM(nn.Module):
    """Each frame through two convolutions, the frames through an LSTM of 32, its last state through 24.

    A frame passes convolutions of 32 and 64 maps (3x3, unpadded), each with ReLU and a pooling by two. All its values
    go to the LSTM; 0.3 of them are dropped, and 0.4 of the rest for the whole clip alike. The LSTM has ReLU in place of
    tanh. Dense layer of 24, dropout 0.35 in the binary form and 0.3 in the multiclass one, which differ in nothing
    else.

    Inputs
    ------
    frames_9_128 : (n, 9, 1, 128, 128) float32 in 0..1: onset, three, apex, three, offset.

    Parameters
    ----------
    form : ``binary``, ``multiclass``, or ``auto``: binary where there are two classes.
    image_size : side that frames are resized to, at least 32; a smaller one is faster.
    maps : of the first convolution, the next ones in proportion; 0 for as many as said above. Fewer are faster.
    as_published : pixels of 0..255, as the public code has them (the recipe's 0..1 times 255), in place of 0..1.

    Notes
    -----
    With three classes it has 7,396,707 parameters.

    Weights start as Keras draws them unless it is told otherwise (Glorot; orthogonal from state to state).

    The recipe changes every clip anew each epoch and weighs rare classes more; the public code adds changed copies of
    rare classes' clips to its data before it splits them. The learning rate follows the training loss; there, the
    validation loss.
    """

    def __init__(
        self, n_classes: int, form: str = "auto", image_size: int = FULL_SIZE, maps: int = 0, as_published: bool = False
    ) -> None:
        super().__init__()
        dropout = 0.35 if is_binary("cnn_lstm", form, n_classes) else 0.3
        widths = scaled("cnn_lstm", WIDTHS, maps)
        self.enter = FrameInput("cnn_lstm", image_size, as_published)
        self.reductions = (self.enter.reduce,)
        self.frame = nn.Sequential(*_stage(1, widths[0]), *_stage(*widths), nn.Flatten(), nn.Dropout(FLAT_DROPOUT))
        self.time = _ReLULSTM(widths[1] * pooled(pooled(image_size)) ** 2)
        self.classifier = nn.Sequential(
            nn.Linear(STATE, DENSE), nn.ReLU(), nn.Dropout(dropout), nn.Linear(DENSE, n_classes)
        )
        start_as_keras(self, "glorot", as_published)
        start_recurrence(self.time.enter, self.time.recur)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of frames (n, 9, 1, h, w)."""
        values = self.frame(self.enter(frames).flatten(0, 1)).unflatten(0, frames.shape[:2])
        return self.classifier(self.time(values))


class _ReLULSTM(nn.Module):
    """The last state (n, 32) of an LSTM over values (n, t, d), with ReLU for candidates and output.

    PyTorch's own has tanh alone.
    """

    def __init__(self, values: int) -> None:
        super().__init__()
        self.drop = nn.Dropout1d(MEMORY_DROPOUT)
        self.enter = nn.Linear(values, 4 * STATE)
        self.recur = nn.Linear(STATE, 4 * STATE, bias=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        # One draw for all frames of a clip.
        entering = self.enter(self.drop(values.transpose(1, 2)).transpose(1, 2))
        state = memory = torch.zeros_like(entering[:, 0, :STATE])
        for step in entering.unbind(dim=1):
            add, forget, show, candidate = (step + self.recur(state)).chunk(4, dim=1)
            memory = torch.sigmoid(forget) * memory + torch.sigmoid(add) * functional.relu(candidate)
            state = torch.sigmoid(show) * functional.relu(memory)
        return state


def _stage(channels: int, width: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, width, 3), nn.ReLU(), nn.MaxPool2d(2)
