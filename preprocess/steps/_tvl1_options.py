"""What a recipe may set of the flow ``tvl1``: names, ranges, and the settings that they make."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from preprocess.base.errors import UsageError, did_you_mean
from preprocess.motion.tvl1 import DEFAULT, Settings

PRESETS: dict[str, Settings] = {"tvl1": DEFAULT, "tvl1_half": replace(DEFAULT, scale_step=0.5)}
"""The methods of the step ``flow`` that take these options -> their settings where nothing is given."""


@dataclass(frozen=True)
class _Range:
    """The values that one option may have.

    Attributes
    ----------
    field : of ``Settings``.
    expected : the values in words, for the message.
    holds : whether a number is one of them.
    whole : whether only whole numbers are.
    """

    field: str
    expected: str
    holds: Callable[[float], bool]
    whole: bool = False


def _above_0(value: float) -> bool:
    return value > 0


OPTIONS: dict[str, _Range] = {
    "tau": _Range("tau", "a number above 0", _above_0),
    "lambda": _Range("data_weight", "a number above 0", _above_0),
    "theta": _Range("theta", "a number above 0", _above_0),
    "levels": _Range("levels", "a whole number above 0", _above_0, whole=True),
    "scale_step": _Range("scale_step", "a number between 0 and 1", lambda value: 0 < value < 1),
    "warps": _Range("warps", "a whole number above 0", _above_0, whole=True),
    "outer": _Range("outer", "a whole number above 0", _above_0, whole=True),
    "inner": _Range("inner", "a whole number above 0", _above_0, whole=True),
    # OpenCV's median filter of float pictures knows no others.
    "median": _Range("median", "1 (no filter), 3 or 5", lambda value: value in (1, 3, 5), whole=True),
    "epsilon": _Range("epsilon", "a number of at least 0", lambda value: value >= 0),
}
"""Name in a recipe -> what it may be."""


def tvl1_settings(method: str, given: Any) -> Settings:
    """Return the settings of a TV-L1 flow.

    Parameters
    ----------
    method : of the step ``flow``.
    given : option -> value, as in a recipe; None for the method's own settings.

    Raises
    ------
    UsageError : the method takes no such options, there is no such option, or its value is out of range.
    """
    if method not in PRESETS:
        raise UsageError(
            f"Step flow: tvl1 is {given!r}, but the method is {method!r}. Remove tvl1, or take the method tvl1."
        )
    if given is None:
        return PRESETS[method]
    if not isinstance(given, Mapping):
        raise UsageError(f"Step flow: tvl1 is {given!r}; expected option: value of {', '.join(OPTIONS)}.")
    for name in given:
        if name not in OPTIONS:
            raise UsageError(f"Step flow: tvl1 has no option {name!r}. {did_you_mean(str(name), list(OPTIONS))}")
    return replace(PRESETS[method], **{OPTIONS[name].field: _checked(name, value) for name, value in given.items()})


def _checked(name: str, value: Any) -> Any:
    option = OPTIONS[name]
    kind = int if option.whole else int | float
    if isinstance(value, bool) or not isinstance(value, kind) or not math.isfinite(value) or not option.holds(value):
        raise UsageError(f"Step flow: tvl1: {name} is {value!r}; expected {option.expected}.")
    return value
