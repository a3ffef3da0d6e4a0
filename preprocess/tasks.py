"""Label schemes: an ordered class list, and how each database's annotation maps onto it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from preprocess.action_units import SHARED_UNITS, multi_hot
from preprocess.base.errors import DataError
from preprocess.base.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class Task:
    """One label scheme.

    classes : class names in order; a label is an index into them.
    mapping : called with a dataset's name, gives annotated emotion (lower case) -> class name, or None for an emotion
        that the task leaves out on purpose. An emotion that is not a key is unknown, and an error.
    source : where the scheme is defined.
    multilabel : a sample may show any number of the classes. The classes are action units, and the mapping's keys
        are their FACS numbers ("12" -> "AU12"); other units are left out.
    """

    name: str
    classes: tuple[str, ...]
    mapping: Callable[[str], Mapping[str, str | None]]
    source: str
    multilabel: bool = False


TASKS: Registry[Task] = Registry("task")


def labels(task: Task, samples: pd.DataFrame) -> np.ndarray:
    """Return the class of every sample.

    samples : a samples table of n rows. Returns (n,) int64 class indices in the order of its rows; -1 where the sample
    has no class in the task (its emotion is left out, or it has no annotation), so that it takes no part in the study.
    A multi-label task of k classes gives (n, k) int64 of 0 and 1, and a row of -1 where the clip has no annotation of
    action units; a clip that was annotated and shows none of the k is a row of 0, and takes part.
    Raises DataError for an emotion that the dataset's mapping does not know; it names the samples and what is known.
    """
    import numpy as np

    if task.multilabel:
        return _unit_labels(task, samples)
    index = {name: number for number, name in enumerate(task.classes)}
    result = np.full(len(samples), -1, dtype=np.int64)
    mappings = {dataset: task.mapping(dataset) for dataset in samples["dataset"].unique()}
    unknown: dict[tuple[str, str], list[str]] = {}
    columns = (samples[column].tolist() for column in ("sample_id", "dataset", "emotion"))
    missing = samples["emotion"].isna().tolist()
    for row, (sample_id, dataset, emotion) in enumerate(zip(*columns, strict=True)):
        if missing[row]:
            continue
        name = emotion.strip().lower()
        if name not in mappings[dataset]:
            unknown.setdefault((dataset, emotion), []).append(sample_id)
        elif (mapped := mappings[dataset][name]) is not None:
            result[row] = index[mapped]
    if unknown:
        raise DataError(_unknown_emotions(task, mappings, unknown))
    return result


def _unit_labels(task: Task, samples: pd.DataFrame) -> np.ndarray:
    import numpy as np

    result = np.full((len(samples), len(task.classes)), -1, dtype=np.int64)
    datasets = samples["dataset"].to_numpy(dtype=str)
    for dataset in np.unique(datasets):
        numbers = {name: int(number) for number, name in task.mapping(str(dataset)).items()}
        rows = np.flatnonzero(datasets == dataset)
        result[rows] = multi_hot(samples.iloc[rows], [numbers[name] for name in task.classes])
    return result


def _unknown_emotions(
    task: Task, mappings: Mapping[str, Mapping[str, str | None]], unknown: Mapping[tuple[str, str], list[str]]
) -> str:
    sentences = []
    for (dataset, emotion), sample_ids in sorted(unknown.items()):
        shown = ", ".join(sample_ids[:5]) + (f" and {len(sample_ids) - 5} more" if len(sample_ids) > 5 else "")
        known = ", ".join(sorted(mappings[dataset]))
        sentences.append(
            f"Task {task.name} does not know the emotion {emotion!r} of dataset {dataset} ({shown}); it knows: {known}."
        )
    return " ".join([*sentences, "Correct the annotation, or choose a task made for this dataset."])


_MEGC3_CLASSES = ("negative", "positive", "surprise")
_MEGC3_EMOTIONS: dict[str, dict[str, str | None]] = {
    "casme2": {
        "disgust": "negative",
        "repression": "negative",
        "happiness": "positive",
        "others": None,
        "sadness": None,
        "fear": None,
    },
    "samm": {
        "anger": "negative",
        "contempt": "negative",
        "disgust": "negative",
        "fear": "negative",
        "sadness": "negative",
        "happiness": "positive",
        "other": None,
    },
}


def _megc3(dataset: str) -> dict[str, str | None]:
    # Copies of the composite (flow trees, SMIC's own folders) are annotated with the three class names themselves.
    return {**{name: name for name in _MEGC3_CLASSES}, **_MEGC3_EMOTIONS.get(dataset, {})}


TASKS.add(
    "megc3",
    Task(
        name="megc3",
        classes=_MEGC3_CLASSES,
        mapping=_megc3,
        source="See et al., MEGC 2019: The Second Facial Micro-Expressions Grand Challenge, FG 2019",
    ),
    origin=__name__,
)

TASKS.add(
    "au12",
    Task(
        name="au12",
        classes=tuple(f"AU{number}" for number in SHARED_UNITS),
        mapping=lambda dataset: {str(number): f"AU{number}" for number in SHARED_UNITS},
        source="Varanka et al., Data Leakage and Evaluation Issues in Micro-Expression Analysis, CD6ME benchmark",
        multilabel=True,
    ),
    origin=__name__,
)
