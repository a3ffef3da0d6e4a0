"""A file of somebody else's predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from preprocess.base.errors import DataError, did_you_mean
from preprocess.datasets._text_sheets import read_text
from results.scores.metrics import decide
from results.views.predictions import DATASET, FOLD, PREDICTED, SAMPLE, SUBJECT, TRUE, label_columns, score_column

_PARQUET = b"PAR1"


@dataclass(frozen=True)
class Table:
    """A file of predictions as texts.

    Attributes
    ----------
    file : where it lies.
    columns : heading -> a cell a row.
    rows : the number of each row in the file; the headings of a text file are row 1.
    """

    file: Path
    columns: dict[str, list[str]]
    rows: list[int]

    def where(self, place: int) -> str:
        """Return file and row, for messages."""
        return f"{self.file}, row {self.rows[place]}"


@dataclass(frozen=True)
class Predictions:
    """What a file says of each sample, in its own order.

    Attributes
    ----------
    table : the file.
    sample_ids : n strings, each once.
    y_pred : (n,) int64 class indices; of a multi-label task (n, n_classes) int64 of 0 and 1.
    scores : (n, n_classes) float32; of a file without scores 1 for the predicted class and 0 for the others.
    folds : the name of each row's fold; none where the file has no such column.
    """

    table: Table
    sample_ids: list[str]
    y_pred: np.ndarray
    scores: np.ndarray
    folds: list[str]


def read_table(file: Path, classes: Sequence[str], multilabel: bool) -> Table:
    """Read a file of predictions, CSV (with any usual separator) or Parquet.

    Parameters
    ----------
    file : where it lies.
    classes : the task's class names.
    multilabel : whether a sample may show any number of them.

    Raises
    ------
    DataError : it cannot be read, it has no rows, or its columns are not those of predictions.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}). Name a CSV or Parquet file.") from error
    if content.startswith(_PARQUET):
        headings, body, rows = _parquet(file)
    else:
        headings, body, rows = _text(file, content)
    if not body:
        raise DataError(f"{file} holds no predictions. Expected a row a sample, below a row of headings.")
    _check_headings(file, headings, classes, multilabel)
    return Table(file, {name: [row[place] for row in body] for place, name in enumerate(headings)}, rows)


def read_predictions(table: Table, classes: Sequence[str], multilabel: bool) -> Predictions:
    """Read the cells of a file of predictions.

    Parameters
    ----------
    table : the file's cells.
    classes : the task's class names; a prediction is one of them, or its place, counted from 0.
    multilabel : whether a sample may show any number of them.

    Raises
    ------
    DataError : an id is empty or comes twice, a cell is no class or no number, or only some rows name a fold.
    """
    ids = table.columns[SAMPLE]
    _check_ids(table, ids)
    named = [score_column(name) for name in classes]
    given = [column for column in label_columns(PREDICTED, classes, multilabel) if column in table.columns]
    scores = np.array([_numbers(table, column) for column in named if column in table.columns], dtype=np.float32).T
    if not given:
        _check_finite(table, scores)
        y_pred = decide(scores, multilabel)
    elif multilabel:
        y_pred = np.array([_cells(table, column, present) for column in given], dtype=np.int64).T
    else:
        y_pred = np.array(_cells(table, given[0], lambda cell: class_of(cell, classes)), dtype=np.int64)
    if not scores.size:
        scores = np.asarray(y_pred - 0.5 if multilabel else np.eye(len(classes))[y_pred], dtype=np.float32)
    folds = table.columns.get(FOLD, [])
    if any(folds):
        _check_filled(table, FOLD, folds)
    return Predictions(table, ids, y_pred, scores, folds if any(folds) else [])


def _text(file: Path, content: bytes) -> tuple[list[str], list[list[str]], list[int]]:
    found = [(number, cells) for number, cells in enumerate(read_text(content), start=1) if any(cells)]
    if not found:
        return [], [], []
    headings = [_heading(cell) for cell in found[0][1]]
    while headings and not headings[-1]:
        headings.pop()
    body = []
    for number, cells in found[1:]:
        if any(cells[len(headings) :]) or len(cells) < len(headings):
            raise DataError(
                f"{file}, row {number} has {len(cells)} cells, and there are {len(headings)} headings. Expected a cell "
                "below each; a text that holds the separator stands in double quotes."
            )
        body.append(cells[: len(headings)])
    return headings, body, [number for number, _ in found[1:]]


def _parquet(file: Path) -> tuple[list[str], list[list[str]], list[int]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} is no whole Parquet file: {error}. Write it anew, or give CSV.") from error
    columns = [["" if cell is None else str(cell).strip() for cell in column.to_pylist()] for column in table.columns]
    body = [list(cells) for cells in zip(*columns, strict=True)]
    return [_heading(name) for name in table.column_names], body, list(range(1, len(body) + 1))


def _heading(cell: str) -> str:
    """Return a heading as it is written here: class names keep their form."""
    cell = cell.strip()
    plain = cell.lower().replace(" ", "_").replace("-", "_")
    known = (SAMPLE, SUBJECT, DATASET, FOLD, TRUE, PREDICTED)
    return plain if plain in known else cell


def _check_headings(file: Path, headings: Sequence[str], classes: Sequence[str], multilabel: bool) -> None:
    predicted, true = (label_columns(kind, classes, multilabel) for kind in (PREDICTED, TRUE))
    scores = [score_column(name) for name in classes]
    known = [SAMPLE, SUBJECT, DATASET, FOLD, *true, *predicted, *scores]
    for place, name in enumerate(headings):
        if name not in known:
            raise DataError(
                f"{file}, row of headings: unknown column {name!r}. {did_you_mean(name, known)} Rename or remove it."
            )
        if name in headings[:place]:
            raise DataError(f"{file}, row of headings: column {name!r} stands there twice. Remove one.")
    if SAMPLE not in headings:
        raise DataError(f"{file} has no column {SAMPLE!r}. It has: {', '.join(headings)}.")
    for group in (predicted, scores):
        missing = [name for name in group if name not in headings]
        if missing and len(missing) < len(group):
            raise DataError(
                f"{file} has no column {missing[0]!r}; expected one for each class: {', '.join(classes)}. Add it, or "
                "remove the others."
            )
    if not {*predicted, *scores} & set(headings):
        raise DataError(
            f"{file} has no predictions. Expected {', '.join(map(repr, predicted))} or {', '.join(map(repr, scores))}; "
            f"it has: {', '.join(headings)}."
        )


def _check_ids(table: Table, ids: Sequence[str]) -> None:
    _check_filled(table, SAMPLE, ids)
    first: dict[str, int] = {}
    for place, name in enumerate(ids):
        if name in first:
            raise DataError(
                f"{table.where(place)}: sample {name!r} was predicted before, in row {table.rows[first[name]]}. "
                "Keep one of the rows."
            )
        first[name] = place


def _check_filled(table: Table, column: str, cells: Sequence[str]) -> None:
    for place, cell in enumerate(cells):
        if not cell:
            raise DataError(f"{table.where(place)}: {column} is empty. Fill it in every row.")


def _check_finite(table: Table, scores: np.ndarray) -> None:
    wrong = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if len(wrong):
        raise DataError(
            f"{table.where(int(wrong[0]))}: a score is not finite, and there is no column {PREDICTED!r} to go by. "
            "Expected a number for each class."
        )


def _cells(table: Table, column: str, read: Callable[[str], int]) -> list[int]:
    return [checked(table, place, column, read) for place in range(len(table.rows))]


def checked(table: Table, place: int, column: str, read: Callable[[str], int]) -> int:
    """Return what ``read`` makes of a cell; DataError with its row where it raises ValueError."""
    try:
        return read(table.columns[column][place])
    except ValueError as error:
        raise DataError(
            f"{table.where(place)}: {column} is {table.columns[column][place]!r}, expected {error}."
        ) from None


def _numbers(table: Table, column: str) -> list[float]:
    values = []
    for place, cell in enumerate(table.columns[column]):
        try:
            values.append(float(cell))
        except ValueError:
            raise DataError(f"{table.where(place)}: {column} is {cell!r}, expected a number.") from None
    return values


def class_of(cell: str, classes: Sequence[str]) -> int:
    """Return the class that a name, or its place counted from 0, stands for; ValueError where there is none."""
    folded = [name.casefold() for name in classes]
    if cell in classes:
        return list(classes).index(cell)
    if cell.casefold() in folded:
        return folded.index(cell.casefold())
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if number not in range(len(classes)):
        raise ValueError(f"one of {', '.join(classes)}, or 0 to {len(classes) - 1} for them in this order")
    return int(number)


def present(cell: str) -> int:
    """Return whether a class is shown: 0 or 1; ValueError for anything else."""
    if cell not in ("0", "1", "0.0", "1.0"):
        raise ValueError("1 where the sample shows the class, 0 where not")
    return int(float(cell))
