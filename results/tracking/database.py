"""What MLflow's database file holds of ours, asked of the file itself: MLflow takes seconds to be imported."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

from results.tracking.client import CONTENT_TAG, Experiment, FoundRun

_EXPERIMENT = "SELECT experiment_id, creation_time FROM experiments WHERE name = ? AND lifecycle_stage = 'active'"
_EXPERIMENT_TAGS = "SELECT key, value FROM experiment_tags WHERE experiment_id = ?"
_RUNS = """
    SELECT identity.value, runs.run_uuid, content.value FROM runs
    JOIN tags AS identity ON identity.run_uuid = runs.run_uuid AND identity.key = ?
    LEFT JOIN tags AS content ON content.run_uuid = runs.run_uuid AND content.key = ?
    WHERE runs.experiment_id = ? AND runs.lifecycle_stage = 'active' ORDER BY runs.run_uuid
"""


class DatabaseFile:
    """An SQLite file that MLflow made, opened to be read. Its tables are those of MLflow 1.0 to 3.17.

    Parameters
    ----------
    path : the file.

    Raises
    ------
    sqlite3.Error : from here and from every method, where it is no such file.
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)

    def close(self) -> None:
        """Leave the file."""
        self._connection.close()

    def experiment(self, name: str) -> Experiment | None:
        """Return an experiment with its tags; None where there is none of this name, or several, or it is deleted."""
        found = self._connection.execute(_EXPERIMENT, (name,)).fetchall()
        if len(found) != 1:
            return None
        ((number, made),) = found
        tags = dict(self._connection.execute(_EXPERIMENT_TAGS, (number,)).fetchall())
        return Experiment(str(number), int(made or 0), tags)

    def runs(self, experiment: Experiment, tag: str) -> dict[str, list[FoundRun]]:
        """Return the runs of an experiment by the value of a tag that they carry, as ``Tracker.find_all`` does."""
        found: dict[str, list[FoundRun]] = {}
        for value, run_id, content in self._connection.execute(_RUNS, (tag, CONTENT_TAG, int(experiment.id))):
            found.setdefault(value, []).append(FoundRun(run_id, content))
        return found
