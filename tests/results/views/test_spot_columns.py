"""What a leaderboard shows of spotting: columns that only tables of spotted clips have, in every format."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from board_pages import NO_BROWSER, opened, shown_rows
from example_studies import ExampleStudy, example_study

from results.scores.leaderboard import Leaderboard, build_leaderboard
from results.store.outcome_store import OutcomeStore
from results.store.study_card import FoldCard, StudyCard, fold_key
from results.tracking.runs import scored_run
from results.views.board_page import board_page
from results.views.columns import interval, number
from results.views.leaderboard_text import render
from results.views.study_report import study_report

PEOPLE = {f"casme2/{n:02d}": [3, 1, 1] for n in range(4)} | {"casme2/99": [0, 2, 4]}


def spotted(study: ExampleStudy) -> ExampleStudy:
    """Return the study as one whose tested clips were spotted."""
    ingredients = {**study.card.ingredients, "spotting": PEOPLE}
    card = dataclasses.replace(study.card, protocol="spot", ingredients=ingredients, spotting=PEOPLE)
    folds = tuple(FoldCard(fold_key(card.key, fold.name), fold.name, fold.n_test) for fold in card.folds)
    return ExampleStudy(dataclasses.replace(card, folds=folds), study.folds)


@pytest.fixture
def store(tmp_path: Path) -> OutcomeStore:
    store = OutcomeStore(tmp_path / "runs", create=True)
    studies = [
        (spotted(example_study("ststnet")), 4),
        (spotted(example_study("htnet")), 2),
        (example_study("ststnet"), 4),
    ]
    for study, folds in studies:
        store.write_card(study.card)
        for outcome in study.outcomes(0.8)[:folds]:
            store.write_outcome(study.card, outcome)
    return store


@pytest.fixture
def board(store: OutcomeStore) -> Leaderboard:
    return build_leaderboard(store, rng=np.random.default_rng(0), resamples=100)


def test_a_card_keeps_what_was_spotted_and_an_old_card_has_nothing(store: OutcomeStore) -> None:
    card = next(card for card in store.cards() if card.spotting)
    assert card.spotting == PEOPLE
    old = card.to_json()
    del old["spotting"]
    assert StudyCard.from_json(old).spotting == {}


def test_every_format_has_spotting_and_the_product_with_its_interval(board: Leaderboard) -> None:
    done, waiting = [row for row in board.rows if row.protocol == "spot"]
    (plain,) = [row for row in board.rows if row.protocol == "loso"]
    assert plain.spotting is None
    assert done.spotting is not None
    assert waiting.spotting is not None
    told = done.spotting
    assert (told.precision, told.recall, told.f1) == pytest.approx((12 / 18, 12 / 20, 24 / 38))
    assert done.uf1 is not None
    assert told.strs == pytest.approx(24 / 38 * done.uf1)
    assert (waiting.spotting.f1, waiting.spotting.strs) == (told.f1, None)
    cells = [*map(number, (told.precision, told.recall, told.f1, told.strs)), interval(told.strs_low, told.strs_high)]
    for text in (
        render(board, format, 200, shape) for format in ("table", "md", "latex") for shape in ("wide", "long")
    ):
        assert all(cell in text for cell in cells)
        assert "STRS" in text
        assert "half of their union in common" in " ".join(text.split())
    (row,) = [one for one in json.loads(render(board, "json"))["rows"] if one["uf1"] and one["protocol"] == "spot"]
    assert row["spotting"]["strs"] == told.strs
    assert "strs" in render(board, "csv")


def test_a_table_without_spotted_clips_has_no_column_of_them(board: Leaderboard) -> None:
    rows = [row for row in board.rows if row.protocol == "loso"]
    plain = Leaderboard(rows, [], [])
    for shape in ("wide", "long"):
        assert "STRS" not in render(plain, "md", shape=shape)
        assert "spot" not in render(plain, "table", 120, shape=shape)


def test_the_report_of_a_study_counts_what_was_spotted_of_each_person(store: OutcomeStore) -> None:
    (card,) = [card for card in store.cards() if card.spotting and card.model == "ststnet"]
    lines = study_report(card, store.read_outcomes(card)[0], [], np.random.default_rng(0)).splitlines()
    (place,) = [
        number for number, line in enumerate(lines) if line.startswith("spotting: precision .6667, recall .6000")
    ]
    assert "; then recognising: STRS ." in lines[place]
    assert [line.split() for line in lines[place + 3 : place + 8]] == [
        [name, *map(str, counts)] for name, counts in sorted(PEOPLE.items())
    ]


def test_mlflow_and_the_page_have_them(store: OutcomeStore, board: Leaderboard) -> None:
    (card,) = [card for card in store.cards() if card.spotting and card.model == "ststnet"]
    rows = [row for row in board.rows if row.protocol == "spot" and row.uf1 is not None]
    told = rows[0].spotting
    assert told is not None
    points = {point.name: point.value for point in scored_run(card, store.read_outcomes(card)[0], rows).metrics}
    assert (points["spotting_f1"], points["strs"], points["strs_low"]) == (told.f1, told.strs, told.strs_low)
    shown = shown_rows(board_page(store, rng=np.random.default_rng(0)).decode())
    assert sorted(round(row["spotF1"], 3) for row in shown if "spotF1" in row) == [0.632, 0.632]
    assert [row["label"] for row in shown if row.get("strs") is not None] == ["ststnet"]


@pytest.mark.slow
@pytest.mark.skipif(bool(NO_BROWSER), reason=NO_BROWSER)
def test_the_pages_table_has_the_columns_where_clips_were_spotted(store: OutcomeStore, tmp_path: Path) -> None:
    cards = [card for card in store.cards() if card.spotting]
    file = tmp_path / "board.html"
    file.write_bytes(board_page(store, cards, rng=np.random.default_rng(0)))
    with opened(file, width=1600) as (page, wrong):
        heads = page.locator("#table thead th").all_inner_texts()
        assert {"STRS", "spot F1", "spot P", "spot R"} <= {head.strip() for head in heads}
        assert not wrong
