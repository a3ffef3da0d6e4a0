"""Confidence intervals from resampled subjects: clips of one person are not independent, people are."""

from __future__ import annotations

import numpy as np

from results.scores.metrics import Metric


def subject_bootstrap(
    counts: np.ndarray, metric: Metric, resamples: int, rng: np.random.Generator, level: float = 0.95
) -> tuple[float, float]:
    """Return the percentile interval (low, high) of a metric over resampled subjects.

    counts : (n_seeds, n_subjects, n_datasets, ...) counts as the metric takes them, the subjects in the same order for
        every seed. Each resample draws n_subjects subjects with replacement (the same for all seeds), pools their
        counts, and takes the metric's mean over the datasets (one, but for an average over several) and the seeds; so
        the interval tells how the score would vary with other people, not with other seeds.
    resamples : number of draws. level : share of the resampled scores inside the interval.
    With fewer than two subjects there is nothing to resample: (nan, nan).
    """
    if counts.ndim < 5 or resamples < 1 or not 0 < level < 1:
        raise ValueError(f"counts {counts.shape}, resamples {resamples}, level {level}: see the docstring")
    n_seeds, n_subjects, *shape = counts.shape
    if n_subjects < 2:
        return float("nan"), float("nan")
    draws = rng.multinomial(n_subjects, np.full(n_subjects, 1 / n_subjects), size=resamples)
    # Counts are small integers, so float64 products are exact, and much faster than integer ones.
    pooled = draws.astype(np.float64) @ counts.reshape(n_seeds, n_subjects, -1).astype(np.float64)
    scores = metric(pooled.reshape(n_seeds, resamples, *shape)).mean(axis=(0, 2))
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
