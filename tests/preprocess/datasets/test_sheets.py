"""Annotation sheets as they circulate: other headings, text above them, other formats, damage."""

from __future__ import annotations

import datetime
import re
import shutil
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from more_trees import CASME3_V2, workbook

from preprocess.base.errors import DataError
from preprocess.datasets._sheets import read_records, read_workbook
from preprocess.datasets._spec import Record, Sheet

SHEET = Sheet("v1", r".*", ("subject", "clip", "onset", "apex", "offset", "emotion"), optional=("action_units",))
HEADER = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion"]
ROW = ["01", "EP02_01f", 46, 59, 86, "happiness"]
EXPECTED = {
    "subject": "01",
    "clip": "EP02_01f",
    "onset": "46",
    "apex": "59",
    "offset": "86",
    "emotion": "happiness",
}


def fields(record: Record) -> Record:
    return {name: value for name, value in record.items() if name not in ("row", "origin")}


def read(path: Path, *rows: list[Any]) -> list[Record]:
    return read_records(workbook(path, {"Sheet1": list(rows)}), SHEET)


@pytest.mark.parametrize(
    "header",
    [
        HEADER,
        ["SUBJECT", "file name", "Onset Frame", "apex_frame", " Offset  frame ", "estimated emotion"],
        ["sub", "Filename", "OnsetF", "Apex", "OffsetF", "Emotion"],
    ],
)
def test_columns_are_known_by_any_usual_heading(header: list[str], tmp_path: Path) -> None:
    assert [fields(record) for record in read(tmp_path / "a.xlsx", header, ROW)] == [EXPECTED]


def test_text_and_blank_columns_around_the_table_are_no_data(tmp_path: Path) -> None:
    text = [["Coding of 2014"], [None], ["Subject: two digits", "Filename: clip"], [None]] * 3
    rows = [
        [None, *HEADER[:3], None, *HEADER[3:]],
        [None, *ROW[:3], None, *ROW[3:]],
        [None],
        [None, "* not coded"],
        [None, None, "see paper"],
    ]
    records = read(tmp_path / "a.xlsx", *text, *rows)
    assert [fields(record) for record in records] == [EXPECTED]
    assert records[0]["origin"] == "a.xlsx, tab Sheet1, row 14"
    assert records[0]["row"] == "0"


def test_a_number_that_excel_made_of_an_id_has_no_decimal_point(tmp_path: Path) -> None:
    records = read(tmp_path / "a.xlsx", HEADER, [1.0, "EP02_01f", 46.0, "59", 86, "happiness"])
    assert fields(records[0]) == {**EXPECTED, "subject": "1"}


def test_the_table_may_lie_in_any_tab_unless_one_is_named(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", {"Notes": [["see", "paper"]], "Codes": [HEADER, ROW], "Old": [HEADER]})
    assert len(read_records(path, SHEET)) == 1
    assert read_records(path, Sheet("v1", r".*", SHEET.columns, tab="old")) == []
    with pytest.raises(DataError, match="has no tab like 'new'; it has 'Notes', 'Codes', 'Old'"):
        read_records(path, Sheet("v1", r".*", SHEET.columns, tab="new"))


@pytest.mark.parametrize(("delimiter", "encoding"), [(",", "utf-8-sig"), (";", "utf-8"), ("\t", "gb18030")])
def test_csv_of_any_program(delimiter: str, encoding: str, tmp_path: Path) -> None:
    lines = [HEADER, [*map(str, ROW[:-1]), "厌恶"]]
    (tmp_path / "a.csv").write_text("\r\n".join(delimiter.join(line) for line in lines), encoding=encoding)
    assert [fields(one) for one in read_records(tmp_path / "a.csv", SHEET)] == [{**EXPECTED, "emotion": "厌恶"}]


def test_the_content_tells_the_format(tmp_path: Path) -> None:
    workbook(tmp_path / "a.xlsx", {"Sheet1": [HEADER, ROW]}).rename(tmp_path / "a.xls")
    assert fields(read_records(tmp_path / "a.xls", SHEET)[0]) == EXPECTED
    shutil.copy(CASME3_V2, tmp_path / "b.xlsx")
    assert read_workbook(tmp_path / "b.xlsx") == read_workbook(CASME3_V2)


def test_whole_numbers_of_the_old_format_have_no_decimal_point() -> None:
    cells = [cell for rows in read_workbook(CASME3_V2).values() for row in rows for cell in row]
    assert any(cell.isdigit() for cell in cells)
    assert not any(re.fullmatch(r"\d+\.0", cell) for cell in cells)


def test_rows_beyond_the_size_that_a_sheet_states_are_read(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", {"Sheet1": [HEADER, ROW, ROW, ROW]})
    unpacked = tmp_path / "unpacked"
    shutil.unpack_archive(path, unpacked, "zip")
    content = unpacked / "xl" / "worksheets" / "sheet1.xml"
    text = content.read_text()
    assert '<dimension ref="A1:F4"' in text
    content.write_text(text.replace('<dimension ref="A1:F4"', '<dimension ref="A1:A1"'))
    shutil.make_archive(str(tmp_path / "b"), "zip", unpacked)
    assert len(read_records((tmp_path / "b.zip").rename(tmp_path / "b.xlsx"), SHEET)) == 3


def test_a_missing_column_is_named_with_what_is_there_instead(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a.xlsx", ["coded by two"], [*HEADER[:3], "Peak", *HEADER[4:]], ROW)
    message = str(caught.value)
    assert f"{tmp_path / 'a.xlsx'}, tab Sheet1, row 2: missing column apex (apexframe or apex or apexf)" in message
    assert "the headings there are: Subject, Filename, OnsetFrame, Peak, OffsetFrame, Estimated Emotion" in message


def test_an_optional_column_is_read_where_it_is(tmp_path: Path) -> None:
    assert "action_units" not in read(tmp_path / "a.xlsx", HEADER, ROW)[0]
    assert read(tmp_path / "b.xlsx", [*HEADER, "AU"], [*ROW, "4+7"])[0]["action_units"] == "4+7"


def test_a_sheet_without_headings(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.xlsx has no row of headings.*Is it the sheet of another database\?"):
        read(tmp_path / "a.xlsx", ROW, ROW)


def test_a_heading_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    assert fields(read(tmp_path / "a.xlsx", [*HEADER, "Subject"], [*ROW, "9"])[0]) == EXPECTED


def test_cells_of_other_types_become_text(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    tab = book.active
    assert tab is not None
    tab.append([True, datetime.date(2014, 5, 8), 0.5, None, " x "])
    book.save(tmp_path / "a.xlsx")
    assert read_workbook(tmp_path / "a.xlsx") == {"Sheet": [["True", "2014-05-08 00:00:00", "0.5", "", "x"]]}


def test_what_a_reader_stumbles_over_names_the_file(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", {"Sheet1": [HEADER, ROW]})

    def rows(book: dict[str, list[list[str]]]) -> list[Record]:
        return [{"clip": book["Sheet2"][0][0]}]

    with pytest.raises(DataError, match=rf"{path} is not built like the published sheet \(KeyError"):
        read_records(path, Sheet("v1", r".*", rows=rows))
