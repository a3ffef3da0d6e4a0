"""Spotted intervals against true ones, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from results.scores.spotting import SpottingScore, in_common, match, spotting_score, strs


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
