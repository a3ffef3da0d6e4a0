"""What is said of prepared datasets: texts of one kind are one line, which claims nothing of clips it is not of."""

from __future__ import annotations

import dataclasses

import pytest

from bench.console.prepared import describe
from preprocess.shards.file import Remarks
from preprocess.shards.prepared import PreparedDataset

ONE, TWO, THREE, FOUR = (f"synth_a/p01/c0{number}" for number in range(1, 5))


def remarked(dataset: PreparedDataset, remarks: Remarks) -> list[str]:
    """Return the lines on a dataset whose one feature has these remarks."""
    (name,) = dataset.features
    info = dataclasses.replace(dataset.features[name], remarks=remarks)
    return describe(dataclasses.replace(dataset, features={name: info}))


@pytest.mark.parametrize(
    ("numbers", "line"),
    [
        ((7, 7), f"    2 x apex 7 is missing ({ONE}, {TWO})"),
        ((7, 9), f"    2 x such as: apex 7 is missing ({ONE}, {TWO})"),
    ],
)
def test_notes_of_one_kind_are_one_line(synthetic: list[PreparedDataset], numbers: tuple[int, int], line: str) -> None:
    notes = {sample_id: [f"apex {number} is missing"] for sample_id, number in zip((ONE, TWO), numbers, strict=True)}
    assert remarked(synthetic[0], Remarks(notes=notes))[-2:] == ["  noted of 2 samples:", line]


def test_skipped_clips_come_with_their_reasons_the_most_frequent_first(synthetic: list[PreparedDataset]) -> None:
    skipped = {FOUR: f"{FOUR}: no face was found", **dict.fromkeys((ONE, TWO, THREE), "frame 3 is missing")}
    lines = remarked(synthetic[0], Remarks(skipped=skipped))
    assert lines[-3].endswith("samples have no flow_uvs_28 and are left out:")
    assert lines[-2:] == [f"    3 x frame 3 is missing ({ONE}, {TWO}, {THREE})", f"    1 x no face was found ({FOUR})"]
