"""Confidence intervals from resampled subjects: clips of one person are not independent, people are."""

from __future__ import annotations

import functools
import math
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from preprocess.base.hashing import digest
from results.scores.metrics import Metric

# Equal scores may differ in their last digits where their sums were taken in another order.
_ROUNDING = 1e-9
# Resamples of all seeds of a row with hundreds of them would take hundreds of MiB.
_SEEDS_AT_ONCE = 32


def subject_bootstrap(
    counts: np.ndarray, metric: Metric, resamples: int, rng: np.random.Generator, level: float = 0.95
) -> tuple[float, float]:
    """Return the interval of a metric, from how much it varies over resampled subjects.

    Each resample draws n_subjects subjects with replacement, the same for all seeds, and adds up their counts. Its
    score is the mean of the metric over datasets and seeds. So the interval says how the score would vary with other
    people, not with other seeds.

    The quantiles of the resampled scores would be too narrow for few people, and too low, for a resample holds fewer
    different people than the study. So only the spread of these scores is taken, on the scale of their logits, where it
    is about the same for good and for bad models and no end leaves the range of the scores; widened by n / (n - 1), for
    resampling underestimates a spread, that of pooled scores the more since some people have many clips; and by the t
    distribution of n - 1.

    Parameters
    ----------
    counts : (n_seeds, n_subjects, n_datasets, ...) counts as the metric takes them; every seed has the subjects in the
        same order. n_datasets is 1, except for an average over several datasets.
    metric : counts -> score, of 0 to 1; or of -1 to 1, as Cohen's kappa.
    resamples : number of draws, 2 or more.
    rng : makes the draws.
    level : share of the studies of other people whose interval is to hold the true score.

    Returns
    -------
    Its two ends, low and high, with the score between them; (nan, nan) for fewer than two subjects.

    Raises
    ------
    ValueError : counts of another shape, too few resamples, or a level outside 0..1.
    """
    from scipy.special import expit, logit

    _check(counts, resamples, level)
    n_seeds, n_subjects = counts.shape[:2]
    if n_subjects < 2:
        return math.nan, math.nan
    resampled = resampled_scores(counts, metric, resamples, rng)
    score = float(score_per_seed(counts, metric).mean())
    # A score that may be negative runs from -1; its logit is then twice Fisher's z.
    floor = -1.0 if min(score, float(resampled.min())) < 0 else 0.0
    # Half an answer from the ends, where the logit is infinite.
    edge = 0.5 * n_seeds / float(counts.sum())

    def scale(values: np.ndarray | float) -> np.ndarray:
        return logit(np.clip((np.asarray(values) - floor) / (1 - floor), edge, 1 - edge))

    spread = float(scale(resampled).std(ddof=1))
    if spread < _ROUNDING:
        return score, score
    reach = _reach(n_subjects, level) * spread
    low, high = (float(expit(scale(score) + side * reach)) * (1 - floor) + floor for side in (-1, 1))
    return min(low, score), max(high, score)


def difference_interval(
    resampled: np.ndarray, difference: float, n_subjects: int, level: float = 0.95
) -> tuple[float, float]:
    """Return the interval of the difference of two models that were tested on the same people.

    Parameters
    ----------
    resampled : (resamples,) differences of the models' scores over the same resampled subjects.
    difference : of their scores.
    n_subjects : number of people, 2 or more.
    level : as in ``subject_bootstrap``.

    Returns
    -------
    Its two ends, low and high, within -1 to 1.
    """
    reach = _reach(n_subjects, level) * float(resampled.std(ddof=1))
    return max(difference - reach, -1.0), min(difference + reach, 1.0)


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
    ValueError : counts of another shape, or too few resamples.
    """
    _check(counts, resamples)
    n_seeds, n_subjects, *shape = counts.shape
    draws, after = _drawn(pickle.dumps(rng.bit_generator), n_subjects, resamples)
    rng.bit_generator.state = after
    scores = []
    for some in np.split(counts, range(_SEEDS_AT_ONCE, n_seeds, _SEEDS_AT_ONCE)):
        # Counts are small integers, so float64 products are exact, and much faster than integer ones.
        pooled = draws @ some.reshape(len(some), n_subjects, -1).astype(np.float64)
        scores.append(metric(pooled.reshape(len(some), resamples, *shape)))
    return np.concatenate(scores).mean(axis=(0, 2))


def generator_of(subjects: Sequence[str], root_seed: int) -> np.random.Generator:
    """Return the generator of draws over these people: who is drawn depends on nothing else.

    Parameters
    ----------
    subjects : their names, sorted.
    root_seed : of all draws of a table.
    """
    return np.random.default_rng([root_seed, int(digest(list(subjects))[:16], 16)])


def score_per_seed(counts: np.ndarray, metric: Metric) -> np.ndarray:
    """Return the score of each seed from all its people pooled, (n_seeds,).

    Parameters
    ----------
    counts : (n_seeds, n_subjects, n_datasets, ...) as ``subject_bootstrap`` takes them.
    metric : counts -> score; the mean over the datasets is taken.
    """
    return metric(counts.sum(axis=1)).mean(axis=-1)


@functools.lru_cache(maxsize=16)
def _drawn(generator: bytes, n_subjects: int, resamples: int) -> tuple[np.ndarray, Mapping[str, Any]]:
    """Draw people once for all rows and metrics whose generators are equal.

    Parameters
    ----------
    generator : the bit generator, pickled in this process.
    n_subjects : number of people.
    resamples : number of draws.

    Returns
    -------
    (resamples, n_subjects) how often each is drawn, and the generator's state after it.
    """
    rng = np.random.Generator(pickle.loads(generator))
    draws = rng.multinomial(n_subjects, np.full(n_subjects, 1 / n_subjects), size=resamples).astype(np.float64)
    draws.flags.writeable = False
    return draws, rng.bit_generator.state


def _reach(n_subjects: int, level: float) -> float:
    """Return how many standard deviations of resampled scores an interval reaches to each side."""
    from scipy.special import stdtrit

    freedom = n_subjects - 1
    return float(stdtrit(freedom, (1 + level) / 2)) * n_subjects / freedom


def _check(counts: np.ndarray, resamples: int, level: float = 0.95) -> None:
    if counts.ndim < 5 or resamples < 2 or not 0 < level < 1:
        raise ValueError(f"counts {counts.shape}, resamples {resamples}, level {level}: see the docstring")
