"""Tests of a difference between two models: exact where it can be, as often wrong as they say, and able to find one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import permutation_test

from results.scores.bootstrap import resampled_scores, score_per_seed
from results.scores.metrics import METRICS, uf1
from results.scores.paired import detectable, holm, swap_test

BOTH = {"uf1": METRICS.get("uf1"), "uar": METRICS.get("uar")}


def models(
    rng: np.random.Generator, people: int, hit_rates: tuple[float, float] = (0.6, 0.6), seeds: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return (seeds, people, 1, 3, 3) counts of two models; some people are hard for both, some for one of them."""
    clips = rng.integers(1, 6, (people, 3))
    hard = rng.normal(0, 0.15, people)
    found = []
    for hit_rate in hit_rates:
        rates = np.clip(hit_rate + hard + rng.normal(0, 0.1, people), 0.05, 0.95)
        shares = np.array(
            [[np.roll([rate, (1 - rate) / 2, (1 - rate) / 2], true) for true in range(3)] for rate in rates]
        )
        found.append(rng.multinomial(clips, shares, (seeds, *clips.shape))[:, :, None])
    return found[0], found[1]


@pytest.mark.parametrize("seeds", [1, 3])
def test_all_swaps_of_few_people_give_the_p_of_scipy(seeds: int) -> None:
    first, second = models(np.random.default_rng(3), 7, (0.7, 0.5), seeds)
    both = np.concatenate([first, second], axis=1)

    def difference(one: np.ndarray, other: np.ndarray) -> float:
        scores = [uf1(both[:, people.astype(int)].sum(axis=1)).mean() for people in (one, other)]
        return float(round(scores[0] - scores[1], 12))

    expected = permutation_test((np.arange(7), np.arange(7, 14)), difference, permutation_type="samples")
    found = swap_test(first, second, BOTH, 64, np.random.default_rng(0))["uf1"]
    assert 0 < found < 1
    assert found == pytest.approx(expected.pvalue)


def test_drawn_swaps_come_near_to_all_swaps() -> None:
    first, second = models(np.random.default_rng(5), 12, (0.65, 0.55))
    exact, drawn = (swap_test(first, second, BOTH, draws, np.random.default_rng(0)) for draws in (2**11, 2**11 - 2))
    assert exact.keys() == drawn.keys() == BOTH.keys()
    for name in BOTH:
        assert 0.01 < exact[name] < 0.9
        assert drawn[name] != exact[name]
        assert abs(drawn[name] - exact[name]) < 4 * np.sqrt(exact[name] * (1 - exact[name]) / 2**11)


def test_a_drawn_p_is_never_zero() -> None:
    right = np.tile(np.eye(3, dtype=int), (1, 40, 1, 1, 1))
    wrong = np.roll(right, 1, axis=-1)
    assert swap_test(right, wrong, BOTH, 99, np.random.default_rng(0)) == {"uf1": 0.01, "uar": 0.01}


def test_people_whom_both_answer_alike_are_not_swapped() -> None:
    """Three of sixty people differ: 2^2 swaps, so that p is a quarter, though 2^59 could not be tried."""
    first = np.tile(np.eye(3, dtype=int), (1, 60, 1, 1, 1))
    second = first.copy()
    second[:, [4, 30, 59]] = np.roll(np.eye(3, dtype=int), 1, axis=-1)
    assert swap_test(first, second, BOTH, 100, np.random.default_rng(0)) == {"uf1": 0.25, "uar": 0.25}
    assert swap_test(first, first, BOTH, 100, np.random.default_rng(0)) == {"uf1": 1.0, "uar": 1.0}


def test_seeds_are_no_more_people() -> None:
    """The same three people in each of four seeds are still 2^2 swaps."""
    right = np.tile(np.eye(3, dtype=int), (4, 3, 1, 1, 1))
    assert swap_test(right, np.roll(right, 1, axis=-1), BOTH, 100, np.random.default_rng(0))["uf1"] == 0.25


def test_the_order_of_the_models_does_not_matter() -> None:
    first, second = models(np.random.default_rng(1), 30, (0.6, 0.5), seeds=2)
    forth, back = (swap_test(*pair, BOTH, 200, np.random.default_rng(0)) for pair in ((first, second), (second, first)))
    assert forth == back


@pytest.mark.slow
@pytest.mark.parametrize(("people", "seeds"), [(9, 2), (24, 1)])
def test_without_a_difference_one_in_twenty_is_called_one(people: int, seeds: int) -> None:
    rng = np.random.default_rng(people)
    found = [swap_test(*models(rng, people, seeds=seeds), BOTH, 255, rng) for _ in range(400)]
    for name in BOTH:
        share = np.mean([p[name] < 0.05 for p in found])
        # One in twenty, and three standard deviations of 400 studies to each side.
        assert 0.017 < share < 0.083


def test_a_known_difference_is_found() -> None:
    rng = np.random.default_rng(2)
    found = [swap_test(*models(rng, 24, (0.7, 0.5)), BOTH, 255, rng)["uf1"] for _ in range(100)]
    assert np.mean([p < 0.05 for p in found]) > 0.9


@pytest.mark.slow
def test_the_difference_of_80_percent_power_is_found_in_80_of_100_studies() -> None:
    """Whatever the study: the true difference is the one that studies of 24 people name on average."""
    rng = np.random.default_rng(8)
    rates = (0.58, 0.42)
    many = models(rng, 4000, rates)
    true = float((score_per_seed(many[0], uf1) - score_per_seed(many[1], uf1)).mean())
    hits, named = [], []
    for study in range(100):
        pair = models(rng, 24, rates)
        one, other = (resampled_scores(counts, uf1, 200, np.random.default_rng(study)) for counts in pair)
        named.append(detectable(float((one - other).std(ddof=1)), 24, 0.05))
        hits.append(swap_test(*pair, {"uf1": uf1}, 255, rng)["uf1"] < 0.05)
    assert np.mean(named) == pytest.approx(true, rel=0.05)
    assert 0.7 < np.mean(hits) < 0.9


def test_more_people_and_a_laxer_level_find_smaller_differences() -> None:
    assert detectable(0.05, 68, 0.05) < detectable(0.05, 8, 0.05) < detectable(0.05, 8, 0.05 / 10)
    # Of so many people, t is normal: 1.96 + 0.84 standard deviations.
    assert detectable(0.05, 100_000, 0.05) == pytest.approx(0.05 * 2.8016, rel=1e-3)


def test_holm_corrects_step_by_step() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.6, 0.7])), [1, 1])
    assert holm(np.array([])).shape == (0,)


def test_arguments_that_make_no_sense() -> None:
    counts = np.ones((1, 3, 1, 2, 2))
    for first, second, draws in ((counts, counts[:, :2], 10), (counts[0], counts[0], 10), (counts, counts, 0)):
        with pytest.raises(ValueError, match="see the docstring"):
            swap_test(first, second, BOTH, draws, np.random.default_rng(0))


def test_what_is_enough_leaves_swaps_out_and_changes_no_p_below_it() -> None:
    rng = np.random.default_rng(11)
    cut = 0
    for strengths in [(0.6, 0.6), (0.7, 0.5), (0.8, 0.3)] * 4:
        pair = models(rng, 20, strengths)
        whole = swap_test(*pair, {"uf1": uf1}, 9999, np.random.default_rng(0))["uf1"]
        some = swap_test(*pair, {"uf1": uf1}, 9999, np.random.default_rng(0), enough=0.05)["uf1"]
        assert some == whole if whole < 0.05 else 0.05 <= some <= whole
        cut += some < whole
    assert cut
