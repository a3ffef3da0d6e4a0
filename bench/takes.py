"""What options a command takes: they are made from the declarations in ``bench.config.RunConfig``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_origin

import typer

from bench.config import RunConfig, load_config
from bench.options.option import Option, flag
from preprocess.base.plugins import load_plugins

ALL = tuple(RunConfig.model_fields)
"""The keys of all options."""

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE.yaml", help="A YAML file of the same keys; the command line wins."),
]


def takes(*keys: str, file: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command these options, and those that every command takes.

    The command is called with a ``RunConfig`` as its first argument; its other parameters, which typer reads, stay.
    Its plug-ins are loaded by then.

    Parameters
    ----------
    keys : fields of ``RunConfig``.
    file : whether ``--config FILE.yaml`` is taken too.
    """
    taken = [key for key in ALL if key in keys or declared(key).everywhere]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def told(**given: Any) -> None:
            said = {key: given.pop(key) for key in taken}
            options = {key: None if value == [] else value for key, value in said.items()}
            config = load_config(given.pop("config_file", None), options)
            load_plugins(config.plugins)
            command(config, **given)

        _, *own = inspect.signature(command, eval_str=True).parameters.values()
        made = [_parameter(key, _annotation(key)) for key in taken]
        if file:
            made.append(_parameter("config_file", ConfigFile))
        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in [*made, *own]]
        told.__name__, told.__doc__, told.__module__ = command.__name__, command.__doc__, command.__module__
        told.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        told.__dict__["__signature__"] = inspect.Signature(parameters)
        return told

    return decorate


def declared(key: str) -> Option:
    """Return the declaration of an option."""
    return next(mark for mark in RunConfig.model_fields[key].metadata if isinstance(mark, Option))


def default_text(key: str) -> str:
    """Return the default of an option in words; empty where it is off, or nothing."""
    default = RunConfig.model_fields[key].default
    if said := declared(key).default:
        return said
    return ",".join(map(str, default)) if isinstance(default, list) else str(default or "")


def _parameter(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _annotation(key: str) -> Any:
    """Return what typer makes an option of. Values stay texts: ``RunConfig`` reads them, as it reads those of YAML."""
    option, kind = declared(key), RunConfig.model_fields[key].annotation
    default = default_text(key)
    text = f"{option.help} Default: {default}." if default else option.help
    if kind is bool:
        return Annotated[bool | None, typer.Option(f"{flag(key)}/--no-{flag(key)[2:]}", help=text)]
    repeated = get_origin(kind) in (list, dict)
    return Annotated[
        list[str] | None if repeated else str | None, typer.Option(flag(key), metavar=option.metavar, help=text)
    ]
