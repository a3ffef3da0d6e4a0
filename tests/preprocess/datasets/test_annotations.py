"""Rows joined with clips: known mistakes, impossible frames, doubles, counts, versions of a sheet."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from more_trees import DFME_TRAIN, Rows, dfme, images, workbook
from trees import (
    CASME2_HEADER,
    CASME2_ROWS,
    CASME_HEADER,
    CASME_ROWS,
    SAMM_ROWS,
    casme,
    casme2,
    casme2_row,
    mmew,
    samm,
    samm_row,
    smic_long,
)

from preprocess.base.errors import DataError
from preprocess.datasets import RawDataset, detect, read_source
from preprocess.datasets._records import subject_id, to_frame


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def read(root: Path, variant: str | None = None) -> RawDataset:
    (dataset,) = read_source(root, None, variant)
    return dataset


def sample(dataset: RawDataset, sample_id: str) -> dict[str, Any]:
    (row,) = dataset.samples[dataset.samples["sample_id"] == sample_id].to_dict("records")
    return row


def left_out(dataset: RawDataset, kind: str) -> str:
    (note,) = [note for note in dataset.notes if kind in note]
    return note


def test_a_row_becomes_a_sample(root: Path) -> None:
    dataset = read(casme2(root))
    assert len(dataset.samples) == 4
    row = sample(dataset, "casme2/sub01/EP02_01f")
    assert {name: row[name] for name in ("subject", "clip", "onset", "apex", "offset", "fps")} == {
        "subject": "casme2/sub01",
        "clip": "EP02_01f",
        "onset": 46,
        "apex": 59,
        "offset": 60,
        "fps": 200.0,
    }
    assert (row["emotion"], row["action_units"]) == ("happiness", "12")


def test_the_apex_that_casme2_does_not_have_is_null(root: Path) -> None:
    dataset = read(casme2(root))
    assert dataset.samples["apex"].isna().sum() == 1
    assert dataset.clips["casme2/sub04/EP12_01f"].apex is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("frames", "told"),
    [
        ((5, 9, 8), "onset 5, apex 9, offset 8 are not in this order"),
        ((5, 4, 8), "onset 5, apex 4, offset 8 are not in this order"),
        ((8, "/", 5), "onset 8, apex None, offset 5 are not in this order"),
        (("five", 6, 8), "onset is 'five', not a frame number"),
        ((5, 6, None), "onset is '5' and offset ''"),
        ((5, 6.5, 8), "apex is '6.5', not a frame number"),
        ((-5, 6, 8), "onset is '-5', not a frame number"),
    ],
)
def test_frames_that_cannot_be_are_left_out_and_never_guessed(frames: Any, told: str, root: Path) -> None:
    casme2(root)
    rows = [*CASME2_ROWS[:2], casme2_row("04", "EP12_01f", frames, "4", "disgust"), CASME2_ROWS[3]]
    workbook(root / "CASME2-coding-20140508.xlsx", {"Sheet1": [CASME2_HEADER, *rows]})
    dataset = read(root)
    assert set(dataset.clips) == {f"casme2/{name}" for name in ("sub01/EP02_01f", "sub01/EP19_05f", "sub26/EP18_44")}
    note = left_out(dataset, "1 rows have numbers that cannot be and are left out")
    assert "sub04/EP12_01f (CASME2-coding-20140508.xlsx, tab Sheet1, row 4)" in note
    assert told in note


def test_a_frame_rate_that_is_none_is_left_out(root: Path) -> None:
    rows = [[*DFME_TRAIN[0][:7], rate, "4"] for rate in (500, "fast", 0)]
    dfme(root, [[row[0], f"sub0003_0{number}", *row[2:]] for number, row in enumerate(rows)], None)
    dataset = read(root)
    assert list(dataset.clips) == ["dfme/sub0003/sub0003_00"]
    note = left_out(dataset, "2 rows have numbers that cannot be and are left out")
    assert "fast" in note
    assert "fps is '0', not a frame rate" in note


def test_a_row_without_a_subject_is_left_out(root: Path) -> None:
    dataset = read(dfme(root, [*DFME_TRAIN, [None, "sub0010_02", 3, 4, 5, "anger", 0, 200, "4"]], None))
    assert len(dataset.clips) == len(DFME_TRAIN)
    assert "sub0010_02" in left_out(dataset, "1 rows name no subject and are left out")


def test_rows_without_folder_and_folders_without_row_are_told(root: Path) -> None:
    raw = casme2(root) / "CASME2_RAW_selected"
    shutil.rmtree(raw / "sub04")
    images(raw / "sub09" / "EP01_01", range(1, 4), "img{}.jpg")
    dataset = read(root)
    assert len(dataset.samples) == 3
    assert "sub04/EP12_01f" in left_out(dataset, "1 rows have no clip folder and are left out")
    assert "sub09/EP01_01" in left_out(dataset, "1 clip folders have no row in the sheet and are left out")


def test_frames_beyond_the_clip(root: Path) -> None:
    raw = casme2(root) / "CASME2_RAW_selected"
    for number in range(50, 61):
        (raw / "sub01" / "EP02_01f" / f"img{number}.jpg").unlink()
    for file in (raw / "sub26" / "EP18_44").iterdir():
        file.rename(file.with_name(f"img9{file.name[3:]}"))
    dataset = read(root)
    clip = dataset.clips["casme2/sub01/EP02_01f"]
    assert clip.numbers == [46, 47, 48, 49]
    assert clip.missing == list(range(50, 61))
    note = left_out(dataset, "1 clips have none of the frames that the sheet names and are left out")
    assert "frames 1 to 4; the folder has 91 to 94" in note


def test_a_row_that_is_there_twice_counts_once(root: Path) -> None:
    dataset = read(casme2(root, [*CASME2_ROWS, CASME2_ROWS[0]]))
    assert len(dataset.samples) == 4
    assert "tab Sheet1, row 6" in left_out(dataset, "1 rows repeat an earlier one and are left out")


def test_rows_that_contradict_each_other_are_both_left_out(root: Path) -> None:
    dataset = read(casme2(root, [*CASME2_ROWS, casme2_row("01", "EP02_01f", (46, 59, 60), "12", "disgust")]))
    assert "casme2/sub01/EP02_01f" not in dataset.clips
    note = left_out(dataset, "1 expressions have rows that contradict each other and are left out")
    assert "row 2" in note
    assert "row 6" in note


def test_a_clip_with_two_expressions_tells_them_by_their_onset(root: Path) -> None:
    dataset = read(casme2(root, [*CASME2_ROWS, casme2_row("01", "EP02_01f", (61, 63, 70), "4", "disgust")]))
    assert {"casme2/sub01/EP02_01f@46", "casme2/sub01/EP02_01f@61", "casme2/sub01/EP19_05f"} < set(dataset.clips)


def test_the_sheet_of_another_database(root: Path) -> None:
    casme2(root)
    rows = [samm_row("006_1_2", (1, 2, 3), "4", "Anger", 3), samm_row("037_3_1", (1, 2, 3), "4", "Other", 7)]
    samm(root.parent / "samm", rows)
    shutil.move(root.parent / "samm" / "SAMM_Micro_FACS_Codes_v2.xlsx", root / "CASME2-coding-20140508.xlsx")
    with pytest.raises(DataError) as caught:
        read(root)
    message = str(caught.value)
    assert "No sample of CASME II" in message
    assert "CASME2-coding-20140508.xlsx (such as sub06/006_1_2" in message
    assert "such as sub01/EP02_01f" in message
    assert "Is it the sheet of another database?" in message


def test_labels_come_from_the_sheet_and_not_from_the_folder(root: Path) -> None:
    dataset = read(mmew(root))
    assert sample(dataset, "mmew/S03/S03-02-001")["emotion"] == "others"
    assert dataset.clips["mmew/S03/S03-02-001"].files[1].parent.parent.name == "repression"


def test_the_known_mistakes_of_samm_are_mended_and_told(root: Path) -> None:
    rows = [
        samm_row("028_4_1", (1071, 1143, 1134), "A14C", "Contempt", 7),
        samm_row("032_3_1", (4896, 1930, 4970), "4A", "Anger", 3),
        samm_row("032_3_2", (5126, 5127, 5207), "4A", "Anger", 3),
        samm_row("013_1_9", (5658, 5680, 5793), "7", "Anger", 7),
        samm_row("006_1_2", (9, 11, 12), "4+7", "Anger", 3),
    ]
    dataset = read(samm(root, rows))
    mended = {
        row["sample_id"]: (row["onset"], row["apex"], row["offset"]) for row in dataset.samples.to_dict("records")
    }
    assert mended == {
        "samm/028/028_4_1": (1071, 1113, 1134),
        "samm/032/032_3_1": (4896, 4930, 4970),
        "samm/032/032_3_2": (5126, 5130, 5207),
        "samm/013/013_1_9": (5658, 5680, 5739),
        "samm/006/006_1_2": (9, 11, 12),
    }
    what = sample(dataset, "samm/028/028_4_1")["repaired"]
    assert what.startswith("apex 1143 -> 1113 (apex after the offset 1134, a digit mistyped; public code of Varanka")
    assert dataset.samples["repaired"].notna().sum() == 4
    assert dataset.clips["samm/028/028_4_1"].apex == 1113


def test_a_cell_that_does_not_hold_the_known_mistake_stays(root: Path) -> None:
    rows = [
        samm_row("028_4_1", (1071, 1112, 1134), "A14C", "Contempt", 7),
        samm_row("013_1_9", (5658, 5680, 5739), "7", "Anger", 7),
    ]
    dataset = read(samm(root, rows))
    assert sample(dataset, "samm/028/028_4_1")["apex"] == 1112
    assert dataset.samples["repaired"].isna().all()


def test_rendered_data_has_no_published_mistakes(root: Path) -> None:
    samm(root, [samm_row("013_1_9", (5658, 5680, 5793), "7", "Anger", 7)])
    (root / "synthetic.json").write_text("{}")
    assert sample(read(root), "synth_samm/013/013_1_9")["offset"] == 5793


def test_rows_of_casme_are_mended_by_their_number_and_only_where_out_of_order(root: Path) -> None:
    def rows(bad: tuple[int, int, int]) -> Rows:
        plain = [[1, f"EP01_{number}", None, 5, 7, 0, 9, None, "4", "tense"] for number in range(45)]
        plain[42] = [1, "EP01_42", None, bad[0], bad[1], 0, bad[2], None, "4", "tense"]
        return plain

    casme(root, rows((101, 110, 119)))
    workbook(root / "casme.xlsx", {"Sheet1": [CASME_HEADER, *rows((101, 11, 19))]})
    dataset = read(root)
    row = sample(dataset, "casme/sub01/EP01_42")
    assert (row["onset"], row["apex"], row["offset"]) == (101, 110, 119)
    assert row["repaired"].count("->") == 2
    workbook(root / "casme.xlsx", {"Sheet1": [CASME_HEADER, *rows((102, 111, 118))]})
    assert sample(read(root), "casme/sub01/EP01_42")["apex"] == 111


def test_casme_takes_the_first_of_its_two_apexes(root: Path) -> None:
    assert CASME_ROWS[0][4:6] == [56, 57]
    assert sample(read(casme(root)), "casme/sub01/EP01_5")["apex"] == 56


def test_the_newest_official_sheet_is_read_and_the_others_are_told(root: Path) -> None:
    casme2(root)
    newer = [*CASME2_ROWS[:3], casme2_row("26", "EP18_44", (1, 2, 4), "R12", "surprise")]
    workbook(root / "CASME2-coding-20190701.xlsx", {"Sheet1": [CASME2_HEADER, *newer]})
    workbook(root / "CASME2-coding-updated.xlsx", {"Sheet1": [CASME2_HEADER, *CASME2_ROWS]})
    dataset = read(root)
    assert sample(dataset, "casme2/sub26/EP18_44")["emotion"] == "surprise"
    assert [found.version for found in detect(root)] == ["2019", "2014", "updated"]
    assert any("casme2:raw,2019 is read; casme2:raw,2014 in" in note for note in dataset.notes)
    assert sample(read_source(root, "casme2", "2014")[0], "casme2/sub26/EP18_44")["emotion"] == "others"
    assert sample(read_source(root, "casme2", "raw,2014")[0], "casme2/sub26/EP18_44")["emotion"] == "others"


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("CASME2-coding-20190701", "2019"),
        ("CASME2-coding-20140508", "2014"),
        ("CASME2_label_Ver_2", "label_Ver_2"),
        ("CASME2-coding-updated", "updated"),
        ("casme2-coding", "undated"),
        ("CASME2-coding-20990101", "undated"),
    ],
)
def test_published_sheets_of_casme2_are_known_by_name(name: str, version: str, root: Path) -> None:
    assert [found.version for found in detect(casme2(root, sheets=[name]))] == [version]


@pytest.mark.parametrize("name", ["SAMM_Micro_FACS_Codes_v2", "SAMM_20181215_Micro_FACS_Codes_v2"])
def test_published_sheets_of_samm_are_known_by_name(name: str, root: Path) -> None:
    samm(root)
    (root / "SAMM_Micro_FACS_Codes_v2.xlsx").rename(root / f"{name}.xlsx")
    assert [found.version for found in detect(root)] == ["v2"]


def test_objective_classes_are_joined_where_their_sheet_lies_there(root: Path) -> None:
    casme2(root)
    rows = [["Subject", "Filename", "Objective Class"], [1, "EP02_01f", 1], ["26", "EP18_44", 7], [9, "EP01_01", 2]]
    workbook(root / "CASME2-ObjectiveClasses.xlsx", {"Sheet1": rows})
    dataset = read(root)
    assert sample(dataset, "casme2/sub01/EP02_01f")["objective_class"] == "1"
    assert sample(dataset, "casme2/sub26/EP18_44")["objective_class"] == "7"
    assert dataset.samples["objective_class"].notna().sum() == 2


def test_samm_rows_keep_the_coders_words(root: Path) -> None:
    assert SAMM_ROWS[2][8] == "L12 or L14"
    row = sample(read(samm(root)), "samm/011/011_4_2")
    assert (row["action_units"], row["objective_class"], row["emotion"]) == ("L12 or L14", "1", "Contempt")


def test_a_long_recording_of_smic_may_hold_several_expressions(root: Path) -> None:
    dataset = read(smic_long(root))
    rows = dataset.samples.set_index("sample_id")
    assert list(rows.index) == [
        "smic_long/s01/s01_ne_01@12",
        "smic_long/s20/s20_sur_03@11",
        "smic_long/s20/s20_sur_03@20",
    ]
    assert list(rows["offset"]) == [15, 14, 25]
    assert list(rows["emotion"]) == ["negative", "surprise", "surprise"]
    assert set(rows["subject"]) == {"smic/s01", "smic/s20"}
    assert len(dataset.clips["smic_long/s20/s20_sur_03@20"].files) == 20
    assert "SMIC-HS-E_annotation" not in " ".join(dataset.notes)


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("sub{subject:0>2}", "001", "sub01"),
        ("sub{subject:0>2}", "1", "sub01"),
        ("sub{subject:0>2}", "sub01", "sub01"),
        ("{subject:0>3}", "6", "006"),
        ("spNO.{subject}", "spNO.012", "spNO.12"),
        ("{subject}", " Anna ", "anna"),
    ],
)
def test_one_spelling_a_subject(form: str, text: str, expected: str) -> None:
    assert subject_id(form, text) == expected


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12), (" 12 ", 12), ("12.0", 12), ("１２", 12), ("12，", 12), ("/", None), ("N/A", None)]
)
def test_frame_numbers_as_sheets_write_them(text: str, number: int | None) -> None:
    assert to_frame(text, "apex") == number
