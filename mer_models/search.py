"""Search spaces: what a tuned study may try in place of a model's hyper-parameters, declared beside its recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mer_models.contracts import converted, expected_value

Number = int | float

SPREAD = 10
"""A range that is written ``LOW..HIGH`` is drawn on a logarithmic scale where HIGH is so many times LOW, or more."""

_DIGITS = 3
"""Significant digits of a drawn number: more would only make its name longer."""


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; whole ones where both are.

    Attributes
    ----------
    low : the least number.
    high : the greatest number.
    log : whether equal factors are equally likely, rather than equal differences.

    Raises
    ------
    ValueError : the ends are no finite numbers in their order, or a logarithmic scale reaches 0.
    """

    low: Number
    high: Number
    log: bool = False

    def __post_init__(self) -> None:
        for end in (self.low, self.high):
            if type(end) not in (int, float) or not math.isfinite(end):
                raise ValueError(f"given {end!r}, expected a finite number at each end, such as 1e-5..1e-2")
        if not self.low < self.high:
            raise ValueError(f"given {self.words}, expected the lower number first, such as 1e-5..1e-2")
        if self.log and self.low <= 0:
            raise ValueError(f"given {self.words} on a logarithmic scale, which takes numbers above 0")

    @property
    def words(self) -> str:
        """The range as a person writes it."""
        return f"{self.low:g}..{self.high:g}"

    @property
    def ends(self) -> tuple[Number, ...]:
        """The values between which all others lie."""
        return self.low, self.high

    @property
    def size(self) -> float:
        """How many values there are; without end where they are no whole numbers."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        return self.high - self.low + 1 if whole else math.inf

    def draw(self, rng: np.random.Generator) -> Number:
        """Return a number, rounded to three significant digits; a whole one is not rounded."""
        low, high = float(self.low), float(self.high)
        whole = self.size < math.inf
        if whole:
            low, high = low - 0.5 * (not self.log), high + 0.5 * (not self.log)
        share = rng.random()
        value = math.exp(math.log(low) + share * math.log(high / low)) if self.log else low + share * (high - low)
        rounded = round(value) if whole else float(f"{value:.{_DIGITS}g}")
        return min(max(rounded, self.low), self.high)

    def as_json(self) -> list[Any]:
        """Return plain JSON values that tell the range from all others."""
        return ["range", self.low, self.high, self.log]


@dataclass(frozen=True)
class Choices:
    """Some values, each as likely as the others.

    Attributes
    ----------
    values : two or more that differ.

    Raises
    ------
    ValueError : there are fewer, or one stands there twice.
    """

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("an empty search space, expected LOW..HIGH or values separated by commas")
        if len(self.values) == 1:
            raise ValueError(f"given {self.words} alone, which is nothing to choose from: fix it with --set instead")
        twice = [value for place, value in enumerate(self.values) if value in self.values[:place]]
        if twice:
            raise ValueError(f"given {twice[0]!r} twice, expected values that differ")

    @property
    def words(self) -> str:
        """The values as a person writes them."""
        return ",".join(map(str, self.values))

    @property
    def ends(self) -> tuple[Any, ...]:
        """All values."""
        return self.values

    @property
    def size(self) -> float:
        """How many values there are."""
        return len(self.values)

    def draw(self, rng: np.random.Generator) -> Any:
        """Return one of the values."""
        return self.values[int(rng.integers(len(self.values)))]

    def as_json(self) -> list[Any]:
        """Return plain JSON values that tell the choices from all others."""
        return ["choices", *self.values]


Domain = Range | Choices
"""What may be tried of one hyper-parameter."""

Space = Mapping[str, Domain]
"""Hyper-parameter -> what may be tried of it."""


def uniform(low: Number, high: Number) -> Range:
    """Return the numbers from ``low`` to ``high``, equal differences equally likely."""
    return Range(low, high)


def loguniform(low: Number, high: Number) -> Range:
    """Return the numbers from ``low`` to ``high``, equal factors equally likely."""
    return Range(low, high, log=True)


def domain(value: Any) -> Domain:
    """Return what a value in a declaration or an option stands for.

    Parameters
    ----------
    value : a Range or Choices; a text ``LOW..HIGH``; or a list or tuple of values.

    Raises
    ------
    ValueError : it is none of these, or says nothing to choose from.
    """
    if isinstance(value, Range | Choices):
        return value
    if isinstance(value, str) and ".." in value:
        low, high = (_number(end, value) for end in value.split("..", 1))
        return Range(low, high, log=low > 0 and high >= SPREAD * low)
    if isinstance(value, list | tuple):
        return Choices(tuple(value))
    return Choices(() if value in (None, "") else (value,))


def fitted(values: Domain, key: str, default: Any) -> Domain:
    """Return what may be tried of a hyper-parameter, in the type of its default.

    Parameters
    ----------
    values : what was asked for.
    key : the hyper-parameter.
    default : its value where nothing is tried.

    Raises
    ------
    ValueError : one of the values is not what the hyper-parameter takes.
    """
    if isinstance(values, Range) and type(default) not in (int, float):
        raise ValueError(f"{key}: given the range {values.words}, expected values, for the default is {default!r}")
    ends = [converted(end, type(default)) for end in values.ends]
    for given, end in zip(values.ends, ends, strict=True):
        if expected := expected_value(key, end, default):
            raise ValueError(f"{key}: given {given!r}, expected {expected} (default {default!r})")
    return Range(ends[0], ends[1], values.log) if isinstance(values, Range) else Choices(tuple(ends))


def _number(text: str, whole: str) -> Number:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"given {whole!r}, expected two numbers, such as 1e-5..1e-2") from None
