"""What a model is: the interfaces it may have, its training recipe, what it asks of the cluster."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import numpy as np

from preprocess.base.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Bound:
    """Which numbers a field of a recipe takes.

    Attributes
    ----------
    words : the numbers in words, as a message says them.
    holds : whether a number is one of them.
    """

    words: str
    holds: Callable[[float], bool]


AT_LEAST_1 = Bound("1 or more", lambda value: value >= 1)
AT_LEAST_0 = Bound("0 or more", lambda value: value >= 0)
ABOVE_0 = Bound("a number above 0", lambda value: value > 0)
SHARE = Bound("a number from 0 to below 1", lambda value: 0 <= value < 1)


@dataclass(frozen=True)
class TrainingRecipe:
    """How a network is trained. Every field can be set from the command line as ``--set model.field=value``.

    Attributes
    ----------
    epochs : times that every training sample is shown.
    batch_size : samples a step.
    lr : learning rate at the first epoch.
    optimizer : Adam, AdamW or stochastic gradient descent.
    momentum : of ``sgd``; the others take no notice of it.
    weight_decay : as PyTorch's optimiser of that name understands it.
    lr_step : epochs; what they do depends on ``lr_schedule``.
    lr_gamma : factor by which ``step`` and ``plateau`` multiply the learning rate.
    input_range : what is done to the values of the features. ``raw`` leaves 8-bit values at 0..255. ``unit`` divides
        them by 255. ``signed`` brings them to -1..1. ``imagenet`` divides them by 255, then subtracts ImageNet's mean
        of red, green and blue and divides by its deviations, as networks trained there are fed; for features of three
        channels. ``standard`` subtracts the mean and divides by the standard deviation of each channel or component
        (of each value along the first axis of a feature that has neither), both fitted on the fold's training samples.
        ``difference`` subtracts the first frame that the network looks at from all frames of a clip, so that what does
        not move is 0, and divides by the deviation, fitted in the same way; features without time are standardised,
        and at least one feature must have time.
    shuffle : draw a new order of the training samples each epoch, from the fold's own seed.
    class_weights : weigh the loss by the inverse class frequency of the fold's training samples.
    lr_schedule : ``step`` multiplies the learning rate by ``lr_gamma`` every ``lr_step`` epochs (0: constant; 1:
        exponential decay). ``cosine`` lowers it to ``lr_min`` along half a cosine within ``lr_step`` epochs (0: all
        epochs), then starts again at ``lr``. ``plateau`` multiplies it by ``lr_gamma`` when the training loss has not
        fallen for more than ``lr_step`` epochs.
    balance : show rarer classes more often: each epoch repeats training samples, drawn at random, until every class is
        seen as often as the most frequent one. In a multi-label task, a sample counts as one of the rarest class that
        it shows; samples that show none are a class of their own.
    label_smoothing : share of the truth that the engine's loss spreads evenly over all classes.
    mixup : alpha of mixup (Zhang et al., ICLR 2018), 0 for none. A batch and its loss are mixed with the same batch in
        another order, by a share drawn from Beta(alpha, alpha). Not for networks with a loss of their own.
    augment : augmentations of training samples (``merbench list augmentations``), separated by commas, each with an
        amount if it is not to have its own: ``flip,rotate:4``.
    lr_hold : epochs at ``lr`` before a schedule starts.
    lr_stretch : of ``cosine``: each further fall takes so many times as long as the one before.
    lr_min : learning rate below which ``cosine`` and ``plateau`` do not go; ``step`` takes no notice of it.
    freeze : what is not trained, but stays as the training found it (``--pretrain``): names of parameters or of parts
        of the network, as shell patterns separated by commas, such as ``streams,blocks.[0-3].*``.

    Raises
    ------
    UsageError : a value of another type, out of its bounds, or one that contradicts another; an int stands for the
        float that it equals.
    """

    epochs: Annotated[int, AT_LEAST_1]
    batch_size: Annotated[int, AT_LEAST_1]
    lr: Annotated[float, ABOVE_0]
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    momentum: Annotated[float, AT_LEAST_0] = 0.0
    weight_decay: Annotated[float, AT_LEAST_0] = 0.0
    lr_step: Annotated[int, AT_LEAST_0] = 0
    lr_gamma: Annotated[float, ABOVE_0] = 1.0
    input_range: Literal["raw", "unit", "standard", "difference", "signed", "imagenet"] = "raw"
    shuffle: bool = True
    class_weights: bool = False
    lr_schedule: Literal["step", "cosine", "plateau"] = "step"
    balance: bool = False
    label_smoothing: Annotated[float, SHARE] = 0.0
    mixup: Annotated[float, AT_LEAST_0] = 0.0
    augment: str = ""
    lr_hold: Annotated[int, AT_LEAST_0] = 0
    lr_stretch: Annotated[int, AT_LEAST_1] = 1
    lr_min: Annotated[float, AT_LEAST_0] = 0.0
    freeze: str = ""

    def __post_init__(self) -> None:
        for name in RECIPE_FIELDS:
            value = getattr(self, name)
            if type(value) is int and _recipe_types()[name][0] is float:
                value = float(value)
                object.__setattr__(self, name, value)
            if expected := expected_instead(name, value):
                raise UsageError(f"A training recipe's {name} is {value!r}: expected {expected}.")
        if self.lr_schedule == "plateau" and not (self.lr_step >= 1 and self.lr_gamma < 1):
            raise UsageError(
                f"lr_schedule plateau with lr_step {self.lr_step} and lr_gamma {self.lr_gamma:g}: expected lr_step, "
                "the epochs to wait, of 1 or more and lr_gamma, the factor, between 0 and 1."
            )
        if self.lr_min > self.lr:
            raise UsageError(f"lr_min is {self.lr_min:g}: expected a number from 0 to lr, {self.lr:g}.")


RECIPE_FIELDS = frozenset(entry.name for entry in dataclasses.fields(TrainingRecipe))


@functools.cache
def _recipe_types() -> dict[str, tuple[type, tuple[str, ...], Bound | None]]:
    """Return field -> its type, its choices (none: any), its bound (None: none)."""
    found: dict[str, tuple[type, tuple[str, ...], Bound | None]] = {}
    for name, hint in typing.get_type_hints(TrainingRecipe, include_extras=True).items():
        if typing.get_origin(hint) is Literal:
            found[name] = str, typing.get_args(hint), None
        elif typing.get_origin(hint) is Annotated:
            kind, bound = typing.get_args(hint)
            found[name] = kind, (), bound
        else:
            found[name] = hint, (), None
    return found


def expected_type(value: object, wanted: type) -> str:
    """Return what is expected in place of a value of another type, or of a number that is not finite; "" if nothing.

    True and False are no numbers.
    """
    if type(value) is not wanted:
        return wanted.__name__
    return "a finite number" if isinstance(value, float) and not math.isfinite(value) else ""


def converted(value: Any, wanted: type) -> Any:
    """Return a value as YAML reads it in the type of a hyper-parameter, where that loses nothing."""
    if wanted in (int, float) and isinstance(value, str):
        # YAML 1.1 reads 5e-4 as a text, everybody else as a number.
        with contextlib.suppress(ValueError):
            value = float(value)
    if wanted is float and type(value) is int:
        return float(value)
    if wanted is int and type(value) is float and value.is_integer():
        return int(value)
    if wanted is str and type(value) in (int, float):
        # A few texts may be numbers: flow_svm.gamma is "scale", "auto" or 0.1.
        return str(value)
    return value


def expected_value(key: str, value: Any, default: Any) -> str:
    """Return what a hyper-parameter with this default expects in place of a value; "" where the value is fine."""
    return expected_instead(key, value) if key in RECIPE_FIELDS else expected_type(value, type(default))


def expected_instead(name: str, value: Any) -> str:
    """Return what a recipe's field expects in place of a value, in words; "" where the value is fine."""
    wanted, choices, bound = _recipe_types()[name]
    if expected := expected_type(value, wanted):
        return expected
    if choices and value not in choices:
        return f"one of {', '.join(choices)}"
    return bound.words if bound and not bound.holds(value) else ""


@dataclass(frozen=True)
class Resources:
    """What one pack of folds asks of the cluster.

    Attributes
    ----------
    cpus : cores, and torch threads, of a worker.
    gpu : fraction of a GPU; used only where the cluster has GPUs.
    pack : the most folds that one Ray Tune trial trains. Cheap folds want large packs.
    """

    cpus: int = 1
    gpu: float = 0.25
    pack: int = 8


@dataclass(frozen=True)
class PublishedScore:
    """A score that is printed elsewhere.

    Attributes
    ----------
    benchmark : databases, protocol, and a part of a composite or a number of classes, such as ``SAMM loso 3 classes``.
    uf1, uar, accuracy : in 0..1; None where the source does not print it.
    selection : which epoch was scored.
    reference : where it was read.
    f1 : in 0..1; an F1 of which the source does not say how it averages over classes or folds. Do not compare it with
        UF1.
    """

    benchmark: str
    uf1: float | None
    uar: float | None
    selection: Literal["last", "validation", "oracle", "unknown"]
    reference: str
    accuracy: float | None = None
    f1: float | None = None


@dataclass(frozen=True)
class Checked:
    """How a form of a network was held against its authors' class: same weights, same input, outputs compared.

    Weights and input follow a rule (``bench/checks/published_numbers.py``); a test pins the outputs.

    Attributes
    ----------
    against : the class: ``owner/repository@commit, path: class``.
    form : the options of ours that were compared, where they are not the defaults.
    inputs : shape of each input, samples first.
    outputs : what the authors' class gave: the first numbers of its output, flattened, with six digits.
    difference : the largest one between all of its outputs and ours.
    n_classes : of the compared form.
    ranges : the least and the greatest number of each input; -1 and 1 where none are given.
    tolerance : how far ours may be from an output of less than 1, from larger ones in proportion; the default is for
        six printed digits and the order of summation. Less where the outputs hardly hang on the input; they have more
        digits then.
    """

    against: str
    form: Mapping[str, Any]
    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[float, ...]
    difference: float
    n_classes: int = 3
    ranges: tuple[tuple[float, float], ...] = ()
    tolerance: float = 2e-5


@dataclass(frozen=True)
class PublicWeights:
    """How files of trained weights that the authors publish for a network become ours (``merbench test --weights``).

    Attributes
    ----------
    source : where such files lie: ``owner/repository@commit, path``.
    names : pairs of a regular expression, which fits a whole name in the file, and our name, with ``\\1`` for its first
        group. An empty name leaves the tensor out. Tensors that get the same name are joined along their first axis, in
        the order of the pairs and then of their names' numbers. Axes of length 1 may differ: a 1x1 convolution of one
        pixel is a matrix.
    channels : the order in which that network reads pictures of three channels: ``rgb`` as the feature holds them,
        ``bgr`` from the last to the first, as OpenCV reads files.
    form : the options of ours that give the network of these files, where they are not the defaults.
    """

    source: str
    names: tuple[tuple[str, str], ...]
    channels: Literal["rgb", "bgr"] = "rgb"
    form: Mapping[str, Any] = field(default_factory=dict)


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
    """A classical estimator: fitted once on a fold's training samples, without epochs.

    Features arrive as float32 arrays of shape (n, ...), in the order of ``ModelInfo.features``.
    """

    def fit(self, *features: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
        """Fit on training samples.

        Parameters
        ----------
        features : the features of the training samples, (n, ...) float32 each.
        y : (n,) int64, class indices; or (n, n_classes) int64, 0 and 1, where a sample may show several classes.
        rng : the only source of random numbers.
        """

    def scores(self, *features: np.ndarray) -> np.ndarray:
        """Return a score for every sample and class.

        Returns
        -------
        (n, n_classes) float32. The predicted class is the one with the highest score; where a sample may show several
        classes, all classes with a score above 0 are predicted. An estimator that takes no feature returns one row, (1,
        n_classes), which counts for every sample.
        """

    def state(self) -> dict[str, np.ndarray]:
        """Return everything that ``scores`` needs, as arrays; they are stored as safetensors, never pickled."""

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from what ``state`` returned, so that ``scores`` gives the same bits."""


Criterion = Callable[["Tensor", "Tensor"], "Tensor"]
"""The loss that the engine would train with, ``criterion(logits, labels)``: a mean over the batch's samples."""


class NetworkWithLoss(Protocol):
    """A network with a loss of its own, one that cross-entropy of the logits cannot express.

    Other methods are optional. ``prepare_training(self, labels, action_units)`` fits something before the training
    starts, such as how often action units occur together. It is called once a fold with the training samples alone,
    labels as for ``loss`` and action units as int8. It keeps what it finds in registered buffers, so that stored
    weights hold it.
    """

    def forward(self, *features: Tensor) -> Tensor:
        """Return the logits (n, n_classes)."""

    def loss(self, *features: Tensor, labels: Tensor, criterion: Criterion) -> Tensor:
        """Run the network on a batch, once, and return the training loss.

        A network that learns action units declares one more keyword, ``action_units``: (n, 12) float32, a column for
        each of ``preprocess.labels.action_units.SHARED_UNITS``. 1 means that the sample shows the unit, 0 that it does
        not; a row of -1 means that nobody annotated the sample, and it must not count. Other networks do not get this
        argument.

        Parameters
        ----------
        features : the features of the batch; after those that ``forward`` takes, the model's targets.
        labels : (n,) int64, class indices; or (n, n_classes), 0 and 1, in a multi-label task.
        criterion : the engine's own loss, with the recipe's class weights. A network may add to it, or ignore it and
            with it the class weights.

        Returns
        -------
        A scalar.
        """


Reduction = Callable[["Tensor"], "Tensor"]
"""What a network looks at of a feature (n, ...), float32: smaller pictures, some of the frames."""


class NetworkWithReductions(Protocol):
    """A network that looks at less than the whole features: smaller pictures, or only some of the frames.

    The engine then reduces each feature once, before training, and not in every batch. ``forward`` applies the
    reductions itself, so that it takes whole features and reduced ones.

    Attributes
    ----------
    reductions : for each feature, a function or None. The function reduces each sample by itself, to the bit whatever
        others are with it, draws no random numbers, and learns nothing. It is linear, and a constant picture keeps its
        value, so that values may be scaled before or after it. What is reduced already stays as it is. Two objects
        that do the same compare equal.
    """

    reductions: tuple[Reduction | None, ...]


ESTIMATOR_METHODS = ("fit", "scores", "state", "load_state")
