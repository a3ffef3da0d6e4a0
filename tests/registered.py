"""Everything registered x every check of its kind: what ``merbench check`` tries, tried of what is built in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bench.checks.check import Check, NotTried
from bench.checks.kinds import checks_for, registry_of
from bench.config import DEFAULT_FEATURES, DEFAULT_MODELS
from preprocess.recipes import recipes_of


def every(
    kind: str, wanted: Callable[[Any], bool] = lambda entry: True, belongs_to: str = "", slow: Sequence[str] = ()
) -> list[Any]:
    """Return the checks of everything registered of a kind, as parameters of a test.

    Parameters
    ----------
    kind : of the registry.
    wanted : which entries are checked.
    belongs_to : the module of ``bench.checks`` whose checks are wanted; "" for all that the kind has.
    slow : names of checks that take seconds; the quick run tries them on the default models, and on what their features
        are made with, alone. "*" means all.
    """
    found = [name for name, entry in registry_of(kind).items() if wanted(entry)]

    default = {*DEFAULT_MODELS, *DEFAULT_FEATURES}
    default |= {step for recipe in recipes_of(DEFAULT_FEATURES).values() for step, _ in recipe.steps}

    def is_slow(name: str, check: str) -> bool:
        return name not in default and (check in slow or "*" in slow)

    checks = [(name, check) for name in found for check in checks_for(kind, name)]
    return [
        pytest.param(check, id=f"{name}-{check.name}", marks=[pytest.mark.slow] if is_slow(name, check.name) else [])
        for name, check in checks
        if belongs_to in ("", check.module.rpartition(".")[2])
    ]


def passes(check: Check) -> None:
    """Carry out a check in a test: it raises what is wrong, and skips where there is nothing to look at."""
    try:
        check.run()
    except NotTried as reason:
        pytest.skip(str(reason))
