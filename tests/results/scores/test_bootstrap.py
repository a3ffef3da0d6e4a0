"""Intervals resample people: they cover, they reproduce, and they say when there is nothing to resample."""

from __future__ import annotations

import math

import numpy as np
import pytest

from results.scores.bootstrap import subject_bootstrap
from results.scores.metrics import METRICS, accuracy, uf1


def subjects(rng: np.random.Generator, n_subjects: int, n_seeds: int = 1, hit_rate: float = 0.7) -> np.ndarray:
    """Return (n_seeds, n_subjects, 1, 3, 3) confusion matrices of subjects who differ in how easy they are."""
    easy = np.clip(rng.normal(hit_rate, 0.15, n_subjects), 0.05, 0.95)
    matrices = np.zeros((n_seeds, n_subjects, 3, 3), dtype=np.int64)
    for seed in range(n_seeds):
        for subject, rate in enumerate(easy):
            for true in range(3):
                miss = (1 - rate) / 2
                matrices[seed, subject, true] = rng.multinomial(4, np.roll([rate, miss, miss], true))
    return matrices[:, :, None]


def test_the_interval_equals_a_plain_loop_over_the_same_draws() -> None:
    """The score's logit, and t of 7 times the spread of the resamples' logits, made good for 8 people."""
    matrices = subjects(np.random.default_rng(0), 8, n_seeds=2)
    draws = np.random.default_rng(5).multinomial(8, np.full(8, 1 / 8), size=40)
    logits = []
    for draw in draws:
        pooled = [sum(count * m[0] for count, m in zip(draw, seed, strict=True)) for seed in matrices]
        score = np.mean([float(uf1(one)) for one in pooled])
        logits.append(math.log(score / (1 - score)))
    seen = np.mean([float(uf1(seed.sum(axis=0)[0])) for seed in matrices])
    reach = 2.364624 * np.std(logits, ddof=1) * 8 / 7
    expected = [1 / (1 + math.exp(-(math.log(seen / (1 - seen)) + side * reach))) for side in (-1, 1)]
    np.testing.assert_allclose(subject_bootstrap(matrices, uf1, 40, np.random.default_rng(5)), expected, rtol=1e-6)


def test_the_same_generator_gives_the_same_interval() -> None:
    matrices = subjects(np.random.default_rng(0), 10)
    first, second, other = (subject_bootstrap(matrices, uf1, 200, np.random.default_rng(s)) for s in (1, 1, 2))
    assert first == second != other


def test_subjects_are_resampled_not_clips() -> None:
    """Ten people, half of them always right, half never: five hundred clips would give an interval of .46 to .54."""
    matrices = np.zeros((1, 10, 1, 2, 2), dtype=np.int64)
    matrices[0, :5, 0] = np.diag([50, 50])
    matrices[0, 5:, 0] = np.array([[0, 50], [50, 0]])
    low, high = subject_bootstrap(matrices, accuracy, 2000, np.random.default_rng(0))
    assert low == pytest.approx(0.16, abs=0.02)
    assert high == pytest.approx(0.84, abs=0.02)


def test_the_score_lies_inside_and_a_perfect_one_has_no_width() -> None:
    people = np.tile(np.eye(3, dtype=np.int64), (1, 6, 1, 1, 1))
    assert subject_bootstrap(people, uf1, 100, np.random.default_rng(0)) == (1.0, 1.0)
    people[0, 0] = np.roll(people[0, 0], 1, axis=-1)
    low, high = subject_bootstrap(people, uf1, 100, np.random.default_rng(0))
    assert 0 < low < 5 / 6 < high < 1


def test_a_score_below_zero_has_an_interval_on_both_sides_of_it() -> None:
    def above_half(matrix: np.ndarray) -> np.ndarray:
        return 2 * accuracy(matrix) - 1

    low, high = subject_bootstrap(
        subjects(np.random.default_rng(3), 12, hit_rate=0.4), above_half, 200, rng=(np.random.default_rng(0))
    )
    score = 2 * float(accuracy(subjects(np.random.default_rng(3), 12, hit_rate=0.4).sum(axis=(0, 1, 2)))) - 1
    assert -1 < low < score < 0
    assert score < high < 1


def test_a_higher_level_is_wider_and_more_people_are_narrower() -> None:
    rng = np.random.default_rng(0)
    few, many = subjects(rng, 10), subjects(rng, 200)

    def width(matrices: np.ndarray, level: float) -> float:
        low, high = subject_bootstrap(matrices, uf1, 500, np.random.default_rng(0), level)
        return high - low

    assert width(few, 0.5) < width(few, 0.95)
    assert width(many, 0.95) < width(few, 0.95)


@pytest.mark.parametrize("n_subjects", [0, 1])
def test_a_single_subject_has_no_interval(n_subjects: int) -> None:
    matrices = np.ones((2, n_subjects, 1, 3, 3), dtype=np.int64)
    assert all(map(math.isnan, subject_bootstrap(matrices, uf1, 100, np.random.default_rng(0))))


@pytest.mark.parametrize("name", ["uf1", "uar", "accuracy", "weighted_f1"])
def test_shares_stay_in_range(name: str) -> None:
    low, high = subject_bootstrap(
        subjects(np.random.default_rng(0), 6, 3), METRICS.get(name), 200, np.random.default_rng(0)
    )
    assert 0 <= low <= high <= 1


def test_arguments_that_make_no_sense() -> None:
    matrices = np.ones((1, 3, 1, 2, 2))
    for wrong in ((matrices[0], 10, 0.95), (matrices, 0, 0.95), (matrices, 10, 1.0)):
        with pytest.raises(ValueError, match="see the docstring"):
            subject_bootstrap(wrong[0], uf1, wrong[1], np.random.default_rng(0), wrong[2])
