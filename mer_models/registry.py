"""What a model tells the benchmark about itself, and the one registry of all models."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from preprocess.base.registry import Registry


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. Every field can be set from the command line as ``--set model.field=value``.

    lr : learning rate at the first epoch; multiplied by ``lr_gamma`` every ``lr_step`` epochs (0: constant).
    input_range : ``raw`` leaves 8-bit features at 0..255, ``unit`` divides them by 255, ``standard`` subtracts the
        mean and divides by the standard deviation of each channel, both fitted on the fold's training samples.
    shuffle : draw a new order of the training samples each epoch, from the fold's own seed.
    class_weights : weigh the loss by the inverse class frequency of the fold's training samples.
    """

    epochs: int
    batch_size: int
    lr: float
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    momentum: float = 0.0
    weight_decay: float = 0.0
    lr_step: int = 0
    lr_gamma: float = 1.0
    input_range: Literal["raw", "unit", "standard"] = "raw"
    shuffle: bool = True
    class_weights: bool = False


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
    """A score printed elsewhere: which benchmark, the numbers, which epoch was selected, and where it was read."""

    benchmark: str
    uf1: float
    uar: float
    selection: Literal["last", "validation", "oracle", "unknown"]
    source: str


class Estimator(Protocol):
    """A classical estimator: fitted once on a fold's training samples, no epochs.

    Features arrive as float32 arrays of shape (n, ...), in the order of ``ModelInfo.features``.
    """

    def fit(self, *features: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
        """Fit on training samples; y : (n,) int64 class indices; all randomness comes from ``rng``."""

    def scores(self, *features: np.ndarray) -> np.ndarray:
        """Return (n, n_classes) float32; the predicted class is the argmax of a row."""

    def state(self) -> dict[str, np.ndarray]:
        """Return everything that ``scores`` needs, as arrays (stored as safetensors, never pickled)."""

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Take up what ``state`` returned."""


@dataclass(frozen=True)
class ModelInfo:
    """One model of the registry.

    build : called as ``build(n_classes=..., **params)``; gives a ``torch.nn.Module`` whose ``forward(*features)``
        returns logits (n, n_classes), or an Estimator.
    features : names of the features that ``forward`` or ``fit`` takes, in order.
    params : the builder's keyword arguments with their defaults (``as_published`` among them where it has one).
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
    sources: tuple[Path, ...] = field(default=(), repr=False)

    def hyperparameters(self) -> dict[str, Any]:
        """Return every settable name with its default: the builder's params and the recipe's fields."""
        recipe = dataclasses.asdict(self.recipe) if self.recipe else {}
        return {**recipe, **self.params}


MODELS: Registry[ModelInfo] = Registry("model", package="mer_models")

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
) -> Callable[[type], type]:
    """Return a decorator that registers a network (it has a recipe) or an estimator (it has none).

    shares : file names in the model's folder whose code the model uses too; they count in its code fingerprint.
    The keyword arguments of the class's ``__init__`` other than ``n_classes`` become its hyper-parameters.

    The decorator raises TypeError, naming the class, where the model could not be run or told apart later: a
    hyper-parameter without a default or with the name of a recipe's field, no ``n_classes``, no features, no paper, a
    recipe without ``forward``, or no recipe and not all of an Estimator's methods. FileNotFoundError where a shared
    file is missing; UsageError, naming both origins, where the name is taken.
    """

    def decorate(cls: type) -> type:
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
            sources=_sources(cls, shares),
        )
        MODELS.add(name, info, origin=f"{cls.__module__}.{cls.__qualname__}")
        return cls

    return decorate


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
