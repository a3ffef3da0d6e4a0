"""Weights that others trained: which ones are wanted, and what to say where they cannot be had."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from preprocess.base.errors import UsageError

T = TypeVar("T")

NONE = "none"
DEFAULT = "default"


def fetched(setting: str, given: str, source: str, fetch: Callable[[], T]) -> T:
    """Return what ``fetch`` returns; UsageError where it cannot be had.

    setting : ``model.pretrained``. given : its value. source : where the weights come from, for the message.
    """
    try:
        return fetch()
    except Exception as error:
        # Libraries raise what they like here: no network, no such weights, a damaged file in their cache.
        reason = " ".join(str(error).split())[:300]
        raise UsageError(
            f"{setting} is {given!r}, but these weights cannot be had from {source}: {type(error).__name__}: {reason} "
            f"Check the name and the network, or put the file into the library's cache on every node; "
            f"--set {setting}={NONE} starts from random weights."
        ) from error
