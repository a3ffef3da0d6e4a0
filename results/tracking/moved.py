"""A database that was moved or copied with its results: MLflow holds the full path of every run's files.

They lie beside the database, so that their new place is known. MLflow itself has no way to change it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from preprocess.base.storage import local_folder
from results.tracking.client import ARTIFACT_FOLDER, TrackingLost
from results.tracking.runs import EXPERIMENT_PREFIX

_HOLDERS = (("runs", "run_uuid", "artifact_uri"), ("logged_models", "model_id", "artifact_location"))
"""The tables that name the place of files: table, its key, the column."""


@dataclass(frozen=True)
class Moved:
    """An experiment whose files lie elsewhere than MLflow said.

    Attributes
    ----------
    experiment : its name.
    folder : where the database lay before.
    runs : number of runs whose files are found again.
    """

    experiment: str
    folder: Path
    runs: int


def mend_moved(database: Path) -> list[Moved]:
    """Let the experiments of a database file name the place where their files lie now.

    Experiments of others, those whose files somebody keeps elsewhere, and runs whose files did not come along, are left
    as they are.

    Parameters
    ----------
    database : the SQLite file. Nobody else may write to it meanwhile.

    Returns
    -------
    What was mended.

    Raises
    ------
    TrackingLost : the file cannot be read or written.
    """
    found: list[Moved] = []
    new = database.parent / ARTIFACT_FOLDER
    try:
        with closing(sqlite3.connect(database)) as connection, connection:
            for experiment, name, old in _moved(connection, new):
                where = (new.as_uri(), experiment)
                connection.execute("UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", where)
                found.append(Moved(name, old.parent, _mend_files(connection, experiment, old, new)))
    except sqlite3.Error as error:
        raise TrackingLost(f"{database}: {error}") from error
    return found


def has_moved(database: Path) -> bool:
    """Return whether ``mend_moved`` would find something to mend.

    Raises
    ------
    sqlite3.Error : the file cannot be read.
    """
    with closing(sqlite3.connect(database)) as connection:
        return any(True for _ in _moved(connection, database.parent / ARTIFACT_FOLDER))


def _moved(connection: sqlite3.Connection, new: Path) -> Iterator[tuple[int, str, Path]]:
    """Yield number, name and former folder of each of our experiments whose files lie in ``new`` now."""
    question = "SELECT experiment_id, name, artifact_location FROM experiments WHERE name LIKE ?"
    for experiment, name, location in connection.execute(question, (f"{EXPERIMENT_PREFIX}%",)).fetchall():
        old = local_folder(location or "")
        if old is not None and _has_moved(old, new):
            yield experiment, name, old


def _has_moved(old: Path, new: Path) -> bool:
    """Return whether files that lay in one folder lie in the other now."""
    if old.name != new.name or old == new:
        return False
    if old.is_dir():
        # Another name of the same folder, or the database came without its files.
        return new.is_dir() and not old.samefile(new)
    return True


def _mend_files(connection: sqlite3.Connection, experiment: int, old: Path, new: Path) -> int:
    """Return the number of runs that were mended."""
    runs = 0
    for table, key, column in _HOLDERS:
        question = f"SELECT {key}, {column} FROM {table} WHERE experiment_id = ?"
        for name, uri in connection.execute(question, (experiment,)).fetchall():
            place = local_folder(uri or "")
            if place is None or not place.is_relative_to(old):
                continue
            there = new / place.relative_to(old)
            if there.exists() or not place.exists():
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (there.as_uri(), name))
                runs += table == "runs"
    return runs
