"""ConvLSTM2D: one recurrent layer whose states are maps, on nine grey frames."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mer_models._parts.frame_cnn import (
    FRAMES,
    FULL_SIZE,
    PAPER,
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

WIDTH = 32
DROPOUT = 0.3


@register_frame_cnn(
    "convlstm",
    Resources(cpus=1, gpu=0.5, pack=1),
    quick={**QUICK, "maps": 4, "epochs": 4},
    paper=PAPER + "; layer of X. Shi et al.: Convolutional LSTM Network, NeurIPS 2015",
    checked=checked_on_small_frames(
        "load_model_convlstm2d",
        binary=(
            *(0.035083, 0.191352, 0.107784, 0.204440, 0.050126, 0.191007),
            *(0.057517, 0.212448, 0.039827, 0.199869, 0.108014, 0.207461),
        ),
        multiclass=(
            *(0.086384, 0.147112, 0.083741, 0.030499, -0.171345, 0.114982, -0.153359),
            *(0.136727, 0.143739, 0.101542, 0.067477, -0.231753, 0.102586, -0.078110),
        ),
        difference=3.9e-7,
    ),
)
class ConvLSTM(nn.Module):
    """A convolutional LSTM of 32 maps, all nine of its states pooled, a dense layer.

    As in the public code, the layer has ReLU for its candidates and its output, and the gates that Keras 2.6 gives it,
    0.2 x + 0.5 within 0..1. The nine states of 126x126 are pooled by two. All their values pass a dense layer with ReLU
    and dropout 0.3, which holds nearly all parameters: of 48 in the binary form, of 64 in the multiclass one.

    Inputs
    ------
    frames_9_128 : (n, 9, 1, 128, 128) float32 in 0..1: onset, three, apex, three, offset.

    Parameters
    ----------
    form : ``binary``, ``multiclass``, or ``auto``: binary where there are two classes.
    image_size : side that frames are resized to, at least 32; a smaller one is faster and has fewer parameters.
    maps : of a state; 0 for 32. Fewer are faster.
    as_published : pixels of 0..255, as the public code has them (the recipe's 0..1 times 255), in place of 0..1.

    Notes
    -----
    With three classes it has 73,195,011 parameters, with two 54,905,746.

    Weights start as Keras draws them unless it is told otherwise (Glorot; orthogonal from state to state).

    The recipe changes every clip anew each epoch and weighs rare classes more; the public code adds changed copies of
    rare classes' clips to its data before it splits them. The learning rate follows the training loss; there, the
    validation loss.
    """

    def __init__(
        self, n_classes: int, form: str = "auto", image_size: int = FULL_SIZE, maps: int = 0, as_published: bool = False
    ) -> None:
        super().__init__()
        dense = 48 if is_binary("convlstm", form, n_classes) else 64
        self.enter = FrameInput("convlstm", image_size, as_published)
        self.reductions = (self.enter.reduce,)
        (width,) = scaled("convlstm", (WIDTH,), maps)
        self.time = _ConvLSTM(1, width)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(FRAMES * width * pooled(image_size) ** 2, dense),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(dense, n_classes),
        )
        start_as_keras(self, "glorot", as_published)
        start_recurrence(self.time.enter, self.time.recur)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of frames (n, 9, 1, h, w)."""
        states = self.time(self.enter(frames))
        return self.classifier(torch.stack([functional.max_pool2d(state, 2) for state in states], dim=1))


class _ConvLSTM(nn.Module):
    """The states of a convolutional LSTM on frames (n, t, c, h, w): t maps (n, width, h - 2, w - 2).

    Frames enter through an unpadded 3x3 convolution, the previous state through a padded one; no peepholes. Candidates
    and output have ReLU in place of tanh, gates a piecewise linear sigmoid.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, 4 * width, 3)
        self.recur = nn.Conv2d(width, 4 * width, 3, padding=1, bias=False)

    def forward(self, frames: torch.Tensor) -> list[torch.Tensor]:
        states: list[torch.Tensor] = []
        memory = None
        for frame in frames.unbind(dim=1):
            gates = self.enter(frame)
            if states:
                gates = gates + self.recur(states[-1])
            add, forget, show, candidate = gates.chunk(4, dim=1)
            new = _hard_sigmoid(add) * functional.relu(candidate)
            memory = new if memory is None else _hard_sigmoid(forget) * memory + new
            states.append(_hard_sigmoid(show) * functional.relu(memory))
        return states


def _hard_sigmoid(values: torch.Tensor) -> torch.Tensor:
    """Return 0.2 x + 0.5 within 0..1, as Keras 2 has it; PyTorch's own is flatter."""
    return (0.2 * values + 0.5).clamp(0, 1)
