"""The types of options: how a text of the command line or of a YAML file becomes a value. Values pass as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from preprocess.base.errors import UsageError

_SWITCH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def words(value: Any) -> Any:
    """Return the names of a text ``a,b``, or of a list of such texts."""
    if not isinstance(items(value), list):
        return value
    return [word for item in items(value) for word in (_words(item) if isinstance(item, str) else [item])]


def items(value: Any) -> Any:
    """Return a single text as a list of one. Nothing is split: a path may hold a comma."""
    return [value] if isinstance(value, str) else value


def numbers(value: Any) -> Any:
    """Return the whole numbers of a text ``0,1``, or of a list of such texts."""
    found = words(value)
    return [number(one) for one in found] if isinstance(found, list) else number(found)


def number(value: Any) -> Any:
    """Return the whole number that a text says, ``1e2`` too; any other text as it is, to be refused."""
    if not isinstance(value, str):
        return value
    try:
        return int(value)
    except ValueError:
        pass
    try:
        whole = float(value)
    except ValueError:
        return value
    return int(whole) if whole.is_integer() else value


def shifts(value: Any) -> Any:
    """Return the names of shifts, ``2`` or ``5%``, of a text ``1,2,5%``, of a number, or of a list of such.

    Raises
    ------
    ValueError : what is no shift.
    """
    from preprocess.samples.shift import parse_shift

    found = words([value] if isinstance(value, int) and not isinstance(value, bool) else value)
    if not isinstance(found, list):
        return found
    if not found and value != []:
        raise ValueError("needs at least one number of frames, such as 2, or share of the clip, such as 5%")
    try:
        return list(dict.fromkeys(parse_shift(str(one)).name for one in found))
    except UsageError as error:
        raise ValueError(str(error)) from None


def switch(value: Any) -> Any:
    """Return whether a text says yes: true, yes, on; false, no, off.

    Raises
    ------
    ValueError : another text.
    """
    if not isinstance(value, str):
        return value
    if value.lower() not in _SWITCH:
        raise ValueError("expected true or false")
    return _SWITCH[value.lower()]


def settings(value: Any) -> Any:
    """Return texts ``model.key=value`` as a mapping; each value is read as YAML (``0.1``, ``true``, ``adam``).

    Raises
    ------
    ValueError : a text of another form, or a name without a model.
    """
    if isinstance(value, dict):
        for name in value:
            if "." not in str(name):
                raise ValueError(f"given {name!r}, expected MODEL.KEY, for example ststnet.lr")
        return value
    if not isinstance(items(value), list):
        return value
    found: dict[str, Any] = {}
    for item in items(value):
        name, equals, text = str(item).partition("=")
        if not equals or "." not in name:
            raise ValueError(f"given {item!r}, expected MODEL.KEY=VALUE, for example ststnet.lr=1e-4")
        found[name.strip()] = _scalar(text)
    return found


def searches(value: Any) -> Any:
    """Return texts ``model.key=LOW..HIGH`` or ``model.key=A,B,C`` as a mapping to what may be tried.

    The values of choices are read as YAML. A list of YAML, ``[...]``, may hold texts with commas.

    Raises
    ------
    ValueError : a text of another form, a name without a model, or nothing to choose from.
    """
    from mer_models.search import domain

    if value in (None, {}, [], "", [""]):
        raise ValueError("an empty search space, expected MODEL.KEY=LOW..HIGH, for example ststnet.lr=1e-5..1e-2")
    if isinstance(value, dict):
        given = {str(name): _tried(one) if isinstance(one, str) else one for name, one in value.items()}
    elif isinstance(items(value), list):
        pairs_of = [str(item).partition("=") for item in items(value)]
        given = {}
        for name, equals, text in pairs_of:
            if not equals:
                raise ValueError(f"given {name!r}, expected MODEL.KEY=LOW..HIGH, for example ststnet.lr=1e-5..1e-2")
            given[name.strip()] = _tried(text)
    else:
        return value
    found = {}
    for name, one in given.items():
        if "." not in name:
            raise ValueError(f"given {name!r}, expected MODEL.KEY, for example ststnet.lr")
        try:
            found[name] = domain(one)
        except ValueError as error:
            raise ValueError(f"given {name!r}: {str(error).removeprefix('given ')}") from None
    return found


def pairs(value: Any) -> Any:
    """Return texts ``name=value`` as a mapping; a mapping may be nested: ``{casme2: {apex: Peak}}`` is ``casme2.apex``.

    Raises
    ------
    ValueError : a text of another form.
    """
    if isinstance(value, dict):
        return dict(_flat(value))
    if not isinstance(items(value), list):
        return value
    found: dict[str, Any] = {}
    for item in items(value):
        name, equals, text = str(item).partition("=")
        if not equals or not name.strip() or not text.strip():
            raise ValueError(f"given {item!r}, expected NAME=VALUE, for example casme2=my_sheet.csv")
        found[name.strip()] = text.strip()
    return found


def amounts(value: Any) -> Any:
    """Return a text such as ``64 CPU, 8 GPU`` as how much there is of each resource.

    Raises
    ------
    ValueError : a text of another form.
    """
    given = [f"{amount} {name}" for name, amount in value.items()] if isinstance(value, dict) else words(value)
    if not isinstance(given, list):
        return value
    found: dict[str, float] = {}
    for text in given:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(CPU|GPU)s?", str(text), flags=re.IGNORECASE)
        if match is None:
            raise ValueError(f"given {text!r}, expected a number of CPUs or GPUs, for example 64 CPU, 8 GPU")
        found[match[2].upper()] = float(match[1])
    return found


def size(value: Any) -> Any:
    """Return a text such as ``2GB``, ``1.5 GiB`` or ``0`` as a number of bytes.

    Raises
    ------
    ValueError : a text of another form.
    """
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", value.strip(), flags=re.IGNORECASE)
    if match is None:
        raise ValueError(f"given {value!r}, expected a size, for example 2GB, 500 MB or 0")
    power = "kmgt".index(match[2].lower()) + 1 if match[2] else 0
    return int(float(match[1]) * (1024 if match[3] else 1000) ** power)


def _flat(value: dict[Any, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, below in value.items():
        if isinstance(below, dict):
            yield from _flat(below, f"{above}{name}.")
        else:
            yield f"{above}{name}", below


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _scalar(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text) if text.strip() else ""
    except (yaml.YAMLError, ValueError):
        # Something like "{" or the day 2024-99-99: a text that no hyper-parameter of another type will take.
        return text


def _tried(text: str) -> Any:
    """Return a range as it is written, and choices as a list."""
    if ".." in text:
        return text.strip()
    if text.strip().startswith("["):
        return _scalar(text)
    return [_scalar(one) for one in _words(text)]


def _some_names(names: list[str]) -> list[str]:
    if not names:
        raise ValueError("needs at least one name")
    return names


def _some_seeds(seeds: list[int]) -> list[int]:
    if not seeds:
        raise ValueError("needs at least one seed")
    if any(seed < 0 for seed in seeds):
        raise ValueError("seeds must be 0 or more")
    return list(dict.fromkeys(seeds))


Names = Annotated[list[str], BeforeValidator(words), AfterValidator(_some_names)]
Paths = Annotated[list[str], BeforeValidator(items)]
Seeds = Annotated[list[int], BeforeValidator(numbers), AfterValidator(_some_seeds)]
Count = Annotated[int, Field(ge=1), BeforeValidator(number)]
Several = Annotated[int, Field(ge=2), BeforeValidator(number)]
Shifts = Annotated[list[str], BeforeValidator(shifts)]
Switch = Annotated[bool, BeforeValidator(switch)]
Size = Annotated[int, Field(ge=0), BeforeValidator(size)]
Amounts = Annotated[dict[str, float], BeforeValidator(amounts)]
Pairs = Annotated[dict[str, str], BeforeValidator(pairs)]
Settings = Annotated[dict[str, Any], BeforeValidator(settings)]
Searches = Annotated[dict[str, Any], BeforeValidator(searches)]

BY_MODEL = {"set": settings, "search": searches}
"""The keys below which there are hyper-parameters of models, and what reads them."""
