"""What is ranked, what is not, and that a row tells all its score depends on (honesty rules 4, 5 and 6)."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_studies import ExampleStudy, example_study

from results.scores.leaderboard import Leaderboard, Row, build_leaderboard
from results.scores.metrics import METRICS, accuracy
from results.scores.pooling import score
from results.scores.stored_study import read_study
from results.store.outcome_store import OutcomeStore, fold_file
from results.store.watched import EXTERNAL, EXTERNAL_STAMP, STAMP, TEST

DATASETS = {"casme2": 3, "samm": 4}
# Enough people to tell models apart.
MANY = {"casme2": 20, "samm": 25}


@pytest.fixture
def store(tmp_path: Path) -> OutcomeStore:
    return OutcomeStore(tmp_path / "runs", create=True)


def put(
    store: OutcomeStore, study: ExampleStudy, hit_rate: float = 0.7, folds: int | None = None, **options: Any
) -> None:
    store.write_card(study.card)
    for outcome in study.outcomes(hit_rate, **options)[:folds]:
        store.write_outcome(study.card, outcome)


def build(store: OutcomeStore, **options: Any) -> Leaderboard:
    return build_leaderboard(store, rng=np.random.default_rng(0), **{"resamples": 50, **options})


def metric_of(row: Row, name: str) -> Any:
    """Return a registered metric of a row: most have a field of their own."""
    return row.other_metrics[name] if name in row.other_metrics else getattr(row, name)


def only(rows: list[Row], **fields: Any) -> Row:
    found = [row for row in rows if all(getattr(row, name) == value for name, value in fields.items())]
    assert len(found) == 1, found
    return found[0]


def test_a_composite_study_gives_a_row_for_full_and_each_part(store: OutcomeStore) -> None:
    study = example_study(datasets=DATASETS, params={"epochs": 3})
    put(store, study)
    rows = build(store).rows
    assert [row.part for row in rows] == ["full", "casme2", "samm"]
    for row, (name, expected) in zip(rows, score(study.card, study.outcomes()).items(), strict=True):
        assert (row.model, row.label, row.dataset) == ("ststnet", "ststnet[epochs=3]", "casme2+samm")
        assert (row.task, row.protocol, row.selection, row.seeds) == ("megc3", "cde", "last", [0])
        assert (row.n_samples, row.n_subjects) == (study.card.n_samples[name], study.card.n_subjects[name])
        assert row.class_counts == expected.class_counts
        assert (row.folds_done, row.folds_total, row.folds_failed, row.rank) == (7, 7, 0, 1)
        assert {metric: metric_of(row, metric) for metric in expected.metrics} == expected.metrics
        assert (row.uf1_low or 1) < (row.uf1 or 0) < (row.uf1_high or 0)
        assert (row.uar_low or 1) < (row.uar or 0) < (row.uar_high or 0)
        assert row.f1_per_class == expected.f1_per_class
        assert row.recall_per_class == expected.recall_per_class


def test_the_score_of_several_seeds_is_the_mean_of_their_pooled_scores(store: OutcomeStore) -> None:
    studies = [example_study(seed=seed) for seed in (2, 0, 10)]
    for study in studies:
        put(store, study)
    row = only(build(store).rows)
    by_seed = {study.card.seed: score(study.card, study.outcomes())["full"].metrics for study in studies}
    assert row.seeds == [0, 2, 10]
    assert row.studies == [s.card.key[:16] for s in sorted(studies, key=lambda study: study.card.seed)]
    assert row.uf1_per_seed == [by_seed[seed]["uf1"] for seed in (0, 2, 10)]
    for name in METRICS.names():
        assert metric_of(row, name) == pytest.approx(np.mean([metrics[name] for metrics in by_seed.values()]))
    assert (row.folds_done, row.folds_total) == (12, 12)


SCORE_FIELDS = {"uf1", "uar", "accuracy", "weighted_f1", "uf1_low", "uf1_high", "uar_low", "uar_high"}
SCORE_FIELDS |= {"uf1_per_seed", "f1_per_class", "recall_per_class", "rank"}


@pytest.mark.parametrize("done", range(7))
def test_an_incomplete_study_has_no_number_at_all(store: OutcomeStore, done: int) -> None:
    study = example_study(datasets=DATASETS)
    put(store, study, folds=done)
    store.write_failure(study.card, study.failure(6))
    board = build(store)
    for row in board.rows:
        assert {getattr(row, name) for name in SCORE_FIELDS} == {None}
        assert (row.folds_done, row.folds_total, row.folds_failed) == (done, 7, 1)
    assert "failed folds: 1" in only(board.rows, part="full").notes[0]
    assert "Incomplete rows: 1." in board.notes[0]


def test_one_incomplete_seed_withholds_the_score_of_all(store: OutcomeStore) -> None:
    put(store, example_study(seed=0))
    put(store, example_study(seed=1), folds=3)
    row = only(build(store).rows)
    assert (row.uf1, row.folds_done, row.folds_total) == (None, 7, 8)


def test_a_damaged_outcome_is_a_missing_fold_and_is_named(store: OutcomeStore) -> None:
    study = example_study()
    put(store, study)
    path = Path(store.root) / fold_file(study.card, study.card.folds[1].key, "outcome")
    path.write_bytes(path.read_bytes()[:-5])
    row = only(build(store).rows)
    assert (row.uf1, row.rank, row.folds_done, row.folds_total) == (None, None, 3, 4)
    assert any(str(path) in note for note in row.notes)


def test_rows_are_ranked_by_uf1_inside_a_benchmark(store: OutcomeStore) -> None:
    for model, hit_rate in (("good", 0.9), ("poor", 0.3), ("fair", 0.6)):
        put(store, example_study(model, MANY), hit_rate)
        put(store, example_study(model, {"casme2": 24}), 1 - hit_rate)
    rows = build(store).rows
    for part in ("full", "casme2", "samm"):
        board = [row for row in rows if row.protocol == "cde" and row.part == part]
        scores = [row.uf1 for row in board]
        assert scores == sorted(scores, reverse=True)
        assert [row.rank for row in board] == [1, 2, 3]
    assert [row.model for row in rows if row.protocol == "cde" and row.part == "full"] == ["good", "fair", "poor"]
    assert [row.model for row in rows if row.protocol == "loso"] == ["poor", "fair", "good"]


def test_equal_scores_share_a_rank(store: OutcomeStore) -> None:
    for model, hit_rate in (("a", 0.8), ("b", 0.8), ("c", 0.0)):
        put(store, example_study(model, {"casme2": 12}), hit_rate)
    assert [(row.model, row.rank, row.tied) for row in build(store).rows] == [
        ("a", 1, True),
        ("b", 1, True),
        ("c", 3, False),
    ]


def test_scores_on_other_samples_are_not_ranked_together(store: OutcomeStore) -> None:
    put(store, example_study("a", clips=4), 0.9)
    put(store, example_study("b", clips=5), 0.5)
    put(store, example_study("c", clips=4, synthetic=True), 0.4)
    rows = build(store).rows
    assert [row.rank for row in rows] == [1, 1, 1]
    assert [row.synthetic for row in rows] == [False, False, True]


def test_oracle_rows_are_never_ranked_and_come_last(store: OutcomeStore) -> None:
    put(store, example_study("a"), 0.4)
    put(store, example_study("a", selection="oracle"), 1.0)
    put(store, example_study("b", selection="validation"), 0.6)
    rows = build(store).rows
    assert [(row.model, row.selection, row.rank) for row in rows] == [
        ("b", "validation", 1),
        ("a", "last", 1),
        ("a", "oracle", None),
    ]
    assert rows[2].uf1 == 1


def test_external_weights_are_never_ranked_come_after_all_others_and_make_no_gap(store: OutcomeStore) -> None:
    put(store, example_study("a"), 0.4)
    put(store, example_study("a", selection="oracle"), 0.5)
    put(store, example_study("a", selection="external", watches=TEST, weights=EXTERNAL), 1.0)
    board = build(store)
    assert [(row.selection, row.weights, row.rank) for row in board.rows] == [
        ("last", "", 1),
        ("oracle", "", None),
        ("external", "external", None),
    ]
    assert [row.stamp for row in board.rows] == ["", STAMP, EXTERNAL_STAMP]
    assert board.rows[2].uf1 == 1
    assert [gap.oracle for gap in board.gaps] == ["oracle"]


def test_the_optimism_gap_is_oracle_minus_honest_over_shared_seeds(store: OutcomeStore) -> None:
    for seed in (0, 1, 2):
        put(store, example_study("a", DATASETS, seed=seed), 0.5)
    for seed in (1, 2, 3):
        put(store, example_study("a", DATASETS, seed=seed, selection="oracle"), 0.8)
    put(store, example_study("b", DATASETS, selection="oracle"), 0.8)
    put(store, example_study("c", DATASETS), 0.8)
    board = build(store)
    assert [gap.part for gap in board.gaps] == ["full", "casme2", "samm"]
    honest = only(board.rows, model="a", selection="last", part="full")
    oracle = only(board.rows, model="a", selection="oracle", part="full")
    gap = board.gaps[0]
    assert (gap.label, gap.selection, gap.seeds) == ("a", "last", [1, 2])
    assert gap.honest_uf1 == pytest.approx(np.mean(honest.uf1_per_seed[1:]))
    assert gap.oracle_uf1 == pytest.approx(np.mean(oracle.uf1_per_seed[:2]))
    assert gap.gap == pytest.approx(gap.oracle_uf1 - gap.honest_uf1)


def test_an_incomplete_study_has_no_gap(store: OutcomeStore) -> None:
    put(store, example_study("a"), 0.5, folds=3)
    put(store, example_study("a", selection="oracle"), 0.8)
    assert build(store).gaps == []


def test_only_the_newest_generation_of_a_study_counts(store: OutcomeStore) -> None:
    old, new = example_study(code="v1"), example_study(code="v2")
    put(store, old, 0.9, finished_at="2026-03-01T00:00:00+00:00")
    put(store, new, 0.4, finished_at="2026-03-02T00:00:00+00:00")
    board = build(store)
    assert only(board.rows).studies == [new.card.key[:16]]
    assert any("Superseded studies not shown: 1" in note for note in board.notes)
    shown = build(store, include_superseded=True)
    assert [(row.superseded, row.rank) for row in shown.rows] == [(False, 1), (True, None)]
    assert not any("Superseded" in note for note in shown.notes)


def test_seeds_of_different_generations_are_not_averaged(store: OutcomeStore) -> None:
    for seed in (0, 1):
        put(store, example_study(seed=seed, code="v1"), finished_at="2026-03-01T00:00:00+00:00")
    newest = example_study(seed=1, code="v2")
    put(store, newest, finished_at="2026-03-02T00:00:00+00:00", folds=2)
    row = only(build(store).rows)
    assert (row.seeds, row.studies, row.folds_done) == ([1], [newest.card.key[:16]], 2)


def test_a_planned_study_does_not_supersede_a_finished_one(store: OutcomeStore) -> None:
    finished = example_study(code="v1")
    put(store, finished)
    store.write_card(example_study(code="v2").card)
    assert only(build(store).rows).studies == [finished.card.key[:16]]


def test_the_leaderboard_is_the_same_to_the_bit_whatever_else_is_there(store: OutcomeStore) -> None:
    studies = [example_study("a", DATASETS), example_study("a", DATASETS, seed=1), example_study("b")]
    for study in studies:
        put(store, study)
    cards = [study.card for study in studies]
    board = build(store)
    assert build(store, cards=cards[::-1]) == board
    assert build(store, cards=[*cards, *cards]) == board
    alone = build(store, cards=cards[2:]).rows
    assert alone == [only(board.rows, model="b")]
    put(store, example_study("c"), 0.0)
    # Against another row, a row may share its rank; all else stays as it is.
    beside = [dataclasses.replace(row, tied=False) for row in build(store).rows if row.model != "c"]
    assert beside == board.rows
    other = build_leaderboard(store, rng=np.random.default_rng(1), resamples=50)
    assert only(other.rows, model="b").uf1_low != alone[0].uf1_low


def test_equal_predictions_of_the_same_people_have_equal_intervals(store: OutcomeStore) -> None:
    """Whichever model or code made them, in a composite or alone."""
    put(store, example_study("a", DATASETS), 0.8)
    put(store, example_study("a", DATASETS, code="v2"), 0.8)
    put(store, example_study("b", DATASETS, params={"epochs": 9}), 0.8)
    rows = build(store, include_superseded=True).rows
    alone = example_study("a", {"casme2": DATASETS["casme2"]})
    mixed = example_study("a", DATASETS).outcomes(0.8)
    store.write_card(alone.card)
    for fold, outcome in zip(alone.card.folds, mixed, strict=False):
        store.write_outcome(alone.card, dataclasses.replace(outcome, key=fold.key, study_key=alone.card.key))
    rows += build(store, cards=[alone.card]).rows
    for part in ("full", *DATASETS):
        found = [row for row in rows if row.part == part and row.dataset == "casme2+samm"]
        assert len(found) == 3
        assert len({(row.uf1_low, row.uf1_high, row.uar_low, row.uar_high) for row in found}) == 1
    member, loso = only(rows, part="casme2", model="b"), rows[-1]
    assert (loso.dataset, loso.uf1) == ("casme2", member.uf1)
    assert (loso.uf1_low, loso.uf1_high) == (member.uf1_low, member.uf1_high)


def test_outcomes_at_hand_are_not_read_again(store: OutcomeStore) -> None:
    study = example_study()
    put(store, study)
    expected, read = build(store), read_study(store, study.card)
    for path in Path(store.root).rglob("*.outcome.parquet"):
        path.write_bytes(b"gone")
    assert build(store, cached={study.card.key: read}) == expected


def test_what_lowers_a_score_is_noted(store: OutcomeStore) -> None:
    put(store, example_study(datasets={"casme2": 1, "samm": 3}, labels=(0, 1)))
    rows = build(store).rows
    absent = "no sample of class 'surprise': it counts as F1 = 0 and recall = 0"
    assert [row.notes for row in rows] == [[absent], [absent, "a single subject: no interval"], [absent]]
    assert (rows[1].uf1_low, rows[1].uf1_high) == (None, None)


def test_a_registered_metric_reaches_the_rows(store: OutcomeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS._entries, "error_rate", lambda matrix: 1 - accuracy(matrix))
    put(store, example_study())
    row = only(build(store).rows)
    assert row.other_metrics["error_rate"] == pytest.approx(1 - (row.accuracy or 0))


def test_json_holds_every_field_of_every_row(store: OutcomeStore) -> None:
    put(store, example_study(datasets=DATASETS))
    put(store, example_study("b", DATASETS), folds=2)
    value = json.loads(json.dumps(build(store).to_json(), allow_nan=False))
    assert set(value) == {"schema_version", "rows", "gaps", "notes", "shifts"}
    assert len(value["rows"]) == 6
    fields = {field.name for field in dataclasses.fields(Row)}
    assert all(set(row) == {*fields, "stamp"} for row in value["rows"])
    # What other programs read, by the names they know.
    promised = {"model", "dataset", "part", "task", "protocol", "selection", "seeds", "n_samples", "n_subjects"}
    assert fields >= promised | {"folds_done", "folds_total", "uf1", "uar", "accuracy", "uf1_low", "uf1_high"}


def test_an_empty_store_has_an_empty_leaderboard(store: OutcomeStore) -> None:
    assert build(store) == Leaderboard([], [], [])
