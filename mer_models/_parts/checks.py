"""Checks of what a user can set or hand to a model, so that a mistake is named before a library stumbles over it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mer_models.contracts import Refused
from preprocess.base.errors import DataError, UsageError


def require(valid: bool, setting: str, given: object, expected: str) -> None:
    """Raise UsageError unless ``valid``.

    Parameters
    ----------
    valid : whether the value can be obeyed.
    setting : its name, ``model.hyperparameter``.
    given : the value.
    expected : which values it takes, in words.
    """
    if not valid:
        raise UsageError(f"{setting} is {given!r}, but must be {expected}. Change it with --set {setting}=VALUE.")


def require_share(setting: str, given: float, below: str = "1") -> None:
    """Raise UsageError unless 0 <= ``given`` < ``below``, as of the share of values that a dropout sets to 0."""
    require(0 <= given < float(below), setting, given, f"a number from 0 to below {below}")


def refused_shares(option: str = "dropout", below: str = "1") -> tuple[Refused, ...]:
    """Return what ``require_share`` refuses of an option, for the model's registration."""
    expected = f"a number from 0 to below {below}"
    return Refused(option, -0.1, expected), Refused(option, float(below), expected)


def stored_arrays(model: str, state: dict[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the named arrays of a stored state; DataError where the state is another model's."""
    if set(state) != set(names):
        raise DataError(
            f"The weights given to {model} hold {', '.join(sorted(state)) or 'nothing'}, but {model} stores "
            f"{', '.join(sorted(names))}. Load the file that {model} wrote, or train the fold again."
        )
    return {name: np.ascontiguousarray(state[name]) for name in names}
