"""Which studies are compared with each other, over which seeds and people, and which are named as left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_studies import ExampleStudy, example_study

from preprocess.base.errors import UsageError
from results.scores.comparison import Comparison, compare
from results.scores.leaderboard import build_leaderboard
from results.scores.paired import detectable, holm
from results.scores.pairs import Pair
from results.store.chosen import benchmark_title, choose_cards
from results.store.outcome_store import OutcomeStore
from results.store.watched import EXTERNAL, EXTERNAL_STAMP, STAMP, TEST

PEOPLE = {"casme2": 6}


@pytest.fixture
def store(tmp_path: Path) -> OutcomeStore:
    return OutcomeStore(tmp_path / "runs", create=True)


def put(store: OutcomeStore, study: ExampleStudy, hit_rate: float = 0.7, folds: int | None = None) -> None:
    store.write_card(study.card)
    for outcome in study.outcomes(hit_rate)[:folds]:
        store.write_outcome(study.card, outcome)


def compared(store: OutcomeStore, **options: Any) -> Comparison:
    return compare(store, store.cards(), rng=np.random.default_rng(0), **{"resamples": 50, "draws": 99, **options})


def names(pairs: list[Pair]) -> set[tuple[str, ...]]:
    return {(*sorted((pair.first, pair.second)), pair.part) for pair in pairs}


def test_every_pair_has_the_scores_of_the_leaderboard(store: OutcomeStore) -> None:
    for model, hit_rate in (("a", 1.0), ("b", 0.6), ("c", 0.3)):
        for seed in (0, 1):
            put(store, example_study(model, {"casme2": 12}, seed), hit_rate)
    found = compared(store, draws=4095)
    assert names(found.pairs) == {("a", "b", "full"), ("a", "c", "full"), ("b", "c", "full")}
    assert found.left_out == []
    rows = {row.label: row for row in build_leaderboard(store, rng=np.random.default_rng(0), resamples=50).rows}
    for pair in found.pairs:
        one, other, uf1 = rows[pair.first], rows[pair.second], pair.metrics["uf1"]
        assert (uf1.first, uf1.second) == pytest.approx((one.uf1, other.uf1))
        assert uf1.first >= uf1.second
        assert uf1.difference == pytest.approx(uf1.first - uf1.second)
        assert pair.metrics["uar"].first == pytest.approx(one.uar)
        assert (pair.seeds, pair.n_samples, pair.n_subjects) == ([0, 1], one.n_samples, 12)
        assert pair.studies == [*one.studies, *other.studies]
        seeds = np.subtract(one.uf1_per_seed, other.uf1_per_seed)
        assert uf1.per_seed == pytest.approx(seeds.tolist())
        assert uf1.spread_seeds == pytest.approx(seeds.std(ddof=1))
        assert uf1.low < uf1.difference < uf1.high
    for metric in ("uf1", "uar"):
        for pair in found.pairs:
            of_three = detectable(pair.metrics[metric].spread_people or 0, 12, 0.05 / 3)
            assert pair.metrics[metric].detectable == (pytest.approx(of_three) if of_three < 1 else None)
        p = np.array([pair.metrics[metric].p for pair in found.pairs])
        assert [pair.metrics[metric].p_holm for pair in found.pairs] == pytest.approx(holm(p).tolist())
    json.dumps(found.to_json(), allow_nan=False)


def test_both_models_are_scored_on_the_same_resampled_people(store: OutcomeStore) -> None:
    """Two models that answer alike differ in no resample, while each of them has an interval."""
    for model in ("a", "b"):
        put(store, example_study(model, PEOPLE), 0.6)
    (pair,) = compared(store).pairs
    uf1 = pair.metrics["uf1"]
    assert (uf1.low, uf1.high, uf1.spread_people, uf1.p, uf1.p_holm) == (0, 0, 0, 1, 1)
    assert uf1.spread_seeds is None
    assert not uf1.told_apart


def test_a_large_difference_is_told_apart_and_few_people_cannot_tell_any(store: OutcomeStore) -> None:
    for people, apart in ((12, True), (4, False)):
        for model, hit_rate in (("good", 1.0), ("bad", 0.0)):
            put(store, example_study(model, {f"set{people}": people}), hit_rate)
        (pair,) = (
            compared(store, draws=4095).pairs
            if apart
            else (one for one in compared(store, draws=4095).pairs if one.dataset == "set4")
        )
        assert (pair.first, pair.second) == ("good", "bad")
        assert pair.metrics["uf1"].p == 0.5 ** (people - 1)
        assert pair.metrics["uf1"].told_apart == apart
        # All right or all wrong in every resample: there is no spread to judge by.
        assert pair.metrics["uf1"].detectable is None
    notes = compared(store).notes
    assert "Fewer than 8 people: set4 · megc3 · loso · last · full (4)." in notes[1]
    assert notes[0].startswith("set4 · loso · full: 4 people and 1 pair cannot give a corrected p below 0.12")


def test_what_may_not_be_ranked_or_is_incomplete_is_named_and_left_out(store: OutcomeStore) -> None:
    for model in ("a", "b"):
        put(store, example_study(model, PEOPLE))
    stamped = [
        example_study("a", PEOPLE, selection="oracle"),
        example_study("b", PEOPLE, selection="oracle"),
        example_study("given", PEOPLE, weights=EXTERNAL, watches=TEST),
    ]
    for study in stamped:
        put(store, study)
    part_done = example_study("c", PEOPLE)
    put(store, part_done, folds=4)
    store.write_failure(part_done.card, part_done.failure(4))
    found = compared(store)
    assert names(found.pairs) == {("a", "b", "full")}
    reasons = (STAMP, STAMP, EXTERNAL_STAMP)
    studies = [*zip(stamped, reasons, strict=True), (part_done, "4/6 folds are done, 1 failed: no score")]
    expected = {(study.card.label, benchmark_title(study.card)): reason for study, reason in studies}
    assert {(one.model, one.benchmark): one.reason for one in found.left_out} == expected


def test_only_the_seeds_that_both_have_are_compared(store: OutcomeStore) -> None:
    for model, seeds in (("a", (0, 1, 2)), ("b", (1, 2, 3)), ("c", (7,))):
        for seed in seeds:
            put(store, example_study(model, PEOPLE, seed))
    put(store, example_study("b", PEOPLE, 0), folds=2)
    found = compared(store)
    assert [(sorted((pair.first, pair.second)), pair.seeds) for pair in found.pairs] == [(["a", "b"], [1, 2])]
    reasons = sorted(one.reason for one in found.left_out)
    assert reasons == ["2/6 folds are done: no score", *["they have no seed in common"] * 2]


def test_other_selections_tasks_and_people_are_never_paired(store: OutcomeStore) -> None:
    put(store, example_study("a", PEOPLE))
    put(store, example_study("b", PEOPLE, selection="validation"))
    put(store, example_study("c", {"samm": 6}))
    put(store, example_study("d", PEOPLE, multilabel=True))
    put(store, example_study("e", PEOPLE, synthetic=True))
    found = compared(store)
    assert found.pairs == []
    assert [one.reason for one in found.left_out] == ["no other model of the same samples"] * 5


def test_studies_of_other_samples_are_compared_apart_and_a_note_says_so(store: OutcomeStore) -> None:
    for model, clips in (("a", 4), ("b", 4), ("c", 3), ("d", 3)):
        put(store, example_study(model, PEOPLE, clips=clips))
    found = compared(store)
    assert names(found.pairs) == {("a", "b", "full"), ("c", "d", "full")}
    assert len({pair.benchmark for pair in found.pairs}) == 2
    (note,) = (note for note in found.notes if "same samples" in note)
    assert "24 samples: a, b" in note
    assert "18 samples: c, d" in note


def test_studies_of_other_labels_of_the_same_samples_are_not_compared(store: OutcomeStore) -> None:
    put(store, example_study("a", PEOPLE, labels=(0, 1, 2, 0)))
    put(store, example_study("b", PEOPLE, labels=(0, 1, 2, 1)))
    assert compared(store).pairs == []


def test_parts_are_compared_where_they_are_asked_for(store: OutcomeStore) -> None:
    for model in ("a", "b"):
        put(store, example_study(model, {"casme2": 3, "samm": 4}, averaged=True))
    assert [pair.part for pair in compared(store).pairs] == ["full"]
    pairs = compared(store, parts=["*"]).pairs
    assert [(pair.part, pair.n_subjects) for pair in pairs] == [("full", 7), ("casme2", 3), ("samm", 4), ("average", 7)]
    row = {row.part: row.uf1 for row in build_leaderboard(store, rng=np.random.default_rng(0)).rows if row.label == "a"}
    average = next(pair for pair in pairs if pair.part == "average").metrics["uf1"]
    assert row["average"] in (pytest.approx(average.first), pytest.approx(average.second))
    with pytest.raises(
        UsageError, match=r"no.* part 'sam'. There are: average, casme2, full, samm|No study has a part"
    ):
        compared(store, parts=["sam"])


def test_a_superseded_study_is_not_compared(store: OutcomeStore) -> None:
    for model, code in (("a", "v1"), ("a", "v2"), ("b", "v1")):
        put(store, example_study(model, PEOPLE, code=code))
    found = compared(store)
    assert len(found.pairs) == 1
    assert "Superseded studies not compared: 1. Later runs with other data or code replaced them." in found.notes


def test_the_same_store_gives_the_same_comparison(store: OutcomeStore) -> None:
    for model in ("a", "b", "c"):
        put(store, example_study(model, {"casme2": 12}), 0.5)
    whole = compared(store)
    assert whole == compared(store)
    two = compare(
        store, choose_cards(store.cards(), ["a", "b"], []), rng=np.random.default_rng(0), resamples=50, draws=99
    )
    (alone,) = two.pairs
    beside = next(pair for pair in whole.pairs if {pair.first, pair.second} == {"a", "b"})
    assert alone.metrics["uf1"].p == beside.metrics["uf1"].p
    assert alone.metrics["uf1"].low == beside.metrics["uf1"].low


def test_studies_are_chosen_by_model_and_by_words(store: OutcomeStore) -> None:
    for model, params in (("ststnet", {}), ("ststnet", {"epochs": 3, "lr": 1}), ("offapexnet", {}), ("htnet", {})):
        put(store, example_study(model, PEOPLE, params=params))
    put(store, example_study("htnet", {"samm": 3}))
    cards = store.cards()

    def chosen(models: list[str], benchmarks: list[str]) -> set[tuple[str, str]]:
        return {(card.label, card.dataset) for card in choose_cards(cards, models, benchmarks)}

    forms = {("ststnet", "casme2"), ("ststnet[epochs=3,lr=1]", "casme2")}
    assert chosen(["ststnet"], []) == forms
    assert chosen(["ststnet[epochs=3,lr=1]"], []) == {("ststnet[epochs=3,lr=1]", "casme2")}
    assert chosen(["st*,offapexnet"], []) == {*forms, ("offapexnet", "casme2")}
    assert chosen(["htnet"], ["SAMM loso"]) == {("htnet", "samm")}
    assert chosen(["htnet"], ["samm", "casme2 · megc3"]) == {("htnet", "samm"), ("htnet", "casme2")}
    with pytest.raises(UsageError, match=r"There are: none\."):
        choose_cards([], [], ["smic"])
    with pytest.raises(UsageError, match=r"No study of a model 'htne'\. Did you mean: htnet"):
        chosen(["htne"], [])
    with pytest.raises(
        UsageError, match=r"No study has all of these words: 'smic'\. There are: casme2 · megc3 · loso · last"
    ):
        chosen([], ["smic"])
