"""What could be read of a dataset, held against the numbers that were published, as a whole and task by task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from preprocess.base.errors import DataError
from preprocess.datasets._notes import named
from preprocess.datasets._spec import Count
from preprocess.labels.tasks import TASKS, labels
from preprocess.samples.table import as_table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Row = dict[str, Any]


@dataclass(frozen=True)
class Annotated:
    """What the annotation of one dataset names.

    Attributes
    ----------
    clips : how many clips, each as often as it has a row.
    subjects : how many people.
    lost : the clips that cannot be used, as rows of the samples table; ids, dataset and labels are enough.
    """

    clips: int
    subjects: int
    lost: tuple[Row, ...] = ()


def count_notes(name: str, samples: pd.DataFrame, annotated: Annotated, counts: Sequence[Count]) -> list[str]:
    """Return a note for each published number that the samples do not come up to, or exceed.

    Parameters
    ----------
    name : the dataset.
    samples : the samples that can be used.
    annotated : what the annotation names.
    counts : the published numbers that the annotation read belongs to.

    Returns
    -------
    One note for each task, naming what is missing where that is known, and at last one on all clips.
    """
    lost = as_table(annotated.lost)
    of_task: dict[str, list[Count]] = {}
    for count in counts:
        of_task.setdefault(count.task, []).append(count)
    notes = []
    for task, known in sorted(of_task.items(), key=lambda item: not item[0]):
        note = _task_note(task, samples, lost, known) if task else _whole_note(name, samples, annotated, known)
        notes += [note] if note else []
    return notes


def classed(task: str, rows: pd.DataFrame) -> np.ndarray | None:
    """Return which rows have a class in a task, (n,) bool; None where the task does not know their words."""
    import numpy as np

    if rows.empty:
        return np.zeros(0, dtype=bool)
    try:
        found = labels(TASKS.get(task), rows)
    except DataError:
        return None
    return np.asarray((found >= 0).reshape(len(rows), -1).any(axis=1))


def _whole_note(name: str, samples: pd.DataFrame, annotated: Annotated, known: Sequence[Count]) -> str:
    here = len(samples), samples["subject"].nunique()
    if any(_fits(count, here) for count in known):
        return ""
    there = f"{annotated.clips} annotated clips of {annotated.subjects} subjects"
    if annotated.lost:
        # Their names stand in the notes that say why.
        there = f"{here[0]} samples of {here[1]} subjects ({there})"
    published = " or ".join(f"{_numbers(count)} ({count.reference})" for count in known)
    return f"{name}: {there}; published are {published}"


def _task_note(task: str, samples: pd.DataFrame, lost: pd.DataFrame, known: Sequence[Count]) -> str:
    column = TASKS.get(task).column
    if not samples[column].notna().any() and not lost[column].notna().any():
        return ""  # The dataset report says that there are no labels for it.
    shown, gone = classed(task, samples), classed(task, lost)
    if shown is None:
        return ""  # The dataset report says what the task stumbles over.
    ours = samples[shown]
    here = len(ours), ours["subject"].nunique()
    if any(_fits(count, here) for count in known):
        return ""
    published = ", or ".join(f"{count.reference} has {_numbers(count)}" for count in known)
    names = [] if gone is None else lost["sample_id"][gone].tolist()
    missing = [_short(names)] if names else []
    unnamed = min(count.samples for count in known) - here[0] - len(names)
    if unnamed > 0:
        missing.append(f"{unnamed} that no row of the annotation names")
    told = f"; missing {' and '.join(missing)}" if missing else ""
    return f"{task}: {here[0]} samples of {here[1]} subjects; {published}{told}"


def _fits(count: Count, here: tuple[int, int]) -> bool:
    return count.samples == here[0] and count.subjects in (None, here[1])


def _numbers(count: Count) -> str:
    return f"{count.samples}{f' of {count.subjects} subjects' if count.subjects else ''}"


def _short(sample_ids: Sequence[str]) -> str:
    """Return the names of samples without their dataset, a few of them."""
    return named([sample_id.partition("/")[2] for sample_id in sample_ids], ", ")
