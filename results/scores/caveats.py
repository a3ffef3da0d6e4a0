"""What must stand beside intervals that may hold the true score less often than they say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from results.scores.counting import Counting

# Where the simulated studies of tests/benchmarks/calibration.py begin to fall short of the intervals' 95 %.
FEW_SUBJECTS = 8
FEW_CLASS_SUBJECTS = 4
_PLACES_AT_MOST = 4


@dataclass(frozen=True)
class People:
    """The people that a benchmark is scored on.

    Attributes
    ----------
    place : the benchmark, in words.
    n_subjects : number of people.
    class_subjects : class name -> people who show it.
    """

    place: str
    n_subjects: int
    class_subjects: Mapping[str, int]


def class_subjects(counts: np.ndarray, counting: Counting, classes: Iterable[str]) -> dict[str, int]:
    """Count the people who show each class.

    Parameters
    ----------
    counts : (n_subjects, n_datasets, ...) counts of each subject.
    counting : how they were counted.
    classes : names of the task's classes.

    Returns
    -------
    Class name -> people; of several datasets, in the one where they are fewest.
    """
    people = (counting.support(counts) > 0).sum(axis=0).min(axis=0)
    return dict(zip(classes, people.tolist(), strict=True))


def interval_caveats(benchmarks: Iterable[People]) -> list[str]:
    """Return what limits the intervals of these benchmarks, a sentence a reason; each benchmark may come many times."""
    tested = list({one.place: one for one in benchmarks if one.n_subjects > 1}.values())
    few = [f"{one.place} ({one.n_subjects})" for one in tested if one.n_subjects < FEW_SUBJECTS]
    # A class that nobody shows has a note of its own: it lowers the score itself.
    rare = [
        f"{one.place} ({name}: {people})"
        for one in tested
        for name, people in one.class_subjects.items()
        if 0 < people < FEW_CLASS_SUBJECTS
    ]
    notes = []
    if few:
        notes.append(
            f"Fewer than {FEW_SUBJECTS} people: {_listed(few)}. Intervals of so few rest on how people are assumed to "
            "differ, and may hold the true score in fewer than 95 of 100 studies."
        )
    if rare:
        notes.append(
            f"A class that fewer than {FEW_CLASS_SUBJECTS} people show: {_listed(rare)}. Intervals are too narrow "
            "there, of recall most: with one such person they hold the true score in about 70 of 100 studies, with two "
            "or three in 90."
        )
    return notes


def _listed(places: list[str]) -> str:
    more = f"; and {len(places) - _PLACES_AT_MOST} more" if len(places) > _PLACES_AT_MOST else ""
    return "; ".join(places[:_PLACES_AT_MOST]) + more
