"""What MLflow's own pages show of an experiment: tags, and the page in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from example_studies import ExampleStudy, example_study
from mlflow_server import mlflow_server

from results.scores.leaderboard import build_leaderboard
from results.store.outcome_store import OutcomeStore
from results.tracking.client import Experiment, Tracker
from results.tracking.pages import VIEW_TAG, page_tags, view_path
from results.tracking.report import SyncReport
from results.tracking.runs import NOTE_TAG, experiment_name
from results.tracking.sync import open_tracking, sync

COMPOSITE = {"casme2": 3, "samm": 3}
NEW = Experiment("7", 1_700_000_000_000, {})


@pytest.fixture
def store(tmp_path: Path) -> OutcomeStore:
    return OutcomeStore(tmp_path / "runs", create=True)


def put(store: OutcomeStore, study: ExampleStudy, hit_rate: float = 0.7) -> ExampleStudy:
    store.write_card(study.card)
    for outcome in study.outcomes(hit_rate):
        store.write_outcome(study.card, outcome)
    return study


def tags_of(store: OutcomeStore, known: Experiment = NEW) -> dict[str, str]:
    return page_tags(known, build_leaderboard(store, rng=np.random.default_rng(0)), store.root)


def synced(store: OutcomeStore, uri: str, said: list[str] | None = None) -> SyncReport:
    said = [] if said is None else said
    return sync(store, store.cards(), uri, np.random.default_rng(0), said.append)


def test_the_description_is_the_leaderboard(store: OutcomeStore) -> None:
    put(store, example_study("ststnet", COMPOSITE), hit_rate=0.9)
    put(store, example_study("rcn_a", COMPOSITE), hit_rate=0.3)
    put(store, example_study("rcn_a", COMPOSITE, selection="oracle"), hit_rate=1.0)
    lines = tags_of(store)[NOTE_TAG].splitlines()
    assert lines[0].startswith("Highest UF1: ststnet ")
    assert f"({view_path(NEW)})" in lines[0]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines if line.startswith("| ")]
    assert rows[0][-2:] == ["casme2 UF1", "samm UF1"]
    assert [row[1:3] for row in rows[2:]] == [["ststnet", "last"], ["rcn_a", "last"], ["rcn_a", "oracle\\*"]]
    assert "\\* oracle: best epoch on the test subject: not comparable, not ranked" in lines


def test_the_description_names_no_winner_where_there_is_none(store: OutcomeStore) -> None:
    for model, hit_rate in (("ststnet", 0.9), ("htnet", 0.9), ("majority", 0.1)):
        put(store, example_study(model, {"casme2": 12}), hit_rate)
    lines = tags_of(store)[NOTE_TAG].splitlines()
    assert ", and 1 more that cannot be told from it · " in lines[0]
    ranks = [line.split("|")[1].strip() for line in lines if line.startswith("| ")][2:]
    assert ranks == ["1 =", "1 =", "3"]


def test_a_long_description_is_cut_at_whole_rows_and_says_so(store: OutcomeStore) -> None:
    for place in range(60):
        put(store, example_study(params={"lr": place, "note": "x" * 2000}, datasets={"casme2": 2}))
    board = build_leaderboard(store, rng=np.random.default_rng(0), resamples=10)
    note = page_tags(NEW, board, store.root)[NOTE_TAG]
    assert len(note) <= 5000
    left = re.search(r"^(\d+) more rows", note, re.MULTILINE)
    assert left is not None
    assert int(left[1]) + note.count(" | last | ") == 60


def test_pages_of_mlflow_2_find_the_view_where_they_look_for_it(store: OutcomeStore) -> None:
    """Seen in a browser on MLflow 2.22.5: without these, a page that never ends to load."""
    put(store, example_study())
    view = json.loads(tags_of(store)[VIEW_TAG])
    of_today = json.loads(view["state"])
    assert {name: view[name] for name in of_today if name != "columnOrder"} == {
        name: value for name, value in of_today.items() if name != "columnOrder"
    }
    assert (view["runsPinned"], view["runsHidden"], view["runsExpanded"]) == ([], [], {})
    assert (view["lifecycleFilter"], view["modelVersionFilter"], view["startTime"]) == ("Active", "All Runs", "ALL")


def test_what_a_person_wrote_or_chose_is_left_alone(store: OutcomeStore) -> None:
    put(store, example_study())
    first = tags_of(store)
    view = json.loads(first[VIEW_TAG])
    by_hand = {
        "mlflow.experimentKind": "genai_development",
        NOTE_TAG: "my own words",
        VIEW_TAG: json.dumps({**view, "updatedAt": view["createdAt"] + 1}),
    }
    assert tags_of(store, Experiment("7", NEW.made, by_hand)) == {}
    guessed = {**first, "mlflow.experimentKind": "genai_development_inferred"}
    assert tags_of(store, Experiment("7", NEW.made, guessed)) == first


@pytest.mark.slow
def test_an_old_database_gets_its_pages_at_the_next_sync_and_nothing_is_doubled(store: OutcomeStore) -> None:
    card = put(store, example_study()).card
    uri = open_tracking(None, store.root)
    assert uri is not None
    synced(store, uri)
    tracker = Tracker(uri)
    name = experiment_name(card)
    known = tracker.experiment(name)
    assert known is not None
    # As a database of before has it: no kind, no description, no view.
    for tag in known.tags:
        tracker._client.delete_experiment_tag(known.id, tag)
    put(store, example_study("rcn_a", seed=1), hit_rate=1.0)
    said: list[str] = []
    report = synced(store, uri, said)
    assert (report.count("logged"), report.count("unchanged")) == (1, 1)
    after = tracker.experiment(name)
    assert after is not None
    assert after.tags.keys() == known.tags.keys()
    assert after.tags[NOTE_TAG].startswith("Highest UF1: rcn_a 1.0000")
    assert said[-1].split()[0] == f"http://127.0.0.1:5000/{view_path(after)}"
    synced(store, uri)
    assert tracker.experiment(name) == after
    assert len(tracker._client.search_runs([known.id])) == 3


@pytest.mark.slow
def test_a_study_that_a_later_one_replaced_is_not_among_the_best(store: OutcomeStore) -> None:
    uri = open_tracking(None, store.root)
    assert uri is not None
    old = put(store, example_study(code="v1"), hit_rate=1.0).card
    synced(store, uri)
    new = put(store, example_study(code="v2"), hit_rate=0.5).card
    synced(store, uri)
    tracker = Tracker(uri)
    known = tracker.experiment(experiment_name(new))
    assert known is not None
    state = json.loads(json.loads(known.tags[VIEW_TAG])["state"])
    shown = tracker._client.search_runs([known.id], state["searchFilter"], order_by=[f"{state['orderByKey']} DESC"])
    assert [run.data.tags["merbench.study"] for run in shown] == [new.key]
    assert old.key != new.key


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium to open the pages with")
def test_a_browser_shows_the_best_model_in_the_first_row(store: OutcomeStore, tmp_path: Path) -> None:
    put(store, example_study("majority", COMPOSITE), hit_rate=0.2)
    card = put(store, example_study("ststnet", COMPOSITE), hit_rate=0.8).card
    put(store, example_study("rcn_a", COMPOSITE, seed=1), hit_rate=0.5)
    put(store, example_study("htnet", COMPOSITE, selection="oracle"), hit_rate=1.0)
    best = build_leaderboard(store, rng=np.random.default_rng(0)).rows[0]
    assert best.label == "ststnet"
    with mlflow_server(tmp_path) as server:
        said: list[str] = []
        assert synced(store, server, said).unreachable is None
        known = Tracker(server).experiment(experiment_name(card))
        assert known is not None
        address = said[-1].split()[0]
        assert address == f"{server}/{view_path(known)}"
        page = opened(address, tmp_path)
    text = FirstRow.of(page)
    assert text["attributes.`Run Name`"].endswith("ststnet · last · seed 0")
    assert float(text["metrics.`uf1`"]) == pytest.approx(best.uf1)
    assert text["tags.`folds`"] == "6/6"
    assert "Highest UF1: ststnet" in page


class FirstRow(HTMLParser):
    """Collects the cells of the first row of MLflow's table of runs. It stands in two blocks: names, and the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: dict[str, str] = {}
        self._first = False
        self._cell: str | None = None

    @classmethod
    def of(cls, page: str) -> dict[str, str]:
        """Return the text of each cell by its column."""
        parser = cls()
        parser.feed(page)
        return parser.cells

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where a row or a cell begins."""
        known = dict(attrs)
        if known.get("role") == "row":
            self._first, self._cell = known.get("row-index") == "0", None
        elif known.get("role") == "gridcell":
            self._cell = known.get("col-id") if self._first else None

    def handle_data(self, data: str) -> None:
        """Take the text of a cell."""
        if self._cell is not None:
            self.cells[self._cell] = self.cells.get(self._cell, "") + data


def opened(address: str, folder: Path) -> str:
    """Return the page as chromium shows it, when nothing moves any more."""
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", *quiet]
    command += [f"--user-data-dir={folder / 'browser'}", "--window-size=2400,1200", "--virtual-time-budget=20000"]
    done = subprocess.run([*command, "--dump-dom", address], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout
