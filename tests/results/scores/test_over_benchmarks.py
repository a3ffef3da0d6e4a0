"""Ranks over several benchmarks: by hand where they can be, by SciPy elsewhere, and honest about few benchmarks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from example_studies import example_study
from scipy.stats import friedmanchisquare

from results.scores.over_benchmarks import OverBenchmarks, rank_over_benchmarks
from results.store.outcome_store import OutcomeStore

RATES = {"best": 1.0, "good": 0.7, "poor": 0.3, "worst": 0.0}


def store_of(folder: Path, models: dict[str, float], datasets: int, **options: bool) -> OutcomeStore:
    store = OutcomeStore(folder / "runs", create=True)
    for number in range(datasets):
        for model, hit_rate in models.items():
            study = example_study(model, {f"set{number}": 5}, **options)
            store.write_card(study.card)
            for outcome in study.outcomes(hit_rate):
                store.write_outcome(study.card, outcome)
    return store


def over(store: OutcomeStore) -> OverBenchmarks:
    return rank_over_benchmarks(store, store.cards())


@pytest.mark.slow
def test_mean_ranks_friedman_and_the_critical_difference(tmp_path: Path) -> None:
    found = over(store_of(tmp_path, RATES, 8))
    assert [(one.model, one.mean_rank) for one in found.models] == [("best", 1), ("good", 2), ("poor", 3), ("worst", 4)]
    assert found.benchmarks[0] == "set0 · megc3 · loso · last · full"
    assert found.people == [5] * 8
    # All eight agree: chi square is benchmarks times models - 1.
    assert found.statistic == pytest.approx(24)
    assert found.p == pytest.approx(friedmanchisquare(*np.tile([1.0, 2, 3, 4], (8, 1)).T).pvalue)
    # 2.569 sqrt(4 5 / (6 8)), as in the table of Demsar (2006) for four classifiers.
    assert found.critical_difference == pytest.approx(2.569 * np.sqrt(20 / 48), rel=1e-3)
    assert [one.groups for one in found.models] == [[1], [1, 2], [2, 3], [3]]
    assert found.p_pairs["best"]["worst"] < 0.001 < 0.05 < found.p_pairs["best"]["good"]
    assert found.models[0].uf1 == [1.0] * 8
    assert not any("fewer than" in note or "share people" in note for note in found.notes)
    json.dumps(found.to_json(), allow_nan=False)


def test_equal_scores_share_the_mean_of_their_ranks_and_nobody_is_told_apart(tmp_path: Path) -> None:
    found = over(store_of(tmp_path, {"a": 0.6, "b": 0.6, "c": 0.6}, 5))
    assert [one.mean_rank for one in found.models] == [2, 2, 2]
    assert (found.statistic, found.p) == (0, 1)
    assert [one.groups for one in found.models] == [[1], [1], [1]]
    assert any("none of these models can be told apart" in note for note in found.notes)


def test_few_benchmarks_have_a_warning(tmp_path: Path) -> None:
    found = over(store_of(tmp_path, RATES, 4))
    assert any(note.startswith("4 benchmarks: of fewer than 5, mean ranks say little") for note in found.notes)


def test_a_model_without_a_score_somewhere_is_named_and_left_out(tmp_path: Path) -> None:
    store = store_of(tmp_path, RATES, 3)
    once = example_study("once", {"set1": 5})
    store.write_card(once.card)
    for outcome in once.outcomes():
        store.write_outcome(once.card, outcome)
    begun = example_study("begun", {"set0": 5})
    store.write_card(begun.card)
    found = over(store)
    assert {one.model for one in found.models} == set(RATES)
    assert {(one.model, one.reason) for one in found.left_out} == {
        ("once", "no score on 2 of the 3 benchmarks"),
        ("begun", "0/5 folds are done: no score"),
    }


def test_benchmarks_of_the_same_people_are_not_independent_and_it_says_so(tmp_path: Path) -> None:
    store = store_of(tmp_path, RATES, 2)
    for model, hit_rate in RATES.items():
        study = example_study(model, {"set0": 5, "set1": 5})
        store.write_card(study.card)
        for outcome in study.outcomes(hit_rate):
            store.write_outcome(study.card, outcome)
    found = over(store)
    assert len(found.benchmarks) == 3
    (note,) = (note for note in found.notes if "share people" in note)
    assert "and 1 more pairs" in note


@pytest.mark.parametrize("models", [{"a": 0.9, "b": 0.1}, {"a": 0.9}, {}])
def test_too_few_models_have_no_test(tmp_path: Path, models: dict[str, float]) -> None:
    found = over(store_of(tmp_path, models, 3))
    assert (found.p, found.critical_difference, found.p_pairs) == (None, None, {})
    assert len(found.models) == (2 if len(models) == 2 else 0)
    text = " ".join(found.notes)
    assert ("needs three models" in text) == (len(models) == 2)
    assert ("No benchmark has scores of two models" in text) == (len(models) < 2)
