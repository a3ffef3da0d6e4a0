from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args

import numpy as np
import pyarrow.parquet as pq
import pytest
import requests
from board_pages import shown_rows
from example_studies import ExampleStudy, example_study
from mlflow_server import NAME, free_port, mlflow_server

from preprocess.base.errors import HonestyError, StoreError, UsageError
from preprocess.base.hashing import digest
from results.scores.leaderboard import build_leaderboard
from results.store.outcome_store import OutcomeStore, fold_file
from results.store.study_card import FoldCard, fold_key
from results.store.watched import EXTERNAL, TEST
from results.tracking import client as tracking_client
from results.tracking import runs
from results.tracking.client import CONTENT_TAG
from results.tracking.database import DatabaseFile
from results.tracking.report import Done, SyncReport
from results.tracking.shown import LEADERBOARD_TAG, STUDY_TAG
from results.tracking.standing import standing
from results.tracking.sync import TRACKING_OFF, open_tracking, resolve_tracking_uri, sync
from results.tracking.writer import TrackingWriter
from results.views.columns import interval
from results.views.pictures import classes_picture, confusion_picture, curves_picture

# MLflow takes seconds to import, which a process that runs none of these tests is spared.
if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

COMPOSITE = {"casme2": 3, "samm": 3, "smic": 2}


@pytest.fixture(scope="module", autouse=True)
def pictures_are_drawn_once() -> Iterator[None]:
    """Draw each picture once. Most tests show the same study, and drawing takes more than half of a sync."""
    drawn: dict[bytes, bytes] = {}

    def once(draw: Callable[..., bytes]) -> Callable[..., bytes]:
        def picture(*given: Any) -> bytes:
            key = pickle.dumps((draw.__name__, given))
            if key not in drawn:
                drawn[key] = draw(*given)
            return drawn[key]

        return picture

    with pytest.MonkeyPatch.context() as patch:
        for draw in (classes_picture, confusion_picture, curves_picture):
            patch.setattr(runs, draw.__name__, once(draw))
        yield


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables; making them takes seconds, so tests copy it."""
    root = tmp_path_factory.mktemp("mlflow")
    open_tracking(None, str(root))
    return root / "mlflow.db"


@pytest.fixture
def store(tmp_path: Path, empty_database: Path) -> OutcomeStore:
    """An empty store with a tracking database beside it."""
    root = tmp_path / "my runs 50% #1"
    store = OutcomeStore(root, create=True)
    shutil.copy(empty_database, root / "mlflow.db")
    return store


def put(store: OutcomeStore, study: ExampleStudy, folds: int | None = None, hit_rate: float = 0.7) -> ExampleStudy:
    store.write_card(study.card)
    for outcome in study.outcomes(hit_rate)[:folds]:
        store.write_outcome(study.card, outcome)
    return study


def fail(store: OutcomeStore, study: ExampleStudy, *places: int) -> None:
    store.write_card(study.card)
    for place in places:
        store.write_failure(study.card, study.failure(place))


def local_uri(store: OutcomeStore) -> str:
    uri = resolve_tracking_uri(None, store.root)
    assert uri is not None
    return uri


def synced(store: OutcomeStore, uri: str | None = None, seed: int = 0, **options: Any) -> SyncReport:
    rng = np.random.default_rng(seed)
    return sync(store, store.cards(), uri or local_uri(store), rng, lambda line: None, **options)


def stands(store: OutcomeStore, *models: str) -> SyncReport | None:
    """Ask whether MLflow shows all there is of some models, or of all."""
    cards = [card for card in store.cards() if not models or card.model in models]
    return standing(store, cards, local_uri(store), lambda line: None)


def counts(report: SyncReport) -> tuple[int, ...]:
    assert report.unreachable is None
    return tuple(report.count(done) for done in get_args(Done))


def client_of(uri: str) -> MlflowClient:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def all_runs(uri: str, kind: str = "study", deleted: bool = False) -> list[Run]:
    from mlflow.entities import ViewType

    client = client_of(uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    view = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
    return list(client.search_runs(experiments, f"tags.kind = '{kind}'", run_view_type=view))


def only_run(uri: str, kind: str = "study") -> Run:
    (run,) = all_runs(uri, kind)
    return run


def artifact(uri: str, run: Run, name: str, folder: Path) -> bytes:
    folder.mkdir(exist_ok=True)
    path = client_of(uri).download_artifacts(run.info.run_id, name, str(folder))
    return Path(path).read_bytes()


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


@pytest.mark.slow
class TestAddress:
    def test_a_database_beside_local_results_is_the_default(self, tmp_path: Path) -> None:
        expected = f"sqlite:///{tmp_path}/runs/mlflow.db"
        assert resolve_tracking_uri(None, str(tmp_path / "runs")) == expected
        assert resolve_tracking_uri(None, f"file://{tmp_path}/runs") == expected
        assert list(tmp_path.iterdir()) == []

    def test_results_at_an_address_have_no_default(self) -> None:
        assert open_tracking(None, "s3://bucket/runs") is None
        assert "--tracking-uri" in TRACKING_OFF

    def test_a_relative_database_is_pinned_to_where_it_was_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert resolve_tracking_uri("sqlite:///mlflow.db", "s3://bucket/runs") == f"sqlite:///{tmp_path}/mlflow.db"

    def test_a_server_is_taken_as_given_and_not_asked(self) -> None:
        assert open_tracking("https://user:word@mlflow.invalid:8443/prefix/", "runs") == (
            "https://user:word@mlflow.invalid:8443/prefix"
        )

    @pytest.mark.parametrize(
        ("uri", "told"),
        [
            ("./mlruns", "MLflow keeps no runs in plain folders such as ./mlruns. Give http://HOST:PORT"),
            ("file:///home/me/mlruns", "sqlite:///FILE.db for a database file"),
            ("sqlite:///", "names no database file"),
            ("sqlite:///:memory:", "names no database file"),
            ("http://:5000", "no valid host and port"),
            ("http://host:99999999", "no valid host and port"),
            ("s3://bucket/mlflow", "s3 is no address of a tracking server"),
            ("postgresql://me:secret@host/db", "mlflow server --backend-store-uri"),
        ],
    )
    def test_what_mlflow_does_not_take_is_refused_with_what_it_takes(
        self, uri: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UsageError, match="--tracking-uri") as caught:
            open_tracking(uri, str(tmp_path / "runs"))
        assert told in str(caught.value)
        assert "secret" not in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    def test_opening_makes_the_database_and_its_tables_and_nothing_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        uri = open_tracking(None, "runs")
        made = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
        assert made == ["runs", "runs/mlflow.db", "runs/mlflow.db.lock"]
        assert client_of(uri).search_experiments()
        assert capfd.readouterr() == ("", "")

    def test_nothing_stays_beside_a_folder_whose_name_has_escapes(self, tmp_path: Path, empty_database: Path) -> None:
        """MLflow makes a folder of the escaped name, which a run that was killed then may have left."""
        results, left = tmp_path / "100% mine?" / "runs", tmp_path / "100%25 mine%3F" / "runs"
        results.mkdir(parents=True)
        shutil.copy(empty_database, results / "mlflow.db")
        left.mkdir(parents=True)
        assert open_tracking(None, str(results)) == f"sqlite:///{left}/mlflow.db"
        assert [path.name for path in tmp_path.iterdir()] == ["100% mine?"]
        left.mkdir(parents=True)
        (left / "mine.txt").touch()
        open_tracking(None, str(results))
        assert (left / "mine.txt").exists(), "what is not empty is somebody's"

    def test_a_run_that_is_killed_while_it_makes_the_database_is_in_no_later_ones_way(self, tmp_path: Path) -> None:
        """MLflow makes the tables by some forty changes to older ones."""
        code = (
            "import os, sys; from alembic.runtime import migration; from results.tracking.sync import open_tracking\n"
            "step, count = migration.HeadMaintainer.update_to_step, iter(range(100))\n"
            "def killed(*given): next(count) == 20 and os._exit(9); return step(*given)\n"
            "migration.HeadMaintainer.update_to_step = killed; open_tracking(None, sys.argv[1])"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, timeout=120)
        assert killed.returncode == 9
        assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db.lock"]
        uri = open_tracking(None, str(tmp_path))
        assert client_of(str(uri)).search_experiments()

    def test_a_damaged_database_is_told_with_the_remedy(self, tmp_path: Path) -> None:
        (tmp_path / "mlflow.db").write_bytes(b"no database at all" * 100)
        with pytest.raises(StoreError, match=r"mlflow\.db cannot be used: .*not a database.*move the file away"):
            open_tracking(None, str(tmp_path))

    def test_what_cannot_be_opened_is_told_without_mlflows_tries_of_100_seconds(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def waits(seconds: float) -> None:
            pytest.fail(f"MLflow tries again after {seconds} s")

        (tmp_path / "mlflow.db").mkdir()
        monkeypatch.setattr("mlflow.store.db.utils.time.sleep", waits)
        with pytest.raises(StoreError, match=r"mlflow\.db cannot be used: .*unable to open database file"):
            open_tracking(None, str(tmp_path))

    def test_results_of_somebody_else_are_synced_to_another_database(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*given: object) -> None:
            raise PermissionError(13, "Permission denied")

        # Root, which may run the tests, may write anywhere.
        monkeypatch.setattr("results.tracking.sync.Tracker", refused)
        told = r"mlflow\.db cannot be written: Permission denied\. Give yourself the permission, or name another"
        with pytest.raises(StoreError, match=told):
            open_tracking(None, str(tmp_path))

    def test_nobody_is_told_to_move_a_database_of_their_own_away(self, tmp_path: Path) -> None:
        own = tmp_path / "own.db"
        own.write_bytes(b"no database at all" * 100)
        with pytest.raises(
            StoreError, match=r"own\.db cannot be used: .*`mlflow db upgrade sqlite:.*own\.db`"
        ) as caught:
            open_tracking(f"sqlite:///{own}", str(tmp_path / "runs"))
        assert "away" not in str(caught.value)


class TestSeveralDrivers:
    @pytest.mark.slow
    def test_two_that_begin_at_once_make_one_database_and_one_run_a_study(self, tmp_path: Path) -> None:
        store = OutcomeStore(tmp_path / "runs", create=True)
        for seed in range(2):
            put(store, example_study(seed=seed))
        ended: list[Any] = []

        def drive() -> None:
            try:
                ended.append(counts(synced(store, open_tracking(None, store.root))))
            except Exception as error:
                ended.append(error)

        drivers = [threading.Thread(target=drive) for _ in range(2)]
        for driver in drivers:
            driver.start()
        for driver in drivers:
            driver.join()
        assert [sum(told) for told in ended] == [2, 2], ended
        assert len(all_runs(local_uri(store))) == 2
        assert len(all_runs(local_uri(store), "leaderboard")) == 1
        assert counts(synced(store)) == (0, 0, 2, 0)

    @pytest.mark.slow
    def test_where_nobody_can_wait_equal_runs_become_one(
        self, store: OutcomeStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(store, example_study())
        write = tracking_client.Tracker.write

        def at_the_same_time(self: Any, *arguments: Any) -> None:
            write(self, *arguments)
            write(self, *arguments)

        monkeypatch.setattr(tracking_client.Tracker, "write", at_the_same_time)
        assert counts(synced(store)) == (1, 0, 0, 0)
        assert len(all_runs(local_uri(store))) == 1
        assert len(all_runs(local_uri(store), "leaderboard")) == 1


class TestStudyRun:
    @pytest.mark.slow
    def test_a_complete_study_shows_its_pooled_scores(self, store: OutcomeStore, tmp_path: Path) -> None:
        card = put(store, example_study(datasets=COMPOSITE, params={"epochs": 30})).card
        assert counts(synced(store)) == (1, 0, 0, 0)
        run = only_run(local_uri(store))
        rows = build_leaderboard(store, rng=np.random.default_rng(0)).rows
        assert [row.part for row in rows] == ["full", "casme2", "samm", "smic"]
        scores = json.loads(artifact(local_uri(store), run, "scores.json", tmp_path / "got"))
        for row in rows:
            for name in ("uf1", "uar", "accuracy", "weighted_f1", "uf1_low", "uar_high", "n_samples", "n_subjects"):
                assert scores[row.part][name] == getattr(row, name), (row.part, name)
            assert {f"f1/{name}": value for name, value in (row.f1_per_class or {}).items()}.items() <= (
                scores[row.part].items()
            )
        assert run.data.metrics["uf1"] == rows[0].uf1
        assert run.data.metrics["samm/uar"] == rows[2].uar
        assert run.data.tags["uf1_interval"] == interval(rows[0].uf1_low, rows[0].uf1_high)
        assert (run.data.tags["folds"], run.data.tags["ranked"]) == ("8/8", "true")
        assert run.info.status == "FINISHED"
        assert run.data.params == {"epochs": "30"}
        assert run.info.run_name == f"{card.label} · last · seed 0"
        assert card.label == "ststnet[epochs=30]"

    @pytest.mark.slow
    def test_its_metrics_are_what_people_sort_by(self, store: OutcomeStore) -> None:
        put(store, example_study(datasets=COMPOSITE))
        synced(store)
        whole = {"uf1", "uf1_low", "uf1_high", "uar", "uar_low", "uar_high", "accuracy", "weighted_f1"}
        parts = {f"{part}/{name}" for part in COMPOSITE for name in ("uf1", "uar")}
        assert only_run(local_uri(store)).data.metrics.keys() == whole | parts | {"fold/accuracy"}

    def test_it_names_its_datasets_and_the_code_that_made_it(self, store: OutcomeStore) -> None:
        study = example_study(datasets=COMPOSITE)
        store.write_card(study.card)
        for outcome in study.outcomes():
            outcome.provenance["git"] = "0123abcd+dirty"
            store.write_outcome(study.card, outcome)
        synced(store)
        run = only_run(local_uri(store))
        used = {entry.dataset.name: entry.dataset for entry in run.inputs.dataset_inputs}
        rows = {name: json.loads(dataset.profile)["num_rows"] for name, dataset in used.items()}
        assert rows == {name: study.card.n_samples[name] for name in COMPOSITE}
        assert used["samm"].digest == digest(study.card.ingredients["datasets"]["samm"])[:36]
        tags = {name.removeprefix("mlflow.source."): run.data.tags[name] for name in run.data.tags}
        assert (tags["name"], tags["git.commit"], tags["git.dirty"]) == ("merbench", "0123abcd", "true")

    def test_tags_tell_what_the_score_depends_on(self, store: OutcomeStore) -> None:
        card = put(store, example_study()).card
        synced(store)
        tags = only_run(local_uri(store)).data.tags
        expected = {"model": "ststnet", "dataset": "casme2", "task": "megc3", "protocol": "loso", "selection": "last"}
        assert expected.items() <= tags.items()
        assert (tags["seed"], tags["synthetic"], tags[STUDY_TAG]) == ("0", "false", card.key)
        assert "stamp" not in tags
        assert "16 | 4 | negative 8, positive 4, surprise 4" in tags["mlflow.note.content"]

    def test_fingerprints_become_tags(self, store: OutcomeStore) -> None:
        study = example_study()
        known = {
            "model_code": "aa11",
            "engine_code": "bb22",
            "datasets": {"casme2": "cc33"},
            "features": {"flow_uvs_28": {"casme2": {"recipe": "dd44", "content": "ee55"}}},
        }
        card = dataclasses.replace(study.card, ingredients=known)
        folds = tuple(FoldCard(fold_key(card.key, fold.name), fold.name, fold.n_test) for fold in card.folds)
        put(store, ExampleStudy(dataclasses.replace(card, folds=folds), study.folds))
        synced(store)
        tags = only_run(local_uri(store)).data.tags
        assert (tags["fingerprint.model_code"], tags["fingerprint.engine_code"]) == ("aa11", "bb22")
        assert tags["fingerprint.dataset.casme2"] == "cc33"
        assert json.loads(tags["fingerprint.feature.flow_uvs_28"]) == {"casme2": {"recipe": "dd44", "content": "ee55"}}

    @pytest.mark.slow
    def test_an_experiment_is_a_benchmark(self, store: OutcomeStore) -> None:
        put(store, example_study("ststnet", COMPOSITE))
        put(store, example_study("rcn_a", COMPOSITE, seed=1))
        put(store, example_study("rcn_a"))
        put(store, example_study("rcn_a", synthetic=True, code="v2"))
        assert counts(synced(store)) == (4, 0, 0, 0)
        client = client_of(local_uri(store))
        runs = {
            e.name: len(client.search_runs([e.experiment_id], "tags.kind = 'study'"))
            for e in client.search_experiments()
        }
        assert runs == {
            "Default": 0,
            "merbench: casme2+samm+smic · megc3 · cde": 2,
            "merbench: casme2 · megc3 · loso": 1,
            "merbench: casme2 · megc3 · loso (synthetic data)": 1,
        }

    def test_folds_are_a_series_and_a_table(self, store: OutcomeStore, tmp_path: Path) -> None:
        study = put(store, example_study())
        synced(store)
        uri = local_uri(store)
        run = only_run(uri)
        history = client_of(uri).get_metric_history(run.info.run_id, "fold/accuracy")
        expected = [float(np.mean(o.y_true == o.y_pred)) for o in study.outcomes()]
        assert [(point.step, point.value) for point in sorted(history, key=lambda p: p.step)] == list(
            enumerate(expected)
        )
        folds = table(artifact(uri, run, "folds.csv", tmp_path / "got"))
        assert [row["fold"] for row in folds] == [fold.name for fold in study.card.folds]
        assert [int(row["n_test"]) for row in folds] == [4, 4, 4, 4]

    def test_predictions_are_a_table_by_sample_id(self, store: OutcomeStore, tmp_path: Path) -> None:
        study = put(store, example_study(datasets=COMPOSITE))
        synced(store)
        uri = local_uri(store)
        rows = table(artifact(uri, only_run(uri), "predictions.csv", tmp_path / "got"))
        expected = {}
        for outcome in study.outcomes():
            for place, sample in enumerate(outcome.sample_ids):
                names = study.card.classes
                truth, guess = names[outcome.y_true[place]], names[outcome.y_pred[place]]
                expected[sample] = (outcome.fold, outcome.subjects[place], truth, guess, *outcome.scores[place])
        shown = {
            row["sample_id"]: (
                *(row["fold"], row["subject"], row["true"], row["predicted"]),
                *(np.float32(row[f"score_{name}"]) for name in study.card.classes),
            )
            for row in rows
        }
        assert shown == expected
        assert [row["sample_id"] for row in rows] == sorted(expected)

    @pytest.mark.slow
    def test_subjects_classes_curves_and_pictures(self, store: OutcomeStore, tmp_path: Path) -> None:
        put(store, example_study(datasets=COMPOSITE))
        synced(store)
        uri, got = local_uri(store), tmp_path / "got"
        run = only_run(uri)
        subjects = table(artifact(uri, run, "subjects.csv", got))
        assert len(subjects) == 8
        assert sum(int(row["samples"]) for row in subjects) == 32
        right = sum(int(row["correct"]) for row in subjects) / 32
        assert right == run.data.metrics["accuracy"]
        classes = table(artifact(uri, run, "classes.csv", got))
        scores = json.loads(artifact(uri, run, "scores.json", got))
        assert {row["part"] for row in classes} == {"full", "casme2", "samm", "smic"}
        assert float(classes[0]["f1"]) == pytest.approx(scores["full"]["f1/negative"], abs=1e-6)
        curves = pq.read_table(io.BytesIO(artifact(uri, run, "curves.parquet", got)))
        assert curves.num_rows == 8 * 6
        assert sorted(set(curves["epoch"].to_pylist())) == [1, 2, 3]
        for name in ("curves.png", *(f"confusion/{part}.png" for part in ("full", "casme2", "samm", "smic"))):
            assert artifact(uri, run, name, got).startswith(b"\x89PNG")

    @pytest.mark.slow
    def test_a_multi_label_study_shows_its_classes_and_the_average(self, store: OutcomeStore, tmp_path: Path) -> None:
        put(store, example_study(datasets=COMPOSITE, multilabel=True, averaged=True))
        assert counts(synced(store)) == (1, 0, 0, 0)
        uri, got = local_uri(store), tmp_path / "got"
        run = only_run(uri)
        rows = {row.part: row for row in build_leaderboard(store, rng=np.random.default_rng(0)).rows}
        assert run.data.metrics["uf1"] == rows["full"].uf1
        assert run.data.metrics["average/uf1"] == rows["average"].uf1
        assert run.data.metrics["micro_f1"] == rows["full"].other_metrics["micro_f1"]
        note = run.data.tags["mlflow.note.content"]
        assert "| mean F1 | 95 % | mean recall |" in note
        assert "UF1" not in note
        assert artifact(uri, run, "classes/full.png", got).startswith(b"\x89PNG")
        predictions = table(artifact(uri, run, "predictions.csv", got))
        assert {"true_AU1", "predicted_AU4", "score_AU2"} <= predictions[0].keys()

    def test_artifacts_of_a_database_lie_beside_it(self, store: OutcomeStore) -> None:
        put(store, example_study())
        synced(store)
        run = only_run(local_uri(store))
        place = Path(store.root, "mlartifacts", run.info.run_id, "artifacts")
        assert {path.name for path in place.iterdir()} >= {"study.json", "predictions.csv", "confusion"}

    @pytest.mark.slow
    def test_oracle_is_stamped(self, store: OutcomeStore) -> None:
        put(store, example_study(selection="oracle"))
        synced(store)
        run = only_run(local_uri(store))
        assert "ORACLE (best epoch on the test subject: not comparable, not ranked)" in run.info.run_name
        assert run.data.tags["stamp"] == "best epoch on the test subject: not comparable, not ranked"

    @pytest.mark.slow
    def test_external_weights_are_stamped_and_lead_nothing(self, store: OutcomeStore) -> None:
        put(store, example_study(selection="external", watches=TEST, weights=EXTERNAL))
        synced(store)
        study, board = (only_run(local_uri(store), kind=kind) for kind in ("study", "leaderboard"))
        assert "EXTERNAL (weights: external, trained elsewhere: not comparable, not ranked)" in study.info.run_name
        assert study.data.tags["weights"] == "external"
        assert study.data.tags["stamp"] == "weights: external, trained elsewhere: not comparable, not ranked"
        assert board.data.tags["leader"] == ""

    @pytest.mark.slow
    def test_long_values_and_odd_names_are_taken(self, store: OutcomeStore, tmp_path: Path) -> None:
        params = {"widths": list(range(5000)), "note": "x" * 20_000, "odd*name": None}
        put(store, example_study(params=params))
        assert counts(synced(store)) == (1, 0, 0, 0)
        uri = local_uri(store)
        run = only_run(uri)
        assert len(run.info.run_name) <= 250
        assert run.data.params["odd_name"] == "null"
        assert run.data.params["note"].startswith("xxxx")
        card = json.loads(artifact(uri, run, "study.json", tmp_path / "got"))
        assert card["hyperparameters"]["widths"] == list(range(5000))

    def test_a_run_lasts_as_long_as_its_folds_did(self, store: OutcomeStore) -> None:
        study = example_study()
        store.write_card(study.card)
        for place, outcome in enumerate(study.outcomes()):
            outcome.provenance.update(finished_at=f"2026-01-01T00:0{place + 1}:00+00:00", seconds=30.0)
            store.write_outcome(study.card, outcome)
        synced(store)
        run = only_run(local_uri(store))
        assert run.info.end_time - run.info.start_time == (3 * 60 + 30) * 1000
        assert run.info.end_time == 1767225840000


@pytest.mark.slow
class TestStanding:
    def test_an_incomplete_study_has_no_run(self, store: OutcomeStore) -> None:
        put(store, example_study(), folds=3)
        assert counts(synced(store)) == (0, 0, 0, 1)
        assert [e.name for e in client_of(local_uri(store)).search_experiments()] == ["Default"]

    def test_a_failed_study_has_a_run_without_scores(self, store: OutcomeStore, tmp_path: Path) -> None:
        study = put(store, example_study(), folds=3)
        fail(store, study, 3)
        assert counts(synced(store)) == (1, 0, 0, 0)
        uri = local_uri(store)
        run = only_run(uri)
        assert run.info.status == "FAILED"
        assert run.data.metrics == {"folds_done": 3, "folds_failed": 1}
        assert run.data.tags["error"] == "ValueError: too few samples"
        text = artifact(uri, run, "tracebacks.txt", tmp_path / "got").decode()
        assert text.startswith(f"fold {study.card.folds[3].name}\n\nTraceback:\n  line 1\n")

    def test_a_failed_fold_with_others_left_to_run_is_incomplete(self, store: OutcomeStore) -> None:
        fail(store, put(store, example_study(), folds=2), 3)
        assert counts(synced(store)) == (0, 0, 0, 1)

    def test_a_mended_study_replaces_its_failed_run(self, store: OutcomeStore) -> None:
        study = put(store, example_study(), folds=3)
        fail(store, study, 3)
        synced(store)
        put(store, study)
        assert counts(synced(store)) == (0, 1, 0, 0)
        run = only_run(local_uri(store))
        assert (run.info.status, "uf1" in run.data.metrics) == ("FINISHED", True)

    def test_a_damaged_outcome_takes_the_run_back_and_is_named(self, store: OutcomeStore) -> None:
        study = put(store, example_study())
        synced(store)
        path = Path(store.root, fold_file(study.card, study.card.folds[0].key, "outcome"))
        path.write_bytes(path.read_bytes()[:-9])
        said: list[str] = []
        report = sync(store, store.cards(), local_uri(store), np.random.default_rng(0), said.append)
        assert counts(report) == (0, 0, 0, 1)
        assert path.name in said[0]
        assert all_runs(local_uri(store)) == all_runs(local_uri(store), "leaderboard") == []

    def test_predictions_that_contradict_the_card_are_not_shown(self, store: OutcomeStore) -> None:
        study = example_study()
        store.write_card(study.card)
        for outcome in study.outcomes():
            store.write_outcome(study.card, dataclasses.replace(outcome, y_true=(outcome.y_true + 1) % 3))
        with pytest.raises(HonestyError, match="card"):
            synced(store)
        assert all_runs(local_uri(store)) == []


@pytest.mark.slow
class TestAgain:
    def test_a_second_sync_changes_nothing(self, store: OutcomeStore) -> None:
        put(store, example_study())
        put(store, example_study(selection="oracle"))
        fail(store, example_study("rcn_a"), 0, 1, 2, 3)
        assert stands(store) is None
        assert counts(synced(store)) == (3, 0, 0, 0)
        report = stands(store)
        assert report is not None
        assert counts(report) == (0, 0, 3, 0)
        uri = local_uri(store)
        before = {run.info.run_id for kind in ("study", "leaderboard") for run in all_runs(uri, kind)}
        # Another generator draws other intervals; that alone is no reason to make runs anew.
        assert counts(synced(store, seed=7)) == (0, 0, 3, 0)
        assert {run.info.run_id for kind in ("study", "leaderboard") for run in all_runs(uri, kind)} == before
        assert len(before) == 4

    @pytest.mark.parametrize("kind", ["study", "leaderboard"])
    def test_a_half_written_run_is_made_again(self, store: OutcomeStore, kind: str) -> None:
        put(store, example_study())
        synced(store)
        uri = local_uri(store)
        client = client_of(uri)
        half = only_run(uri, kind)
        client.delete_tag(half.info.run_id, CONTENT_TAG)
        assert stands(store) is None
        report = synced(store)
        assert counts(report) == ((0, 1, 0, 0) if kind == "study" else (0, 0, 1, 0))
        whole = only_run(uri, kind)
        assert whole.info.run_id != half.info.run_id
        assert CONTENT_TAG in whole.data.tags
        assert [run.info.run_id for run in all_runs(uri, kind, deleted=True)] == [half.info.run_id]

    def test_a_run_that_was_doubled_is_made_one_again(self, store: OutcomeStore) -> None:
        put(store, example_study())
        synced(store)
        uri = local_uri(store)
        run = only_run(uri)
        client_of(uri).create_run(run.info.experiment_id, tags=run.data.tags)
        assert len(all_runs(uri)) == 2
        assert stands(store) is None
        assert counts(synced(store)) == (0, 1, 0, 0)
        assert len(all_runs(uri)) == 1

    def test_other_results_of_the_same_study_replace_the_run(self, store: OutcomeStore) -> None:
        study = put(store, example_study(), hit_rate=0.2)
        synced(store)
        before = only_run(local_uri(store)).data.metrics["uf1"]
        put(store, study, hit_rate=1.0)
        assert stands(store) is None
        assert counts(synced(store)) == (0, 1, 0, 0)
        assert before < only_run(local_uri(store)).data.metrics["uf1"] == 1.0

    def test_the_same_results_computed_elsewhere_do_not(self, store: OutcomeStore) -> None:
        study = put(store, example_study())
        synced(store)
        for outcome in study.outcomes(finished_at="2030-01-01T00:00:00+00:00"):
            outcome.provenance["host"] = "another"
            store.write_outcome(study.card, outcome)
        assert stands(store) is None, "the leaderboard tells when its studies were finished"
        assert counts(synced(store)) == (0, 0, 1, 0)
        assert stands(store) is not None

    def test_what_others_do_to_the_runs_is_seen(self, store: OutcomeStore) -> None:
        put(store, example_study())
        put(store, example_study("rcn_a"))
        synced(store)
        uri = local_uri(store)
        client, board = client_of(uri), only_run(uri, "leaderboard")
        client.set_experiment_tag(board.info.experiment_id, CONTENT_TAG, "of another store")
        assert stands(store) is None
        synced(store)
        gone = next(run for run in all_runs(uri) if run.data.tags["model"] == "rcn_a")
        client.delete_run(gone.info.run_id)
        assert stands(store) is None
        assert stands(store, "ststnet") is not None, "the other one is not asked for"
        put(store, example_study("htnet"), folds=2)
        assert stands(store, "ststnet") is None, "the leaderboard shows what has begun"

    def test_where_all_is_shown_the_file_alone_is_asked_and_few_questions_whatever_there_is(
        self, store: OutcomeStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for seed in range(3):
            put(store, example_study(seed=seed))
        said: list[str] = []
        sync(store, store.cards(), local_uri(store), np.random.default_rng(0), said.append)
        asked: list[str] = []

        def watched(self: DatabaseFile, path: Path) -> None:
            opening(self, path)
            self._connection.set_trace_callback(asked.append)

        opening = DatabaseFile.__init__
        monkeypatch.setattr(DatabaseFile, "__init__", watched)
        monkeypatch.setattr(tracking_client.Tracker, "__init__", None)
        again: list[str] = []
        TrackingWriter(store, None, again.append).finish(store.cards())
        assert again == [said[0].replace("logged", "unchanged"), *said[1:]]
        assert len(again) > 2
        assert len(asked) == 4

    def test_a_deleted_experiment_comes_back(self, store: OutcomeStore) -> None:
        put(store, example_study())
        synced(store)
        uri = local_uri(store)
        client = client_of(uri)
        client.delete_experiment(only_run(uri).info.experiment_id)
        assert all_runs(uri) == []
        assert stands(store) is None
        report = synced(store)
        assert report.unreachable is None
        assert len(all_runs(uri)) == 1

    def test_nothing_is_printed_but_what_is_said(
        self, store: OutcomeStore, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        put(store, example_study(params={"note": "x" * 20_000}))
        put(store, example_study("rcn_a"), folds=1)
        said: list[str] = []
        sync(store, store.cards(), local_uri(store), np.random.default_rng(0), said.append)
        assert capfd.readouterr() == ("", "")
        assert said[0] == f"MLflow at {local_uri(store)}: 1 run logged, 1 incomplete."
        assert [path.name for path in tmp_path.iterdir()] == [Path(store.root).name]


@pytest.mark.slow
class TestLeaderboard:
    def test_it_holds_the_ranked_table(self, store: OutcomeStore, tmp_path: Path) -> None:
        put(store, example_study("ststnet", COMPOSITE), hit_rate=0.6)
        put(store, example_study("rcn_a", COMPOSITE), hit_rate=0.9)
        put(store, example_study("rcn_a", COMPOSITE, selection="oracle"), hit_rate=1.0)
        put(store, example_study("htnet", COMPOSITE), folds=2)
        synced(store)
        uri, got = local_uri(store), tmp_path / "got"
        run = only_run(uri, "leaderboard")
        expected = build_leaderboard(store, rng=np.random.default_rng(0))
        shown = json.loads(artifact(uri, run, "leaderboard.json", got))
        assert shown == json.loads(json.dumps(expected.to_json()))
        assert "oracle" in artifact(uri, run, "leaderboard.md", got).decode()
        assert len(table(artifact(uri, run, "leaderboard.csv", got))) == len(expected.rows)
        page = artifact(uri, run, "board.html", got).decode()
        assert [row["uf1"] for row in shown_rows(page)] == [row.uf1 and round(row.uf1, 5) for row in expected.rows]
        best = next(row for row in expected.rows if row.part == "full" and row.rank == 1)
        assert (run.info.run_name, run.data.tags["leader"]) == ("leaderboard", "rcn_a")
        assert run.data.metrics["best_uf1"] == best.uf1 != 1.0
        assert "samm/best_uf1" in run.data.metrics

    def test_it_follows_the_store(self, store: OutcomeStore, tmp_path: Path) -> None:
        put(store, example_study("ststnet"), hit_rate=0.5)
        synced(store)
        uri = local_uri(store)
        first = only_run(uri, "leaderboard")
        put(store, example_study("rcn_a"), folds=2)
        synced(store)
        second = only_run(uri, "leaderboard")
        assert second.info.run_id != first.info.run_id
        rows = json.loads(artifact(uri, second, "leaderboard.json", tmp_path / "got"))["rows"]
        assert [(row["label"], row["folds_done"], row["uf1"] is None) for row in rows] == [
            ("ststnet", 4, False),
            ("rcn_a", 2, True),
        ]

    def test_it_follows_an_incomplete_study_too(self, store: OutcomeStore) -> None:
        put(store, example_study("ststnet"))
        study = put(store, example_study("rcn_a"), folds=2)
        uri = local_uri(store)
        for folds in (2, 3):
            put(store, study, folds=folds)
            synced(store)
            assert f"{folds}/4" in only_run(uri, "leaderboard").data.tags["mlflow.note.content"]

    def test_one_study_renews_the_board_of_its_experiment_over_the_whole_store(self, store: OutcomeStore) -> None:
        put(store, example_study("ststnet"))
        put(store, example_study("rcn_a", COMPOSITE))
        card = put(store, example_study("htnet"), hit_rate=1.0).card
        uri = local_uri(store)
        report = sync(store, [card], uri, np.random.default_rng(0), lambda line: None)
        assert counts(report) == (1, 0, 0, 0)
        run = only_run(uri, "leaderboard")
        assert "ststnet" in run.data.tags["mlflow.note.content"]
        assert "rcn_a" not in run.data.tags["mlflow.note.content"]

    def test_it_can_wait(self, store: OutcomeStore) -> None:
        put(store, example_study())
        assert counts(synced(store, leaderboards=False)) == (1, 0, 0, 0)
        assert all_runs(local_uri(store), "leaderboard") == []

    def test_nothing_complete_is_no_leaderboard(self, store: OutcomeStore) -> None:
        fail(store, example_study(), 0, 1, 2, 3)
        synced(store)
        assert all_runs(local_uri(store), "leaderboard") == []

    def test_oracle_alone_leads_nothing(self, store: OutcomeStore) -> None:
        put(store, example_study(selection="oracle"))
        synced(store)
        run = only_run(local_uri(store), "leaderboard")
        assert (run.data.tags["leader"], run.data.metrics) == ("", {})

    def test_two_stores_on_one_server_keep_their_own(self, store: OutcomeStore, tmp_path: Path) -> None:
        other = OutcomeStore(tmp_path / "other", create=True)
        put(store, example_study("ststnet"))
        put(other, example_study("rcn_a"))
        uri = local_uri(store)
        for _ in range(2):
            synced(store, uri)
            synced(other, uri)
        boards = all_runs(uri, "leaderboard")
        assert sorted(run.data.tags["leader"] for run in boards) == ["rcn_a", "ststnet"]
        assert len({run.data.tags[LEADERBOARD_TAG] for run in boards}) == 2
        assert all_runs(uri, "leaderboard", deleted=True) == []

    def test_intervals_are_those_of_an_equal_generator_which_is_left_as_it_was(self, store: OutcomeStore) -> None:
        put(store, example_study())
        rng = np.random.default_rng(5)
        sync(store, store.cards(), local_uri(store), rng, lambda line: None)
        expected = build_leaderboard(store, rng=rng).rows[0]
        metrics = only_run(local_uri(store)).data.metrics
        assert (metrics["uf1_low"], metrics["uar_high"]) == (expected.uf1_low, expected.uar_high)


class QuietHandler(BaseHTTPRequestHandler):
    """Answers every method alike and prints nothing."""

    def answer(self) -> None:
        raise NotImplementedError

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = lambda self: self.answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


def serving(handler: type[QuietHandler]) -> ThreadingHTTPServer:
    service = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    service.daemon_threads = True
    threading.Thread(target=service.serve_forever, daemon=True).start()
    return service


@contextmanager
def answering(known: dict[str, int], otherwise: int | None) -> Iterator[str]:
    """Serve a fixed status for some paths and another for the rest; None: no answer ever."""
    stop = threading.Event()

    class Handler(QuietHandler):
        def answer(self) -> None:
            status = known.get(self.path.partition("?")[0], otherwise)
            if status is None:
                stop.wait(30)
                return
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    service = serving(Handler)
    try:
        yield f"http://127.0.0.1:{service.server_port}"
    finally:
        stop.set()
        service.shutdown()
        service.server_close()


class Proxy:
    """Stands in front of a server, and may answer in its place."""

    def __init__(self, server: str) -> None:
        outer = self

        class Handler(QuietHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    own = outer.own_answer(self.path, body)
                except ConnectionError:
                    self.connection.close()
                    return
                if own is None:
                    headers = {"Content-Type": self.headers.get("Content-Type", "application/json")}
                    reply = requests.request(self.command, server + self.path, data=body, headers=headers, timeout=30)
                    own = reply.status_code, reply.content
                self.send_response(own[0])
                self.send_header("Content-Length", str(len(own[1])))
                self.end_headers()
                self.wfile.write(own[1])

        self._service = serving(Handler)
        self.uri = f"http://127.0.0.1:{self._service.server_port}"

    def own_answer(self, path: str, body: bytes) -> tuple[int, bytes] | None:
        """Return status and content; None for the server's. ConnectionError drops the connection."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self._service.shutdown()
        self._service.server_close()


class Dying(Proxy):
    """Drops every connection once ``left`` requests are used up."""

    def __init__(self, server: str, left: int) -> None:
        self.left = left
        super().__init__(server)

    def own_answer(self, path: str, body: bytes) -> tuple[int, bytes] | None:
        self.left -= 1
        if self.left < 0:
            raise ConnectionError
        return None


class OfMlflow2(Proxy):
    """Answers where MLflow 2.22.5 answers otherwise than today's, as a real one was seen to do."""

    def own_answer(self, path: str, body: bytes) -> tuple[int, bytes] | None:
        if path == "/version":
            return 200, b"2.22.5"
        if "/logged-models" in path or path.endswith("/runs/outputs"):
            return 404, b"<!doctype html>"
        if path.endswith("/runs/log-inputs") and not json.loads(body).get("datasets"):
            told = "Missing value for required parameter 'datasets'."
            return 400, json.dumps({"error_code": "INVALID_PARAMETER_VALUE", "message": told}).encode()
        return None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[str]:
    """The address of a real MLflow server on loopback, with a database and artifacts of its own."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_database, folder / "mlflow.db")
    with mlflow_server(folder) as address:
        yield address


@pytest.mark.slow
class TestServer:
    def test_runs_and_artifacts_reach_it_once(
        self, store: OutcomeStore, server: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        put(store, example_study(datasets=COMPOSITE))
        fail(store, example_study("rcn_a", COMPOSITE), *range(8))
        assert counts(synced(store, server)) == (2, 0, 0, 0)
        assert counts(synced(store, server)) == (0, 0, 2, 0)
        runs = {run.info.status: run for run in all_runs(server)}
        assert sorted(runs) == ["FAILED", "FINISHED"]
        predictions = table(artifact(server, runs["FINISHED"], "predictions.csv", tmp_path / "got"))
        assert len(predictions) == 32
        capfd.readouterr()
        assert artifact(server, runs["FINISHED"], "confusion/smic.png", tmp_path / "got").startswith(b"\x89PNG")
        assert only_run(server, "leaderboard").data.metrics["best_uf1"] == runs["FINISHED"].data.metrics["uf1"]

    def test_what_a_dead_server_missed_is_made_up_for_without_doubles(
        self, store: OutcomeStore, server: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        put(store, example_study("htnet"))
        put(store, example_study("ststnet"))
        with Dying(server, left=14) as dying:
            report = synced(store, dying.uri)
            assert report.unreachable is not None
            half = [run for run in all_runs(server) if CONTENT_TAG not in run.data.tags]
            assert len(half) == 1, "the sync was meant to be cut off in the middle of a run"
            dying.left = 10**6
            assert counts(synced(store, dying.uri)) == (1, 1, 0, 0)
        runs = [run for run in all_runs(server) if run.data.tags["protocol"] == "loso"]
        assert sorted(run.data.tags["model"] for run in runs) == ["htnet", "ststnet"]
        assert all(CONTENT_TAG in run.data.tags for run in runs)
        assert counts(synced(store, server)) == (0, 0, 2, 0)
        assert capfd.readouterr() == ("", "")

    def test_one_of_mlflow_2_has_all_but_the_logged_model(
        self, store: OutcomeStore, server: str, tmp_path: Path
    ) -> None:
        study = put(store, example_study("htnet", params={"lr": 0.2}))
        for fold in study.card.folds:
            store.write_weights(study.card, fold.key, {"w": np.ones(2, np.float32)})
        with OfMlflow2(server) as older:
            assert counts(synced(store, older.uri)) == (1, 0, 0, 0)
            assert counts(synced(store, older.uri)) == (0, 0, 1, 0)
        (run,) = (run for run in all_runs(server) if run.data.params.get("lr") == "0.2")
        assert "uf1" in run.data.metrics
        assert not run.outputs.model_outputs
        told = json.loads(artifact(server, run, "weights.json", tmp_path / "got"))
        assert set(told["weights"]) == {fold.name for fold in study.card.folds}

    @pytest.mark.parametrize(
        ("host", "origin", "status"),
        [
            (NAME, f"https://{NAME}", 200),
            (f"{NAME}:5000", None, 200),
            ("elsewhere.test", None, 403),
            (NAME, "https://elsewhere.test", 403),
        ],
    )
    def test_it_answers_to_its_name_and_to_pages_of_its_own(
        self, server: str, host: str, origin: str | None, status: int
    ) -> None:
        headers = {"Host": host} | ({"Origin": origin} if origin else {})
        search = f"{server}/ajax-api/2.0/mlflow/experiments/search"
        answer = requests.post(search, json={"max_results": 1}, headers=headers, timeout=30)
        assert answer.status_code == status


@pytest.mark.slow
class TestNoServer:
    def test_a_server_that_is_down_costs_seconds_and_a_line(
        self, store: OutcomeStore, capfd: pytest.CaptureFixture[str]
    ) -> None:
        put(store, example_study())
        uri = f"http://me:secret@127.0.0.1:{free_port()}"
        said: list[str] = []
        began = time.monotonic()
        report = sync(store, store.cards(), uri, np.random.default_rng(0), said.append)
        assert time.monotonic() - began < 5
        assert (report.done, report.unreachable) == ({}, "ConnectionRefusedError: [Errno 111] Connection refused")
        (line,) = said
        assert "No result is lost" in line
        assert "merbench sync --results" in line
        assert "secret" not in line
        assert capfd.readouterr() == ("", "")

    def test_a_server_that_never_answers_costs_seconds(
        self, store: OutcomeStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert tracking_client._PROBE_SECONDS < 10
        monkeypatch.setattr(tracking_client, "_PROBE_SECONDS", 0.5)
        put(store, example_study())
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            began = time.monotonic()
            report = synced(store, f"http://127.0.0.1:{silent.getsockname()[1]}")
            assert time.monotonic() - began < 10
        assert report.unreachable is not None
        assert "timed out" in report.unreachable

    def test_a_server_that_falls_silent_later_costs_seconds_too(
        self, store: OutcomeStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        put(store, example_study())
        with answering({"/health": 200}, otherwise=None) as uri:
            began = time.monotonic()
            report = synced(store, uri)
            assert time.monotonic() - began < 10
        assert "timed out" in (report.unreachable or "")

    def test_a_request_is_given_up_within_half_a_minute(
        self, store: OutcomeStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from mlflow import MlflowClient
        from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES, MLFLOW_HTTP_REQUEST_TIMEOUT

        monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
        monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
        ask, longest = MlflowClient.get_experiment_by_name, []

        def asked(self: MlflowClient, name: str) -> Any:
            longest.append((1 + MLFLOW_HTTP_REQUEST_MAX_RETRIES.get()) * MLFLOW_HTTP_REQUEST_TIMEOUT.get())
            return ask(self, name)

        monkeypatch.setattr(MlflowClient, "get_experiment_by_name", asked)
        synced(store)
        assert 0 < max(longest) <= 30
        assert "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ, "others in this process are left to their own"

    @pytest.mark.parametrize("health", [502, 200, 404])
    def test_a_gateway_without_a_server_behind_it_is_told_in_a_line(self, store: OutcomeStore, health: int) -> None:
        put(store, example_study())
        with answering({"/health": health}, otherwise=502) as uri:
            report = synced(store, uri)
        assert report.unreachable is not None
        assert "502" in report.unreachable
        assert "\n" not in report.unreachable

    def test_a_full_disk_is_told_in_a_line_and_leaves_no_double(
        self, store: OutcomeStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(store, example_study())

        def full(*args: object, **options: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("mlflow.MlflowClient.log_artifacts", full)
        report = synced(store)
        assert report.unreachable == "OSError: [Errno 28] No space left on device"
        monkeypatch.undo()
        assert counts(synced(store)) == (0, 1, 0, 0)
        assert len(all_runs(local_uri(store))) == 1


@pytest.mark.slow
def test_weights_that_are_kept_are_a_model_with_the_studys_scores(store: OutcomeStore) -> None:
    study, without = example_study("ststnet", params={"lr": 0.1}), example_study("majority")
    for one in (study, without):
        put(store, one)
    assert counts(synced(store)) == (2, 0, 0, 0)
    uri = local_uri(store)
    client = client_of(uri)
    ids = [one.experiment_id for one in client.search_experiments()]
    assert client.search_logged_models(ids) == []

    for fold in study.card.folds:
        store.write_weights(study.card, fold.key, {"w": np.ones(2, np.float32)})
    assert counts(synced(store)) == (0, 1, 1, 0)
    assert counts(synced(store)) == (0, 0, 2, 0), "the second sync has nothing to do"
    (model,) = client.search_logged_models(ids)
    (run,) = (run for run in all_runs(uri) if run.data.tags["model"] == "ststnet")
    assert (model.name, str(model.status)) == ("ststnet[lr=0_1] last seed 0", "READY")
    assert model.source_run_id == run.info.run_id
    assert model.params["lr"] == "0.1"
    linked = {metric.key: metric.value for metric in model.metrics}
    assert linked["uf1"] == run.data.metrics["uf1"]
    assert "fold/accuracy" not in linked
    assert [one.model_id for one in run.outputs.model_outputs] == [model.model_id]
    lies = Path(urllib.request.url2pathname(urllib.parse.urlsplit(model.artifact_location).path))
    told = json.loads((lies / "weights.json").read_text())
    assert set(told["weights"]) == {fold.name for fold in study.card.folds}
    assert all(Path(told["results"], file).is_file() for file in told["weights"].values())

    Path(told["results"], told["weights"][study.card.folds[0].name]).unlink()
    assert counts(synced(store)) == (0, 1, 1, 0)
    assert client.search_logged_models(ids) == [], "its weights are no longer all there"


@pytest.mark.slow
def test_folds_have_runs_below_their_studys_only_on_request(store: OutcomeStore) -> None:
    study = put(store, example_study())
    uri = local_uri(store)
    synced(store)
    assert all_runs(uri, "fold") == []
    for _ in range(2):
        synced(store, folds=True)
        (parent,), folds = all_runs(uri), all_runs(uri, "fold")
        assert sorted(run.info.run_name for run in folds) == [fold.name for fold in study.card.folds]
        assert {run.data.tags["mlflow.parentRunId"] for run in folds} == {parent.info.run_id}
        assert all(run.data.metrics["selected_epoch"] == 3 for run in folds)
    series = client_of(uri).get_metric_history(folds[0].info.run_id, "train_loss")
    assert [(one.step, one.value) for one in series if one.step != 2] == [(1, 1.5), (3, 0.1)]

    outcome = study.outcomes()[0]
    store.write_outcome(study.card, dataclasses.replace(outcome, y_pred=(outcome.y_pred + 1) % 3))
    synced(store)
    assert all_runs(uri, "fold") == [], "they were of the run that has gone"
