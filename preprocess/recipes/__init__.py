"""Recipes: named features as chains of steps, read from YAML files or made in Python; hashed and versioned.

The built-in ones are the YAML files beside this module. Each maps the names of features to ``version``, ``summary``,
``shape``, ``axes``, ``dtype`` and ``steps`` (a list of ``name`` or ``name: {option: value}``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from preprocess.base.errors import DataError, UsageError
from preprocess.base.hashing import canonical_json, digest_bytes
from preprocess.base.registry import Registry
from preprocess.samples.layout import Content, Layout, check_axes
from preprocess.steps import STEPS, Work, stamp

if TYPE_CHECKING:
    import numpy as np

    from preprocess.faces.face import FaceFinder
    from preprocess.samples.clip import Clip


@dataclass(frozen=True)
class FeatureRecipe:
    """One named feature: how it is made from a clip.

    Attributes
    ----------
    name : what models and the command line call the feature.
    version : raised by hand where something else than the recipe and the steps' versions changes the numbers.
    summary : what the feature is, in a line or two.
    shape : of one sample's tensor, checked for every clip.
    axes : a letter of ``preprocess.samples.layout.AXES`` for each axis of the tensor.
    dtype : of the tensor, checked for every clip.
    steps : (step name, options) in order.

    Raises
    ------
    UsageError : the axes do not name the axes of the shape.
    """

    name: str
    version: int
    summary: str
    shape: tuple[int, ...]
    axes: str
    dtype: str
    steps: tuple[tuple[str, dict[str, Any]], ...]

    def __post_init__(self) -> None:
        check_axes(self.axes, self.shape, f"Feature {self.name}")

    @property
    def layout(self) -> Layout:
        """What the axes and values of the tensor mean: the axes as the recipe says, the rest as its steps say."""
        return Layout(self.axes, self.shape, self._content())

    def _content(self) -> Content:
        content = RECORDING
        for place, (name, given) in enumerate(self.steps, start=1):
            step = STEPS.get(name)
            last = place == len(self.steps)
            shows = step.tensor if last else step.pictures or step.tensor
            if shows is None:
                return _unsaid(name, last)
            content = shows(content, step.options(given, f"feature {self.name}"))
        return content

    def as_json(self) -> dict[str, Any]:
        """Return everything that decides the tensor, for hashing.

        Each step stands there with its stamp and all of its options; a file of weights counts by its content, not by
        its path. Axes are left out: they say what the numbers mean and change none of them, so that shards stay when
        axes are corrected. A study's key holds them as part of the feature's layout.

        Raises
        ------
        DataError : a file of weights cannot be read.
        UsageError : a step is not known, or has no such option.
        """
        place = f"feature {self.name}"
        chain = [(STEPS.get(name), _by_content(options, place)) for name, options in self.steps]
        return {
            "name": self.name,
            "version": self.version,
            "source": "clip",
            "shape": list(self.shape),
            "dtype": self.dtype,
            "steps": [[step.name, stamp(step), step.options(options, place)] for step, options in chain],
        }

    def compute(self, clip: Clip, finder: FaceFinder, made: dict[str, Work] | None = None) -> Work:
        """Run the chain of steps on one clip.

        Parameters
        ----------
        clip : the frames and their key frames.
        finder : finds the clip's face.
        made : the works that chains of steps have made of this very clip; what this recipe makes is added. Features
            that begin with the same steps (finding the face, reading frames, flow) so run them once. None: nothing is
            shared.

        Returns
        -------
        The work after the last step; its ``tensor`` has the recipe's shape and dtype.

        Raises
        ------
        ClipError : the clip cannot be used.
        DataError : the chain does not make what the recipe promises.
        """
        made = {} if made is None else made
        work, chain = Work(clip=clip, finder=finder), []
        for name, given in self.steps:
            step = STEPS.get(name)
            options = step.options(given, f"feature {self.name}")
            chain.append([name, options])
            key = canonical_json(chain)
            if key not in made:
                made[key] = step.run(work, **options)
            work = made[key]
        _check(self, work.tensor, clip)
        return work


RECORDING = Content(whole=True, photo=True)
"""What frames show before the first step: the whole picture, as it was recorded."""

FEATURES: Registry[FeatureRecipe] = Registry("feature", package="preprocess.recipes")


def recipes_of(features: Sequence[str]) -> dict[str, FeatureRecipe]:
    """Return feature -> recipe of those that have one; datasets may bring others ready-made."""
    known = set(FEATURES.names())
    return {name: FEATURES.get(name) for name in features if name in known}


def load_recipes(file: Path | str) -> list[FeatureRecipe]:
    """Read and register the recipes of a YAML file.

    Parameters
    ----------
    file : its path.

    Returns
    -------
    The recipes, in the order of the file.

    Raises
    ------
    UsageError : naming file, feature and key, for what cannot be read or is no recipe.
    """
    file = Path(file)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"Recipe file {file} cannot be read: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise UsageError(f"Recipe file {file}: expected feature names with their recipes, found {content!r}.")
    recipes = [_recipe(str(name), value, f"{file}: {name}") for name, value in content.items()]
    for recipe in recipes:
        FEATURES.add(recipe.name, recipe, origin=str(file))
    return recipes


def add_recipe(name: str, recipe: Mapping[str, Any], origin: str) -> FeatureRecipe:
    """Register a recipe that is written in Python, for example beside a step of its own.

    Parameters
    ----------
    name : of the feature.
    recipe : ``version``, ``summary``, ``shape``, ``axes``, ``dtype`` and ``steps``, as in a YAML file.
    origin : where it comes from, ``__name__``.

    Raises
    ------
    UsageError : a key is missing or wrong, a step or an option unknown, or the name taken.
    """
    return FEATURES.add(name, _recipe(name, recipe, f"{origin}: {name}"), origin)


_HINTS = {"axes": " Give a letter for each axis of the shape, such as `axes: tchw` (time, channel, row, column)."}
"""What else is said of a key that is missing or of another type."""


def _recipe(name: str, value: Any, place: str) -> FeatureRecipe:
    wanted = {"version": int, "summary": str, "shape": list, "axes": str, "dtype": str, "steps": list}
    if not isinstance(value, Mapping) or not set(value) <= set(wanted):
        raise UsageError(f"{place}: expected the keys {', '.join(wanted)}; found {value!r}.")
    for key, kind in wanted.items():
        if key not in value:
            raise UsageError(f"{place}: the key {key} is missing; found {', '.join(value)}.{_HINTS.get(key, '')}")
        if not isinstance(value[key], kind):
            raise UsageError(f"{place}: {key} is {value[key]!r}; expected {kind.__name__}.{_HINTS.get(key, '')}")
    steps = tuple(_step(entry, place) for entry in value["steps"])
    shape = tuple(int(size) for size in value["shape"])
    check_axes(value["axes"], shape, place)
    return FeatureRecipe(name, value["version"], value["summary"], shape, value["axes"], value["dtype"], steps)


def _step(entry: Any, place: str) -> tuple[str, dict[str, Any]]:
    if isinstance(entry, str):
        entry = {entry: {}}
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise UsageError(f"{place}: a step is a name, or a name with its options; found {entry!r}.")
    ((name, options),) = entry.items()
    options = {} if options is None else options
    if not isinstance(options, Mapping):
        raise UsageError(f"{place}: step {name}: expected options as key: value; found {options!r}.")
    STEPS.get(str(name)).options(dict(options), place)
    return str(name), dict(options)


def _unsaid(step: str, last: bool) -> Content:
    what, argument = ("its tensor shows", "tensor") if last else ("frames and flow show after it", "pictures")
    return Content(
        unknown=f"its step {step} does not say what {what}; declare it: register_step({step!r}, ..., {argument}=...)"
    )


def _by_content(options: dict[str, Any], place: str) -> dict[str, Any]:
    """Return a step's options with the sha256 of a weights file in the place of its path."""
    if options.get("weights") is None:
        return options
    try:
        content = Path(options["weights"]).read_bytes()
    except OSError as error:
        raise DataError(f"{place}: the weights {options['weights']} cannot be read: {error.strerror}.") from error
    return {**options, "weights": digest_bytes(content)}


def _check(recipe: FeatureRecipe, tensor: np.ndarray | None, clip: Clip) -> None:
    import numpy as np

    if tensor is None:
        raise DataError(f"Feature {recipe.name}: its steps end without a tensor. Add a last step that makes one.")
    if tensor.shape != recipe.shape or tensor.dtype != np.dtype(recipe.dtype):
        raise DataError(
            f"Feature {recipe.name} of {clip.sample_id} is {tensor.dtype} {tensor.shape}; its recipe promises "
            f"{recipe.dtype} {recipe.shape}. Correct the recipe."
        )
