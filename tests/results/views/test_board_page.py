"""The board: one page that says what the leaderboard says, and that a browser can sort, filter and open."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from board_pages import NO_BROWSER, data_of, opened, shown_rows
from example_studies import ExampleStudy, example_study

from results.scores.claims import Printed
from results.scores.comparison import compare
from results.scores.leaderboard import build_leaderboard
from results.store.outcome_store import OutcomeStore
from results.store.watched import IMPORTED
from results.views import board_data
from results.views.board_data import Size
from results.views.board_page import board_page, page_code, page_files
from results.views.board_study import POINTS, curves_of
from results.views.columns import number

COMPOSITE = {"casme2": 6, "samm": 4}
NASTY = "</script><img src=x onerror=alert(1)>"


@pytest.fixture
def store(tmp_path: Path) -> OutcomeStore:
    return OutcomeStore(tmp_path / "runs", create=True)


def put(store: OutcomeStore, study: ExampleStudy, hit_rate: float = 0.7, folds: int | None = None) -> ExampleStudy:
    store.write_card(study.card)
    for outcome in study.outcomes(hit_rate)[:folds]:
        known = {**outcome.provenance, "seconds": 1.5, "device": "cpu", "git": "abc"}
        store.write_outcome(study.card, dataclasses.replace(outcome, provenance=known))
    return study


def page_of(store: OutcomeStore, sizes: dict[str, Size] | None = None) -> str:
    return board_page(store, rng=np.random.default_rng(0), sizes=sizes).decode()


@pytest.fixture
def board(store: OutcomeStore) -> OutcomeStore:
    """Return a store of two benchmarks: one with parts, an oracle, an incomplete study and one of others."""
    put(store, example_study("majority", COMPOSITE), 0.1)
    for seed in (0, 1):
        put(store, example_study("ststnet", COMPOSITE, seed=seed), 0.9)
    put(store, example_study("ststnet", COMPOSITE, selection="oracle"), 1.0)
    put(store, example_study("rcn_a", COMPOSITE, params={"note": NASTY}), 0.5)
    put(store, example_study("htnet", COMPOSITE), folds=3)
    put(store, example_study("gpt", COMPOSITE, weights=IMPORTED), 0.6)
    put(store, example_study("majority", {"smic": 3}), 0.4)
    return store


def test_the_page_holds_the_numbers_of_the_leaderboard_and_of_the_comparison(board: OutcomeStore) -> None:
    data = data_of(page_of(board))
    expected = build_leaderboard(board, rng=np.random.default_rng(0))
    assert [row["label"] for row in data["rows"]] == [row.label for row in expected.rows]
    for row, own in zip(data["rows"], expected.rows, strict=True):
        assert (row["rank"], row["part"], row["folds"]) == (own.rank, own.part, f"{own.folds_done}/{own.folds_total}")
        assert row["uf1"] == (None if own.uf1 is None else pytest.approx(own.uf1, abs=1e-5))
        assert row["uar_high"] == (None if own.uar_high is None else pytest.approx(own.uar_high, abs=1e-5))
    assert {row["rank"] for row in data["rows"] if row["selection"] == "oracle"} == {None}
    pairs = compare(board, board.cards(), rng=np.random.default_rng(0)).pairs
    assert [(p["first"], p["second"], p["p"]) for p in data["pairs"]] == [
        (pair.first, pair.second, pytest.approx(pair.metrics["uf1"].p_holm, abs=1e-6)) for pair in pairs
    ]
    gaps = {gap.part: gap.gap for gap in expected.gaps}
    shown = {row["part"]: row["gap"] for row in data["rows"] if row["gap"] is not None}
    assert shown == {part: pytest.approx(gap, abs=1e-5) for part, gap in gaps.items()}
    assert [one["title"] for one in data["boards"]] == ["casme2+samm · megc3 · cde", "smic · megc3 · loso"]


def test_details_are_those_of_the_studies(board: OutcomeStore) -> None:
    data = data_of(page_of(board))
    row = next(row for row in data["rows"] if row["label"] == "ststnet" and row["part"] == "samm")
    study = data["studies"][row["study"]]
    assert np.sum(study["counts"]["samm"]) == 2 * row["n"]
    assert row["acc"] == pytest.approx(np.trace(study["counts"]["samm"]) / np.sum(study["counts"]["samm"]), abs=1e-5)
    right = dict(zip(data["people"][study["people"]], study["right"], strict=True))
    assert len(right) == 10
    assert np.mean([right[name] for name in right if name.startswith("samm/")]) == pytest.approx(row["acc"], abs=1e-4)
    facts = dict(study["facts"])
    assert facts["studies"] == ", ".join(row["keys"])
    assert (facts["commit"], facts["seeds"], row["seconds"], row["epochs"]) == ("abc", "0,1", 1.5, 3)
    left = next(row for row in data["rows"] if row["label"] == "htnet")
    assert (left["uf1"], left["folds"]) == (None, "3/10")
    assert data["studies"][left["study"]]["why"] == "No score before all folds are done."


def test_sizes_stand_in_the_rows_of_their_studies(board: OutcomeStore) -> None:
    card = next(card for card in board.cards() if card.label == "htnet")
    rows = data_of(page_of(board, {card.key[:16]: Size(1234, 0.5)}))["rows"]
    assert {(row["parameters"], row["gflops"]) for row in rows if row["label"] == "htnet"} == {(1234, 0.5)}
    assert {row["parameters"] for row in rows if row["label"] != "htnet"} == {None}


def test_printed_scores_stand_on_the_board_of_the_rows_they_are_held_against(board: OutcomeStore) -> None:
    claimed = Printed("ststnet", "A", "samm", "uf1", 0.75, "oracle", "a paper", lambda row: True, {})
    page = board_page(board, rng=np.random.default_rng(0), printed=[claimed]).decode()
    (claim,) = data_of(page)["claims"]
    assert (claim["board"], claim["part"], claim["model"], claim["source"]) == (0, "samm", "ststnet", "a paper")
    row = next(row for row in shown_rows(page) if (row["label"], row["part"]) == ("ststnet", "samm") and row["rank"])
    assert dict(zip(data_of(page)["claimHeaders"], claim["cells"], strict=True))["last"] == number(row["uf1"])


def test_several_classes_a_sample(store: OutcomeStore) -> None:
    put(store, example_study(multilabel=True))
    data = data_of(page_of(store))
    assert np.shape(data["studies"][0]["counts"]["full"]) == (3, 2, 2)
    assert data["boards"][0]["multilabel"]


def test_an_empty_store_has_a_page_too(store: OutcomeStore) -> None:
    assert data_of(page_of(store))["boards"] == []


def test_curves_are_thinned_and_gaps_stay_gaps() -> None:
    long = np.arange(500.0)
    found = curves_of([{"loss": [*long]}, {"loss": [*(long + 2)][:300]}, {"none": [float("nan")]}])
    assert len(found["loss"]["epochs"]) == POINTS
    assert (found["loss"]["epochs"][0], found["loss"]["epochs"][-1]) == (1, 500)
    assert (found["loss"]["mean"][0], found["loss"]["mean"][-1]) == (1.0, 499.0)
    assert found["none"]["mean"] == [None]


def test_a_large_store_keeps_the_page_small_and_says_what_is_left_out(
    board: OutcomeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_data, "DETAILS_BYTES", 2500)
    data = data_of(page_of(board))
    left = [study for study in data["studies"] if study.get("why", "").startswith("Left out")]
    assert 0 < len(left) < len(data["studies"])
    assert any(note.startswith(f"Details of {len(left)} studies are left out") for note in data["notes"])
    assert all(row["uf1"] is not None for row in data["rows"] if row["label"] != "htnet")


def test_the_hash_of_what_makes_pages_is_that_of_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"board_page.py", "page.js", "pooling.py", "hashing.py"} <= {path.name for path in page_files()}
    monkeypatch.setattr("results.views.board_page._MADE_BY", (tmp_path,))
    for name in ("a.py", "page.css"):
        (tmp_path / name).write_text("before")
    before = page_code()
    (tmp_path / "a.pyc").write_text("compiled")
    assert page_code() == before
    for name in ("a.py", "page.css"):
        (tmp_path / name).write_text("after")
        assert page_code() != before
        before = page_code()


def test_what_every_page_carries_leaves_room_for_the_results(board: OutcomeStore) -> None:
    assert len(page_of(board)) + board_data.DETAILS_BYTES < 6_000_000


def names(page: Any) -> list[str]:
    return [text.strip() for text in page.locator("#table button.open").all_inner_texts()]


@pytest.mark.slow
@pytest.mark.skipif(bool(NO_BROWSER), reason=NO_BROWSER)
def test_a_browser_sorts_filters_and_opens_a_study(board: OutcomeStore, tmp_path: Path) -> None:
    file = tmp_path / "board.html"
    claimed = Printed("ststnet", "A", "full", "uf1", 0.75, "oracle", "a paper", lambda row: True, {})
    file.write_bytes(board_page(board, rng=np.random.default_rng(0), printed=[claimed]))
    with opened(file) as (page, wrong):
        assert "Highest UF1: ststnet" in page.inner_text("#answer")
        assert "Better than: " in page.inner_text("#answer")
        first = names(page)
        assert first[:2] == ["ststnet", "gpt"]
        assert f"rcn_a[note={NASTY}]" in first
        assert ".7500" in page.inner_text("#claims")
        # By keyboard: the heading is a button.
        page.locator("#table thead th", has_text="UF1").first.locator("[tabindex='0'], button").first.focus()
        page.keyboard.press("Enter")
        page.locator("#table thead th[aria-sort='ascending']", has_text="UF1").first.wait_for()
        scores = page.locator("#table tbody tr td:nth-child(3) .number").all_inner_texts()
        ordered = [float(text.split()[0]) for text in scores]
        assert ordered == sorted(ordered)
        assert len(ordered) == 5
        page.get_by_label("Filter").fill("gpt")
        assert names(page) == ["gpt"]
        page.get_by_label("Filter").fill("")
        page.get_by_label("ranked only").check()
        assert "htnet" not in names(page)
        page.get_by_label("Part").select_option("samm")
        assert "16 clips, 4 people" in page.inner_text("#facts")
        page.locator("button.open", has_text="ststnet").first.focus()
        page.keyboard.press("Enter")
        assert page.inner_text("#study-title") == "ststnet · last"
        body = page.inner_text("#study-body")
        assert "Confusion matrix (samm, the sum of 2 seeds)" in body
        assert "abc" in body
        page.locator("#study canvas").first.wait_for()
        page.keyboard.press("Escape")
        assert not page.locator("#study").is_visible()
        page.get_by_label("Benchmark").select_option(label="smic · megc3 · loso")
        assert names(page) == ["majority"]
        assert wrong == []


@pytest.mark.slow
@pytest.mark.skipif(bool(NO_BROWSER), reason=NO_BROWSER)
def test_a_phone_in_the_dark_and_a_printer(board: OutcomeStore, tmp_path: Path) -> None:
    file = tmp_path / "board.html"
    file.write_text(page_of(board))
    with opened(file, width=390, colours="dark") as (page, wrong):
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 29)"
        page.get_by_label("Colours").select_option("light")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        page.get_by_label("Colours").select_option("")
        assert page.pdf().startswith(b"%PDF")
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator(".controls").is_visible()
        assert wrong == []
