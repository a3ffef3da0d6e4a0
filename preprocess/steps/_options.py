"""Checks that steps share: of options, of the order of steps, of key frames; errors name step, option or clip."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from preprocess.base.errors import UsageError, did_you_mean
from preprocess.samples.clip import ClipError

if TYPE_CHECKING:
    import numpy as np

    from preprocess.steps import Work


def one_of(step: str, option: str, value: str, known: Iterable[str]) -> None:
    """Check that an option has one of the known values.

    Parameters
    ----------
    step : the name of the step, for the message.
    option : the name of the option, for the message.
    value : what was given.
    known : the values that may be given.

    Raises
    ------
    UsageError : naming the value and near ones.
    """
    known = list(known)
    if value not in known:
        raise UsageError(f"Step {step}: {option} is {value!r}. {did_you_mean(str(value), known)}")


def size_option(step: str, size: int | Sequence[int]) -> tuple[int, int]:
    """Return a size as (width, height).

    Parameters
    ----------
    step : the name of the step, for the message.
    size : a number of pixels (a square), or [width, height].

    Raises
    ------
    UsageError : the size is neither.
    """
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or not all(isinstance(side, int) and side > 0 for side in pair):
        raise UsageError(f"Step {step}: size is {size!r}; expected a number of pixels, or [width, height].")
    return pair[0], pair[1]


def positive(step: str, option: str, value: int | None) -> int:
    """Return the value of an option that must be a whole number above 0; UsageError for anything else."""
    if not isinstance(value, int) or value < 1:
        raise UsageError(f"Step {step}: {option} is {value!r}; expected a whole number above 0.")
    return value


def needed(work: Work, step: str, field: str, maker: str) -> np.ndarray:
    """Return an array of the work that an earlier step must have made.

    Parameters
    ----------
    work : what the steps have made so far.
    step : the name of the step that needs it, for the message.
    field : the name of the array in the work.
    maker : the name of the step that makes it, for the message.

    Raises
    ------
    UsageError : no step has made it.
    """
    array = getattr(work, field)
    if array is None:
        raise UsageError(f"Step {step} needs {field}: put the step {maker} before it in the recipe.")
    return array


def refuse_merged(work: Work, wanted: Mapping[str, int], taken: Mapping[str, int]) -> None:
    """Check that two key frames did not become the same frame when lost frames were replaced.

    Parameters
    ----------
    work : whose clip it is, for the message.
    wanted : role ("onset", "apex", "offset") -> the frame number that was asked for.
    taken : role -> the frame number that was taken.

    Raises
    ------
    ClipError : two different frames were asked for, and both ended as the same one.
    """
    for role, other in itertools.combinations(sorted(wanted), 2):
        if wanted[role] != wanted[other] and taken[role] == taken[other]:
            raise ClipError(
                f"{work.clip.sample_id}: {role} {wanted[role]} and {other} {wanted[other]} both end as frame "
                f"{taken[role]}, so no motion is left. Restore the frames that are missing or damaged."
            )
