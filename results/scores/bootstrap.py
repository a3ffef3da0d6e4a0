"""Confidence intervals from resampled subjects: clips of one person are not independent, people are."""

from __future__ import annotations

import math

import numpy as np

from results.scores.metrics import Metric


def subject_bootstrap(
    counts: np.ndarray, metric: Metric, resamples: int, rng: np.random.Generator, level: float = 0.95
) -> tuple[float, float]:
    """Return the percentile interval of a metric over resampled subjects.

    Each resample draws n_subjects subjects with replacement, the same for all seeds, and adds up their counts. Its
    score is the mean of the metric over datasets and seeds. So the interval says how the score would vary with other
    people, not with other seeds.

    Parameters
    ----------
    counts : (n_seeds, n_subjects, n_datasets, ...) counts as the metric takes them; every seed has the subjects in the
        same order. n_datasets is 1, except for an average over several datasets.
    metric : counts -> score.
    resamples : number of draws.
    rng : makes the draws.
    level : share of the resampled scores that the interval holds.

    Returns
    -------
    Its two ends, low and high; (nan, nan) for fewer than two subjects.

    Raises
    ------
    ValueError : counts of another shape, no resamples, or a level outside 0..1.
    """
    _check(counts, resamples)
    if not 0 < level < 1:
        raise ValueError(f"level {level}: see the docstring")
    if counts.shape[1] < 2:
        return math.nan, math.nan
    return percentile_interval(resampled_scores(counts, metric, resamples, rng), level)


def resampled_scores(counts: np.ndarray, metric: Metric, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return the score of each resample of subjects; equal generators draw equal people.

    Parameters
    ----------
    counts : as ``subject_bootstrap`` takes them.
    metric : counts -> score.
    resamples : number of draws.
    rng : makes the draws.

    Returns
    -------
    (resamples,) means of the metric over datasets and seeds.

    Raises
    ------
    ValueError : counts of another shape, or no resamples.
    """
    _check(counts, resamples)
    n_seeds, n_subjects, *shape = counts.shape
    draws = rng.multinomial(n_subjects, np.full(n_subjects, 1 / n_subjects), size=resamples)
    # Counts are small integers, so float64 products are exact, and much faster than integer ones.
    pooled = draws.astype(np.float64) @ counts.reshape(n_seeds, n_subjects, -1).astype(np.float64)
    return metric(pooled.reshape(n_seeds, resamples, *shape)).mean(axis=(0, 2))


def percentile_interval(scores: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the two ends, low and high, between which a share of ``level`` of the resampled scores lies."""
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _check(counts: np.ndarray, resamples: int) -> None:
    if counts.ndim < 5 or resamples < 1:
        raise ValueError(f"counts {counts.shape}, resamples {resamples}: see the docstring")
