"""Which published sheet a file is that a person gave, whatever it is called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from preprocess.base.errors import DataError, UsageError, did_you_mean
from preprocess.datasets._given import Given
from preprocess.datasets._sheets import HEADINGS, read_records
from preprocess.datasets._spec import Database, Record, Sheet

LABELS = ("emotion", "action_units", "objective_class")
SPARED = ("apex", *LABELS)
"""Fields that a sheet which a person gave may lack."""


def with_versions(database: Database, given: Given) -> Given:
    """Return what was given for a database, with the versions of its sheets found out.

    Raises
    ------
    DataError : a sheet cannot be read as any of the database's.
    UsageError : the database has no such version, or no sheet, or it is not clear which of its sheets one is.
    """
    known = {sheet.version: sheet for sheet in (*database.sheets, *database.joined)}
    if given.sheets and not known:
        raise UsageError(
            f"--sheet {database.name}: {database.title} has no sheet, for its folders tell the classes. Apexes are "
            f"given with --apex {database.name}=FILE."
        )
    fields = {name for sheet in known.values() for name in (*sheet.columns, *sheet.optional)}
    for name in given.columns:
        if name not in {*fields, *HEADINGS} and not any(sheet.rows for sheet in known.values()):
            raise UsageError(f"--columns {database.name}.{name}: there is no such field. {did_you_mean(name, fields)}")
    sheets: dict[str, Path] = {}
    for version, path in given.sheets.items():
        if version and version not in known:
            raise UsageError(f"--sheet {database.name}:{version}: no such version. {did_you_mean(version, known)}")
        sheets[version or _version_of(database, path, given.columns)] = path
    return replace(given, sheets=sheets)


def read_given(path: Path, sheet: Sheet, columns: Mapping[str, str], adapter: str) -> tuple[list[Record], list[str]]:
    """Return the rows of a sheet that a person gave, and which of its fields have no column there.

    A sheet that somebody saved anew may lack what he did not need. Who, which clip, from where to where, and a label
    must be there.

    Raises
    ------
    DataError : the file cannot be read as this sheet.
    """
    try:
        return read_records(path, sheet, columns, adapter), []
    except DataError:
        spared = [name for name in sheet.columns if name in SPARED and name not in columns]
        if sheet.rows or not spared:
            raise
        core = tuple(name for name in sheet.columns if name not in spared)
        try:
            records = read_records(path, replace(sheet, columns=core, optional=(*sheet.optional, *spared)), columns)
        except DataError:
            records = []
        if not records or not any(name in records[0] for name in LABELS):
            raise
        return records, [name for name in spared if name not in records[0]]


def _version_of(database: Database, path: Path, columns: Mapping[str, str]) -> str:
    """Return which of a database's sheets a file is: by its name, else by its columns and its number of rows."""
    sheets = [*database.sheets, *database.joined]
    for sheet in sheets:
        if re.fullmatch(sheet.files, path.stem, re.IGNORECASE):
            return sheet.version
    readable: list[tuple[Sheet, int, int]] = []
    faults: dict[str, DataError] = {}
    for sheet in sheets:
        try:
            records, lacking = read_given(path, sheet, columns, database.name)
        except DataError as error:
            faults[sheet.version] = error
            continue
        told = [name for name in sheet.columns if name not in lacking]
        if sheet.rows or all(any(record.get(name) for record in records) for name in told):
            readable.append((sheet, len(told), len(records)))
    if not readable:
        raise faults.get(sheets[0].version) or DataError(f"{path} has columns without any content: it is no sheet.")
    # One sheet may have all the columns of another one, and more.
    most = max(told for _, told, _ in readable)
    fitting = [(sheet, rows) for sheet, told, rows in readable if told == most]
    if len({sheet.part for sheet, _ in fitting}) > 1:
        options = " or ".join(f"--sheet {database.name}:{sheet.version}=FILE" for sheet, _ in fitting)
        raise UsageError(f"{path} may be several of the sheets of {database.title}. Say which: {options}.")
    counted = [sheet.version for sheet, rows in fitting if _has_rows(database, sheet.version, rows)]
    # Where the number of rows does not tell, the last one is the most general.
    return counted[0] if len(counted) == 1 else fitting[-1][0].version


def _has_rows(database: Database, version: str, rows: int) -> bool:
    return any((one.version, one.samples, one.task) == (version, rows, "") for one in database.counts)
