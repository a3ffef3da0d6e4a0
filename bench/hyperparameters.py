"""Hyper-parameters of a run's models: the recipe's defaults, the preset, ``--epochs`` and ``--set``, in that order."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from bench.config import PRESET_EPOCHS, RunConfig
from mer_models.registry import MODELS, ModelInfo, Recipe
from preprocess.base.errors import UsageError, did_you_mean


def resolve(config: RunConfig, models: list[str]) -> dict[str, dict[str, Any]]:
    """Return model name -> every hyper-parameter with the value this run gives it.

    Raises UsageError for a setting of a model that is not in the run, an unknown key or a value of another type.
    """
    resolved = {name: _defaults(MODELS.get(name), config) for name in models}
    for setting, value in config.set.items():
        model, _, key = setting.partition(".")
        if model not in resolved:
            MODELS.get(model)
            raise UsageError(f"--set {setting}: model {model!r} is not in this run ({', '.join(models)}).")
        known = resolved[model]
        if key not in known:
            raise UsageError(f"--set {setting}: {model} has no hyper-parameter {key!r}. {did_you_mean(key, known)}")
        known[key] = _checked(setting, value, MODELS.get(model), key)
    return resolved


def changed(info: ModelInfo, values: dict[str, Any]) -> dict[str, Any]:
    """Return the hyper-parameters whose value differs from the model's default."""
    defaults = info.hyperparameters()
    return {name: value for name, value in values.items() if value != defaults[name]}


def _defaults(info: ModelInfo, config: RunConfig) -> dict[str, Any]:
    values = info.hyperparameters()
    if info.recipe:
        limit = PRESET_EPOCHS[config.resolved_preset()]
        if config.epochs is not None:
            values["epochs"] = config.epochs
        elif limit is not None:
            values["epochs"] = min(info.recipe.epochs, limit)
    return values


def _checked(setting: str, value: Any, info: ModelInfo, key: str) -> Any:
    default = info.hyperparameters()[key]
    wanted = type(default)
    if wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
        value = float(value)
    elif wanted is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not wanted:
        raise UsageError(f"--set {setting}={value}: expected {wanted.__name__} (default {default!r}).")
    recipe_types = typing.get_type_hints(Recipe)
    choices = typing.get_args(recipe_types.get(key)) if key in {f.name for f in dataclasses.fields(Recipe)} else ()
    if choices and value not in choices:
        raise UsageError(f"--set {setting}={value}: expected one of {', '.join(map(str, choices))}.")
    if key in ("epochs", "batch_size") and value < 1:
        raise UsageError(f"--set {setting}={value}: expected 1 or more.")
    if key == "lr" and not value > 0:
        raise UsageError(f"--set {setting}={value}: expected a learning rate above 0.")
    return value
