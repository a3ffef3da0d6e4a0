"""What moved key frames cost: a paired difference that stands beside the ranks and never among them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from board_pages import NO_BROWSER, data_of, opened, shown_rows
from example_studies import ExampleStudy, example_study

from results.scores.bootstrap import difference_interval, generator_of, resampled_scores
from results.scores.comparison import compare
from results.scores.leaderboard import Leaderboard, build_leaderboard
from results.scores.metrics import METRICS
from results.scores.over_benchmarks import rank_over_benchmarks
from results.scores.pooling import pool_complete
from results.scores.shifts import Loss
from results.store.outcome_store import OutcomeStore
from results.store.study_card import FoldCard, StudyCard, fold_key
from results.store.watched import SHIFT_STAMP
from results.views.board_page import board_page
from results.views.columns import number
from results.views.leaderboard_text import render

COMPOSITE = {"casme2": 5, "samm": 4}
NOTE = "onset and apex moved by 2 frames in 36 tested clips; 3 had less room and moved as far as it went"


@pytest.fixture
def store(tmp_path: Path) -> OutcomeStore:
    return OutcomeStore(tmp_path / "runs", create=True)


def moved(study: ExampleStudy, shift: str) -> ExampleStudy:
    """Return the same study, tested on shifted clips."""
    ingredients = {**study.card.ingredients, "shift_keyframes": {"amount": shift}}
    card = dataclasses.replace(study.card, shift=shift, ingredients=ingredients, notes=[NOTE.replace("2", shift, 1)])
    folds = tuple(FoldCard(fold_key(card.key, fold.name), fold.name, fold.n_test) for fold in card.folds)
    return ExampleStudy(dataclasses.replace(card, folds=folds), study.folds)


def put(store: OutcomeStore, study: ExampleStudy, hit_rate: float, folds: int | None = None, day: int = 1) -> None:
    store.write_card(study.card)
    for outcome in study.outcomes(hit_rate, f"2026-01-{day:02}T00:00:00+00:00")[:folds]:
        store.write_outcome(study.card, outcome)


def board_of(store: OutcomeStore) -> Leaderboard:
    return build_leaderboard(store, rng=np.random.default_rng(0))


@pytest.fixture
def filled(store: OutcomeStore) -> OutcomeStore:
    """Return a store of two models with two seeds each, one of them shifted, and the shift of another incomplete."""
    for seed in (0, 1):
        study = example_study("ststnet", COMPOSITE, seed=seed)
        put(store, study, 0.8)
        put(store, moved(study, "2"), 0.6)
        put(store, moved(study, "10%"), 0.3)
        put(store, example_study("htnet", COMPOSITE, seed=seed), 0.7)
    put(store, moved(example_study("htnet", COMPOSITE), "2"), 1.0, folds=4)
    return store


def test_a_shift_is_never_a_row_and_changes_no_rank(filled: OutcomeStore) -> None:
    board = board_of(filled)
    plain = build_leaderboard(filled, [card for card in filled.cards() if not card.shift], rng=np.random.default_rng(0))
    assert board.rows == plain.rows
    assert (board.gaps, board.notes) == (plain.gaps, plain.notes)
    assert plain.shifts == []
    compared = compare(filled, filled.cards(), rng=np.random.default_rng(0))
    assert {name for pair in compared.pairs for name in (pair.first, pair.second)} == {"ststnet", "htnet"}
    over = rank_over_benchmarks(filled, filled.cards())
    for left_out, notes in ((compared.left_out, compared.notes), (over.left_out, over.notes)):
        assert not [one for one in left_out if "shift" in one.model], "another kind of evaluation, not a lesser rival"
        assert any(note.startswith("Studies of shifted key frames not compared: 5.") for note in notes)


def test_the_loss_is_of_pooled_predictions_and_its_interval_of_the_same_people_for_both(filled: OutcomeStore) -> None:
    board = board_of(filled)
    root_seed = int(np.random.default_rng(0).integers(2**63))
    cards = {(card.label, card.seed): card for card in filled.cards()}

    def counts(label: str) -> tuple[list[str], np.ndarray]:
        pooled = [pool_complete(cards[label, seed], filled.read_outcomes(cards[label, seed])[0]) for seed in (0, 1)]
        found = [one.part("casme2").counts_by_subject() for one in pooled]
        return found[0][0], np.stack([one for _, one in found])

    (one,) = (one for one in board.shifts if (one.label, one.shift, one.part) == ("ststnet", "2", "casme2"))
    subjects, true = counts("ststnet")
    _, other = counts("ststnet[shift_keyframes=2]")
    for name, told in (("uf1", one.uf1), ("uar", one.uar)):
        metric = METRICS.get(name)
        annotated, shifted = (
            float(np.mean([metric(seed.sum(axis=0)[0]) for seed in found])) for found in (true, other)
        )
        drawn = [resampled_scores(found, metric, 1000, generator_of(subjects, root_seed)) for found in (true, other)]
        low, high = difference_interval(drawn[0] - drawn[1], annotated - shifted, 5)
        assert told == Loss(*map(pytest.approx, (annotated, shifted, annotated - shifted, low, high)))
    assert one.uf1 is not None
    assert one.uf1.loss > 0
    row = next(row for row in board.rows if (row.label, row.part) == ("ststnet", "casme2"))
    assert one.uf1.annotated == pytest.approx(row.uf1)
    assert (one.seeds, one.n_samples, one.n_subjects, one.studies) == ([0, 1], 20, 5, row.studies)


def test_without_all_folds_of_both_there_is_no_loss(filled: OutcomeStore) -> None:
    (one,) = (one for one in board_of(filled).shifts if (one.label, one.part) == ("htnet", "full"))
    assert (one.uf1, one.uar, one.folds_done, one.folds_total) == (None, None, 4, 9)
    lines = [line for line in render(board_of(filled), "table", 140).splitlines() if line.startswith("htnet  ")]
    assert any("4/9" in line for line in lines)


def test_shifts_stand_in_their_order_the_whole_before_the_parts(filled: OutcomeStore) -> None:
    told = [(one.part, one.label, one.shift) for one in board_of(filled).shifts]
    full = [("full", "htnet", "2"), ("full", "ststnet", "2"), ("full", "ststnet", "10%")]
    assert told[:3] == full
    assert told[3:] == [(part, *rest) for part in ("casme2", "samm") for _, *rest in full]


def test_other_code_than_that_of_the_scores_as_annotated_is_no_counterpart(store: OutcomeStore) -> None:
    put(store, moved(example_study(code="v1"), "1"), 0.5)
    put(store, example_study(code="v2"), 0.8)
    assert board_of(store).shifts == []
    put(store, moved(example_study(code="v2"), "1"), 0.5, day=2)
    assert [one.shift for one in board_of(store).shifts] == ["1"]


def test_every_view_tells_the_loss_with_the_note(filled: OutcomeStore) -> None:
    board = board_of(filled)
    one = next(one for one in board.shifts if (one.label, one.shift, one.part) == ("ststnet", "2", "full"))
    assert one.uf1 is not None
    texts = {form: render(board, form, 160) for form in ("table", "md")}
    texts["long"] = render(board, "md", shape="long")
    for text in texts.values():
        assert "Key-frame error" in text
        assert number(one.uf1.shifted) in text
        assert "3 had less room" in text.replace("\n", " ")
    told = json.loads(render(board, "json"))["shifts"]
    assert told[1]["uf1"]["loss"] == pytest.approx(one.uf1.loss)
    page = board_page(filled, rng=np.random.default_rng(0)).decode()
    assert {row["label"] for row in shown_rows(page)} == {"ststnet", "htnet"}
    cells = [shift["cells"] for shift in data_of(page)["shifts"]]
    assert ["ststnet", "last", "full", "2"] in [line[:4] for line in cells]
    assert number(one.uf1.shifted) in {cell for line in cells for cell in line}


@pytest.mark.slow
@pytest.mark.skipif(bool(NO_BROWSER), reason=NO_BROWSER)
def test_a_browser_shows_the_losses_of_the_chosen_part(filled: OutcomeStore, tmp_path: Path) -> None:
    file = tmp_path / "board.html"
    file.write_bytes(board_page(filled, rng=np.random.default_rng(0)))
    with opened(file) as (page, wrong):
        (one,) = (
            one
            for one in board_of(filled).shifts
            if (one.label, one.shift, one.part) == ("ststnet", "2", "samm") and one.uf1
        )
        page.select_option("#part", "samm")
        lines = page.locator("#shifts tbody tr").all_inner_texts()
        assert len(lines) == 3
        assert any(line.startswith("ststnet\tlast\t2\t") and number(one.uf1.shifted) in line for line in lines)
        assert "3 had less room" in page.inner_text("#shift-notes")
        assert wrong == []


def test_a_card_keeps_its_shift_and_old_cards_have_none() -> None:
    card = moved(example_study(), "5%").card
    assert StudyCard.from_json(card.to_json()) == card
    assert (card.label, card.stamp) == ("ststnet[shift_keyframes=5%]", SHIFT_STAMP)
    assert card.unshifted_key == example_study().card.key
    value = example_study().card.to_json()
    del value["shift"]
    assert StudyCard.from_json(value).shift == ""
