"""Hyper-parameters of a run's models: the recipe's defaults, the preset, ``--epochs`` and ``--set``, in that order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.config import PRESET_EPOCHS, RunConfig
from bench.engine.augmentation import make_augmenter
from mer_models.contracts import RECIPE_FIELDS, TrainingRecipe, converted, expected_value
from mer_models.registry import MODELS, ModelInfo
from preprocess.base.errors import UsageError, did_you_mean
from preprocess.recipes import recipes_of
from preprocess.samples.layout import Layout


def resolve(config: RunConfig, models: Sequence[ModelInfo], n_classes: int = 0) -> dict[str, dict[str, Any]]:
    """Return model name -> every hyper-parameter with the value that a run gives it.

    Parameters
    ----------
    config : the run.
    models : its models.
    n_classes : of the task, as for ``ModelInfo.hyperparameters``.

    Raises
    ------
    UsageError : a setting of a model that is not in the run, an unknown key, a value of another type, or one that
        contradicts another.
    """
    infos = {info.name: info for info in models}
    resolved = {name: _defaults(info, config, n_classes) for name, info in infos.items()}
    for setting, value in config.set.items():
        # A model's name may hold dots, a hyper-parameter's does not.
        model, _, key = setting.rpartition(".")
        where = config.where_set(setting)
        if model not in resolved:
            MODELS.get(model)
            raise UsageError(f"{where}: model {model!r} is not in this run ({', '.join(infos)}).")
        known = resolved[model]
        if key not in known:
            raise UsageError(f"{where}: {model} has no hyper-parameter {key!r}. {did_you_mean(key, known)}")
        known[key] = _checked(where, value, infos[model], key)
    for name, values in resolved.items():
        _show_as_published(infos[name], values, config)
        check_recipe(infos[name], values)
        check_built_in_layouts(infos[name], values)
    return resolved


def changed(info: ModelInfo, values: dict[str, Any], n_classes: int = 0) -> dict[str, Any]:
    """Return the hyper-parameters whose value differs from the model's default in tasks of so many classes."""
    defaults = info.hyperparameters(n_classes)
    return {name: value for name, value in values.items() if value != defaults[name]}


def _defaults(info: ModelInfo, config: RunConfig, n_classes: int) -> dict[str, Any]:
    values = info.hyperparameters(n_classes)
    limit = PRESET_EPOCHS[config.resolved_preset()]
    if limit is not None:
        values |= info.quick
    if info.recipe:
        if config.epochs is not None:
            values["epochs"] = config.epochs
        elif limit is not None:
            values["epochs"] = min(values["epochs"], limit)
    return values


def _show_as_published(info: ModelInfo, values: dict[str, Any], config: RunConfig) -> None:
    """Give a network the input that its ``as_published`` speaks of, in place of its quick one's.

    Raises UsageError where another one is set beside ``as_published``.
    """
    if not (info.recipe and info.published_input and values["as_published"]):
        return
    published, setting = info.recipe.input_range, f"{info.name}.input_range"
    if setting in config.set and values["input_range"] != published:
        raise UsageError(
            f"{config.where_set(setting)}={values['input_range']}: with {info.name}.as_published=true the network is "
            f"shown what the public code shows it, which takes input_range {published}. Leave one of the two settings "
            "out."
        )
    values["input_range"] = published


def _checked(where: str, given: Any, info: ModelInfo, key: str) -> Any:
    """Return a value that was set in the type of the default; UsageError for one that the recipe or the type refuses.

    What a model's own options take is asked of the model itself (``checks.check_settings``).
    """
    default = info.hyperparameters()[key]
    value = converted(given, type(default))
    if expected := expected_value(key, value, default):
        raise UsageError(f"{where}={given}: expected {expected} (default {default!r}).")
    return value


def check_recipe(info: ModelInfo, values: dict[str, Any]) -> None:
    """Raise UsageError, naming the model, where its recipe contradicts itself or the network."""
    if not info.recipe:
        return
    try:
        recipe = TrainingRecipe(**{name: values[name] for name in RECIPE_FIELDS})
    except UsageError as error:
        raise UsageError(f"Model {info.name}: {error}") from None
    if recipe.mixup and callable(getattr(info.build, "loss", None)):
        raise UsageError(
            f"Model {info.name}: mixup is {recipe.mixup:g}, but the network has a loss of its own, whose labels cannot "
            "be mixed. Leave mixup at 0."
        )


def check_layouts(info: ModelInfo, values: dict[str, Any], layouts: Mapping[str, Layout]) -> None:
    """Check that a model's features can be scaled and augmented as its hyper-parameters say.

    Parameters
    ----------
    values : all of the model's hyper-parameters.
    layouts : feature -> its layout. Nothing is checked where one of the model's features is not there.

    Raises
    ------
    UsageError : naming the model, the feature and what it lacks.
    """
    if not info.recipe or not layouts.keys() >= set(info.features):
        return
    own = {name: layouts[name] for name in info.features}
    try:
        make_augmenter(values["augment"], own)
        shown = {name: own[name] for name in info.inputs}
        if values["input_range"] == "difference" and all(layout.time_axis is None for layout in shown.values()):
            raise UsageError(f"input_range difference finds no time in {', '.join(shown)}.")
        other = {name: layout.channels for name, layout in shown.items() if layout.channels != 3}
        if values["input_range"] == "imagenet" and other:
            found = ", ".join(f"{name}: {channels}" for name, channels in other.items())
            raise UsageError(f"input_range imagenet needs three channels, red, green and blue; {found}.")
    except UsageError as error:
        raise UsageError(f"Model {info.name}: {error}") from None


def check_built_in_layouts(info: ModelInfo, values: dict[str, Any]) -> None:
    """Check the same of the features as their recipes here make them."""
    check_layouts(info, values, {name: recipe.layout for name, recipe in recipes_of(info.features).items()})
