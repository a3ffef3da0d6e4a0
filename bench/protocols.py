"""Protocols: the rules that split samples into folds. A new one is one function with one decorator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from preprocess.base.errors import DataError
from preprocess.base.registry import Registry

Splitter = Callable[[np.ndarray, np.ndarray], list[tuple[str, np.ndarray]]]
"""(subjects, datasets), each (n_samples,) str -> [(what is held out, its sorted rows)], covering every row once."""


@dataclass(frozen=True)
class Protocol:
    """A splitting rule. composite : it takes all datasets together and is scored on each of them as well."""

    name: str
    split: Splitter
    composite: bool
    summary: str
    source: str


PROTOCOLS: Registry[Protocol] = Registry("protocol")


def register_protocol(name: str, *, composite: bool, source: str) -> Callable[[Splitter], Splitter]:
    """Return a decorator that registers a splitting function; its docstring's first line is the summary."""

    def decorate(split: Splitter) -> Splitter:
        summary = (split.__doc__ or "").strip().splitlines()[0]
        origin = f"{split.__module__}.{split.__qualname__}"
        PROTOCOLS.add(name, Protocol(name, split, composite, summary, source), origin=origin)
        return split

    return decorate


@register_protocol("loso", composite=False, source="SDE of MEGC2019: See et al., IEEE FG 2019")
def loso(subjects: np.ndarray, datasets: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Leave one subject out of one dataset, each subject once."""
    people = sorted(set(subjects.tolist()))
    if len(people) < 2:
        raise DataError(
            f"{'+'.join(sorted(set(datasets.tolist())))} has {len(people)} subject(s) in this task; leaving one out "
            "takes at least 2. Check the data, or leave the dataset out with --datasets."
        )
    return [(person, np.flatnonzero(subjects == person)) for person in people]


@register_protocol("cde", composite=True, source="CDE of MEGC2019: See et al., IEEE FG 2019")
def cde(subjects: np.ndarray, datasets: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Leave one subject out of all datasets merged; scored on the whole and on each dataset from the same run."""
    if len(set(datasets.tolist())) < 2:
        raise DataError(
            f"Protocol cde merges datasets; given {sorted(set(datasets.tolist()))}, it needs at least 2. "
            "Add --data for another dataset, or use --protocols loso."
        )
    return loso(subjects, datasets)
