"""``merbench board`` writes the page of a store, with the sizes of its networks."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from board_pages import data_of, shown_rows
from local_runs import LocalRuns

from bench.commands import board
from results.scores.claims import Printed
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard
from results.tracking.report import SyncReport
from results.tracking.sync import MakePage


@pytest.fixture
def results(merbench: LocalRuns, tree: Path, tmp_path: Path) -> str:
    results = str(tmp_path / "runs")
    options = ["--data", str(tree), "--protocols", "cde", "--tracking-uri", "off", "--epochs", "1"]
    assert merbench("run", *options, "--models", "majority,ststnet", "--results", results).status == 0
    return results


@pytest.mark.slow
def test_the_page_goes_where_it_is_told_to_or_beside_the_results(
    merbench: LocalRuns, results: str, tmp_path: Path
) -> None:
    beside = Path(results, "board.html")
    assert re.search(r'"label":"ststnet\[epochs=1\]".*?"parameters":\d{4}', beside.read_text())
    beside.unlink()
    out = tmp_path / "elsewhere" / "mine.html"
    said = merbench("board", "--results", results, "--out", str(out))
    assert (said.status, said.out.strip()) == (0, str(out))
    assert re.search(r'"label":"ststnet\[epochs=1\]".*?"parameters":\d{4}', out.read_text())
    assert merbench("board", "--results", results).out.strip() == str(beside)
    assert beside.is_file()
    blocked = merbench("board", "--results", results, "--out", str(tmp_path))
    assert blocked.status == 2
    assert f"{tmp_path} cannot be written" in blocked.err


def test_the_end_of_a_run_does_not_read_a_large_store(
    merbench: LocalRuns, results: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = OutcomeStore(results)
    monkeypatch.setattr(board, "MOST_FOLDS", 8)
    own = [card for card in store.cards() if card.model == "majority"]
    page = board.board_of_run(store, own, print)
    assert page is not None
    assert '"label":"majority"' in page.read_text()
    assert '"label":"ststnet' not in page.read_text()


@pytest.mark.slow
def test_a_board_that_would_show_the_same_is_left_as_it_is(
    merbench: LocalRuns, results: str, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = Path(results, "board.html")
    options = [
        "--data",
        str(tree),
        "--protocols",
        "cde",
        "--tracking-uri",
        "off",
        "--epochs",
        "1",
        "--results",
        results,
    ]

    def changed(*more: str) -> bool:
        before = beside.read_bytes() if beside.exists() else b""
        assert merbench("run", *options, "--results", results, *more).status == 0
        return beside.read_bytes() != before

    both = ["--models", "majority,ststnet"]
    assert not changed(*both)
    whole = beside.read_bytes()
    beside.write_bytes(whole[:-100])
    assert changed(*both), "a page that is cut short is made again"
    beside.unlink()
    assert changed(*both)
    assert not changed(*both)
    with monkeypatch.context() as patch:
        patch.setattr(board, "page_code", lambda: "of another version")
        assert changed(*both)
    assert changed("--models", "majority", "--seeds", "2"), "a study came to it"


@pytest.mark.slow
def test_what_is_imported_stands_on_the_board_beside_the_results(
    merbench: LocalRuns, results: str, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, file = Path(results, "board.html"), str(tmp_path / "theirs.csv")
    assert merbench("export", "majority", "--results", results, "--out", file).status == 0
    options = ["--data", str(tree), "--protocols", "cde", "--tracking-uri", "off", "--results", results]
    said = merbench("import", file, "--model", "gpt-4o", *options)
    assert f"Renewed: {beside}" in said.out.replace("\n", "")
    assert {"gpt-4o[predictions=external]", "majority"} <= {row["label"] for row in shown_rows(beside.read_text())}

    before = beside.read_bytes()
    monkeypatch.setattr(board, "MOST_FOLDS", 8)
    said = merbench("import", file, "--model", "another", *options)
    assert "renew it with: merbench board --results" in said.out.replace("\n", " ")
    assert beside.read_bytes() == before

    beside.unlink()
    said = merbench("import", file, "--model", "third", *options)
    assert "as a page for your browser: merbench board --results" in said.out.replace("\n", " ")
    assert not beside.exists()


@pytest.mark.slow
def test_the_board_in_mlflow_has_printed_scores_and_sizes(
    merbench: LocalRuns, results: str, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = Printed("majority", "mine cde", "full", "uf1", 0.5, "last", "a paper", lambda row: True, {})
    monkeypatch.setattr(board, "printed_scores", lambda names: [printed])
    asked: list[bool] = []

    def synced(
        store: OutcomeStore,
        cards: list[StudyCard],
        *_: object,
        page: MakePage,
        folds: bool = False,
        leaderboards: bool = True,
        **other: object,
    ) -> SyncReport:
        if not leaderboards:
            return SyncReport()
        told = data_of(page(store, cards, np.random.default_rng(0), {}).decode())
        assert {row["label"]: bool(row["parameters"]) for row in told["rows"]} == {
            "majority": False,
            "ststnet[epochs=1]": True,
        }
        assert [claim["source"] for claim in told["claims"]] == ["a paper"]
        asked.append(folds)
        return SyncReport()

    monkeypatch.setattr("results.tracking.sync.open_tracking", lambda uri, root: "sqlite:///nowhere.db")
    monkeypatch.setattr("results.tracking.sync.sync", synced)
    options = ["--data", str(tree), "--protocols", "cde", "--epochs", "1", "--models", "majority,ststnet"]
    assert merbench("run", *options, "--results", results).status == 0
    assert asked == [False], "the end of the run"
    assert merbench("sync", "--folds", "--results", results).status == 0
    assert asked == [False, True]
