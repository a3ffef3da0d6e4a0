"""Pooling the predictions of all folds, and scoring complete studies from them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from preprocess.base.errors import HonestyError
from results.metrics import METRICS, absent_classes, confusion, f1_per_class, grouped_confusion, recall_per_class
from results.outcome import Outcome
from results.study import StudyCard

FULL = "full"


@dataclass(frozen=True)
class Pooled:
    """The predictions of a study's folds, joined by sample id and sorted by it.

    sample_ids, subjects, datasets : n strings each. y_true, y_pred : (n,) int64 indices into ``classes``.
    scores : (n, n_classes) float32.
    """

    classes: tuple[str, ...]
    sample_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    datasets: tuple[str, ...]
    y_true: np.ndarray
    y_pred: np.ndarray
    scores: np.ndarray

    def part(self, name: str) -> Pooled:
        """Return the predictions of one part: ``full``, or a dataset's; HonestyError where there are none."""
        if name == FULL:
            return self
        rows = [row for row, dataset in enumerate(self.datasets) if dataset == name]
        if not rows:
            raise HonestyError(f"No prediction belongs to {name!r}; there are some of {sorted(set(self.datasets))}.")
        return self._rows(np.array(rows))

    def confusion(self) -> np.ndarray:
        """Return the (C, C) confusion matrix."""
        return confusion(self.y_true, self.y_pred, len(self.classes))

    def confusion_by_subject(self) -> tuple[list[str], np.ndarray]:
        """Return the sorted subjects and their confusion matrices, (n_subjects, C, C)."""
        names = sorted(set(self.subjects))
        index = {name: position for position, name in enumerate(names)}
        groups = np.array([index[subject] for subject in self.subjects], dtype=np.int64)
        return names, grouped_confusion(self.y_true, self.y_pred, groups, len(names), len(self.classes))

    def _rows(self, rows: np.ndarray) -> Pooled:
        return Pooled(
            classes=self.classes,
            sample_ids=tuple(self.sample_ids[row] for row in rows),
            subjects=tuple(self.subjects[row] for row in rows),
            datasets=tuple(self.datasets[row] for row in rows),
            y_true=self.y_true[rows],
            y_pred=self.y_pred[rows],
            scores=self.scores[rows],
        )


@dataclass(frozen=True)
class PartScore:
    """The scores of one part of one complete study, from pooled predictions.

    metrics : name in METRICS -> value. class_counts, f1_per_class, recall_per_class : class name -> value.
    confusion : (C, C) int64, rows true. absent : classes without a true sample; they count as F1 = 0 and recall = 0.
    """

    part: str
    n_samples: int
    n_subjects: int
    class_counts: dict[str, int]
    metrics: dict[str, float]
    f1_per_class: dict[str, float]
    recall_per_class: dict[str, float]
    confusion: np.ndarray
    absent: tuple[str, ...]


def part_names(card: StudyCard) -> tuple[str, ...]:
    """Return what the study is scored on: ``full``, and each dataset of a composite."""
    return (FULL, *card.parts)


def pool(card: StudyCard, outcomes: Sequence[Outcome]) -> Pooled:
    """Join the predictions of some or all folds of a study by sample id.

    Raises HonestyError where an outcome is another study's, a fold or a sample comes twice, a fold has more or fewer
    predictions than test samples, or a label is outside the task's class list.
    """
    _check_folds(card, outcomes)
    rows = sorted(_rows(outcomes))
    twice = sorted({later[0] for earlier, later in itertools.pairwise(rows) if earlier[0] == later[0]})
    if twice:
        raise HonestyError(f"{card.title}: {len(twice)} samples are predicted twice, such as {twice[0]}.")
    width = len(card.classes)
    y_true = np.concatenate([np.empty(0, np.int64), *(outcome.y_true for outcome in outcomes)])
    y_pred = np.concatenate([np.empty(0, np.int64), *(outcome.y_pred for outcome in outcomes)])
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
    )
    _check_labels(card, pooled)
    return pooled


def missing_folds(card: StudyCard, outcomes: Sequence[Outcome]) -> list[str]:
    """Return the names of the folds that have no outcome here, in the card's order."""
    done = {outcome.key for outcome in outcomes}
    return [fold.name for fold in card.folds if fold.key not in done]


def pool_complete(card: StudyCard, outcomes: Sequence[Outcome]) -> Pooled:
    """Join the predictions of all folds of a study.

    Raises HonestyError where a fold is missing (there is no score of a piece of a study), or where the predictions are
    not of the samples that the card tells.
    """
    pooled = pool(card, outcomes)
    missing = missing_folds(card, outcomes)
    if missing:
        done = len(card.folds) - len(missing)
        raise HonestyError(
            f"{card.title}: {done}/{len(card.folds)} folds are done, a score needs all of them. "
            f"Missing: {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}. Run the same command again."
        )
    for name in part_names(card):
        _check_against_card(card, name, pooled.part(name))
    return pooled


def score(card: StudyCard, outcomes: Sequence[Outcome]) -> dict[str, PartScore]:
    """Score a complete study: part (``full`` first) -> scores. Raises as ``pool_complete`` does."""
    pooled = pool_complete(card, outcomes)
    return {name: part_score(name, pooled.part(name)) for name in part_names(card)}


def part_score(name: str, pooled: Pooled) -> PartScore:
    """Score the predictions of one part. Honest only where ``pool_complete`` made them."""
    matrix = pooled.confusion()

    def by_class(values: np.ndarray) -> dict[str, float]:
        return {label: float(value) for label, value in zip(pooled.classes, values, strict=True)}

    return PartScore(
        part=name,
        n_samples=len(pooled.sample_ids),
        n_subjects=len(set(pooled.subjects)),
        class_counts={label: int(n) for label, n in zip(pooled.classes, matrix.sum(axis=1), strict=True)},
        metrics={metric: float(function(matrix)) for metric, function in METRICS.items()},
        f1_per_class=by_class(f1_per_class(matrix)),
        recall_per_class=by_class(recall_per_class(matrix)),
        confusion=matrix,
        absent=tuple(pooled.classes[index] for index in absent_classes(matrix)),
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
        if outcome.scores.shape != (len(outcome.sample_ids), len(card.classes)):
            raise HonestyError(
                f"{card.title}: fold {outcome.fold} has scores of shape {outcome.scores.shape}, "
                f"expected {len(outcome.sample_ids)} samples x {len(card.classes)} classes."
            )


def _check_labels(card: StudyCard, pooled: Pooled) -> None:
    for name, labels in (("true label", pooled.y_true), ("prediction", pooled.y_pred)):
        outside = np.flatnonzero((labels < 0) | (labels >= len(card.classes)))
        if len(outside):
            row = outside[0]
            raise HonestyError(
                f"{card.title}: the {name} of {pooled.sample_ids[row]} is {labels[row]}, expected 0 to "
                f"{len(card.classes) - 1} ({', '.join(card.classes)})."
            )


def _check_against_card(card: StudyCard, name: str, part: Pooled) -> None:
    counts = part.confusion().sum(axis=1).tolist()
    found = (len(part.sample_ids), len(set(part.subjects)), counts)
    told = (card.n_samples[name], card.n_subjects[name], list(card.class_counts[name]))
    if found != told:
        raise HonestyError(
            f"{card.title}, {name}: the predictions are of {found[0]} samples, {found[1]} subjects, "
            f"classes {found[2]}; the study's card tells {told[0]}, {told[1]}, {told[2]}."
        )
