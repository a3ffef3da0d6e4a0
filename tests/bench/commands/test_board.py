"""``merbench board`` writes the page of a store, with the sizes of its networks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from local_runs import LocalRuns

from bench.commands import board
from results.store.outcome_store import OutcomeStore


@pytest.fixture
def results(merbench: LocalRuns, tree: Path, tmp_path: Path) -> str:
    results = str(tmp_path / "runs")
    options = ["--data", str(tree), "--protocols", "cde", "--tracking-uri", "off", "--epochs", "1"]
    assert merbench("run", *options, "--models", "majority,ststnet", "--results", results).status == 0
    return results


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
