"""The samples table: one row a clip, checked when it is made."""

from __future__ import annotations

import itertools
import numbers
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from preprocess.base.errors import DataError, did_you_mean
from preprocess.base.hashing import digest

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: dict[str, str] = {
    "sample_id": "string",
    "dataset": "string",
    "subject": "string",
    "clip": "string",
    "onset": "Int64",
    "apex": "Int64",
    "offset": "Int64",
    "fps": "Float64",
    "emotion": "string",
    "action_units": "string",
    "objective_class": "string",
    "split": "string",
    "repaired": "string",
}
REQUIRED = ("sample_id", "dataset", "subject", "clip")

# "+" joins the datasets of a composite, "/" the parts of a sample id, and a dataset's name is also a folder's.
_DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# No control characters, and no surrogates: they stand for bytes of a file name that are not text.
_PART = re.compile(r"(?!\s)[^/\x00-\x1f\ud800-\udfff]+(?<!\s)")


def samples_table(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Build the checked samples table of one dataset.

    Parameters
    ----------
    rows : one dict a sample, with the keys of ``COLUMNS``. ``sample_id``, ``dataset``, ``subject`` and ``clip`` are
        required. Another value may be absent, None or NaN, and becomes null. ``split`` is the database's own division
        ("train", "validation", "test", or the name of a fold). A row may also have ``origin``, the file or the row of a
        sheet that it was read from; it serves for messages and is dropped.

    Returns
    -------
    A table with the columns and types of ``COLUMNS``, index 0..n-1, sorted by ``sample_id``, so that it does not depend
    on the order in which a disk was read.

    Raises
    ------
    DataError : there are no rows, or a row, which is named with its origin, has one of these faults: an unknown column;
        a value of the wrong type; a ``subject`` that is not ``dataset/id``; a ``sample_id`` that is not
        ``dataset/id/clip``; frames that are not onset <= apex <= offset; fps that is not positive; the ``sample_id`` of
        another row.
    """
    if not rows:
        raise DataError("A dataset without samples: expected at least one row. Check that its folder is complete.")
    places = [_place(number, row) for number, row in enumerate(rows, start=1)]
    checked = [_checked_row(row, place) for row, place in zip(rows, places, strict=True)]
    _check_unique([row["sample_id"] for row in checked], places)
    checked.sort(key=lambda row: row["sample_id"])
    return as_table(checked)


def as_table(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as a table of the samples table's columns and types, unchecked; they need not be whole samples."""
    import pandas as pd

    # A column at a time: to turn a table of objects into these types takes pandas three times as long.
    columns: dict[str, Any] = {}
    kind: Any
    for name, kind in COLUMNS.items():
        columns[name] = pd.array([row.get(name) for row in rows], dtype=kind)
    return pd.DataFrame(columns)


def plain_rows(samples: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of the table, in its order, as dicts of plain Python values: str, int, float or None."""
    columns = {}
    for column in COLUMNS:
        values = samples[column]
        columns[column] = [
            None if missing else value for value, missing in zip(values.tolist(), values.isna(), strict=True)
        ]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def samples_fingerprint(samples: pd.DataFrame) -> str:
    """Return the sha256 of the table's content; the order of its rows does not count."""
    rows = sorted(plain_rows(samples), key=lambda row: row["sample_id"])
    return digest([list(COLUMNS), [list(row.values()) for row in rows]])


def _place(number: int, row: dict[str, Any]) -> str:
    if row.get("origin") is not None:
        return str(row["origin"])
    name = row.get("sample_id")
    return f"row {number}" + (f" ({name})" if name is not None else "")


def _checked_row(row: dict[str, Any], place: str) -> dict[str, Any]:
    for key in row:
        if key not in COLUMNS and key != "origin":
            raise DataError(f"{place}: the samples table has no column {key!r}. {did_you_mean(str(key), COLUMNS)}")
    values = {column: _value(row.get(column), column, dtype, place) for column, dtype in COLUMNS.items()}
    for column in REQUIRED:
        if not values[column]:
            raise DataError(f"{place}: {column} is empty; every sample needs {', '.join(REQUIRED)}.")
    _check_names(values, place)
    _check_frames(values, place)
    return values


def _value(value: Any, column: str, dtype: str, place: str) -> str | int | float | None:
    if value is None or (type(value) is str and dtype == "string"):
        return value
    import pandas as pd

    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    # Beyond 2**53 a float no longer holds every whole number, and no frame number comes near it.
    number = isinstance(value, numbers.Real) and not isinstance(value, bool) and abs(float(value)) < 2**53
    if dtype == "string" and isinstance(value, str):
        return value
    if dtype == "Int64" and number and value == int(value):
        return int(value)
    if dtype == "Float64" and number:
        return float(value)
    expected = {"string": "text", "Int64": "a whole number", "Float64": "a number"}[dtype]
    raise DataError(f"{place}: {column} is {value!r} ({type(value).__name__}); expected {expected} or nothing.")


def _check_names(values: dict[str, Any], place: str) -> None:
    dataset, subject, sample_id = values["dataset"], values["subject"], values["sample_id"]
    if not _DATASET.fullmatch(dataset):
        raise DataError(f"{place}: dataset {dataset!r} may hold letters, digits, '_', '-' and '.' only.")
    people, _, person = subject.partition("/")
    # Two datasets may show the same people: the views of SMIC, the micro and macro clips of CAS(ME)^2.
    if not f"{dataset}_".startswith(f"{people}_") or not _PART.fullmatch(person):
        raise DataError(
            f"{place}: subject is {subject!r}; expected '{dataset}/<id>', where the id holds no '/' (a dataset "
            "'smic_vis' may share the people of 'smic')."
        )
    start = f"{dataset}/{person}/"
    if not sample_id.startswith(start) or not _PART.fullmatch(sample_id.removeprefix(start)):
        raise DataError(f"{place}: sample_id is {sample_id!r}; expected '{start}<clip>', where <clip> holds no '/'.")


def _check_frames(values: dict[str, Any], place: str) -> None:
    present = [(name, values[name]) for name in ("onset", "apex", "offset") if values[name] is not None]
    for (earlier, first), (later, second) in itertools.pairwise(present):
        if first > second:
            raise DataError(
                f"{place}: {earlier} frame {first} lies after {later} frame {second}; "
                "expected onset <= apex <= offset. Correct the annotation."
            )
    if values["fps"] is not None and values["fps"] <= 0:
        raise DataError(f"{place}: fps is {values['fps']}; expected a positive number of frames per second.")


def _check_unique(sample_ids: list[str], places: list[str]) -> None:
    first: dict[str, str] = {}
    for sample_id, place in zip(sample_ids, places, strict=True):
        if sample_id in first:
            raise DataError(
                f"Sample {sample_id} is there twice: {first[sample_id]}; and {place}. "
                "Every clip must be one sample; remove or rename one of the two."
            )
        first[sample_id] = place
