"""Two models on the same people: what is told of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

COMPARED = ("uf1", "uar")
"""The metrics whose differences are tested."""

LEVEL = 0.05
"""Models are told apart where Holm's p is below this."""


@dataclass(frozen=True)
class Difference:
    """How much two models differ in one metric.

    Attributes
    ----------
    first : the first model's score, the mean over the seeds of the score from pooled predictions.
    second : the second model's.
    difference : first - second.
    low : lower end of the 95 % interval of the difference, over resampled subjects, the same for both models; None for
        a single subject.
    high : its upper end.
    p : the share of swaps of people between the models that give as large a difference.
    p_holm : p, corrected by Holm's method for the pairs of the benchmark.
    per_seed : the difference in each seed.
    spread_people : standard deviation of the difference over resampled subjects; None for a single subject.
    spread_seeds : standard deviation of the difference over the seeds; None for a single seed.
    detectable : the smallest true difference that this many people would tell apart in 80 of 100 studies, at the level
        that Holm's correction asks of the clearest pair; None where there is none below 1, or nothing to judge by.
    p_best : of UF1, p corrected for the pairs with the best model alone; below the level, a leaderboard does not let
        the two share a rank. None for other pairs, and other metrics.
    """

    first: float
    second: float
    difference: float
    low: float | None
    high: float | None
    p: float
    p_holm: float
    per_seed: list[float]
    spread_people: float | None
    spread_seeds: float | None
    detectable: float | None = None
    p_best: float | None = None

    @property
    def told_apart(self) -> bool:
        """Whether one of the models may be called better."""
        return self.p_holm < LEVEL


@dataclass(frozen=True)
class Pair:
    """Two models on the same people.

    Attributes
    ----------
    first : label of the model with the higher UF1.
    second : label of the other.
    dataset : one dataset, or a composite's joined by ``+``.
    part : what was scored: ``full``, a dataset, a union, or ``average``.
    task : the label scheme.
    protocol : the rule that made the folds.
    selection : the rule that picked the epoch.
    synthetic : the data was drawn by this program.
    multilabel : a sample may show any number of the classes.
    n_samples : number of tested samples.
    n_subjects : number of tested subjects.
    samples : the first 16 digits of the hash of the tested samples, their subjects and classes.
    seeds : those that both models have; scores are means over them.
    studies : the first 16 digits of the keys of both models' studies, the first model's before the second's.
    metrics : name -> how much they differ.
    """

    first: str
    second: str
    dataset: str
    part: str
    task: str
    protocol: str
    selection: str
    synthetic: bool
    multilabel: bool
    n_samples: int
    n_subjects: int
    samples: str
    seeds: list[int]
    studies: list[str]
    metrics: dict[str, Difference]

    @property
    def benchmark(self) -> tuple[Any, ...]:
        """What the pairs share that are corrected together and stand in one table."""
        return self.synthetic, self.dataset, self.task, self.protocol, self.selection, self.part, self.samples
