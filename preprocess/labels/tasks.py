"""Label schemes: an ordered class list, and how each database's annotation maps onto it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from preprocess.base.errors import DataError
from preprocess.base.registry import Registry
from preprocess.labels.action_units import SHARED_UNITS, multi_hot
from preprocess.labels.emotions import ANNOTATIONS, annotation_of, table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


UNITS = "action_units"
"""The column whose words are units in the notation of FACS."""


@dataclass(frozen=True)
class Task:
    """One label scheme.

    Attributes
    ----------
    name : as ``--tasks`` takes it.
    classes : names of the classes, in order; a label is an index into them.
    mapping : called with the name of a dataset; returns annotated word (lower case) -> class name, or None for a word
        that the task leaves out on purpose. A word that is not a key is unknown, and an error. A dataset without any
        key is one that the task is not made for.
    reference : where the scheme is defined.
    multilabel : a sample may show any number of the classes.
    column : the column of the samples table that holds the words. Where it is not said, that is the emotion; of a
        multi-label task, the action units. Words of action units are FACS numbers ("12" -> "AU12"); units that are no
        key of the mapping are left out.
    left_out : sample ids that the task's published list does not hold, although their emotion has a class.
    """

    name: str
    classes: tuple[str, ...]
    mapping: Callable[[str], Mapping[str, str | None]]
    reference: str
    multilabel: bool = False
    column: str = ""
    left_out: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.column:
            object.__setattr__(self, "column", UNITS if self.multilabel else "emotion")


TASKS: Registry[Task] = Registry("task")


def labels(task: Task, samples: pd.DataFrame) -> np.ndarray:
    """Return the class of every sample.

    Parameters
    ----------
    task : the label scheme.
    samples : a samples table of n rows.

    Returns
    -------
    (n,) int64, an index into the task's classes for each row. -1 where the sample has no class, so that it takes no
    part in the study: its emotion is left out, it has no annotation, it shows emotions of two classes, or the task's
    published list does not hold it. Of a multi-label task of k classes (n, k) int64 of 0 and 1, with a row of -1 where
    the clip has no annotation, or its action units cannot be read. A clip that was annotated and shows none of k units
    is a row of 0, and takes part; one whose emotions are all left out is a row of -1.

    Raises
    ------
    DataError : the dataset's mapping does not know a word (the message has the samples and the words that it knows), or
        the task is not made for the dataset.
    """
    import numpy as np

    if task.multilabel and task.column == UNITS:
        return _unit_labels(task, samples)
    index = {name: number for number, name in enumerate(task.classes)}
    result = np.full((len(samples), len(index)) if task.multilabel else len(samples), -1, dtype=np.int64)
    mappings = {dataset: task.mapping(dataset) for dataset in samples["dataset"].unique()}
    unknown: dict[tuple[str, str], list[str]] = {}
    columns = (samples[column].tolist() for column in ("sample_id", "dataset", task.column))
    missing = samples[task.column].isna().tolist()
    for row, (sample_id, dataset, word) in enumerate(zip(*columns, strict=True)):
        if missing[row]:
            continue
        try:
            shown = _classes_of(word, mappings[dataset])
        except KeyError:
            unknown.setdefault((dataset, word), []).append(sample_id)
            continue
        numbers = [index[name] for name in shown if name is not None]
        if task.multilabel and numbers:
            result[row] = 0
            result[row, numbers] = 1
        elif numbers and len(shown) == 1:
            result[row] = numbers[0]
    if unknown:
        raise DataError(_unknown_words(task, mappings, unknown))
    if task.left_out:
        left_out = set(map(_unpadded, task.left_out))
        result[[_unpadded(sample_id) in left_out for sample_id in samples["sample_id"]]] = -1
    return result


def _unpadded(sample_id: str) -> str:
    """Return a sample id without the zeros before its numbers: copies of a database have EP09_05f or EP9_5f."""
    return re.sub(r"[0-9]+", lambda match: str(int(match[0])), sample_id)


def tasks_of(samples: pd.DataFrame) -> list[str]:
    """Return the names of the tasks that label at least one sample of a table, and know all of its words."""
    fitting = []
    for name, task in TASKS.items():
        if all(task.mapping(dataset) for dataset in samples["dataset"].unique()):
            try:
                found = labels(task, samples)
            except DataError:
                continue
            if (found >= 0).any():
                fitting.append(name)
    return fitting


def _classes_of(word: str, mapping: Mapping[str, str | None]) -> set[str | None]:
    """Return the classes of an annotation such as ``disgust`` or ``positive+surprise``; None for a word left out.

    Raises
    ------
    KeyError : a word is unknown.
    """
    # A class number that went through a table of numbers with gaps has become "3.0".
    name = re.sub(r"(?<=\d)\.0+$", "", word.strip().lower())
    return {mapping[name]} if name in mapping else {mapping[part.strip()] for part in name.split("+")}


def _unit_labels(task: Task, samples: pd.DataFrame) -> np.ndarray:
    import numpy as np

    result = np.full((len(samples), len(task.classes)), -1, dtype=np.int64)
    datasets = samples["dataset"].to_numpy(dtype=str)
    for dataset in np.unique(datasets):
        numbers = {name: int(number) for number, name in task.mapping(str(dataset)).items()}
        rows = np.flatnonzero(datasets == dataset)
        result[rows] = multi_hot(samples.iloc[rows], [numbers[name] for name in task.classes])
    return result


def _unknown_words(
    task: Task, mappings: Mapping[str, Mapping[str, str | None]], unknown: Mapping[tuple[str, str], list[str]]
) -> str:
    sentences = []
    for dataset in sorted({dataset for dataset, _ in unknown if not mappings[dataset]}):
        made_for = [name for name in ANNOTATIONS.names() if task.mapping(name)]
        sentences.append(f"Task {task.name} is not made for dataset {dataset}, only for: {', '.join(made_for)}.")
    for (dataset, word), sample_ids in sorted(unknown.items()):
        if mappings[dataset]:
            more = f" and {len(sample_ids) - 5} more" if len(sample_ids) > 5 else ""
            sentences.append(
                f"Task {task.name} does not know the {task.column.replace('_', ' ')} {word!r} of dataset {dataset} "
                f"({', '.join(sample_ids[:5])}{more}); it knows: {', '.join(sorted(mappings[dataset]))}."
            )
    advice = (
        "Correct the annotation, declare its words in the dataset's adapter, or choose a task made for the dataset."
    )
    return " ".join([*sentences, advice])


def add_emotion_task(
    name: str,
    classes: Mapping[str, tuple[str, ...]],
    reference: str,
    *,
    origin: str,
    published: bool = False,
    multilabel: bool = False,
) -> None:
    """Register a task whose classes are emotions, or groups of them.

    Parameters
    ----------
    name : as ``--tasks`` takes it.
    classes : class name -> the emotions in it, each in its one spelling, in the order of the classes.
    reference : where the scheme is defined.
    origin : the ``__name__`` of the file that registers it.
    published : it was made for certain databases: it takes the datasets whose adapters name it
        (``Annotation.tasks``), and people's own recordings. Otherwise it takes every dataset that has a word for each
        of its classes. Words that mean none of its emotions are left out.
    multilabel : a clip counts for each emotion that it shows; otherwise clips of two classes are left out.
    """
    class_of = {emotion: of for of, emotions in classes.items() for emotion in emotions}

    def mapping(dataset: str) -> dict[str, str | None]:
        annotation = annotation_of(dataset)
        if annotation is None:
            return {}
        found = table(annotation, class_of)
        whole = set(classes) <= set(found.values())
        takes = (annotation.by_words and whole) or name in annotation.tasks if published else whole
        return found if takes else {}

    task = Task(name, tuple(classes), mapping, reference, multilabel, "emotion")
    TASKS.add(name, task, origin=origin)


def _published(name: str, classes: Mapping[str, tuple[str, ...]], reference: str, *, multilabel: bool = False) -> None:
    add_emotion_task(name, classes, reference, origin=__name__, published=True, multilabel=multilabel)


def _same(*emotions: str) -> dict[str, tuple[str, ...]]:
    return {emotion: (emotion,) for emotion in emotions}


_NEGATIVE = ("anger", "contempt", "disgust", "fear", "sadness")
_VALENCE = {
    "negative": (*_NEGATIVE, "negative"),
    "positive": ("happiness", "positive"),
    "surprise": ("surprise",),
}
_OWN = {name: name for name in _VALENCE}
_ALL_MEGC3 = {**dict.fromkeys((*_NEGATIVE, "repression"), "negative"), "happiness": "positive", **_OWN}
_MEGC3 = {
    # CASME II's sadness and fear clips are not in the composite.
    "casme2": {"disgust": "negative", "repression": "negative", "happiness": "positive", "surprise": "surprise"},
}


def _megc3(dataset: str) -> dict[str, str | None]:
    """Map the words of a part of the composite.

    The composite is a published list of three databases' clips, so a dataset that declares its words is no part of it
    unless its adapter names the task, whatever the words are. A dataset that declares none is taken for a copy of a
    part (a tree of flow images, SMIC's own folders): such copies are annotated with the three class names themselves.
    """
    annotation = annotation_of(dataset)
    if annotation is None:
        return dict(_OWN)
    if "megc3" not in annotation.tasks:
        return {}
    return {**_OWN, **table(annotation, _MEGC3.get(dataset.removeprefix("synth_"), _ALL_MEGC3))}


# The organisers gave the composite as a list of clips: all of CASME II, SAMM and SMIC-HS that have a class, but for two
# clips of CASME II's sheet of 2014, and three that its sheet of 2019 calls surprise and the older one sadness.
_NOT_IN_MEGC2019 = frozenset(
    f"casme2/{clip}"
    for clip in ("sub04/EP12_01f", "sub05/EP09_05f", "sub24/EP07_01", "sub24/EP07_04f", "sub24/EP10_03")
)


def _objective(dataset: str) -> dict[str, str | None]:
    # CASME II and SAMM number the classes, CAS(ME)^3 writes Roman numerals; VI and VII are no class of the challenge.
    annotation = annotation_of(dataset)
    if annotation is None or "objective5" not in annotation.tasks:
        return {}
    roman = ("I", "II", "III", "IV", "V", "VI", "VII")
    kept = {name: name if number <= 5 else None for number, name in enumerate(roman, start=1)}
    return {key: kept[name] for number, name in enumerate(roman, start=1) for key in (name.lower(), str(number))}


_MEGC2019 = "See et al., MEGC 2019: The Second Facial Micro-Expressions Grand Challenge, FG 2019"
_CASME2 = "Yan et al., CASME II: An Improved Spontaneous Micro-Expression Database, PLoS ONE 2014"
_SAMM = "Davison et al., SAMM: A Spontaneous Micro-Facial Movement Dataset, IEEE TAFFC 2018"
_CASME3 = "Li et al., CAS(ME)^3: A Third Generation Facial Spontaneous Micro-Expression Database, IEEE TPAMI 2022"

TASKS.add("megc3", Task("megc3", tuple(_VALENCE), _megc3, _MEGC2019, left_out=_NOT_IN_MEGC2019), origin=__name__)

# CASME II alone has been scored on several sets of three classes. The names give the clips of the 2014 sheet.
_published(
    "casme2_3class_147",
    {"negative": ("disgust", "repression"), "positive": ("happiness",), "surprise": ("surprise",)},
    "The classes of MEGC 2019 on the whole CASME II sheet of 2014, which has two clips more than the challenge's list",
)
_published(
    "casme2_3class_156",
    {**_VALENCE, "negative": ("disgust", "repression", "sadness", "fear")},
    "Public code of MMNet (Li et al., IJCAI 2022): sadness and fear count as negative",
)
_published(
    "casme2_4class",
    {**_same("happiness", "disgust", "surprise"), "others": ("others", "repression")},
    "The five classes of CASME II with repression merged into others, as several public codes have them",
)
_published("emotion5", _same("happiness", "disgust", "repression", "surprise", "others"), _CASME2)
_published(
    "emotion5_4dme",
    _same("positive", "negative", "surprise", "repression", "others"),
    "4DMR challenge, IJCAI workshops 2024 and 2025, on 4DME (Li et al., IEEE TAFFC 2022): a clip may show several",
    multilabel=True,
)
_published("emotion5_samm", _same("anger", "contempt", "happiness", "surprise", "others"), _SAMM)
_published(
    "emotion7",
    _same("happiness", "surprise", "anger", "fear", "disgust", "contempt", "sadness"),
    f"{_SAMM}; the same seven in DFME (arXiv 2301.00985) and in CK+ (Lucey et al., CVPR Workshops 2010)",
)
_published(
    "emotion7_casme2",
    _same("happiness", "disgust", "repression", "surprise", "others", "sadness", "fear"),
    _CASME2,
)
_published(
    "emotion7_others",
    _same("happiness", "surprise", "anger", "fear", "disgust", "sadness", "others"),
    f"{_CASME3}; the same seven in MMEW (Ben et al., IEEE TPAMI 2021)",
)
_published(
    "emotion7_neutral",
    _same("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
    "Dhall et al., Emotion Recognition in the Wild Challenge, ICMI 2016 (AFEW)",
)
_published(
    "emotion6",
    _same("anger", "disgust", "fear", "happiness", "sadness", "surprise"),
    "Zhao et al., Facial Expression Recognition from Near-Infrared Videos, IVC 2011 (Oulu-CASIA)",
)
# What all databases can be asked for, so that micro- and macro-expressions can be merged. CASME II's repression and its
# others are no class here, so that it has fewer negative clips than in ``megc3``.
add_emotion_task("emotion3", _VALENCE, f"{_CASME3}; the same in all databases, or their own classes", origin=__name__)
_published(
    "emotion4",
    {**_VALENCE, "others": ("others", "repression", "tense")},
    f"{_CASME3}; the databases' own classes elsewhere; CASME's repression and tense count as others",
)
_published(
    "binary",
    {"negative": (*_VALENCE["negative"], "repression"), "positive": _VALENCE["positive"]},
    "Public code of Facial-Microexpression-Recognition (S. Joshi): happiness against all but surprise and others",
)
TASKS.add(
    "objective5",
    Task(
        name="objective5",
        classes=("I", "II", "III", "IV", "V"),
        mapping=_objective,
        reference="Davison et al., Objective Classes for Micro-Facial Expression Recognition, J. Imaging 2018; "
        "MEGC 2018",
        column="objective_class",
    ),
    origin=__name__,
)
TASKS.add(
    "au12",
    Task(
        name="au12",
        classes=tuple(f"AU{number}" for number in SHARED_UNITS),
        mapping=lambda dataset: {str(number): f"AU{number}" for number in SHARED_UNITS},
        reference="Varanka et al., Data Leakage and Evaluation Issues in Micro-Expression Analysis, CD6ME benchmark",
        multilabel=True,
    ),
    origin=__name__,
)
