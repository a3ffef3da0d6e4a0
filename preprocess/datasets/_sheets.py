"""Annotation sheets: .xlsx, .xls and .csv as researchers publish them, read into records of text cells."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from preprocess.base.errors import DataError
from preprocess.datasets._spec import Record, Sheet, Workbook
from preprocess.datasets._text_sheets import read_text

TEXT_ENDINGS = (".csv", ".tsv", ".txt")
ENDINGS = (".xlsx", ".xls", ".xlsm", ".csv", ".tsv")
# Headings as the databases write them, compared without case, spaces and punctuation.
HEADINGS: dict[str, tuple[str, ...]] = {
    "subject": ("subject", "sub", "sub id", "subject id", "subject number", "participant"),
    "clip": ("filename", "file name", "file", "clip", "video", "video name"),
    "onset": ("onset frame", "onset", "onset f"),
    "apex": ("apex frame", "apex", "apex f"),
    "offset": ("offset frame", "offset", "offset f"),
    "action_units": ("action units", "action unit", "aus", "au"),
    "emotion": ("estimated emotion", "emotion", "emotions", "expression"),
    "objective_class": ("objective class", "objective classes"),
    "fps": ("fps", "frame rate"),
}
# Text stands above the headings of some sheets; below this many rows nobody has seen any.
HEADING_ROWS = 60


def read_records(
    path: Path, sheet: Sheet, columns: Mapping[str, str] = MappingProxyType({}), adapter: str = ""
) -> list[Record]:
    """Return the rows of a sheet as records.

    Rows without a clip, such as blank lines and text below the table, are no records.

    Parameters
    ----------
    path : the file.
    sheet : declares the fields.
    columns : field -> the heading of its column in this file, where it has none of the usual ones. For a sheet with a
        reader of its own: heading that this expects -> heading there.
    adapter : of the database, for messages.

    Returns
    -------
    A record a row, in the sheet's order. Besides its fields each has ``origin`` (file, tab and row, counted as a
    spreadsheet program does) and ``row`` (counted from 0 below the headings).

    Raises
    ------
    DataError : the file cannot be read, or none of its tabs has the columns; the message says which are missing.
    """
    workbook = read_workbook(path)
    if sheet.tab and path.suffix.lower() not in TEXT_ENDINGS:
        chosen = {name: rows for name, rows in workbook.items() if name.strip().lower() == sheet.tab.lower()}
        if not chosen:
            raise DataError(
                f"{path} has no tab like {sheet.tab!r}; it has {_names(workbook)}. Rename the one that is meant."
            )
        workbook = chosen
    if sheet.rows:
        records = _custom(path, sheet.rows, _with_headings(workbook, columns))
    else:
        records = _table(path, sheet, workbook, columns, adapter)
    for number, record in enumerate(records):
        record.setdefault("row", str(number))
        origin = record.get("origin") or f"record {number + 1}"
        record["origin"] = origin if origin.startswith(path.name) else f"{path.name}, {origin}"
    if sheet.edit is None:
        return records
    edited = [sheet.edit(record) for record in records]
    several = [one if isinstance(one, list) else [one] for one in edited if one is not None]
    return [record for one in several for record in one]


def read_workbook(path: Path) -> Workbook:
    """Return every tab of a spreadsheet file as rows of text; whole numbers come without a decimal point.

    The content, not the ending, tells the format: copies of one sheet are passed on under each other's endings.

    Raises
    ------
    DataError : the file cannot be read, or has none of the formats.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"Sheet {path} cannot be read: {error.strerror}.") from error
    if not content.strip():
        raise DataError(f"Sheet {path} is empty. Restore it from the original copy.")
    try:
        if b"mimetypeapplication/vnd.oasis.opendocument" in content[:200]:
            raise DataError(f"Sheet {path} is an OpenDocument file. Save it as .xlsx or as .csv.")
        if content.startswith(b"PK"):
            return _xlsx(content)
        if content.startswith(b"\xd0\xcf\x11\xe0"):
            return _xls(content)
        if path.suffix.lower() not in TEXT_ENDINGS:
            raise DataError(
                f"Sheet {path} is no {path.suffix[1:] or 'spreadsheet'} file: its content is of another kind. "
                "Restore it, or rename it to .csv where it is text."
            )
        return {path.stem: read_text(content)}
    except DataError:
        raise
    except Exception as error:
        # Damaged archives make the libraries raise whatever their parsers stumble over.
        raise DataError(f"Sheet {path} is damaged ({type(error).__name__}: {error}). Restore it.") from error


def _xlsx(content: bytes) -> Workbook:
    import warnings

    import openpyxl

    with warnings.catch_warnings():
        # About styles and extensions of the file that no cell depends on.
        warnings.simplefilter("ignore")
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        tabs: Workbook = {}
        for tab in book.worksheets:
            # Sheets written by other programs state a wrong size, and rows beyond it would be lost.
            tab.reset_dimensions()
            tabs[tab.title] = [[_text(value) for value in row] for row in tab.iter_rows(values_only=True)]
        book.close()
    return tabs


def _xls(content: bytes) -> Workbook:
    import xlrd

    with open(os.devnull, "w") as silence:
        book = xlrd.open_workbook(file_contents=content, logfile=silence)
    return {
        tab.name: [[_text(value) for value in tab.row_values(row)] for row in range(tab.nrows)] for tab in book.sheets()
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _custom(path: Path, rows: Callable[[Workbook], list[Record]], workbook: Workbook) -> list[Record]:
    try:
        return rows(workbook)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except (IndexError, KeyError, ValueError) as error:
        raise DataError(
            f"{path} is not built like the published sheet ({type(error).__name__}: {error}). Restore it."
        ) from error


def _with_headings(workbook: Workbook, columns: Mapping[str, str]) -> Workbook:
    """Return a workbook in which cells of the first rows that hold a person's headings hold the expected ones."""
    expected = {_plain(there): name for name, there in columns.items()}
    return {
        tab: [[expected.get(_plain(cell), cell) for cell in row] for row in rows[:HEADING_ROWS]] + rows[HEADING_ROWS:]
        for tab, rows in workbook.items()
    }


def _table(path: Path, sheet: Sheet, workbook: Workbook, columns: Mapping[str, str], adapter: str) -> list[Record]:
    """Return the records of the first tab that has all columns."""
    wanted = {name: _headings(name, sheet.headings) for name in (*sheet.columns, *sheet.optional)}
    wanted |= {name: (_plain(columns[name]),) for name in wanted if name in columns}
    best: tuple[int, str, int, dict[str, int]] = (0, "", 0, {})
    for tab, rows in workbook.items():
        for number, row in enumerate(rows[:HEADING_ROWS]):
            places = _places(row, wanted)
            needed = sum(name in places for name in sheet.columns)
            if needed == len(sheet.columns):
                return _records(path, tab, rows, number, places)
            if needed > best[0]:
                best = (needed, tab, number, places)
    raise DataError(_missing_columns(path, sheet, workbook, wanted, best, adapter))


def _records(path: Path, tab: str, rows: list[list[str]], heading: int, places: Mapping[str, int]) -> list[Record]:
    records = []
    for number, row in enumerate(rows[heading + 1 :]):
        record = {name: row[place] if place < len(row) else "" for name, place in places.items()}
        # Remarks below the table fill one cell of a row, and blank lines none.
        if record.get("clip", record.get("subject")) and sum(map(bool, record.values())) > 1:
            where = f"{path.name}, tab {tab}, row {heading + number + 2}"
            records.append({**record, "row": str(number), "origin": where})
    return records


def _headings(name: str, more: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(map(_plain, (*more.get(name, ()), *HEADINGS.get(name, (name,)))))


def _plain(heading: str) -> str:
    return re.sub(r"[\W_]+", "", heading).lower()


def _places(row: Sequence[str], wanted: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """Return field -> column: of a field's headings the first that is there, of columns of one heading the first."""
    columns: dict[str, int] = {}
    for place, cell in enumerate(row):
        if cell:
            columns.setdefault(_plain(cell), place)
    return {
        name: next(columns[heading] for heading in headings if heading in columns)
        for name, headings in wanted.items()
        if any(heading in columns for heading in headings)
    }


def _missing_columns(
    path: Path,
    sheet: Sheet,
    workbook: Workbook,
    wanted: Mapping[str, tuple[str, ...]],
    best: tuple[int, str, int, dict[str, int]],
    adapter: str,
) -> str:
    needed, tab, number, places = best
    how = f"--columns {adapter or 'ADAPTER'}"
    if needed < 2:
        return (
            f"{path} has no row of headings: none of its first {HEADING_ROWS} rows names two of the columns "
            f"{', '.join(sheet.columns)} (tabs: {_names(workbook)}). Is it the sheet of another database? "
            f"If not, write headings above its columns, or say how they are called: {how}.{sheet.columns[0]}=HEADING."
        )
    lacking = [name for name in sheet.columns if name not in places]
    told = [f"{name} ({' or '.join(wanted[name][:3])})" for name in lacking]
    there = ", ".join(cell for cell in workbook[tab][number] if cell)
    return (
        f"{path}, tab {tab}, row {number + 1}: missing column {', '.join(told)}; the headings there are: {there}. "
        f"Rename the column, or say how it is called: {how}.{lacking[0]}=HEADING."
    )


def _names(workbook: Workbook) -> str:
    return ", ".join(repr(name) for name in workbook) or "none"
