"""What a model tells the benchmark about itself, and the one registry of all models."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.base.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Recipe:
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
        the sample shows each of ``preprocess.action_units.SHARED_UNITS``, 0 where not, and a row of -1 where nobody
        annotated it, which must weigh nothing. It is not passed to a network that does not declare it.

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


@dataclass(frozen=True)
class ModelInfo:
    """One model of the registry.

    build : called as ``build(n_classes=..., **params)``; gives a ``torch.nn.Module`` whose ``forward(*features)``
        returns logits (n, n_classes), and which may be a ``NetworkWithLoss`` and a ``NetworkWithReductions``; or an
        Estimator.
    features : names of the features that ``forward`` or ``fit`` takes, in order.
    params : the builder's keyword arguments with their defaults (``as_published`` among them where it has one).
    multilabel : it also serves multi-label tasks, in which each logit or score answers a yes-or-no question.
    one_class_where : settings that take this from it where they are true.
    published_input : with ``as_published`` it is shown what the public code shows it, which takes the recipe's
        ``input_range``.
    quick : hyper-parameters that the presets ``quick`` and ``smoke`` put in the defaults' place, so that a laptop can
        train it: a smaller network, smaller images, fewer epochs. They stand in the model's name like any that differ.
    """

    name: str
    kind: Literal["network", "estimator"]
    build: Callable[..., Any]
    features: tuple[str, ...]
    params: dict[str, Any]
    recipe: Recipe | None
    resources: Resources
    paper: str
    published: tuple[PublishedScore, ...] = ()
    multilabel: bool = True
    one_class_where: tuple[str, ...] = ()
    published_input: bool = False
    sources: tuple[Path, ...] = field(default=(), repr=False)
    quick: dict[str, Any] = field(default_factory=dict)

    @property
    def uses_action_units(self) -> bool:
        """Whether the network is trained with action units: its ``loss`` takes them, or it has ``prepare_training``."""
        if callable(getattr(self.build, "prepare_training", None)):
            return True
        loss = getattr(self.build, "loss", None)
        return callable(loss) and "action_units" in inspect.signature(loss).parameters

    def one_class_only(self, values: Mapping[str, Any]) -> str:
        """Return the form of the model, with these hyper-parameters, that serves no multi-label task; "" if it does."""
        form = next((f"{self.name} with {name}=True" for name in self.one_class_where if values[name]), "")
        return form or ("" if self.multilabel else self.name)

    def hyperparameters(self) -> dict[str, Any]:
        """Return every settable name with its default: the builder's params and the recipe's fields."""
        recipe = dataclasses.asdict(self.recipe) if self.recipe else {}
        return {**recipe, **self.params}


MakeMember = Callable[[str], ModelInfo]


class ModelRegistry(Registry[ModelInfo]):
    """Models by name, and families of models: ``timm/<name>`` is made the first time it is asked for.

    Members that are registered as well are listed like any model; a shell pattern picks among the listed ones only.
    """

    def __init__(self, package: str | None = None) -> None:
        super().__init__("model", package)
        self._families: dict[str, MakeMember] = {}

    def add_family(self, family: str, make: MakeMember) -> None:
        """Let ``make`` answer for every ``<family>/<member>``; it raises UsageError for a member that is unknown."""
        self._families[family] = functools.cache(make)

    def get(self, name: str) -> ModelInfo:
        """Return the model called ``name``; UsageError names near matches when there is none."""
        return self._member(name) or super().get(name)

    def select(self, patterns: list[str]) -> list[str]:
        """Return the names that the patterns pick, in the patterns' order, none twice; members of families too.

        Raises UsageError for a pattern that picks nothing.
        """
        chosen: dict[str, None] = {}
        for pattern in patterns:
            found = [pattern] if self._member(pattern) else super().select([pattern])
            chosen.update(dict.fromkeys(found))
        return list(chosen)

    def _member(self, name: str) -> ModelInfo | None:
        self._load()
        family, _, member = name.partition("/")
        if name in self._entries or family not in self._families or any(mark in member for mark in "*?["):
            return None
        if not member:
            raise UsageError(f"Model {name!r}: say which one of the family, as {family}/NAME.")
        return self._families[family](member)


MODELS = ModelRegistry(package="mer_models")

RECIPE_FIELDS = frozenset(entry.name for entry in dataclasses.fields(Recipe))
ESTIMATOR_METHODS = ("fit", "scores", "state", "load_state")


def register_model(
    name: str,
    *,
    features: tuple[str, ...],
    paper: str,
    recipe: Recipe | None = None,
    resources: Resources | None = None,
    published: tuple[PublishedScore, ...] = (),
    shares: tuple[str, ...] = (),
    multilabel: bool = True,
    one_class_where: tuple[str, ...] = (),
    published_input: bool = False,
    quick: Mapping[str, Any] | None = None,
) -> Callable[[type], type]:
    """Return a decorator that registers a network (it has a recipe) or an estimator (it has none).

    shares : file names in the model's folder whose code the model uses too; they count in its code fingerprint.
    multilabel : whether it serves multi-label tasks as well, as any network does whose logits may answer yes-or-no
        questions.
    one_class_where : settings, such as ``as_published``, that take this from it where they are true.
    published_input : whether ``as_published`` says what the network is shown, so that it goes with the recipe's own
        ``input_range`` alone: another one in ``quick`` is not taken then, and one that is set is refused.
    quick : hyper-parameters, the builder's or the recipe's, with which a laptop trains it in seconds a fold; the
        presets ``quick`` and ``smoke`` take them.
    The keyword arguments of the class's ``__init__`` other than ``n_classes`` become its hyper-parameters.

    The decorator raises TypeError, naming the class, where the model could not be run or told apart later: a
    hyper-parameter without a default or with the name of a recipe's field, a quick one that is unknown or of another
    type than its default, no ``n_classes``, no features, no paper, a recipe without ``forward``, or no recipe and not
    all of an Estimator's methods. FileNotFoundError where a shared file is missing; UsageError, naming both origins,
    where the name is taken.
    """

    def decorate(cls: type) -> type:
        info = describe_model(
            cls,
            name,
            features=features,
            paper=paper,
            recipe=recipe,
            resources=resources,
            published=published,
            shares=shares,
            multilabel=multilabel,
            one_class_where=one_class_where,
            published_input=published_input,
            quick=quick,
        )
        MODELS.add(name, info, origin=f"{cls.__module__}.{cls.__qualname__}")
        return cls

    return decorate


def describe_model(
    cls: type,
    name: str,
    *,
    features: tuple[str, ...],
    paper: str,
    recipe: Recipe | None = None,
    resources: Resources | None = None,
    published: tuple[PublishedScore, ...] = (),
    shares: tuple[str, ...] = (),
    multilabel: bool = True,
    one_class_where: tuple[str, ...] = (),
    published_input: bool = False,
    quick: Mapping[str, Any] | None = None,
) -> ModelInfo:
    """Return a model's entry without registering it: what a family makes of its members.

    Arguments and errors as of ``register_model``.
    """
    _check_interface(cls, features, paper, recipe)
    info = ModelInfo(
        name=name,
        kind="network" if recipe else "estimator",
        build=cls,
        features=features,
        params=_hyperparameters(cls),
        recipe=recipe,
        resources=resources or Resources(),
        paper=paper,
        published=published,
        multilabel=multilabel,
        one_class_where=one_class_where,
        published_input=published_input,
        sources=_sources(cls, shares),
        quick=dict(quick or {}),
    )
    _check_settings(info)
    return info


def _check_settings(info: ModelInfo) -> None:
    known = info.hyperparameters()
    if info.published_input and not (info.recipe and type(known.get("as_published")) is bool):
        raise TypeError(f"{info.name}: published_input is for networks with the setting as_published, true or false")
    for key in info.one_class_where:
        if type(known.get(key)) is not bool:
            raise TypeError(f"{info.name}: one_class_where names {key!r}, which is no setting that is true or false")
    for key, value in info.quick.items():
        if key not in known:
            raise TypeError(f"{info.name}: quick names {key!r}, which is no hyper-parameter: {', '.join(known)}")
        if type(value) is not type(known[key]):
            raise TypeError(f"{info.name}: quick gives {key}={value!r}, but the default is {known[key]!r}")


def _check_interface(cls: type, features: tuple[str, ...], paper: str, recipe: Recipe | None) -> None:
    if isinstance(features, str) or not features:
        raise TypeError(f"{cls.__qualname__}: features is {features!r}, but must be a tuple of feature names")
    if not paper.strip():
        raise TypeError(
            f"{cls.__qualname__}: paper is empty; name the source, or say that it is a baseline without one"
        )
    expected = ("forward",) if recipe else ESTIMATOR_METHODS
    missing = [method for method in expected if not callable(getattr(cls, method, None))]
    if missing:
        kind = "a network (it has a recipe)" if recipe else "an estimator (it has no recipe)"
        raise TypeError(f"{cls.__qualname__}: {kind} needs {', '.join(expected)}; missing: {', '.join(missing)}")


def _hyperparameters(cls: type) -> dict[str, Any]:
    parameters = dict(inspect.signature(cls).parameters)
    if parameters.pop("n_classes", None) is None:
        raise TypeError(f"{cls.__qualname__}: __init__ must take n_classes")
    for key, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty:
            raise TypeError(
                f"{cls.__qualname__}: hyper-parameter {key!r} has no default; every one needs a name and a default, "
                "so that a run can be named"
            )
        if key in RECIPE_FIELDS:
            raise TypeError(
                f"{cls.__qualname__}: hyper-parameter {key!r} has the name of a training recipe's field, so that "
                "setting it would be ambiguous; rename it"
            )
    return {key: parameter.default for key, parameter in parameters.items()}


def _sources(cls: type, shares: tuple[str, ...]) -> tuple[Path, ...]:
    home = Path(inspect.getfile(cls))
    sources = (home, *(home.parent / other for other in shares))
    for path in sources:
        if not path.is_file():
            raise FileNotFoundError(f"{cls.__qualname__}: shares names {path}, which does not exist")
    return sources
