"""Somebody else's predictions held against the samples that they are about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.study.data import StudyData
from bench.study.folds import Fold
from bench.study.predictions_file import Predictions, Table, checked, class_of, present
from preprocess.base.errors import DataError, did_you_mean
from results.views.predictions import DATASET, SAMPLE, SUBJECT, TRUE, label_columns


def check_samples(
    given: Predictions, rows: Sequence[int], data: StudyData, folds: Sequence[Fold], protocol: str
) -> None:
    """Check the rows of a file against the samples of a study.

    Parameters
    ----------
    given : the file.
    rows : those that are about this study.
    data : the study's samples.
    folds : say which of them are tested.
    protocol : the rule that made the folds, for messages.

    Raises
    ------
    DataError : a sample that is unknown or not tested, or whose subject, dataset or true class is another in the data;
        or tested samples without a prediction.
    """
    place_of = {str(name): place for place, name in enumerate(data.sample_ids)}
    tested = {str(name) for fold in folds for name in data.sample_ids[fold.test]}
    table = given.table
    for row in rows:
        name = given.sample_ids[row]
        if name not in place_of:
            raise DataError(
                f"{table.where(row)}: {SAMPLE} {name!r} is no labelled sample of the data. {_near(name, place_of)}"
            )
        if name not in tested:
            raise DataError(
                f"{table.where(row)}: {SAMPLE} {name!r} is not tested under {protocol}. Remove the row, or name "
                "another protocol."
            )
        _check_facts(table, row, place_of[name], data)
    missing = sorted(tested - {given.sample_ids[row] for row in rows})
    if missing:
        raise MissingPredictions(table.file, missing, len(tested))


class MissingPredictions(DataError):
    """Tested samples that a file has no prediction of.

    Attributes
    ----------
    missing : their ids.
    """

    def __init__(self, file: Path, missing: list[str], total: int) -> None:
        shown = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
        super().__init__(
            f"{file}: {len(missing)} of {total} tested samples have no prediction: {shown}. A part of a study has no "
            "score: add a row for each."
        )
        self.missing = missing


def unshown(given: Predictions, rows: Sequence[int], data: StudyData, folds: Sequence[Fold]) -> str:
    """Return why a file does not show that every person was held out; "" where it does.

    It does where nobody is in two of its folds, and each fold of the protocol lies within one of its folds: whoever the
    protocol holds out together was held out together.

    Parameters
    ----------
    given : the file.
    rows : those that are about this study.
    data : the study's samples.
    folds : of the protocol.
    """
    if not given.folds:
        return f"{given.table.file.name} names no folds"
    row_of = {given.sample_ids[row]: row for row in rows}
    first: dict[str, int] = {}
    for fold in folds:
        for name, subject in zip(data.sample_ids[fold.test].tolist(), data.subjects[fold.test].tolist(), strict=True):
            row = row_of[name]
            other = first.setdefault(subject, row)
            if given.folds[other] != given.folds[row]:
                return (
                    f"subject {subject} is in two folds, {given.folds[other]!r} (row {given.table.rows[other]}) and "
                    f"{given.folds[row]!r} (row {given.table.rows[row]})"
                )
    for fold in folds:
        names = sorted({given.folds[row_of[name]] for name in data.sample_ids[fold.test].tolist()})
        if len(names) > 1:
            return (
                f"what the protocol holds out together ({fold.name}) is in several folds, such as {names[0]!r} and "
                f"{names[1]!r}"
            )
    if len(folds) > 1 and len({given.folds[row] for row in rows}) == 1:
        return f"all rows are in one fold ({given.folds[rows[0]]!r}): whom the model was trained on does not show"
    return ""


def _check_facts(table: Table, row: int, place: int, data: StudyData) -> None:
    """Check what a row says of its sample besides the prediction."""
    facts = {SUBJECT: str(data.subjects[place]), DATASET: str(data.datasets[place])}
    if not data.multilabel:
        facts[TRUE] = data.classes[int(data.labels[place])]
    for column, expected in facts.items():
        said = table.columns.get(column, [""] * (row + 1))[row]
        if column == TRUE and said:
            said = data.classes[checked(table, row, column, lambda cell: class_of(cell, data.classes))]
        # A person may stand there without the dataset's name.
        if said and said != expected and not (column == SUBJECT and said == expected.partition("/")[2]):
            raise DataError(
                f"{table.where(row)}: {column} of {table.columns[SAMPLE][row]} is {said!r}, and {expected!r} in the "
                "data. Give the --data and --tasks that the file is about, or correct the row."
            )
    if data.multilabel:
        for number, column in enumerate(label_columns(TRUE, data.classes, True)):
            said = table.columns.get(column, [""] * (row + 1))[row]
            if said and checked(table, row, column, present) != int(data.labels[place, number]):
                raise DataError(
                    f"{table.where(row)}: {column} of {table.columns[SAMPLE][row]} is {said}, and "
                    f"{data.labels[place, number]} in the data. Correct the row, or give the --data that it is about."
                )


def _near(name: str, known: Iterable[str]) -> str:
    """Return near ids, or an example of one: all of them would fill the screen."""
    text = did_you_mean(name, known)
    return text if not text.startswith("Known") else f"Ids look like {min(known)!r}."
