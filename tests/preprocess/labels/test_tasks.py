"""The megc3 task: the classes of the MEGC 2019 composite from each database's own annotation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from preprocess.base.errors import DataError
from preprocess.datasets import read_source
from preprocess.labels.tasks import TASKS, Task, labels
from preprocess.samples.table import samples_table

MEGC3 = TASKS.get("megc3")


def clips_of(emotions: Mapping[str, str | None]) -> pd.DataFrame:
    """A samples table from sample ids and emotions."""
    rows = []
    for sample_id, emotion in emotions.items():
        dataset, person, clip = sample_id.split("/")
        subject = f"{dataset}/{person}"
        rows.append({"sample_id": sample_id, "dataset": dataset, "subject": subject, "clip": clip, "emotion": emotion})
    return samples_table(rows)


def annotated(dataset: str, emotions: list[str | None]) -> pd.DataFrame:
    """A samples table whose clips c00, c01 ... have the given emotions."""
    return samples_table(
        [
            {
                "sample_id": f"{dataset}/p/c{number:02d}",
                "dataset": dataset,
                "subject": f"{dataset}/p",
                "clip": f"c{number:02d}",
                "emotion": emotion,
            }
            for number, emotion in enumerate(emotions)
        ]
    )


@pytest.mark.parametrize(
    ("dataset", "emotions", "expected"),
    [
        ("casme2", ["disgust", "repression", "happiness", "surprise"], [0, 0, 1, 2]),
        ("casme2", ["others", "sadness", "fear"], [-1, -1, -1]),
        ("samm", ["Anger", "Contempt", "Disgust", "Fear", "Sadness", "Happiness", "Surprise"], [0, 0, 0, 0, 0, 1, 2]),
        ("samm", ["Other", None], [-1, -1]),
        ("smic", ["negative", "positive", "surprise"], [0, 1, 2]),
        ("casme2", ["negative", "Positive", " SURPRISE "], [0, 1, 2]),
        ("synth_a", ["surprise", "negative"], [2, 0]),
    ],
)
def test_megc3(dataset: str, emotions: list[str | None], expected: list[int]) -> None:
    result = labels(MEGC3, annotated(dataset, emotions))
    assert result.dtype == np.int64
    assert result.tolist() == expected


def test_the_published_clips_take_part(megc2019_flow: Path) -> None:
    """The public flow images were made of the organisers' list: every clip of it must have a class."""
    counts = {}
    for dataset in read_source(megc2019_flow):
        samples = dataset.samples[labels(MEGC3, dataset.samples) >= 0]
        counts[dataset.name] = (len(samples), samples["subject"].nunique())
        assert MEGC3.left_out.isdisjoint(samples["sample_id"])
    assert counts == {"casme2": (145, 24), "samm": (133, 28), "smic": (164, 16)}


def test_clips_that_sheets_of_casme2_have_and_the_composite_has_not() -> None:
    left_out = {
        "casme2/sub04/EP12_01f": "disgust",
        "casme2/sub05/EP09_05f": "disgust",
        "casme2/sub24/EP07_01": "surprise",
        "casme2/sub24/EP07_04f": "surprise",
        "casme2/sub24/EP10_03": "surprise",
    }
    samples = clips_of({**left_out, "casme2/sub01/EP02_01f": "happiness"})
    assert labels(MEGC3, samples).tolist() == [1, -1, -1, -1, -1, -1]
    assert (labels(TASKS.get("casme2_3class_147"), samples) >= 0).all()


def test_a_copy_annotated_in_classes_may_name_its_clips_otherwise() -> None:
    assert labels(MEGC3, annotated("casme2", ["negative", "surprise"])).tolist() == [0, 2]
    assert labels(MEGC3, annotated("synth_casme2", ["disgust", "others"])).tolist() == [0, -1]


def test_classes_are_in_the_order_of_the_composite() -> None:
    assert MEGC3.classes == ("negative", "positive", "surprise")


def test_labels_follow_the_rows_of_a_composite() -> None:
    both = pd.concat([annotated("samm", ["Other", "Fear"]), annotated("casme2", ["fear", "disgust"])])
    assert labels(MEGC3, both).tolist() == [-1, 0, -1, 0]


def test_an_unknown_emotion_names_samples_and_what_is_known() -> None:
    with pytest.raises(DataError) as caught:
        labels(MEGC3, annotated("casme2", ["disgust", "tense", "tense"]))
    message = str(caught.value)
    assert "'tense' of dataset casme2 (casme2/p/c01, casme2/p/c02)" in message
    assert "disgust, fear, happiness, negative, others, positive, repression, sadness, surprise" in message


def test_a_long_list_of_samples_is_cut_short() -> None:
    with pytest.raises(DataError, match=r"smic/p/c04 and 4 more\)"):
        labels(MEGC3, annotated("smic", ["happiness"] * 9))


def test_an_excluded_emotion_of_one_database_is_unknown_in_another() -> None:
    with pytest.raises(DataError, match="'repression' of dataset samm"):
        labels(MEGC3, annotated("samm", ["repression"]))


def test_a_task_of_ones_own() -> None:
    task = Task("fear_or_not", ("not", "fear"), lambda dataset: {"fear": "fear", "anger": "not"}, "a test")
    assert labels(task, annotated("samm", ["fear", "anger", "fear"])).tolist() == [1, 0, 1]
