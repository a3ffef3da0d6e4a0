"""Lists of apexes by third parties: joined where the authors annotated none, marked, and never where they cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from more_trees import casme3_c, casme_sq, workbook
from trees import casme2, smic, smic_long

from preprocess.base.errors import DataError
from preprocess.datasets import Given, RawDataset, read_source

# The clips of the small copy of SMIC have six frames each, from these on.
FIRST = {"s1_ne_01": 0, "s1_po_02": 100, "s3_sur_01": 200, "s20_ne_11": 17_000_000}
APEXES = {clip: first + 2 for clip, first in FIRST.items()}
HEADING = ["subject", "clip", "label", "onset_frame", "apex_frame", "offset_frame", "apex_frame_path"]


def rows(apexes: dict[str, int]) -> list[list[Any]]:
    """Lines of a list, with subjects as numbers and clips named as other programs do."""
    return [
        [int(clip.split("_")[0][1:]), clip.replace("s1_", "s01_"), 0, FIRST[clip], apex, FIRST[clip] + 5, "x/image.jpg"]
        for clip, apex in apexes.items()
    ]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return smic(tmp_path / "data")


def read(root: Path, file: Path, name: str = "smic", **columns: str) -> list[RawDataset]:
    return read_source(root, name, None, {name: Given(columns=columns, apexes=file)})


def notes(datasets: list[RawDataset]) -> str:
    return "\n".join(note for dataset in datasets for note in dataset.notes)


def text(path: Path, lines: list[list[Any]]) -> Path:
    path.write_text("\n".join(",".join(map(str, line)) for line in lines))
    return path


def test_apexes_are_joined_and_marked(root: Path, tmp_path: Path) -> None:
    file = workbook(tmp_path / "apexes.xlsx", {"Sheet1": [HEADING, *rows(APEXES)]})
    (dataset,) = read(root, file)
    assert dict(zip(dataset.samples["clip"], dataset.samples["apex"], strict=True)) == {
        "s01_ne_01": 2,
        "s01_po_02": 102,
        "s03_sur_01": 202,
        "s20_ne_11": 17_000_002,
    }
    assert dataset.clips["smic/s20/s20_ne_11"].apex == 17_000_002
    assert set(dataset.samples["repaired"]) == {
        f"apex none -> {apex} (apexes.xlsx, a list by others than the database's authors)" for apex in APEXES.values()
    }
    assert f"4 apexes are of {file}, a list by others than the database's authors" in dataset.notes
    assert dataset.sheets == (file,)


@pytest.mark.parametrize("with_frames", [True, False])
def test_a_list_without_headings(with_frames: bool, root: Path, tmp_path: Path) -> None:
    lines = [["s01", clip, FIRST[clip], apex, FIRST[clip] + 5, 2] for clip, apex in APEXES.items() if "s1_" in clip]
    if not with_frames:
        lines = [[line[0], line[1], line[3]] for line in lines]
    (dataset,) = read(root, text(tmp_path / "apexes.csv", lines))
    assert dataset.samples["apex"].dropna().tolist() == [2, 102]
    assert "2 clips are not in the list: s03/s03_sur_01; s20/s20_ne_11" in notes([dataset])


@pytest.mark.parametrize(
    "line", [["s01", "s1_ne_01"], ["s01", "s1_ne_01", 1, 2], ["s01", "", 1], ["s01", "s1_ne_01", "x"]]
)
def test_a_list_that_is_not_understood_is_refused(line: list[Any], root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"apexes\.csv has no row of headings"):
        read(root, text(tmp_path / "apexes.csv", [["s01", "s1_po_02", 101], line]))


def test_clips_may_be_named_with_their_subject_before_them(root: Path, tmp_path: Path) -> None:
    lines = [["s01", "s01_s1_ne_01", 2], ["s1", "s1_po_02", 102], ["s20", "s20_s20_ne_11", 17_000_002]]
    (dataset,) = read(root, text(tmp_path / "apexes.csv", [["sub", "clip", "apex"], *lines]))
    assert dataset.samples["apex"].dropna().tolist() == [2, 102, 17_000_002]


def test_a_list_of_several_databases_gives_its_own_lines(root: Path, tmp_path: Path) -> None:
    lines = [["smic", *row] for row in rows(APEXES)] + [["casme2", 1, "s1_ne_01", 0, 0, 4, 5, "x"]]
    (dataset,) = read(root, workbook(tmp_path / "all.xlsx", {"Sheet1": [["data", *HEADING], *lines]}))
    assert dataset.clips["smic/s01/s01_ne_01"].apex == 2


@pytest.mark.parametrize("apex", [0, 6, 999])
def test_an_apex_outside_of_its_clip_or_at_its_onset_is_not_taken(apex: int, root: Path, tmp_path: Path) -> None:
    file = workbook(tmp_path / "apexes.xlsx", {"Sheet1": [HEADING, *rows({**APEXES, "s1_ne_01": apex})]})
    (dataset,) = read(root, file)
    assert dataset.clips["smic/s01/s01_ne_01"].apex is None
    assert dataset.samples["repaired"].notna().sum() == 3
    assert f"s01/s01_ne_01: {apex} of 0 to 5" in notes([dataset])


def test_apexes_at_the_offset_are_counted(root: Path, tmp_path: Path) -> None:
    file = workbook(tmp_path / "apexes.xlsx", {"Sheet1": [HEADING, *rows({**APEXES, "s1_ne_01": 5})]})
    (dataset,) = read(root, file)
    assert dataset.clips["smic/s01/s01_ne_01"].apex == 5
    assert "1 of them are the offset" in notes([dataset])


def test_the_authors_own_apexes_stay(tmp_path: Path) -> None:
    root = casme2(tmp_path / "data")
    lines = [["sub01", "EP02_01f", 50], ["sub04", "EP12_01f", 7], ["sub26", "EP18_44", "/"]]
    file = workbook(tmp_path / "apexes.xlsx", {"Sheet1": [["Subject", "Filename", "Apex"], *lines]})
    (dataset,) = read(root, file, "casme2")
    assert dataset.clips["casme2/sub01/EP02_01f"].apex == 59
    assert dataset.clips["casme2/sub04/EP12_01f"].apex == 7
    assert "1 clips have an apex of their authors, which stays: sub01/EP02_01f" in notes([dataset])


def test_an_apex_that_is_the_onset_is_replaced_and_both_are_told(tmp_path: Path) -> None:
    from trees import CASME2_ROWS, casme2_row

    root = casme2(tmp_path / "data", [*CASME2_ROWS, casme2_row("02", "EP01_11f", (10, 10, 20), "4", "fear")])
    file = workbook(tmp_path / "apexes.xlsx", {"Sheet1": [["sub", "clip", "apex"], [2, "EP1_11f", 14]]})
    (dataset,) = read(root, file, "casme2")
    (mark,) = dataset.samples["repaired"].dropna()
    assert mark.startswith("apex 10 -> none (")
    assert mark.endswith("; apex none -> 14 (apexes.xlsx, a list by others than the database's authors)")


def test_expressions_of_one_recording_get_the_apex_of_their_onset(tmp_path: Path) -> None:
    root = smic_long(tmp_path / "data")
    for lines in (
        [["s20", "s20_sur_03", 11, 13], ["s20", "s20_sur_03", 20, 22]],
        # Where the list has no onsets, the one apex that lies within.
        [["s20", "s20_sur_03", "", 13], ["s20", "s20_sur_03", "", 22]],
    ):
        file = workbook(tmp_path / "apexes.xlsx", {"Sheet1": [["subject", "clip", "onset", "apex"], *lines]})
        (dataset,) = read(root, file, "smic_long")
        assert {name: clip.apex for name, clip in dataset.clips.items() if "s20" in name} == {
            "smic_long/s20/s20_sur_03@11": 13,
            "smic_long/s20/s20_sur_03@20": 22,
        }


def test_two_apexes_of_one_expression_are_not_chosen_from(root: Path, tmp_path: Path) -> None:
    lines = [*rows(APEXES), [1, "s1_ne_01", 0, 0, 3, 5, ""]]
    (dataset,) = read(root, workbook(tmp_path / "apexes.xlsx", {"Sheet1": [HEADING, *lines]}))
    assert dataset.clips["smic/s01/s01_ne_01"].apex is None
    assert "s01/s01_ne_01: 2, 3 of 0 to 5" in notes([dataset])


def test_a_list_of_one_of_two_datasets_leaves_the_other(tmp_path: Path) -> None:
    root = casme_sq(tmp_path / "data")
    file = workbook(tmp_path / "apexes.xlsx", {"Sheet1": [["subject", "clip", "apex"], ["s15", "disgust1_2", 6]]})
    micro, macro = sorted(read(root, file, "casme_sq"), key=lambda dataset: dataset.name)
    assert micro.clips["casme_sq/s15/disgust1_2"].apex == 5, "the authors' own"
    assert len(macro.clips) == 2


def test_columns_of_the_list_may_be_named(tmp_path: Path) -> None:
    root = casme3_c(tmp_path / "data")
    file = workbook(tmp_path / "apexes.xlsx", {"Sheet1": [["sub", "count", "Peak"], [1, 1, 12], [1, 2, 21]]})
    with pytest.raises(DataError, match=r"has no row of headings.*--columns casme3_c\.subject=HEADING"):
        read(root, file, "casme3_c")
    (dataset,) = read(root, file, "casme3_c", clip="count", apex="Peak")
    assert dataset.samples["apex"].dropna().tolist() == [12, 21]


def test_the_list_of_another_database_is_refused(root: Path, tmp_path: Path) -> None:
    file = workbook(tmp_path / "apexes.xlsx", {"Sheet1": [["subject", "clip", "apex"], ["sub01", "EP02_01f", 59]]})
    with pytest.raises(
        DataError, match=r"No line of .*apexes\.xlsx is about a clip of SMIC.*it has s01/ep2_1f, the data"
    ):
        read(root, file)


def test_an_apex_that_is_no_number_is_named(root: Path, tmp_path: Path) -> None:
    file = workbook(tmp_path / "apexes.xlsx", {"Sheet1": [["subject", "clip", "apex"], ["s1", "s1_ne_01", "middle"]]})
    with pytest.raises(DataError, match=r"apexes\.xlsx, tab Sheet1, row 2: apex is 'middle', not a frame number"):
        read(root, file)
