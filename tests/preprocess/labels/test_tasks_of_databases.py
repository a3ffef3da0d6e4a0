"""Every task against the published counts of each database's annotation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from registered import every, passes

from bench.checks.check import Check
from preprocess.base.errors import DataError
from preprocess.labels.emotions import ANNOTATIONS
from preprocess.labels.tasks import TASKS, labels
from preprocess.samples.table import samples_table

# Rows of the published sheets by emotion, in the sheets' own spelling.
CASME2_2014 = {
    "others": 99,
    "disgust": 63,
    "happiness": 32,
    "repression": 27,
    "surprise": 25,
    "sadness": 7,
    "fear": 2,
}
SAMM = {
    "Anger": 57,
    "Other": 26,
    "Happiness": 26,
    "Surprise": 15,
    "Contempt": 12,
    "Disgust": 9,
    "Fear": 8,
    "Sadness": 6,
}
SMIC = {"negative": 70, "positive": 51, "surprise": 43}
CASME3 = {
    "disgust": 250,
    "surprise": 187,
    "others": 158,
    "Others": 3,
    "fear": 86,
    "anger": 64,
    "sad": 57,
    "happy": 55,
}
CASME3_C = {"negative": 99, "surprise": 30, "others": 20, "positive": 16}
MMEW = {"surprise": 89, "disgust": 72, "others": 66, "happiness": 36, "fear": 16, "sadness": 13, "anger": 8}
DFME = {
    "disgust": 548,
    "surprise": 298,
    "sadness": 278,
    "fear": 265,
    "happiness": 206,
    "anger": 161,
    "contempt": 100,
}
AFEW_TRAIN = {"Angry": 133, "Disgust": 74, "Fear": 81, "Happy": 150, "Neutral": 144, "Sad": 117, "Surprise": 74}
CASME2_OBJECTIVE = {"1": 25, "2": 15, "3": 99, "4": 26, "5": 20, "6": 1, "7": 69}
SAMM_OBJECTIVE = {"7": 84, "1": 24, "3": 20, "2": 13, "4": 8, "6": 7, "5": 3}
CASME3_OBJECTIVE = {"VII": 373, "III": 234, "II": 151, "V": 47, "IV": 37, "I": 15, "VI": 3}


def sheet(dataset: str, counts: Mapping[str, int], column: str = "emotion") -> pd.DataFrame:
    """A samples table with as many clips of each word as a published sheet."""
    words = [word for word, count in counts.items() for _ in range(count)]
    return samples_table([row(dataset, "p", str(number), column, word) for number, word in enumerate(words)])


def row(dataset: str, person: str, clip: str, column: str, word: str) -> dict[str, str]:
    names = {"sample_id": f"{dataset}/{person}/{clip}", "dataset": dataset, "subject": f"{dataset}/{person}"}
    return {**names, "clip": clip, column: word}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "dataset", "counts", "expected"),
    [
        ("megc3", "synth_samm", SAMM, {"negative": 92, "positive": 26, "surprise": 15}),
        ("megc3", "smic", SMIC, {"negative": 70, "positive": 51, "surprise": 43}),
        ("casme2_3class_147", "casme2", CASME2_2014, {"negative": 90, "positive": 32, "surprise": 25}),
        ("casme2_3class_156", "casme2", CASME2_2014, {"negative": 99, "positive": 32, "surprise": 25}),
        ("casme2_4class", "casme2", CASME2_2014, {"happiness": 32, "disgust": 63, "surprise": 25, "others": 126}),
        ("emotion5", "casme2", CASME2_2014, {"others": 99, "repression": 27, "disgust": 63}),
        ("emotion7_casme2", "casme2", CASME2_2014, {"sadness": 7, "fear": 2, "others": 99}),
        ("emotion5_samm", "samm", SAMM, {"anger": 57, "contempt": 12, "happiness": 26, "surprise": 15, "others": 26}),
        ("emotion7", "samm", SAMM, {"anger": 57, "contempt": 12, "disgust": 9, "fear": 8, "sadness": 6}),
        ("emotion7", "dfme", DFME, {"disgust": 548, "contempt": 100, "anger": 161}),
        ("emotion7_others", "casme3", CASME3, {"others": 161, "happiness": 55, "sadness": 57}),
        ("emotion7_others", "mmew", MMEW, {"surprise": 89, "others": 66}),
        ("emotion7_neutral", "afew", AFEW_TRAIN, {"anger": 133, "neutral": 144, "sadness": 117}),
        ("emotion3", "casme3", CASME3, {"negative": 457, "positive": 55, "surprise": 187}),
        ("emotion4", "casme3", CASME3, {"negative": 457, "positive": 55, "surprise": 187, "others": 161}),
        ("emotion3", "casme3_c", CASME3_C, {"negative": 99, "positive": 16, "surprise": 30}),
        ("emotion4", "casme3_c", CASME3_C, {"others": 20}),
        ("binary", "samm", SAMM, {"negative": 92, "positive": 26}),
        ("binary", "casme2", CASME2_2014, {"negative": 99, "positive": 32}),
    ],
)
def test_classes_of_a_published_sheet(
    task: str, dataset: str, counts: Mapping[str, int], expected: Mapping[str, int]
) -> None:
    chosen = TASKS.get(task)
    index = labels(chosen, sheet(dataset, counts))
    found = {name: int((index == number).sum()) for number, name in enumerate(chosen.classes)}
    assert expected.items() <= found.items()


@pytest.mark.parametrize(
    ("task", "dataset", "counts", "clips"),
    [
        ("emotion5", "casme2", CASME2_2014, 246),
        ("emotion7_casme2", "casme2", CASME2_2014, 255),
        ("casme2_4class", "casme2", CASME2_2014, 246),
        ("casme2_3class_147", "casme2", CASME2_2014, 147),
        ("casme2_3class_156", "casme2", CASME2_2014, 156),
        ("megc3", "synth_samm", SAMM, 133),
        ("megc3", "smic", SMIC, 164),
        ("emotion5_samm", "samm", SAMM, 136),
        ("emotion7", "samm", SAMM, 133),
        ("emotion7", "dfme", DFME, 1856),
        ("emotion3", "casme3", CASME3, 699),
        ("emotion4", "casme3", CASME3, 860),
        ("emotion7_others", "casme3", CASME3, 860),
        ("emotion3", "casme3_c", CASME3_C, 145),
        ("emotion4", "casme3_c", CASME3_C, 165),
        ("emotion7_others", "mmew", MMEW, 300),
        ("emotion7_neutral", "afew", AFEW_TRAIN, 773),
    ],
)
def test_clips_with_a_class(task: str, dataset: str, counts: Mapping[str, int], clips: int) -> None:
    assert (labels(TASKS.get(task), sheet(dataset, counts)) >= 0).sum() == clips


@pytest.mark.parametrize(
    ("dataset", "counts", "clips"),
    [("casme2", CASME2_OBJECTIVE, 185), ("samm", SAMM_OBJECTIVE, 68), ("casme3", CASME3_OBJECTIVE, 484)],
)
def test_objective_classes_of_the_2018_challenge(dataset: str, counts: Mapping[str, int], clips: int) -> None:
    task = TASKS.get("objective5")
    index = labels(task, sheet(dataset, counts, "objective_class"))
    assert (index >= 0).sum() == clips
    first = counts["1" if "1" in counts else "I"]
    assert (index == task.classes.index("I")).sum() == first


def test_a_rendered_tree_is_read_as_the_database_it_copies() -> None:
    assert labels(TASKS.get("emotion5"), sheet("synth_casme2", CASME2_2014)).tolist().count(-1) == 9


@pytest.mark.slow
@pytest.mark.parametrize("check", every("task"))
def test_every_task_passes_its_checks(check: Check) -> None:
    passes(check)


def test_a_task_of_another_database_says_what_it_is_made_for() -> None:
    with pytest.raises(DataError, match="emotion5 is not made for dataset samm, only for: casme2"):
        labels(TASKS.get("emotion5"), sheet("samm", SAMM))


@pytest.mark.parametrize("dataset", sorted(set(ANNOTATIONS.names()) - {"casme2", "samm", "smic"}))
def test_the_composite_of_2019_has_three_databases(dataset: str) -> None:
    with pytest.raises(DataError, match=f"megc3 is not made for dataset {dataset}, only for: casme2, samm, smic"):
        labels(TASKS.get("megc3"), sheet(dataset, {"surprise": 2}))


def test_clips_that_show_several_emotions() -> None:
    words = ["Surprise+Positive", "positive + positive", "Repression+Others", "negative+bored"]
    samples = sheet("4dme", dict.fromkeys(words[:3], 1))
    assert labels(TASKS.get("emotion3"), samples).tolist() == [-1, 1, -1]
    with pytest.raises(DataError, match=r"'negative\+bored' of dataset 4dme"):
        labels(TASKS.get("emotion3"), sheet("4dme", {words[3]: 1}))


def test_every_emotion_of_a_clip_counts_in_the_multi_label_task() -> None:
    words = ["Surprise+Positive", "positive + positive", "Repression+Others", "Negative"]
    task = TASKS.get("emotion5_4dme")
    index = labels(task, pd.concat([sheet("4dme", dict.fromkeys(words, 1)), unlabelled("4dme")]))
    assert task.multilabel
    assert index.dtype == np.int64
    assert [[task.classes[column] for column in np.flatnonzero(row == 1)] for row in index] == [
        ["positive", "surprise"],
        ["positive"],
        ["repression", "others"],
        ["negative"],
        [],
    ]
    assert index[-1].tolist() == [-1] * 5, "nobody annotated it"
    assert (index[:-1] >= 0).all()
    with pytest.raises(DataError, match=r"'negative\+bored' of dataset 4dme"):
        labels(task, sheet("4dme", {"negative+bored": 1}))


def unlabelled(dataset: str) -> pd.DataFrame:
    """A samples table of one clip without an emotion."""
    names = {"sample_id": f"{dataset}/q/0", "dataset": dataset, "subject": f"{dataset}/q", "clip": "0"}
    return samples_table([names])


def test_a_class_number_that_became_a_float_is_that_number() -> None:
    samples = sheet("samm", {"1.0": 1, "5.00": 1, "7.0": 1}, "objective_class")
    assert labels(TASKS.get("objective5"), samples).tolist() == [0, 4, -1]


def test_action_units_of_two_databases() -> None:
    casme2 = sheet("casme2", {"4+L10": 1, "R12": 1}, "action_units")
    smic = sheet("smic", SMIC)
    task = TASKS.get("au12")
    index = labels(task, pd.concat([smic, casme2]))
    assert index.dtype == np.int64
    assert index.shape == (166, 12)
    assert (index[:164] == -1).all(), "SMIC has no action units"
    assert [[task.classes[column] for column in np.flatnonzero(row == 1)] for row in index[164:]] == [
        ["AU4", "AU10"],
        ["AU12"],
    ]
