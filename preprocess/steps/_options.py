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
    """Raise UsageError unless ``value`` is one of ``known``."""
    known = list(known)
    if value not in known:
        raise UsageError(f"Step {step}: {option} is {value!r}. {did_you_mean(str(value), known)}")


def size_option(step: str, size: int | Sequence[int]) -> tuple[int, int]:
    """Return (width, height) from a number (a square) or a pair; UsageError for anything else."""
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or not all(isinstance(side, int) and side > 0 for side in pair):
        raise UsageError(f"Step {step}: size is {size!r}; expected a number of pixels, or [width, height].")
    return pair[0], pair[1]


def positive(step: str, option: str, value: int | None) -> int:
    """Return ``value``; UsageError unless it is a whole number above 0."""
    if not isinstance(value, int) or value < 1:
        raise UsageError(f"Step {step}: {option} is {value!r}; expected a whole number above 0.")
    return value


def needed(work: Work, step: str, field: str, maker: str) -> np.ndarray:
    """Return the array ``work.<field>``; UsageError, which names the step that makes it, where there is none yet."""
    array = getattr(work, field)
    if array is None:
        raise UsageError(f"Step {step} needs {field}: put the step {maker} before it in the recipe.")
    return array


def refuse_merged(work: Work, wanted: Mapping[str, int], taken: Mapping[str, int]) -> None:
    """Raise ClipError where replacing lost frames made two key frames one and the same.

    wanted, taken : role ("onset", "apex", "offset") -> frame number that was asked for, and that was taken.
    """
    for role, other in itertools.combinations(sorted(wanted), 2):
        if wanted[role] != wanted[other] and taken[role] == taken[other]:
            raise ClipError(
                f"{work.clip.sample_id}: {role} {wanted[role]} and {other} {wanted[other]} both end as frame "
                f"{taken[role]}, so no motion is left. Restore the frames that are missing or damaged."
            )
