"""How configurations are chosen: the rule, its ties, its rungs, and that noise stays noise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from example_studies import example_study
from simulated_tuning import chance_scores, mean_gain

from bench.plan.choosing import best, inner_score, rung_epochs, rung_sizes
from results.scores.metrics import confusion, uf1
from results.scores.multilabel import label_confusion, mean_f1


def test_an_inner_fold_is_scored_as_the_board_scores() -> None:
    study = example_study()
    outcome = study.outcomes(hit_rate=0.5)[0]
    expected = uf1(confusion(outcome.y_true, outcome.y_pred, len(study.card.classes)))
    assert inner_score(study.card, outcome) == expected
    right = dataclasses.replace(outcome, y_pred=outcome.y_true)
    assert inner_score(study.card, right) == len(set(outcome.y_true.tolist())) / len(study.card.classes)
    several = example_study(multilabel=True)
    outcome = several.outcomes(hit_rate=0.5)[0]
    assert inner_score(several.card, outcome) == mean_f1(label_confusion(outcome.y_true, outcome.y_pred))


def test_the_best_mean_wins() -> None:
    assert best({0: [0.5, 0.5], 1: [0.2, 0.9], 2: [0.4, 0.5]}, 2) == [1, 0]


def test_of_equal_means_the_one_drawn_earlier_wins() -> None:
    assert best({2: [0.5, 0.5], 1: [0.4, 0.6], 0: [0.6, 0.4]}, 3) == [0, 1, 2]


def test_what_cannot_be_trained_is_not_chosen() -> None:
    assert best({0: None, 1: [0.0, 0.0]}, 2) == [1]
    assert best({0: None}, 1) == []


@pytest.mark.parametrize(
    ("configurations", "sizes"), [(2, [2]), (3, [3]), (4, [4, 2]), (9, [9, 3]), (10, [10, 4, 2]), (20, [20, 7, 3])]
)
def test_a_third_goes_on_until_three_are_left(configurations: int, sizes: list[int]) -> None:
    assert rung_sizes(configurations, halving=True) == sizes
    assert rung_sizes(configurations, halving=False) == [configurations]


def test_a_rung_trains_for_a_third_of_the_next_ones_epochs() -> None:
    assert [rung_epochs(90, rung, 3) for rung in range(3)] == [10, 30, 90]
    assert [rung_epochs(2, rung, 3) for rung in range(3)] == [1, 1, 2]


@pytest.mark.slow
def test_on_noise_tuned_scores_stay_at_chance_and_a_leak_would_show() -> None:
    """200 studies of which nothing can be learned; tests/benchmarks/tuned_noise.py does so for more people."""
    rng = np.random.default_rng(0)
    scores = [chance_scores(people=6, clips=5, configurations=6, inner=3, rng=rng) for _ in range(200)]
    gain, error = mean_gain(scores, "tuned", "uar")
    assert abs(gain) < 3 * error
    leak, error = mean_gain(scores, "leaky", "uar")
    assert leak > 10 * error, "else the study is too small to tell"
