"""Pooling the predictions of all folds, and scoring complete studies from them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from preprocess.base.errors import HonestyError
from preprocess.base.hashing import digest
from results.scores.counting import MULTI_LABEL, SINGLE_LABEL, Counting
from results.store.outcome import Outcome
from results.store.study_card import StudyCard

FULL = "full"
AVERAGE = "average"
"""The part that stands for the mean of the datasets' scores, where the protocol asks for it (``hde``, ``lodo``)."""


@dataclass(frozen=True)
class Pooled:
    """The predictions of a study's folds, joined and sorted by sample id.

    Attributes
    ----------
    classes : the task's class names in order.
    sample_ids : n strings.
    subjects : the subject of each sample.
    datasets : the dataset of each sample.
    y_true : (n,) int64 indices into ``classes``; of a multi-label task (n, n_classes) int64 of 0 and 1.
    y_pred : what was predicted, in the form of ``y_true``.
    scores : (n, n_classes) float32.
    unions : part -> its datasets, for parts that are no dataset's name.
    """

    classes: tuple[str, ...]
    sample_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    datasets: tuple[str, ...]
    y_true: np.ndarray
    y_pred: np.ndarray
    scores: np.ndarray
    unions: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def multilabel(self) -> bool:
        """Whether a sample may show any number of the classes."""
        return self.y_true.ndim == 2

    @property
    def counting(self) -> Counting:
        """How these predictions are counted and scored."""
        return MULTI_LABEL if self.multilabel else SINGLE_LABEL

    @property
    def samples(self) -> str:
        """The hash of the samples, their subjects and classes: equal for models that were tested on the same."""
        return digest([self.sample_ids, self.subjects, self.y_true.tolist()])

    def part(self, name: str) -> Pooled:
        """Return the predictions of one part.

        Parameters
        ----------
        name : ``full`` or ``average`` (all predictions), a union or a dataset.

        Raises
        ------
        HonestyError : no prediction belongs to the part.
        """
        if name in (FULL, AVERAGE):
            return self
        datasets = self.unions.get(name, (name,))
        rows = [row for row, dataset in enumerate(self.datasets) if dataset in datasets]
        if not rows:
            raise HonestyError(f"No prediction belongs to {name!r}; there are some of {sorted(set(self.datasets))}.")
        return self._rows(np.array(rows))

    def counts(self) -> np.ndarray:
        """Return the counts of all predictions: (C, C), or (C, 2, 2) of a multi-label task."""
        return self._grouped(np.zeros(len(self.sample_ids), dtype=np.int64), 1)[0]

    def counts_by_subject(self, datasets: Sequence[str] = ()) -> tuple[list[str], np.ndarray]:
        """Count the predictions of each subject.

        Parameters
        ----------
        datasets : count each of these by itself; where none is given, all samples together.

        Returns
        -------
        The subjects, sorted.
        Their counts, (n_subjects, n_datasets, ...); n_datasets is 1 where none was given.
        """
        names = sorted(set(self.subjects))
        width = max(1, len(datasets))
        index = {name: position * width for position, name in enumerate(names)}
        place = {name: position for position, name in enumerate(datasets)} or dict.fromkeys(self.datasets, 0)
        pairs = zip(self.subjects, self.datasets, strict=True)
        groups = np.array([index[subject] + place[dataset] for subject, dataset in pairs], dtype=np.int64)
        counts = self._grouped(groups, len(names) * width)
        return names, counts.reshape(len(names), width, *counts.shape[1:])

    def _grouped(self, groups: np.ndarray, n_groups: int) -> np.ndarray:
        return self.counting.count(self.y_true, self.y_pred, groups, n_groups, len(self.classes))

    def _rows(self, rows: np.ndarray) -> Pooled:
        return Pooled(
            classes=self.classes,
            sample_ids=tuple(self.sample_ids[row] for row in rows),
            subjects=tuple(self.subjects[row] for row in rows),
            datasets=tuple(self.datasets[row] for row in rows),
            y_true=self.y_true[rows],
            y_pred=self.y_pred[rows],
            scores=self.scores[rows],
            unions=self.unions,
        )


@dataclass(frozen=True)
class PartScore:
    """The scores of one part of a complete study, from pooled predictions.

    Of the average, scores are means over the datasets, and a class is absent that is absent in one of them.

    Attributes
    ----------
    part : its name.
    n_samples : number of samples.
    n_subjects : number of subjects.
    class_counts : class name -> true samples.
    metrics : name -> value.
    f1_per_class : class name -> F1.
    recall_per_class : class name -> recall.
    counts : (C, C) int64, rows true, columns predicted; (C, 2, 2) of a multi-label task.
    absent : classes without a true sample; they count as F1 = 0 and recall = 0.
    """

    part: str
    n_samples: int
    n_subjects: int
    class_counts: dict[str, int]
    metrics: dict[str, float]
    f1_per_class: dict[str, float]
    recall_per_class: dict[str, float]
    counts: np.ndarray
    absent: tuple[str, ...]

    def notes(self) -> list[str]:
        """Return what lowers the scores, in words."""
        if not self.absent:
            return []
        where = " in one of the datasets" if self.part == AVERAGE else ""
        names = ", ".join(map(repr, self.absent))
        one = len(self.absent) == 1
        return [
            f"no sample of {'class' if one else 'the classes'} {names}{where}: "
            f"{'it counts' if one else 'they count'} as F1 = 0 and recall = 0"
        ]


def part_names(card: StudyCard) -> tuple[str, ...]:
    """Return what a study is scored on: ``full``, the parts of a composite, the average over its datasets."""
    return (FULL, *card.parts, *((AVERAGE,) if card.averaged else ()))


def averaged_datasets(card: StudyCard, part: str) -> tuple[str, ...]:
    """Return the datasets over whose scores a part's score is the mean; none for any other part."""
    return tuple(one for one in card.parts if one not in card.unions) if part == AVERAGE else ()


def pool(card: StudyCard, outcomes: Sequence[Outcome]) -> Pooled:
    """Join the predictions of some or all folds of a study by sample id.

    Raises
    ------
    HonestyError : an outcome is another study's, a fold or a sample comes twice, a fold has more or fewer predictions
        than test samples, or a label is outside the task's class list.
    """
    _check_folds(card, outcomes)
    rows = sorted(_rows(outcomes))
    twice = sorted({later[0] for earlier, later in itertools.pairwise(rows) if earlier[0] == later[0]})
    if twice:
        raise HonestyError(f"{card.title}: {len(twice)} samples are predicted twice, such as {twice[0]}.")
    width = len(card.classes)
    none = np.empty((0, width) if card.multilabel else 0, np.int64)
    y_true = np.concatenate([none, *(outcome.y_true for outcome in outcomes)])
    y_pred = np.concatenate([none, *(outcome.y_pred for outcome in outcomes)])
    scores = np.concatenate([np.empty((0, width), np.float32), *(outcome.scores for outcome in outcomes)])
    order = np.array([row[1] for row in rows], dtype=np.int64)
    pooled = Pooled(
        classes=card.classes,
        sample_ids=tuple(row[0] for row in rows),
        subjects=tuple(row[2] for row in rows),
        datasets=tuple(row[3] for row in rows),
        y_true=y_true[order],
        y_pred=y_pred[order],
        scores=scores[order],
        unions=card.unions,
    )
    _check_labels(card, pooled)
    return pooled


def missing_folds(card: StudyCard, outcomes: Sequence[Outcome]) -> list[str]:
    """Return the names of the folds that have no outcome here, in the card's order."""
    done = {outcome.key for outcome in outcomes}
    return [fold.name for fold in card.folds if fold.key not in done]


def pool_complete(card: StudyCard, outcomes: Sequence[Outcome]) -> Pooled:
    """Join the predictions of all folds of a study.

    Raises
    ------
    HonestyError : a fold is missing (a piece of a study has no score), the predictions are not of the samples that the
        card names, or what ``pool`` raises.
    """
    pooled = pool(card, outcomes)
    missing = missing_folds(card, outcomes)
    if missing:
        done = len(card.folds) - len(missing)
        raise HonestyError(
            f"{card.title}: {done}/{len(card.folds)} folds are done, a score needs all of them. "
            f"Missing: {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}. Run the same command again."
        )
    for name in (FULL, *card.parts):
        _check_against_card(card, name, pooled.part(name))
    return pooled


def score(card: StudyCard, outcomes: Sequence[Outcome]) -> dict[str, PartScore]:
    """Score a complete study.

    Returns
    -------
    Part -> its scores, ``full`` first.

    Raises
    ------
    HonestyError : as ``pool_complete``.
    """
    pooled = pool_complete(card, outcomes)
    return {name: part_score(name, pooled.part(name), averaged_datasets(card, name)) for name in part_names(card)}


def part_score(name: str, pooled: Pooled, datasets: Sequence[str] = ()) -> PartScore:
    """Score the predictions of one part. The score is honest only where ``pool_complete`` joined them.

    Parameters
    ----------
    name : the part's.
    pooled : its predictions.
    datasets : score each of these by itself and take the mean of their scores; none for one score of all.
    """
    by_subject = pooled.counts_by_subject(datasets)[1]
    return score_of_counts(name, pooled.classes, pooled.counting, len(pooled.sample_ids), by_subject)


def score_of_counts(
    name: str, classes: Sequence[str], counting: Counting, n_samples: int, by_subject: np.ndarray
) -> PartScore:
    """Score the counts of one part.

    Parameters
    ----------
    name : the part's.
    classes : the task's class names in order.
    counting : how predictions were counted.
    n_samples : number of samples.
    by_subject : (n_subjects, n_datasets, ...) counts of each subject.
    """
    counts = by_subject.sum(axis=0)

    def by_class(values: np.ndarray) -> dict[str, float]:
        return {label: float(value) for label, value in zip(classes, values.mean(axis=0), strict=True)}

    return PartScore(
        part=name,
        n_samples=n_samples,
        n_subjects=len(by_subject),
        class_counts={label: int(n) for label, n in zip(classes, counting.support(counts.sum(axis=0)), strict=True)},
        metrics={metric: float(function(counts).mean()) for metric, function in counting.metrics.items()},
        f1_per_class=by_class(counting.f1(counts)),
        recall_per_class=by_class(counting.recall(counts)),
        counts=counts.sum(axis=0),
        absent=tuple(label for place, label in enumerate(classes) if (counting.support(counts)[:, place] == 0).any()),
    )


def _rows(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, int, str, str]]:
    """Yield (sample id, position in the concatenated arrays, subject, dataset)."""
    position = 0
    for outcome in outcomes:
        for sample, subject, dataset in zip(outcome.sample_ids, outcome.subjects, outcome.datasets, strict=True):
            yield sample, position, subject, dataset
            position += 1


def _check_folds(card: StudyCard, outcomes: Sequence[Outcome]) -> None:
    study_key = card.key
    expected = {fold.key: fold.n_test for fold in card.folds}
    seen: set[str] = set()
    for outcome in outcomes:
        if outcome.study_key != study_key or outcome.key not in expected:
            raise HonestyError(
                f"The outcome of fold {outcome.fold} (study {outcome.study_key[:16]}) does not belong to {card.title} "
                f"(study {study_key[:16]})."
            )
        if outcome.key in seen:
            raise HonestyError(f"{card.title}: fold {outcome.fold} comes twice.")
        seen.add(outcome.key)
        if len(outcome.sample_ids) != expected[outcome.key]:
            raise HonestyError(
                f"{card.title}: fold {outcome.fold} has {len(outcome.sample_ids)} predictions of "
                f"{expected[outcome.key]} test samples."
            )
        table = (len(outcome.sample_ids), len(card.classes))
        if outcome.scores.shape != table:
            raise HonestyError(
                f"{card.title}: fold {outcome.fold} has scores of shape {outcome.scores.shape}, "
                f"expected {table[0]} samples x {table[1]} classes."
            )
        labels = table if card.multilabel else table[:1]
        if not outcome.y_true.shape == outcome.y_pred.shape == labels:
            raise HonestyError(
                f"{card.title}: fold {outcome.fold} has true labels of shape {outcome.y_true.shape} and predictions of "
                f"shape {outcome.y_pred.shape}, expected {labels}."
            )


def _check_labels(card: StudyCard, pooled: Pooled) -> None:
    highest = 1 if card.multilabel else len(card.classes) - 1
    for name, labels in (("true label", pooled.y_true), ("prediction", pooled.y_pred)):
        outside = np.argwhere((labels < 0) | (labels > highest))
        if len(outside):
            row, *column = outside[0].tolist()
            raise HonestyError(
                f"{card.title}: the {name} of {pooled.sample_ids[row]} is {labels[row, *column]}, expected 0 to "
                f"{highest} ({', '.join(card.classes)})."
            )


def _check_against_card(card: StudyCard, name: str, part: Pooled) -> None:
    counts = part.counting.support(part.counts()).tolist()
    found = (len(part.sample_ids), len(set(part.subjects)), counts)
    told = (card.n_samples[name], card.n_subjects[name], list(card.class_counts[name]))
    if found != told:
        raise HonestyError(
            f"{card.title}, {name}: the predictions are of {found[0]} samples, {found[1]} subjects, "
            f"classes {found[2]}; the study's card tells {told[0]}, {told[1]}, {told[2]}."
        )
