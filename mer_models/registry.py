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
    """

    def decorate(cls: type) -> type:
        signature = inspect.signature(cls)
        params = {key: value.default for key, value in signature.parameters.items() if key != "n_classes"}
        if any(default is inspect.Parameter.empty for default in params.values()):
            raise TypeError(f"{cls.__qualname__}: every hyper-parameter needs a default, so that a run can be named")
        home = Path(inspect.getfile(cls))
        info = ModelInfo(
            name=name,
            kind="network" if recipe else "estimator",
            build=cls,
            features=features,
            params=params,
            recipe=recipe,
            resources=resources or Resources(),
            paper=paper,
            published=published,
            sources=(home, *(home.parent / other for other in shares)),
        )
        MODELS.add(name, info, origin=f"{cls.__module__}.{cls.__qualname__}")
        return cls

    return decorate
