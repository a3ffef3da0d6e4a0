"""Search spaces of a run's models, and the configurations that are drawn from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.config import RunConfig
from bench.engine.selection import Selection
from bench.plan.choosing import rung_sizes
from mer_models.registry import MODELS, ModelInfo
from mer_models.search import Space, fitted
from preprocess.base.errors import UsageError, did_you_mean
from preprocess.base.hashing import digest
from results.store.watched import INNER

Configuration = dict[str, Any]
"""The hyper-parameters that differ from a run's own; the default has none."""

NOT_TUNED = {key: RunConfig.model_fields[key].default for key in ("configs", "inner", "search", "halving")}
"""The options of a search, and their values where there is none."""

_TRIES = 100
"""So many draws for each configuration, before a space is said to hold no more of them."""


def tuned(selections: Sequence[Selection]) -> bool:
    """Return whether one of the selections chooses among configurations."""
    return any(rule.watches == INNER for rule in selections)


def search_spaces(
    config: RunConfig, models: Mapping[str, Mapping[str, Any]], selections: Sequence[Selection]
) -> dict[str, Space]:
    """Return model -> what is tried of it; nothing of a model without hyper-parameters to try, or where none is tuned.

    What ``--search`` says of a model stands in place of the model's own space. Of that, what ``--set`` and ``--epochs``
    fix is not tried.

    Parameters
    ----------
    config : the run.
    models : name -> all hyper-parameters of the default.
    selections : its selections.

    Raises
    ------
    UsageError : options of a search that is not asked for; a model or hyper-parameter that is not there; a value that
        it does not take; no model with anything to try.
    """
    if not tuned(selections):
        if given := [key for key, default in NOT_TUNED.items() if getattr(config, key) != default]:
            raise UsageError(
                f"--{given[0]} does nothing without --selection tuned: {', '.join(rule.name for rule in selections)} "
                "choose no hyper-parameters."
            )
        return {}
    if config.halving and len(rung_sizes(config.configs, halving=True)) == 1:
        raise UsageError(f"--halving with --configs {config.configs}: there is nothing to halve. Give 4 or more.")
    infos = {name: MODELS.get(name) for name in models}
    spaces = {name: _own_space(info, models[name], config) for name, info in infos.items()} | _asked(config, infos)
    if not any(spaces.values()):
        raise UsageError(
            f"--selection tuned: nothing to try, for the search space of {', '.join(infos)} is empty. Name what to try "
            "with --search MODEL.KEY=LOW..HIGH, or another model or selection."
        )
    return spaces


def configurations(
    info: ModelInfo, space: Space, values: Mapping[str, Any], count: int, seed: int
) -> list[Configuration]:
    """Return what is tried of a model: the default, then what is drawn, each once.

    A larger ``count`` only adds: what is drawn before stays. A small space may hold fewer.

    Parameters
    ----------
    info : the model.
    space : what is tried of each hyper-parameter.
    values : all hyper-parameters of the default.
    count : how many are wanted, the default among them.
    seed : of the study.
    """
    found: list[Configuration] = [{}]
    default, everything = tuple(values[key] for key in space), math.prod(domain.size for domain in space.values())
    seen: set[tuple[Any, ...]] = set()
    for draw in range(1, _TRIES * count):
        if len(found) == count or len(seen) == everything:
            break
        drawn = tuple(_drawn(info.name, key, domain, seed, draw) for key, domain in space.items())
        if drawn not in seen and drawn != default:
            found.append({key: value for key, value in zip(space, drawn, strict=True) if value != values[key]})
        seen.add(drawn)
    return found


def _drawn(model: str, key: str, domain: Any, seed: int, draw: int) -> Any:
    """Draw one value. Each has a stream of its own, so that another key, or more draws, leave it as it is."""
    return domain.draw(np.random.default_rng(int(digest(["search", seed, model, key, draw])[:16], 16)))


def _own_space(info: ModelInfo, values: Mapping[str, Any], config: RunConfig) -> Space:
    fixed = {setting.rpartition(".")[2] for setting in config.set if setting.rpartition(".")[0] == info.name}
    fixed |= {"epochs"} if config.epochs is not None else set()
    return {key: domain for key, domain in info.space(values).items() if key not in fixed}


def _asked(config: RunConfig, infos: Mapping[str, ModelInfo]) -> dict[str, Space]:
    """Return the spaces that ``--search`` names."""
    asked: dict[str, dict[str, Any]] = {}
    for setting, domain in config.search.items():
        model, _, key = setting.rpartition(".")
        where = config.where_set(setting, "search")
        if model not in infos:
            MODELS.get(model)
            raise UsageError(f"{where}: model {model!r} is not in this run ({', '.join(infos)}).")
        known = infos[model].hyperparameters()
        if key not in known:
            raise UsageError(f"{where}: {model} has no hyper-parameter {key!r}. {did_you_mean(key, known)}")
        try:
            asked.setdefault(model, {})[key] = fitted(domain, key, known[key])
        except ValueError as error:
            raise UsageError(f"{where}: {str(error).removeprefix(f'{key}: ')}.") from None
    return dict(asked)
