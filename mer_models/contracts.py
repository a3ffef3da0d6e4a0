"""What a model is: the interfaces it may have, its training recipe, what it asks of the cluster."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from preprocess.base.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class TrainingRecipe:
    """How a network is trained. Every field can be set from the command line as ``--set model.field=value``.

    lr : learning rate at the first epoch.
    lr_schedule : ``step`` multiplies it by ``lr_gamma`` every ``lr_step`` epochs (0: constant; 1: exponential decay);
        ``cosine`` lowers it to ``lr_min`` along half a cosine within ``lr_step`` epochs (0: all epochs), then starts
        again at ``lr``; ``plateau`` multiplies it by ``lr_gamma`` when the training loss has not fallen for more than
        ``lr_step`` epochs.
    lr_hold : epochs at ``lr`` before a schedule sets in.
    lr_stretch : of ``cosine``, how many times as long as the one before each further fall takes.
    lr_min : learning rate below which ``cosine`` and ``plateau`` do not go; ``step`` takes no notice of it.
    input_range : ``raw`` leaves 8-bit features at 0..255, ``unit`` divides them by 255, ``standard`` subtracts the
        mean and divides by the standard deviation of each channel or component (of each value along the first axis of a
        feature that has neither), both fitted on the fold's training samples; ``difference`` subtracts the first
        frame that the network looks at from all of a clip, so that what does not move is 0, and divides by the
        deviation, fitted in the same way. A model's features without time are then standardised; one must have it.
    shuffle : draw a new order of the training samples each epoch, from the fold's own seed.
    class_weights : weigh the loss by the inverse class frequency of the fold's training samples.
    balance : show rarer classes more often: each epoch repeats training samples, drawn at random, until every class is
        seen as often as the most frequent one. In a multi-label task, a sample counts as one of the rarest class that
        it shows; those that show none are a class of their own.
    label_smoothing : share of the truth that the engine's loss spreads evenly over all classes.
    mixup : alpha of mixup (Zhang et al., ICLR 2018): a batch is mixed with itself in another order, by a share drawn
        from Beta(alpha, alpha) each batch, and so is its loss; 0 for none. Not for networks with a loss of their own.
    augment : augmentations of training samples (``merbench list augmentations``), separated by commas, each with an
        amount where its own does not suit: ``flip,rotate:4``.

    Raises UsageError for values that contradict one another.
    """

    epochs: int
    batch_size: int
    lr: float
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    momentum: float = 0.0
    weight_decay: float = 0.0
    lr_step: int = 0
    lr_gamma: float = 1.0
    input_range: Literal["raw", "unit", "standard", "difference"] = "raw"
    shuffle: bool = True
    class_weights: bool = False
    lr_schedule: Literal["step", "cosine", "plateau"] = "step"
    balance: bool = False
    label_smoothing: float = 0.0
    mixup: float = 0.0
    augment: str = ""
    lr_hold: int = 0
    lr_stretch: int = 1
    lr_min: float = 0.0

    def __post_init__(self) -> None:
        if self.lr_schedule == "plateau" and not (self.lr_step >= 1 and 0 < self.lr_gamma < 1):
            raise UsageError(
                f"lr_schedule plateau with lr_step {self.lr_step} and lr_gamma {self.lr_gamma:g}: expected lr_step, "
                "the epochs to wait, of 1 or more and lr_gamma, the factor, between 0 and 1."
            )
        if self.lr_hold < 0 or self.lr_stretch < 1:
            raise UsageError(
                f"lr_hold is {self.lr_hold} and lr_stretch {self.lr_stretch}: expected 0 epochs or more to wait, and "
                "periods 1 or more times as long as the one before."
            )
        if not 0 <= self.lr_min <= self.lr:
            raise UsageError(f"lr_min is {self.lr_min:g}: expected a number from 0 to lr, {self.lr:g}.")
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(f"label_smoothing is {self.label_smoothing:g}: expected a number from 0 to below 1.")
        if self.mixup < 0:
            raise UsageError(f"mixup is {self.mixup:g}: expected 0 (none) or a number above.")


@dataclass(frozen=True)
class Resources:
    """What one pack of folds asks of the cluster.

    cpus : cores (and torch threads) of a worker. gpu : fraction of a GPU, used only where the cluster has GPUs.
    pack : the most folds that one Ray Tune trial trains; cheap folds want large packs.
    """

    cpus: int = 1
    gpu: float = 0.25
    pack: int = 8


@dataclass(frozen=True)
class PublishedScore:
    """A score printed elsewhere: which benchmark, the numbers, which epoch was selected, and where it was read.

    uf1, uar, accuracy, f1 : in 0..1, None where the source does not print it. f1 : an F1 whose averaging over classes
    or folds the source does not say, so that it must not be compared with a UF1.
    """

    benchmark: str
    uf1: float | None
    uar: float | None
    selection: Literal["last", "validation", "oracle", "unknown"]
    source: str
    accuracy: float | None = None
    f1: float | None = None


@dataclass(frozen=True)
class Refused:
    """A value of an option that a model refuses; a test tries it, and a reader sees what the option takes.

    The model's ``__init__`` refuses it with ``mer_models._parts.checks.require``, before it draws any weights.

    Attributes
    ----------
    option : name of a keyword argument of ``__init__``.
    value : the refused value.
    expected : what the message says that the option takes, a regular expression.
    beside : other options, with the values beside which this one is refused.
    """

    option: str
    value: Any
    expected: str
    beside: Mapping[str, Any] = field(default_factory=dict)


class Estimator(Protocol):
    """A classical estimator: fitted once on a fold's training samples, no epochs.

    Features arrive as float32 arrays of shape (n, ...), in the order of ``ModelInfo.features``.
    """

    def fit(self, *features: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
        """Fit on training samples; all randomness comes from ``rng``.

        y : (n,) int64 class indices, or (n, n_classes) int64 of 0 and 1 where a sample may show several classes.
        """

    def scores(self, *features: np.ndarray) -> np.ndarray:
        """Return (n, n_classes) float32; the predicted class is the argmax of a row.

        After a fit on several classes a sample, those above 0 are predicted.
        """

    def state(self) -> dict[str, np.ndarray]:
        """Return everything that ``scores`` needs, as arrays (stored as safetensors, never pickled)."""

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Take up what ``state`` returned."""


Criterion = Callable[["Tensor", "Tensor"], "Tensor"]
"""The loss that the engine would train with, ``criterion(logits, labels)``: a mean over the batch's samples."""


class NetworkWithLoss(Protocol):
    """A network that is published with a loss of its own, which cross-entropy over the logits cannot express."""

    def forward(self, *features: Tensor) -> Tensor:
        """Return the logits (n, n_classes)."""

    def loss(self, *features: Tensor, labels: Tensor, criterion: Criterion) -> Tensor:
        """Return the training loss of a batch, a scalar; it runs the network itself, once.

        labels : (n,) int64 class indices, or (n, n_classes) of 0 and 1 in a multi-label task. criterion : the engine's
        own loss with the recipe's class weights, for a network that only adds to it; a network that replaces it takes
        no notice of class weights.

        A network that learns action units (AUs) declares one more keyword, ``action_units``: (n, 12) float32, 1 where
        the sample shows each of ``preprocess.labels.action_units.SHARED_UNITS``, 0 where not, and a row of -1 where
        nobody         annotated it, which must weigh nothing. It is not passed to a network that does not declare it.

        A network that fits something before it is trained, such as how often AUs occur together, also defines
        ``prepare_training(self, labels, action_units)``. It is called once a fold with the training samples alone,
        labels as above and action units as int8, and keeps what it finds in registered buffers, so that stored
        weights hold it.
        """


Reduction = Callable[["Tensor"], "Tensor"]
"""What a network looks at of a feature (n, ...), float32: smaller pictures, some of the frames."""


class NetworkWithReductions(Protocol):
    """A network that looks at less of its features than there is, so that the engine need not make it anew each batch.

    reductions : a reduction, or None, for each feature. Each works sample by sample, draws and learns nothing, gives
    of a constant the same constant and of a sum the sum (so that it may come before values are scaled), leaves what is
    reduced already as it is, and equals another object that does the same. ``forward`` applies them itself, so that it
    takes whole features as well as reduced ones.
    """

    reductions: tuple[Reduction | None, ...]


RECIPE_FIELDS = frozenset(entry.name for entry in dataclasses.fields(TrainingRecipe))


ESTIMATOR_METHODS = ("fit", "scores", "state", "load_state")
