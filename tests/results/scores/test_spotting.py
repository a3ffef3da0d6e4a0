"""Spotted intervals against true ones, by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from results.scores.counted import CountedPart
from results.scores.metrics import METRICS, confusion
from results.scores.spotting import (
    SpottingScore,
    in_common,
    match,
    spotted_and_recognised,
    spotted_by,
    spotting_score,
    strs,
)


def test_the_share_of_two_intervals_is_that_of_their_union() -> None:
    assert in_common((0, 10), (5, 15)) == pytest.approx(5 / 15)
    assert in_common((0, 10), (0, 5)) == pytest.approx(0.5)
    assert in_common((0, 10), (10, 20)) == 0.0


def test_half_of_the_union_is_enough_and_less_is_not() -> None:
    assert match([(0, 5)], [(0, 10)]) == [(0, 0)]
    assert match([(0, 4.9)], [(0, 10)]) == []


def test_a_true_interval_is_found_once_by_the_one_that_fits_best() -> None:
    assert match([(0, 8), (0, 10)], [(0, 10)]) == [(1, 0)]
    assert spotting_score([(0, 8), (0, 10)], [(0, 10)]) == SpottingScore(found=1, false=1, missed=0)


def test_counts_are_pooled_before_the_shares_are_taken() -> None:
    first, second = spotting_score([(0, 10)], [(0, 10)]), spotting_score([(50, 60), (80, 90)], [(0, 10)])
    both = first + second
    assert (both.precision, both.recall, both.f1) == (pytest.approx(1 / 3), 0.5, pytest.approx(0.4))


def test_nothing_spotted_and_nothing_there_are_no_division_by_zero() -> None:
    nothing = spotting_score([], [])
    assert (nothing.precision, nothing.recall, nothing.f1) == (0.0, 0.0, 0.0)


def test_strs_is_the_product_of_spotting_and_recognising() -> None:
    score = SpottingScore(found=4, false=0, missed=4)
    perfect = np.array([0, 1, 2, 0])
    assert strs(score, perfect, perfect, 3) == pytest.approx(2 / 3)
    # F1 of the classes: 2/3, 0, 1 of [0, 1, 2, 0] against [0, 0, 2, 0] is (4/5 + 0 + 1) / 3.
    assert strs(score, perfect, np.array([0, 0, 2, 0]), 3) == pytest.approx(2 / 3 * (0.8 + 0 + 1) / 3)


def counted(subjects: dict[str, tuple[list[int], list[int]]]) -> CountedPart:
    """Return the counts of people. subjects : name -> true and predicted classes."""
    counts = np.stack([confusion(np.array(true), np.array(said), 3)[None] for true, said in subjects.values()])
    return CountedPart("", sum(len(true) for true, _ in subjects.values()), tuple(subjects), counts)


PEOPLE = {"a": [3, 0, 1], "b": [1, 1, 2], "c": [0, 0, 3], "d": [0, 2, 0]}
RECOGNISED = {"a": ([0, 1, 2], [0, 1, 1]), "b": ([2], [2])}


def test_the_board_has_precision_recall_and_f1_of_everybody_and_their_product_with_uf1() -> None:
    alone = spotted_by(PEOPLE)
    assert alone is not None
    assert (alone.found, alone.false, alone.missed, alone.strs) == (4, 3, 6, None)
    assert (alone.precision, alone.recall, alone.f1) == pytest.approx((4 / 7, 0.4, 8 / 17))
    both = spotted_and_recognised(PEOPLE, [counted(RECOGNISED)], METRICS.get("uf1"), 0, 200)
    assert both is not None
    # Of class 0 one of one, of class 1 one with a false one, of class 2 one of two.
    assert both.strs == pytest.approx(8 / 17 * (1 + 2 / 3 + 2 / 3) / 3)
    assert both.strs == pytest.approx(
        strs(SpottingScore(4, 3, 6), np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2]), 3), abs=1e-12
    )
    assert dataclasses.replace(both, strs=None, strs_low=None, strs_high=None) == alone


def test_the_interval_resamples_people_with_what_was_missed_and_what_was_recognised_together() -> None:
    def ends(people: dict[str, list[int]], seed: int = 0) -> tuple[float, float]:
        both = spotted_and_recognised(people, [counted(RECOGNISED)], METRICS.get("uf1"), seed, 500)
        assert both is not None
        assert both.strs_low is not None
        assert both.strs_high is not None
        assert both.strs is not None
        assert both.strs_low < both.strs < both.strs_high
        return both.strs_low, both.strs_high

    assert ends(PEOPLE) == ends(dict(reversed(PEOPLE.items()))), "the order of people does not count"
    assert ends(PEOPLE) != ends(PEOPLE, seed=1)
    same = [f"p{number}" for number in range(8)]
    perfect = counted({name: ([0, 1, 2], [0, 1, 2]) for name in same})
    both = spotted_and_recognised({name: [3, 1, 1] for name in same}, [perfect], METRICS.get("uf1"), 0, 100)
    assert both is not None
    assert both.strs_low == both.strs == both.strs_high == pytest.approx(0.75), "everybody is alike"


def test_a_score_over_seeds_is_their_mean_and_one_person_has_no_interval() -> None:
    wrong = counted({"a": ([0, 1, 2], [1, 2, 0]), "b": ([2], [0])})
    both = spotted_and_recognised(PEOPLE, [counted(RECOGNISED), wrong], METRICS.get("uf1"), 0, 100)
    assert both is not None
    assert both.strs == pytest.approx(8 / 17 * (1 + 2 / 3 + 2 / 3) / 3 / 2)
    alone = spotted_and_recognised({"a": [3, 0, 1]}, [counted({"a": RECOGNISED["a"]})], METRICS.get("uf1"), 0, 100)
    assert alone is not None
    assert (alone.strs_low, alone.strs_high) == (None, None)
    assert spotted_by({}) is None
