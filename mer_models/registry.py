"""What a model tells the benchmark about itself, and the one registry of all models."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Required, TypedDict, Unpack

from mer_models.contracts import (
    ESTIMATOR_METHODS,
    RECIPE_FIELDS,
    Checked,
    PublicWeights,
    PublishedScore,
    Refused,
    Resources,
    TrainingRecipe,
)
from mer_models.search import Space, domain, fitted, loguniform
from preprocess.base.errors import UsageError, did_you_mean
from preprocess.base.registry import Registry, note


@dataclass(frozen=True)
class ModelInfo:
    """One model of the registry.

    Attributes
    ----------
    name : in listings, settings and keys.
    kind : a network has a recipe, an estimator has none.
    build : called as ``build(n_classes=..., **params)``; gives a ``torch.nn.Module`` whose ``forward(*features)``
        returns logits (n, n_classes), and which may be a ``NetworkWithLoss`` and a ``NetworkWithReductions``; or an
        Estimator.
    params : the builder's keyword arguments with their defaults (``as_published`` among them where it has one).
    file : where it is defined; its code is fingerprinted from here.

    All others are those of ``ModelFacts``.
    """

    name: str
    kind: Literal["network", "estimator"]
    build: Callable[..., Any]
    params: dict[str, Any]
    file: Path = field(repr=False)
    features: tuple[str, ...]
    paper: str
    resources: Resources
    recipe: TrainingRecipe | None = None
    published: tuple[PublishedScore, ...] = ()
    checked: tuple[Checked, ...] = ()
    public_weights: PublicWeights | None = None
    multilabel: bool = True
    one_class_where: tuple[str, ...] = ()
    published_input: bool = False
    seen_before: tuple[str, ...] = ()
    quick: Mapping[str, Any] = field(default_factory=dict)
    two_classes: Mapping[str, Any] = field(default_factory=dict)
    refused: tuple[Refused, ...] = field(default=(), repr=False)
    targets: tuple[str, ...] = ()
    search: Mapping[str, Any] = field(default_factory=dict)

    def space(self, values: Mapping[str, Any]) -> Space:
        """Return what a tuned study tries; of a network that declares nothing, learning rates around its own.

        values : all hyper-parameters with the values that a run gives them.
        """
        if self.search:
            known = self.hyperparameters()
            return {name: fitted(domain(tried), name, known[name]) for name, tried in self.search.items()}
        return {"lr": loguniform(values["lr"] / 10, values["lr"] * 10)} if self.recipe else {}

    @property
    def inputs(self) -> tuple[str, ...]:
        """The features that ``forward`` or ``fit`` takes: all but the targets."""
        return self.features[: len(self.features) - len(self.targets)]

    @property
    def uses_action_units(self) -> bool:
        """Whether the network is trained with action units: its ``loss`` takes them, or it has ``prepare_training``."""
        if callable(getattr(self.build, "prepare_training", None)):
            return True
        loss = getattr(self.build, "loss", None)
        return callable(loss) and "action_units" in inspect.signature(loss).parameters

    @property
    def quick_params(self) -> dict[str, Any]:
        """The builder's keyword arguments in the model's quick form."""
        return {name: self.quick.get(name, default) for name, default in self.params.items()}

    @property
    def untrained_params(self) -> dict[str, Any]:
        """The builder's keyword arguments, with random weights where the model itself starts from trained ones."""
        return {**self.params, **({"pretrained": "none"} if "pretrained" in self.params else {})}

    def one_class_only(self, values: Mapping[str, Any]) -> str:
        """Return the form that these hyper-parameters choose, if it serves no multi-label task; else ""."""
        form = next((f"{self.name} with {name}=True" for name in self.one_class_where if values[name]), "")
        return form or ("" if self.multilabel else self.name)

    def hyperparameters(self, n_classes: int = 0) -> dict[str, Any]:
        """Return every settable name with its default: the builder's params and the recipe's fields.

        n_classes : of the task; 0 where it is not known, and for what holds in most tasks.
        """
        recipe = dataclasses.asdict(self.recipe) if self.recipe else {}
        return {**recipe, **self.params, **(self.two_classes if n_classes == 2 else {})}


MakeMember = Callable[[str], ModelInfo]


class ModelRegistry(Registry[ModelInfo]):
    """Models by name, and families of models: ``timm/<name>`` is made the first time it is asked for.

    Members that are registered as well are listed like any model; a shell pattern picks among the listed ones only.
    """

    def __init__(self, package: str | None = None) -> None:
        super().__init__("model", package)
        self._families: dict[str, MakeMember] = {}

    def add_family(self, family: str, make: MakeMember) -> None:
        """Let ``make`` answer for every ``<family>/<member>``.

        Parameters
        ----------
        family : the name before the slash.
        make : member -> the model's entry; it raises UsageError for a member that does not exist.
        """
        answer = self._families[family] = functools.cache(make)
        note(
            "model family",
            family,
            lambda: self._families.update({family: answer}),
            lambda: self._families.pop(family, None),
        )

    def get(self, name: str) -> ModelInfo:
        """Return the model called ``name``; UsageError names near matches when there is none."""
        return self._member(name) or super().get(name)

    def select(self, patterns: list[str]) -> list[str]:
        """Return the names that the patterns choose, members of families too, in their order, without doubles.

        Raises
        ------
        UsageError : a pattern fits no model.
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


class ModelFacts(TypedDict, total=False):
    """What a model's file says of the model: the keyword arguments of ``register_model`` and ``describe_model``.

    Attributes
    ----------
    features : names of the features that ``forward`` or ``fit`` takes, in order, and of the targets after them; empty
        for an estimator that looks at the training labels alone.
    paper : the source, or that it is a baseline without one.
    recipe : how a network is trained; an estimator has none.
    resources : what a pack of folds asks of the cluster; an estimator asks for no GPU.
    published : scores printed elsewhere.
    checked : comparisons of its forms with the authors' own classes, which a test repeats.
    public_weights : how trained weights that its authors publish become this network's.
    multilabel : whether it serves multi-label tasks as well, as any network does whose logits may answer yes-or-no
        questions (default: True).
    one_class_where : settings, such as ``as_published``, with which it serves tasks of one class a sample only.
    published_input : whether ``as_published`` says what the network is shown. It then goes with the recipe's own
        ``input_range`` alone: another one among the quick values is left out, and one that is set is refused.
    seen_before : datasets on whose clips, without labels, the weights were trained that ``pretrained`` names. A study
        of one of them notes it, since such weights have seen the people whom a fold holds out.
    quick : hyper-parameters, the builder's or the recipe's, with which a laptop trains it in seconds a fold; the
        presets ``quick`` and ``smoke`` take them, and the tests build it with them.
    two_classes : hyper-parameters whose default is another one in tasks of two classes.
    refused : values that its options refuse, for the tests; where any are given, each option needs one, unless it is
        true or false.
    targets : the last of the features, where the network learns to estimate them beside the classes: its ``loss`` is
        given them after the others, as they are stored; ``forward`` never sees them.
    search : hyper-parameter -> what a tuned study may try of it: ``loguniform(LOW, HIGH)``, ``uniform(LOW, HIGH)`` of
        ``mer_models.search``, or a tuple of values. A network that says nothing has its learning rate tuned, from a
        tenth of its value to ten times as much.
    """

    features: Required[tuple[str, ...]]
    paper: Required[str]
    recipe: TrainingRecipe
    resources: Resources
    published: tuple[PublishedScore, ...]
    checked: tuple[Checked, ...]
    public_weights: PublicWeights
    multilabel: bool
    one_class_where: tuple[str, ...]
    published_input: bool
    seen_before: tuple[str, ...]
    quick: Mapping[str, Any]
    two_classes: Mapping[str, Any]
    refused: tuple[Refused, ...]
    targets: tuple[str, ...]
    search: Mapping[str, Any]


def register_model(name: str, **facts: Unpack[ModelFacts]) -> Callable[[type], type]:
    """Return a decorator that registers a network (it has a recipe) or an estimator (it has none).

    The keyword arguments of the class's ``__init__`` other than ``n_classes`` become its hyper-parameters.

    Raises
    ------
    TypeError : naming the class, a model that could not be run or told apart later: a hyper-parameter without a default
        or with the name of a recipe's field, a quick or refused one that is unknown, a quick one of another type than
        its default, no ``n_classes``, a network without features, no paper, a recipe without ``forward``, no recipe
        and not all of an Estimator's methods, an estimator that asks for a GPU.
    UsageError : naming both origins, where the name is taken.
    """

    def decorate(cls: type) -> type:
        MODELS.add(name, describe_model(cls, name, **facts), origin=f"{cls.__module__}.{cls.__qualname__}")
        return cls

    return decorate


def describe_model(cls: type, name: str, **facts: Unpack[ModelFacts]) -> ModelInfo:
    """Return a model's entry without registering it; a family makes its members so.

    Raises
    ------
    TypeError : as ``register_model``.
    """
    if unknown := facts.keys() - ModelFacts.__annotations__.keys():
        first = min(unknown)
        raise TypeError(
            f"{cls.__qualname__}: no fact of a model is called {first!r}. "
            f"{did_you_mean(first, list(ModelFacts.__annotations__))}"
        )
    recipe = facts.get("recipe")
    _check_interface(cls, facts.get("features"), facts.get("paper", ""), recipe)
    facts.setdefault("resources", Resources() if recipe else Resources(gpu=0.0))
    info = ModelInfo(
        name=name,
        kind="network" if recipe else "estimator",
        build=cls,
        params=_hyperparameters(cls),
        file=Path(inspect.getfile(cls)),
        **facts,
    )
    _check_settings(info)
    return info


def _check_settings(info: ModelInfo) -> None:
    known = info.hyperparameters()
    if info.targets and (info.features[-len(info.targets) :] != info.targets or not info.inputs):
        raise TypeError(
            f"{info.name}: targets is {info.targets}, but must be the last of its features {info.features}, not all"
        )
    if info.targets and not callable(getattr(info.build, "loss", None)):
        raise TypeError(f"{info.name}: only a loss of its own is given targets, and it has none")
    if info.published_input and not (info.recipe and type(known.get("as_published")) is bool):
        raise TypeError(f"{info.name}: published_input is for networks with the setting as_published, true or false")
    if info.seen_before and "pretrained" not in known:
        raise TypeError(f"{info.name}: seen_before is for models with the setting pretrained")
    for key in info.one_class_where:
        if type(known.get(key)) is not bool:
            raise TypeError(f"{info.name}: one_class_where names {key!r}, which is no setting that is true or false")
    for key in (refused.option for refused in info.refused):
        if key not in info.params:
            raise TypeError(f"{info.name}: refused names {key!r}, which is no option: {', '.join(info.params)}")
    if info.kind == "estimator" and info.resources.gpu:
        raise TypeError(f"{info.name}: an estimator computes on the CPU, but its resources ask for a GPU")
    for fact, values in (("quick", info.quick), ("two_classes", info.two_classes)):
        for key, value in values.items():
            if key not in known:
                raise TypeError(f"{info.name}: {fact} names {key!r}, which is no hyper-parameter: {', '.join(known)}")
            if type(value) is not type(known[key]):
                raise TypeError(f"{info.name}: {fact} gives {key}={value!r}, but the default is {known[key]!r}")
        if info.recipe:
            # Raises UsageError for values that no recipe takes.
            dataclasses.replace(info.recipe, **{key: values[key] for key in values if key in RECIPE_FIELDS})
    _check_search(info, known)
    if info.public_weights:
        _check_public_weights(info, info.public_weights)


def _check_search(info: ModelInfo, known: Mapping[str, Any]) -> None:
    for key in info.search:
        if key not in known:
            raise TypeError(f"{info.name}: search names {key!r}, which is no hyper-parameter: {', '.join(known)}")
    try:
        info.space(known)
    except ValueError as error:
        raise TypeError(f"{info.name}: search: {error}") from None


def _check_public_weights(info: ModelInfo, public: PublicWeights) -> None:
    if info.kind != "network" or not public.names:
        raise TypeError(f"{info.name}: public_weights is for networks, and needs the names in the file and ours")
    if unknown := public.form.keys() - info.params.keys():
        raise TypeError(f"{info.name}: public_weights has {min(unknown)!r} in its form, which is no option")
    for pattern, ours in public.names:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise TypeError(f"{info.name}: public_weights: {pattern!r} is no regular expression: {error}") from None
        if any(int(group) > groups for group in re.findall(r"\\(\d+)", ours)):
            raise TypeError(f"{info.name}: public_weights: {ours!r} names a group that {pattern!r} does not have")


def _check_interface(cls: type, features: tuple[str, ...] | None, paper: str, recipe: TrainingRecipe | None) -> None:
    if not isinstance(features, tuple):
        raise TypeError(f"{cls.__qualname__}: features is {features!r}, but must be a tuple of feature names")
    if recipe and not features:
        raise TypeError(f"{cls.__qualname__}: features is empty, but a network must look at one feature or more")
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
