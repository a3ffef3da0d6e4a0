"""Sheets that a person gives: renamed, saved anew in another format, with columns of other names."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from copies import Copies
from more_trees import CASME3_V2, Rows, casme3, casme3_macro, dfme, four_dme, workbook
from test_every_database import PLUG_IN, WITH_SHEET
from trees import CASME2_HEADER, CASME2_ROWS, casme2, casme2_row, samm, smic

from preprocess.base.errors import DataError, UsageError
from preprocess.base.plugins import load_plugins
from preprocess.datasets import DATASETS, Given, RawDataset, detect, read_source
from preprocess.datasets._sheets import read_workbook
from preprocess.datasets._text_sheets import decode
from preprocess.samples.table import samples_fingerprint


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder far from the data."""
    folder = tmp_path / "my own" / "a" / "b"
    folder.mkdir(parents=True)
    return folder


def read(root: Path, name: str, file: Path, version: str = "", **columns: str) -> list[RawDataset]:
    return read_source(root, name, None, {name: Given({version: file}, columns)})


def fingerprints(datasets: list[RawDataset]) -> dict[str, str]:
    return {dataset.name: samples_fingerprint(dataset.samples) for dataset in datasets}


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_SHEET)
def test_every_sheet_is_read_under_any_name_from_anywhere(name: str, root: Path, mine: Path, copies: Copies) -> None:
    load_plugins([str(PLUG_IN)])
    copies.write(name, root)
    found = detect(root, name)[0]
    before = fingerprints(read_source(root, name))
    assert found.sheet is not None
    others = [file for file in root.rglob("*.xls*") if file != found.sheet]
    if others:
        pytest.skip("several sheets, tried by themselves")
    moved = found.sheet.rename(mine / f"annotation of mine{found.sheet.suffix}")
    assert fingerprints(read(root, name, moved)) == before
    assert read(root, name, moved)[0].sheets == (moved,)


def saved(rows: Rows, delimiter: str, encoding: str, quoting: int = csv.QUOTE_MINIMAL) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=quoting).writerows(rows)
    return text.getvalue().encode(encoding)


FORMS: dict[str, Callable[[Rows], bytes]] = {
    "commas": lambda rows: saved(rows, ",", "utf-8"),
    "commas of Excel": lambda rows: saved(rows, ",", "utf-8-sig"),
    "semicolons": lambda rows: saved(rows, ";", "utf-8"),
    "named separator": lambda rows: b"sep=;\r\n" + saved(rows, ";", "cp1252"),
    "tabs": lambda rows: saved(rows, "\t", "utf-8"),
    "Unicode text": lambda rows: saved(rows, "\t", "utf-16"),
    "quotes": lambda rows: saved(rows, ",", "utf-8", csv.QUOTE_ALL),
    "old Mac": lambda rows: saved(rows, ",", "utf-8").replace(b"\r\n", b"\r"),
    "Chinese": lambda rows: saved([*rows, ["备注：见论文"]], ",", "gb18030"),
    "Latin": lambda rows: saved([*rows, ["geprüft, für später"]], ";", "cp1252"),
    "pandas": lambda rows: saved(
        [["", *rows[0]], *([n, f"{int(r[0])}.0", r[1], r[2], f"{r[3]}.0", *r[4:]] for n, r in enumerate(rows[1:]))],
        ",",
        "utf-8",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ending", ["csv", "tsv", "txt"])
def test_a_sheet_saved_as_text_is_read_by_its_columns(form: str, ending: str, root: Path, mine: Path) -> None:
    rows = [*CASME2_ROWS[:3], casme2_row("26", "EP18_44", (1, 2, 4), "R12, 4; 7", "others")]
    before = fingerprints(read_source(casme2(root, rows)))
    (root / "CASME2-coding-20140508.xlsx").unlink()
    file = mine / f"labels.{ending}"
    file.write_bytes(FORMS[form]([CASME2_HEADER, *rows]))
    assert fingerprints(read(root, "casme2", file)) == before


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("überrascht, für später", "utf-8"),
        ("überrascht, für später", "utf-8-sig"),
        ("überrascht, für später", "utf-16"),
        ("überrascht, für später", "cp1252"),
        ("厌恶，中国", "gb18030"),
        ("厌恶 disgust, 中国", "utf-8"),
    ],
)
def test_words_come_out_of_every_encoding_as_they_were_written(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_text_above_the_headings_does_not_tell_the_separator(delimiter: str, root: Path, mine: Path) -> None:
    before = fingerprints(read_source(samm(root)))
    (rows,) = read_workbook(root / "SAMM_Micro_FACS_Codes_v2.xlsx").values()
    prose = [["Onset, apex, offset: frames; all counted from 1, see: paper; page 3, table 2"]]
    (mine / "codes.csv").write_bytes(saved([*prose, *rows], delimiter, "utf-8"))
    assert fingerprints(read(root, "samm", mine / "codes.csv")) == before


def test_columns_of_other_names_are_named_by_their_field(root: Path, mine: Path) -> None:
    before = fingerprints(read_source(casme2(root)))
    heading = ["Person", "Sequence", None, "Start", "Peak", "End", None, "FACS", "Feeling"]
    file = workbook(mine / "mine.xlsx", {"Sheet1": [heading, *CASME2_ROWS]})
    names = {"subject": "person", "clip": "Sequence", "onset": "START", "apex": "Peak", "offset": "End"}
    names |= {"action_units": "FACS", "emotion": "Feeling"}
    assert fingerprints(read(root, "casme2", file, **names)) == before
    with pytest.raises(DataError) as caught:
        read(root, "casme2", file, **{**names, "apex": "Peek", "emotion": "Word"})
    message = str(caught.value)
    assert (
        "missing column apex (peek), emotion (word); the headings there are: Person, Sequence, Start, Peak" in message
    )
    assert "--columns casme2.apex=HEADING" in message


def test_columns_count_in_a_sheet_that_was_found_as_well(root: Path) -> None:
    casme2(root)
    heading = ["Peak" if name == "ApexFrame" else name for name in CASME2_HEADER]
    workbook(root / "CASME2-coding-20140508.xlsx", {"Sheet1": [heading, *CASME2_ROWS]})
    with pytest.raises(DataError, match=r"say how it is called: --columns casme2\.apex=HEADING"):
        read_source(root)
    (dataset,) = read_source(root, given={"casme2": Given(columns={"apex": "Peak"})})
    assert dataset.clips["casme2/sub01/EP02_01f"].apex == 59


def test_a_sheet_with_a_reader_of_its_own_takes_the_headings_that_it_expects(root: Path, mine: Path) -> None:
    before = fingerprints(read_source(four_dme(root)))
    book = openpyxl.load_workbook(root / "4DME_Labelling_Micro_release v1.xlsx")
    book.worksheets[0]["H1"] = "Units"
    book.save(mine / "mine.xlsx")
    assert fingerprints(read(root, "4dme", mine / "mine.xlsx", AUs="Units")) == before


def test_a_given_sheet_may_lack_what_somebody_did_not_need(root: Path, mine: Path) -> None:
    rows = [[row[0], row[1], row[3], row[5], row[8]] for row in (CASME2_HEADER, *CASME2_ROWS)]
    file = workbook(mine / "mine.xlsx", {"Sheet1": rows})
    casme2(root)
    (dataset,) = read(root, "casme2", file)
    assert dataset.samples["apex"].isna().all()
    (note,) = [note for note in dataset.notes if "has no column of" in note]
    assert note.startswith(f"{file} has no column of apex, action units: unknown for its clips (--columns casme2.apex=")
    with pytest.raises(DataError, match="missing column"):
        read(root, "casme2", workbook(mine / "less.xlsx", {"Sheet1": [row[:4] for row in rows]}))


@pytest.mark.slow
def test_the_version_is_found_out_by_the_number_of_rows(root: Path, mine: Path) -> None:
    casme3(root)
    filler: list[list[Any]] = [["spNO.1", "a", 30 + n, 31 + n, 35 + n, "4", "III", "fear"] for n in range(921)]
    header = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"]
    for count, other in ((860, "921 of 95"), (921, "860 of 94")):
        file = workbook(mine / "mine.xlsx", {"Sheet1": [header, *filler[:count]]})
        told = "\n".join(read(root, "casme3", file)[0].notes)
        assert f"published are {count} of" in told
        assert other not in told


def test_a_version_that_is_not_clear_is_asked_for(root: Path, mine: Path) -> None:
    dfme(root)
    sheet = root / "testB_full_with_AU.xlsx"
    unclear = sheet.rename(mine / "mine.xlsx")
    with pytest.raises(UsageError, match=r"may be several of the sheets of DFME .*--sheet dfme:testA=FILE or --sheet"):
        read(root, "dfme", unclear)
    (dataset,) = read(root, "dfme", unclear, "testB")
    assert dict(dataset.samples["split"].value_counts()) == {"train": 3, "test": 1}


def test_several_sheets_of_one_database(root: Path, mine: Path) -> None:
    before = fingerprints(read_source(casme3_macro(root)))
    files = {
        "v2": root / "annotation" / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx",
        "macro_v2": root / "annotation" / "CAS(ME)3_part_A_v2.xls",
    }
    moved = {version: file.rename(mine / f"{version} of mine{file.suffix}") for version, file in files.items()}
    assert fingerprints(read_source(root, "casme3", None, {"casme3": Given(moved)})) == before
    # Each is told by its columns, too.
    (micro,) = read(root, "casme3", moved["v2"])
    assert micro.name == "casme3"
    (macro,) = read(root, "casme3", moved["macro_v2"])
    assert macro.name == "casme3_macro"


def test_a_given_sheet_is_preferred_to_every_other_and_these_are_told(root: Path, mine: Path) -> None:
    casme2(root)
    file = workbook(mine / "mine.xlsx", {"Sheet1": [CASME2_HEADER, *([*row[:8], "fear"] for row in CASME2_ROWS)]})
    (dataset,) = read(root, "casme2", file)
    assert set(dataset.samples["emotion"]) == {"fear"}
    assert f"sheet {file} is read, the one given; not read: {root / 'CASME2-coding-20140508.xlsx'}" in dataset.notes


def test_clips_of_odd_names_only_are_recognised_with_a_given_sheet(root: Path, mine: Path) -> None:
    rows = [casme2_row("01", "odd name", (46, 50, 60), "4", "disgust")]
    file = workbook(mine / "mine.xlsx", {"Sheet1": [CASME2_HEADER, *rows]})
    casme2(root, rows, sheets=())
    assert list(read(root, "casme2", file)[0].clips) == ["casme2/sub01/odd name"]


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("smic", Given({"": Path("x.csv")}), r"has no sheet, for its folders tell the classes.*--apex smic=FILE"),
        ("casme2", Given({"2015": Path("x.csv")}), r"--sheet casme2:2015: no such version. Did you mean: 201"),
        (
            "casme2",
            Given(columns={"apexx": "Peak"}),
            r"--columns casme2\.apexx: there is no such field. Did you mean: a",
        ),
        ("flow_tree", Given({"": Path("x.csv")}), "flow_tree takes neither --sheet, --columns nor --apex"),
    ],
)
def test_what_cannot_be_is_told_with_what_can(name: str, given: Given, told: str, root: Path) -> None:
    casme2(root)
    smic(root)
    with pytest.raises(UsageError, match=told):
        read_source(root, given={name: given})


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04broken", b"holiday;pictures\n1;2\n", b"\xd0\xcf\x11\xe0broken"])
def test_a_file_that_is_no_sheet_is_named(content: bytes, root: Path, mine: Path) -> None:
    casme2(root)
    (mine / "mine.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"mine\.csv"):
        read(root, "casme2", mine / "mine.csv")


def test_an_open_document_is_told_how_to_be_saved(root: Path, mine: Path) -> None:
    casme2(root)
    mark = b"PK\x03\x04" + b"\x00" * 26 + b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet"
    (mine / "mine.ods").write_bytes(mark)
    with pytest.raises(DataError, match=r"mine\.ods is an OpenDocument file\. Save it as \.xlsx or as \.csv"):
        read(root, "casme2", mine / "mine.ods")


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_SHEET)
def test_messages_hold_no_patterns_and_say_how_to_give_a_sheet(name: str, root: Path, copies: Copies) -> None:
    load_plugins([str(PLUG_IN)])
    copies.write(name, root)
    for number, file in enumerate(sorted([*root.rglob("*.xls*"), *root.rglob("*.csv")])):
        file.rename(file.with_name(f"mine{number}{file.suffix}"))
    with pytest.raises(DataError) as caught:
        read_source(root, name)
    message = str(caught.value)
    for sign in ("[-_ ]", "\\", ".*", "(?", ")?"):
        assert sign not in message
    assert "omplete the copy" not in message
    assert f"--sheet {name}=FILE" in message
    assert "mine0" in message, "the sheet that it may be is named"
    database = DATASETS.get(name).database
    assert database is not None
    assert all(sheet.called in message for sheet in database.sheets)


def test_a_tab_is_known_in_any_case_of_letters(root: Path) -> None:
    assert "AU+Emotion" in read_workbook(CASME3_V2)
    datasets = read_source(casme3_macro(root))
    assert {dataset.name for dataset in datasets} == {"casme3", "casme3_macro"}
