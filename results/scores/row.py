"""One line of the leaderboard."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from results.scores.spotting import SpotThenRecognise
from results.store.watched import OWN, Watched, Weights, stamp_of


@dataclass(frozen=True)
class Row:
    """One line of the leaderboard: the studies that are equal in all but the seed, scored on one part.

    Attributes
    ----------
    model : its name in the registry.
    label : the name with ``params``.
    params : the hyper-parameters that were changed.
    dataset : one dataset, or a composite's joined by ``+``.
    part : ``full``, one dataset or union of a composite, or ``average``, the mean of the datasets' scores.
    task : the label scheme.
    protocol : the rule that made the folds.
    selection : the rule that picked the epoch.
    watches : the samples that the selection looks at to pick it.
    seeds : those of the studies, sorted.
    studies : the first 16 digits of the studies' keys, in the order of ``seeds``.
    n_samples : number of tested samples of the part.
    n_subjects : number of tested subjects of the part.
    class_counts : class name -> true samples, in the task's order; of a multi-label task, samples that show the class.
    folds_done : number of folds that have an outcome, over all seeds.
    folds_total : number of folds that are needed, over all seeds.
    folds_failed : number of folds that ended with an error, over all seeds.
    uf1 : mean over the seeds of the pooled score; None until every fold of every seed is done. Of a multi-label task,
        this and the next three are the scores of ``results.scores.multilabel``.
    uar : as uf1.
    accuracy : as uf1.
    weighted_f1 : as uf1.
    uf1_low : lower end of the 95 % interval of uf1 over subjects; None without a score or with a single subject.
    uf1_high : its upper end.
    uar_low : as uf1_low, of uar.
    uar_high : as uf1_high, of uar.
    uf1_per_seed : the score of each seed, in the order of ``seeds``.
    f1_per_class : class name -> F1, mean over the seeds.
    recall_per_class : class name -> recall, mean over the seeds.
    class_subjects : class name -> subjects that show it; of an average, in the dataset where they are fewest.
    other_metrics : name -> score, for the other registered metrics.
    rank : 1 is best; rows that cannot be told from the best share it, and so do equal scores. None for incomplete and
        superseded rows, and those with a stamp.
    tied : the row shares the rank 1 with rows that it cannot be told from.
    synthetic : the data was drawn by this program, not recorded from people.
    multilabel : a sample may show any number of the classes.
    superseded : a later run of the same study with other data or code exists.
    notes : warnings, in words.
    weights : "" for those that the studies trained; else ``external``, ``imported`` and so on, as on their cards.
    spotting : of studies whose tested clips were spotted, how well that went, and what both are worth together. The
        other scores are those of recognising what was found.
    """

    model: str
    label: str
    params: dict[str, Any]
    dataset: str
    part: str
    task: str
    protocol: str
    selection: str
    watches: Watched
    seeds: list[int]
    studies: list[str]
    n_samples: int
    n_subjects: int
    class_counts: dict[str, int]
    folds_done: int
    folds_total: int
    folds_failed: int
    uf1: float | None = None
    uar: float | None = None
    accuracy: float | None = None
    weighted_f1: float | None = None
    uf1_low: float | None = None
    uf1_high: float | None = None
    uar_low: float | None = None
    uar_high: float | None = None
    uf1_per_seed: list[float] | None = None
    f1_per_class: dict[str, float] | None = None
    recall_per_class: dict[str, float] | None = None
    class_subjects: dict[str, int] | None = None
    other_metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    rank: int | None = None
    tied: bool = False
    synthetic: bool = False
    multilabel: bool = False
    superseded: bool = False
    notes: list[str] = dataclasses.field(default_factory=list)
    weights: Weights = OWN
    spotting: SpotThenRecognise | None = None

    @property
    def stamp(self) -> str:
        """What must stand beside the row's score; empty for a row that may be ranked."""
        return stamp_of(self.watches, self.weights)

    @property
    def competes(self) -> bool:
        """Whether the row may be ranked, once it has a score."""
        return not self.stamp and not self.superseded

    @property
    def benchmark(self) -> tuple[Any, ...]:
        """What two rows must share to be compared: dataset, task, protocol, part, and the very counts of samples."""
        counts = (self.n_samples, self.n_subjects, *self.class_counts.items())
        return self.synthetic, self.dataset, self.task, self.protocol, self.part, counts

    def to_json(self) -> dict[str, Any]:
        """Return the row's fields and its stamp as plain JSON values."""
        return {**dataclasses.asdict(self), "stamp": self.stamp}
