"""Honesty rule 5 goes by what a selection watches: three that are registered here, under names that tell nothing."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from local_runs import LocalRuns
from small_runs import plan_of, run_here
from throwaway_models import register_network

from bench.console.progress import RunProgress
from bench.engine.selection import SELECTIONS, Selection, register_selection
from bench.plan.plan import Plan
from bench.workers.pack import run_pack
from preprocess.base.errors import HonestyError, UsageError
from preprocess.shards.prepared import PreparedDataset
from results.scores.leaderboard import Leaderboard, build_leaderboard, study_rows
from results.store.outcome_store import OutcomeStore
from results.store.watched import NOTHING, STAMP, TEST, VALIDATION
from results.tracking.runs import scored_run
from results.views.leaderboard_text import FORMATS, render
from results.views.study_report import study_report

WATCHES = {"grey": NOTHING, "moon": VALIDATION, "sunday": TEST}


def surest(labels: np.ndarray, scores: np.ndarray) -> float:
    """The mean score of the true class."""
    return float(scores[np.arange(len(labels)), labels].mean())


@pytest.fixture
def odd(registries: None) -> list[str]:
    """Return the names of three registered selections: one watches nothing, one validation and one test samples."""
    SELECTIONS.add("grey", Selection("grey", NOTHING, "the last epoch, too"), origin="this test")
    register_selection("moon", watches="validation", summary="the surest on people set aside")(surest)
    register_selection("sunday", watches="test", summary="the surest on the test subject")(surest)
    return sorted(WATCHES)


@pytest.fixture
def plan(odd: list[str], synthetic: list[PreparedDataset], store: OutcomeStore) -> Plan:
    """Return the plan of the three selections, carried out."""
    plan = plan_of(synthetic, store, models=[register_network()], protocols=["cde"], selection=odd)
    run_here(plan, store)
    return plan


@pytest.fixture
def board(plan: Plan, store: OutcomeStore) -> Leaderboard:
    return build_leaderboard(store, rng=np.random.default_rng(0), resamples=10)


@pytest.mark.slow
def test_5_folds_are_equal_in_plan_and_worker(plan: Plan, store: OutcomeStore) -> None:
    """The worker works its folds out anew and refuses those whose samples are not the card's."""
    assert [[card.selection for card in planned.training.cards] for planned in plan.trainings] == [
        ["grey", "sunday"],
        ["moon"],
    ]
    for planned in plan.trainings:
        watches = planned.training.cards[0].watches
        for fold in planned.training.folds(plan.data[planned.training.data]):
            assert bool(len(fold.validation)) == (watches == VALIDATION)
    for card in plan.cards:
        assert card.watches == WATCHES[card.selection]
        assert len(store.state(card).done) == len(card.folds), card.title


@pytest.mark.slow
def test_a_rule_maximises_its_own_measure(plan: Plan, store: OutcomeStore) -> None:
    names = {
        card.selection: {name for outcome in store.read_outcomes(card)[0] for name in outcome.curves}
        for card in plan.cards
    }
    assert names == {
        "grey": {"train_loss"},
        "moon": {"train_loss", "validation_surest"},
        "sunday": {"train_loss", "test_surest"},
    }
    for card in plan.cards:
        for outcome in store.read_outcomes(card)[0]:
            curve = outcome.curves.get(f"{card.watches}_surest", [0.0, 1.0])
            assert outcome.selected_epoch == 1 + curve.index(max(curve))


@pytest.mark.slow
def test_5_who_watches_the_test_samples_is_never_ranked_and_comes_last(board: Leaderboard) -> None:
    for part in ("full", "synth_a", "synth_b"):
        rows = [row for row in board.rows if row.part == part]
        assert [row.selection for row in rows][-1] == "sunday"
        assert {row.selection: row.rank is None for row in rows} == {"grey": False, "moon": False, "sunday": True}
    assert {(gap.selection, gap.oracle) for gap in board.gaps} == {("grey", "sunday"), ("moon", "sunday")}


@pytest.mark.slow
@pytest.mark.parametrize("format", sorted(FORMATS))
def test_5_every_table_is_stamped(board: Leaderboard, format: str) -> None:
    text = render(board, format, 200)
    assert STAMP in text
    honest = dataclasses.replace(board, rows=[row for row in board.rows if row.selection != "sunday"], gaps=[])
    assert STAMP not in render(honest, format, 200)
    if format in ("table", "md", "latex"):
        assert f"* sunday = {STAMP}" in text
        assert "sunday*" in text
        assert not {"moon*", "grey*", "oracle"} & set(text.split())
        return
    rows = json.loads(text)["rows"] if format == "json" else list(csv.DictReader(text.splitlines()))
    assert {(row["selection"], row["watches"], row["stamp"]) for row in rows} == {
        ("grey", "", ""),
        ("moon", "validation", ""),
        ("sunday", "test", STAMP),
    }


@pytest.mark.slow
def test_5_tracking_and_the_report_are_stamped(plan: Plan, store: OutcomeStore) -> None:
    for card in plan.cards:
        outcomes = store.read_outcomes(card)[0]
        rows = study_rows(card, outcomes, np.random.default_rng(0), 10)
        run = scored_run(card, outcomes, rows)
        report = study_report(card, outcomes, [], np.random.default_rng(0))
        stamped = card.selection == "sunday"
        assert run.tags["watches"] == (card.watches or "nothing")
        assert run.tags.get("stamp") == (STAMP if stamped else None)
        assert (f"SUNDAY ({STAMP})" in run.name) == stamped
        assert (STAMP in run.tags["mlflow.note.content"]) == stamped
        assert (f"sunday = {STAMP}" in report) == stamped


@pytest.mark.slow
def test_5_it_is_never_the_current_best(
    merbench: LocalRuns, tree: Path, tmp_path: Path, odd: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(RunProgress, "best", lambda self, text: told.append(text))
    options = ["--data", str(tree), "--results", str(tmp_path / "runs"), "--tracking-uri", "off"]
    options += ["--models", register_network(), "--protocols", "cde"]
    assert merbench("run", *options, "--selection", "sunday").status == 0
    assert told == []
    assert merbench("run", *options, "--selection", "sunday,moon").status == 0
    assert told


def test_a_worker_whose_selection_watches_something_else_trains_nothing(
    odd: list[str], synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    plan = plan_of(synthetic[:1], store, models=[register_network()], selection=["grey"])
    (planned,) = plan.trainings
    SELECTIONS.add("grey", Selection("grey", TEST, "peeks"), origin="this test")
    with pytest.raises(HonestyError, match="'grey' watches test here and nothing in the plan"):
        list(run_pack(planned.training, plan.data[planned.training.data].read(), planned.todo, store))
    assert not list(Path(store.root).rglob("*.outcome.parquet"))


def test_what_is_watched_and_the_measure_are_in_the_key(
    odd: list[str], synthetic: list[PreparedDataset], tmp_path: Path
) -> None:
    def key() -> str:
        return plan_of(synthetic[:1], selection=["grey"]).cards[0].key

    keys = [key()]
    for rule in (Selection("grey", TEST, ""), Selection("grey", TEST, "", surest)):
        SELECTIONS.add("grey", rule, origin="this test")
        keys.append(key())
    assert len(set(keys)) == 3
    SELECTIONS.add("grey", Selection("grey", TEST, "told otherwise", surest), origin="this test")
    assert key() == keys[-1]


def test_a_selection_that_watches_something_unheard_of_is_refused(registries: None) -> None:
    with pytest.raises(
        UsageError, match=r"Selection 'odd': a selection watches '', 'validation', 'inner', 'test', not 'tests'"
    ):
        register_selection("odd", watches="tests", summary="")(surest)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="'odd' has a measure but watches nothing"):
        register_selection("odd", watches="", summary="")(surest)  # type: ignore[arg-type]
    assert "odd" not in SELECTIONS.names()


def test_the_list_of_selections_says_what_each_watches(merbench: LocalRuns, odd: list[str]) -> None:
    lines = merbench("list", "selections").out.splitlines()
    told = {words[0]: words[1] for line in lines if len(words := line.split()) > 1}
    assert {name: told[name] for name in odd} == {"grey": "nothing", "moon": "validation", "sunday": "test"}
