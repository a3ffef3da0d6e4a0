"""What the four networks on nine grey frames share: source, two forms, how frames enter, what Keras sets itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

from mer_models._parts.checks import require
from mer_models._parts.images import Resized
from mer_models.contracts import Checked, Refused, Resources, TrainingRecipe
from mer_models.registry import register_model

FEATURE = "frames_9_128"
FRAMES = 9
FULL_SIZE = 128
SMALLEST_SIZE = 32
PAPER = "public code ShreyanshJoshi/Facial-Microexpression-Recognition (Keras), without a paper"
QUICK = {
    "image_size": 32,
    "maps": 8,
    "epochs": 8,
    "augment": "",
    "lr_schedule": "step",
    "lr_step": 0,
    "lr_min": 0.0,
    "input_range": "difference",
}
"""Hyper-parameters with which a laptop trains these networks in seconds a fold.

They are shown what moves since the onset: in a hundred clips, whose face it is outweighs what it does.
"""
VARIANCE_BOUND = 1e-3
"""What Keras adds to variances in batch normalisation."""
SHARE_OF_A_BATCH, PUBLISHED_SHARE = 0.1, 0.01
"""What a batch adds to running statistics. Keras' hundredth takes hundreds of steps to settle, a small database has
few."""
SOURCE = "ShreyanshJoshi/Facial-Microexpression-Recognition@7272016"
FORMS = ("auto", "binary", "multiclass")
REFUSED = (
    Refused("form", "ternary", "one of: auto, binary, multiclass"),
    Refused("image_size", 31, "a number of pixels from 32"),
    Refused("maps", -1, "0, or a number of maps"),
)
RECIPE = TrainingRecipe(
    epochs=25,
    batch_size=16,
    lr=3e-3,
    optimizer="adam",
    lr_schedule="plateau",
    lr_step=2,
    lr_gamma=0.5,
    lr_min=1e-4,
    class_weights=True,
    augment="rotate:13,shift:0.12,noise:0.1",
    input_range="unit",
)
"""The public code's, with two differences that make it fit here.

It adds turned (1-13 degrees), shifted (1-15 of 128 pixels) and noisy copies of clips before it splits the data, up to
seven of a rare class and none of the most frequent one; here every clip is changed anew each epoch, after the split,
and rare classes weigh more. It halves the learning rate when the loss of validation clips has not fallen for three
epochs; here that of the training clips is watched, since not every selection sets validation subjects aside.
"""


def register_frame_cnn(
    name: str,
    resources: Resources,
    recipe: TrainingRecipe = RECIPE,
    quick: Mapping[str, Any] = QUICK,
    paper: str = PAPER,
    one_class_where: tuple[str, ...] = (),
    two_classes: Mapping[str, Any] = MappingProxyType({}),
    checked: tuple[Checked, ...] = (),
) -> Callable[[type], type]:
    """Return ``register_model``'s decorator with what the four networks have in common."""
    return register_model(
        name,
        features=(FEATURE,),
        paper=paper,
        recipe=recipe,
        resources=resources,
        quick=quick,
        one_class_where=one_class_where,
        two_classes=two_classes,
        published_input=True,
        refused=REFUSED,
        checked=checked,
    )


def checked_on_small_frames(
    builder: str, binary: Iterable[float], multiclass: Iterable[float], difference: float, **form: Any
) -> tuple[Checked, ...]:
    """Return the comparisons with the public code's two builders of a network, whose frames are 32 pixels here.

    Their networks end in a softmax; its input is compared.

    Parameters
    ----------
    builder : function of the public code.
    binary, multiclass : first outputs for two classes and six samples, for seven classes and two samples.
    difference : the largest one.
    form : options of ours.
    """
    return tuple(
        Checked(
            f"{SOURCE}, models/{file}.py: {builder}",
            form={"image_size": SMALLEST_SIZE, **form},
            inputs=((samples, FRAMES, 1, SMALLEST_SIZE, SMALLEST_SIZE),),
            outputs=tuple(outputs),
            difference=difference,
            n_classes=n_classes,
        )
        for file, outputs, samples, n_classes in (
            ("binary_models", binary, 6, 2),
            ("multiclass_models", multiclass, 2, 7),
        )
    )


def is_binary(model: str, form: str, n_classes: int) -> bool:
    """Return whether the layers of the two-class form are wanted; UsageError for a ``form`` that is none."""
    require(form in FORMS, f"{model}.form", form, "one of: " + ", ".join(FORMS))
    return n_classes == 2 if form == "auto" else form == "binary"


class FrameInput(nn.Module):
    """Frames (n, 9, 1, h, w) in 0..1 to (n, 9, 1, image_size, image_size), as_published to 0..255."""

    def __init__(self, model: str, image_size: int, as_published: bool) -> None:
        super().__init__()
        expected = f"a number of pixels from {SMALLEST_SIZE}"
        require(image_size >= SMALLEST_SIZE, f"{model}.image_size", image_size, expected)
        self.reduce = Resized((image_size, image_size))
        self.scale = 255.0 if as_published else 1.0

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return frames as the network looks at them, (n, 9, 1, image_size, image_size)."""
        return self.reduce(frames) * self.scale


class ValueNorm(nn.BatchNorm1d):
    """Batch normalisation of values, which takes its running statistics for a batch of one sample."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return values (n, c), normalised."""
        if self.training and len(values) == 1:
            return functional.batch_norm(
                values, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(values)


def start_as_keras(network: nn.Module, kernels: Literal["he", "glorot"], as_published: bool) -> None:
    """Set what the public code leaves to Keras, or asks of it: first weights, and the constants of normalisation.

    Parameters
    ----------
    network : all of its layers.
    kernels : how weights of convolutions and layers are drawn, uniformly: by what enters (He), or by what enters and
        leaves (Glorot, Keras' own). Biases are 0.
    as_published : running statistics follow as slowly as Keras' own.
    """
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            layer.eps, layer.momentum = VARIANCE_BOUND, PUBLISHED_SHARE if as_published else SHARE_OF_A_BATCH
        elif isinstance(layer, nn.Linear | nn.Conv2d | nn.Conv3d):
            if kernels == "he":
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            else:
                nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def start_recurrence(enter: nn.Linear | nn.Conv2d, recur: nn.Linear | nn.Conv2d) -> None:
    """Set the first weights of a recurrent layer as Keras does, after ``start_as_keras``.

    What reaches the gates from the state is orthogonal. The forget gate, the second quarter, has a bias of 1, so that
    the first frames are remembered.
    """
    nn.init.orthogonal_(recur.weight)
    state = recur.out_channels // 4 if isinstance(recur, nn.Conv2d) else recur.out_features // 4
    nn.init.ones_(enter.get_parameter("bias").data[state : 2 * state])


def scaled(model: str, widths: tuple[int, ...], maps: int) -> tuple[int, ...]:
    """Return the maps of each convolution where the first has ``maps``; 0 leaves ``widths`` as they are."""
    require(maps >= 0, f"{model}.maps", maps, "0, or a number of maps")
    return tuple(max(1, width * maps // widths[0]) for width in widths) if maps else widths


def pooled(side: int, kernel: int = 3) -> int:
    """Return the side of maps after an unpadded convolution and a pooling by two."""
    return (side - kernel + 1) // 2
