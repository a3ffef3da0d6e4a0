"""Intervals hold the true score of simulated studies as often as they say (at length: benchmarks/calibration.py)."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_studies import SCORES, Field

from results.scores.bootstrap import difference_interval, resampled_scores, score_per_seed, subject_bootstrap
from results.scores.metrics import METRICS

pytestmark = pytest.mark.slow

STUDIES, RESAMPLES = 1000, 200


@pytest.mark.parametrize("people", [5, 8, 16, 24])
def test_intervals_hold_the_true_score(people: int) -> None:
    field, rng = Field(), np.random.default_rng(people)
    truth = field.truth(100_000)
    for name in SCORES:
        ends = np.array(
            [
                subject_bootstrap(counts, METRICS.get(name), RESAMPLES, rng)
                for counts in field.studies(STUDIES, people, rng)[0]
            ]
        )
        held = ((ends[:, 0] <= truth[name][0]) & (truth[name][0] <= ends[:, 1])).mean()
        # 95 of 100, and what so many studies differ by.
        assert 0.925 < held < 0.975, name


def test_intervals_hold_the_true_difference() -> None:
    field, rng, people = Field((1.0, 0.6)), np.random.default_rng(5), 16
    truth = field.truth(100_000)
    for name in SCORES:
        metric, held = METRICS.get(name), 0
        for study, pair in enumerate(zip(*field.studies(STUDIES, people, rng), strict=True)):
            one, other = (resampled_scores(counts, metric, RESAMPLES, np.random.default_rng(study)) for counts in pair)
            first, second = (float(score_per_seed(counts, metric)[0]) for counts in pair)
            low, high = difference_interval(one - other, first - second, people)
            held += low <= truth[name][0] - truth[name][1] <= high
        assert 0.925 < held / STUDIES < 0.975, name
