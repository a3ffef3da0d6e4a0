"""A results folder that is moved or copied: MLflow finds its runs' files again, and nothing is doubled."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from example_studies import example_study

from preprocess.base.storage import local_folder
from results.store.outcome_store import OutcomeStore
from results.tracking.client import sqlite_uri
from results.tracking.moved import has_moved, mend_moved
from results.tracking.standing import standing
from results.tracking.sync import open_tracking, sync

OTHERS = "file:///somewhere/else/mlartifacts"


def filled(root: Path) -> OutcomeStore:
    store = OutcomeStore(root, create=True)
    study = example_study()
    store.write_card(study.card)
    for outcome in study.outcomes():
        store.write_outcome(study.card, outcome)
    return store


def synced(root: Path) -> list[str]:
    """Sync, and return what was said."""
    said: list[str] = []
    store = OutcomeStore(root)
    uri = open_tracking(None, store.root)
    assert uri is not None
    report = sync(store, store.cards(), uri, np.random.default_rng(0), said.append)
    assert report.unreachable is None
    return said


def files_of_runs(root: Path) -> dict[str, list[Path]]:
    """Return the kind of each run that is there -> the files that MLflow finds of it."""
    from mlflow import MlflowClient

    uri = open_tracking(None, str(root))
    client, found = MlflowClient(tracking_uri=uri), {}
    for run in client.search_runs([one.experiment_id for one in client.search_experiments()]):
        names = [one.path for one in client.list_artifacts(run.info.run_id)]
        kind = run.data.tags["kind"]
        assert kind not in found, "a run is there twice"
        place = local_folder(run.info.artifact_uri)
        assert place is not None
        found[kind] = [place / name for name in names]
    return found


@pytest.mark.slow
def test_files_of_a_moved_results_folder_are_found_again(tmp_path: Path) -> None:
    filled(tmp_path / "before")
    synced(tmp_path / "before")
    shutil.move(tmp_path / "before", tmp_path / "now and here")
    moved = tmp_path / "now and here"
    assert not files_of_runs(moved)["study"]
    assert has_moved(moved / "mlflow.db")
    assert standing(OutcomeStore(moved), OutcomeStore(moved).cards(), sqlite_uri(moved / "mlflow.db"), print) is None
    said = synced(moved)
    assert not has_moved(moved / "mlflow.db")
    assert said[0] == (
        f"MLflow's database lay in {tmp_path}/before before: the files of 2 runs are found in {moved} now."
    )
    assert any("1 run unchanged" in line for line in said)
    files = files_of_runs(moved)
    assert files.keys() == {"study", "leaderboard"}
    assert all(file.exists() and file.is_relative_to(moved) for of_run in files.values() for file in of_run)
    assert {file.name for file in files["study"]} >= {"predictions.csv", "study.json"}
    assert not (tmp_path / "before").exists()
    assert not any("before:" in line for line in synced(moved))


@pytest.mark.slow
def test_a_copy_has_files_of_its_own_and_the_first_one_keeps_its(tmp_path: Path) -> None:
    filled(tmp_path / "first")
    synced(tmp_path / "first")
    shutil.copytree(tmp_path / "first", tmp_path / "copy")
    before = sorted((tmp_path / "first").rglob("*"))
    synced(tmp_path / "copy")
    assert sorted((tmp_path / "first").rglob("*")) == before
    assert all(
        file.exists() and file.is_relative_to(tmp_path / "copy")
        for of_run in files_of_runs(tmp_path / "copy").values()
        for file in of_run
    )
    assert not any("before:" in line for line in synced(tmp_path / "first"))


def database(folder: Path, experiments: list[tuple[str, str]], runs: list[tuple[int, str]]) -> Path:
    """Write what of MLflow's tables is looked at. experiments : names and places. runs : experiments and places."""
    file = folder / "mlflow.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE experiments (experiment_id INTEGER, name TEXT, artifact_location TEXT)")
        connection.execute("CREATE TABLE runs (run_uuid TEXT, experiment_id INTEGER, artifact_uri TEXT)")
        connection.execute("CREATE TABLE logged_models (model_id TEXT, experiment_id INTEGER, artifact_location TEXT)")
        rows = [(number, *one) for number, one in enumerate(experiments)]
        connection.executemany("INSERT INTO experiments VALUES (?, ?, ?)", rows)
        connection.executemany("INSERT INTO runs VALUES (?, ?, ?)", [(f"run{n}", *one) for n, one in enumerate(runs)])
    connection.close()
    return file


def places(file: Path) -> list[str]:
    with sqlite3.connect(file) as connection:
        found = connection.execute("SELECT artifact_location FROM experiments UNION ALL SELECT artifact_uri FROM runs")
        return [place for (place,) in found]


def test_what_is_not_ours_or_was_put_elsewhere_is_left(tmp_path: Path) -> None:
    experiments = [("somebody's", OTHERS), ("merbench: a", "s3://bucket/mlartifacts"), ("merbench: b", "file:///kept")]
    file = database(tmp_path, experiments, [(0, f"{OTHERS}/1/artifacts"), (1, "s3://bucket/mlartifacts/1/artifacts")])
    before = places(file)
    assert mend_moved(file) == []
    assert places(file) == before


def test_a_database_that_comes_without_its_files_keeps_naming_them(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "mlartifacts" / "1" / "artifacts").mkdir(parents=True)
    new.mkdir()
    place = (old / "mlartifacts").as_uri()
    file = database(new, [("merbench: a", place)], [(0, f"{place}/1/artifacts")])
    assert mend_moved(file) == []
    # Of those that come later, each is looked for by itself.
    (new / "mlartifacts").mkdir()
    assert [(one.folder, one.runs) for one in mend_moved(file)] == [(old, 0)]
    assert places(file) == [(new / "mlartifacts").as_uri(), f"{place}/1/artifacts"]


def test_a_folder_under_two_names_is_not_moved(tmp_path: Path) -> None:
    (tmp_path / "disk" / "mlartifacts").mkdir(parents=True)
    (tmp_path / "link").symlink_to("disk")
    place = (tmp_path / "disk" / "mlartifacts").as_uri()
    assert mend_moved(database(tmp_path / "link", [("merbench: a", place)], [])) == []
