"""Errors that a user can act on. Each message says what was given, what was expected, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MerError(Exception):
    """Base of every error shown to the user without a traceback (exit status 2)."""


class UsageError(MerError):
    """A command line, configuration file or name that cannot be obeyed."""


class DataError(MerError):
    """Input data that is missing, damaged or contradicts itself."""


class Unfit(DataError):
    """A task, protocol or model that does not apply to a dataset: left out with a note where others do apply."""


class StoreError(MerError):
    """A results store that cannot be read or written."""


class HonestyError(MerError):
    """A fold or a score that would break one of the honesty rules (leakage, partial scores)."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the sentence that names the near matches of ``name``, or all known names where none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return f"Did you mean: {', '.join(near)}?"
    return f"Known: {', '.join(names) if names else 'none'}."
