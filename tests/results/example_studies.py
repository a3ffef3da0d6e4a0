"""Small studies with known labels, for the tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from preprocess.base.hashing import digest
from results.store.outcome import Failure, Outcome
from results.store.study_card import FoldCard, StudyCard, fold_key
from results.store.watched import NOTHING, OWN, TEST, VALIDATION, Watched, Weights

CLASSES = ("negative", "positive", "surprise")
UNITS = ("AU1", "AU2", "AU4")


@dataclass(frozen=True)
class Sample:
    sample_id: str
    subject: str
    dataset: str
    label: int


@dataclass(frozen=True)
class ExampleStudy:
    """A card and the samples of each of its folds, in the card's order."""

    card: StudyCard
    folds: tuple[tuple[Sample, ...], ...]

    def outcomes(self, hit_rate: float = 0.7, finished_at: str = "2026-01-01T00:00:00+00:00") -> list[Outcome]:
        """Return an outcome a fold; a share of about ``hit_rate`` is predicted right, drawn from the study's seed."""
        rng = np.random.default_rng(self.card.seed)
        return [self._outcome(place, hit_rate, finished_at, rng) for place in range(len(self.folds))]

    def failure(self, place: int, error: str = "ValueError: too few samples") -> Failure:
        fold = self.card.folds[place]
        return Failure(fold.key, self.card.key, fold.name, error, f"Traceback:\n  line 1\n{error}\n", {"host": "a"})

    def _outcome(self, place: int, hit_rate: float, finished_at: str, rng: np.random.Generator) -> Outcome:
        fold, samples = self.card.folds[place], self.folds[place]
        if self.card.multilabel:
            y_true = np.array([shown(sample.label) for sample in samples], dtype=np.int64)
            y_pred = np.where(rng.random(y_true.shape) < hit_rate, y_true, 1 - y_true)
            scores = (y_pred - 0.5 + 0.2 * rng.random(y_pred.shape)).astype(np.float32)
        else:
            y_true = np.array([sample.label for sample in samples], dtype=np.int64)
            shift = np.where(rng.random(len(samples)) < hit_rate, 0, rng.integers(1, 3, len(samples)))
            y_pred = (y_true + shift) % len(self.card.classes)
            scores = np.eye(len(self.card.classes), dtype=np.float32)[y_pred] + rng.random(1, dtype=np.float32)
        return Outcome(
            key=fold.key,
            study_key=self.card.key,
            fold=fold.name,
            sample_ids=tuple(sample.sample_id for sample in samples),
            subjects=tuple(sample.subject for sample in samples),
            datasets=tuple(sample.dataset for sample in samples),
            y_true=y_true,
            y_pred=y_pred,
            scores=scores,
            selected_epoch=3,
            curves={"train_loss": [1.5, float("nan"), 0.1], "oracle_accuracy": [float("inf"), 0.5, 1.0]},
            provenance={"host": "a", "finished_at": finished_at},
        )


def shown(label: int) -> list[int]:
    """Return which action units a sample of a multi-label study shows: its own, and the first one with the last."""
    return [int(label in (0, 2)), int(label == 1), int(label == 2)]


def example_study(
    model: str = "ststnet",
    datasets: dict[str, int] | None = None,
    seed: int = 0,
    selection: str = "last",
    params: dict[str, Any] | None = None,
    code: str = "v1",
    clips: int = 4,
    labels: tuple[int, ...] = (0, 1, 2, 0),
    synthetic: bool = False,
    multilabel: bool = False,
    averaged: bool = False,
    watches: Watched | None = None,
    weights: Weights = OWN,
) -> ExampleStudy:
    """Return a LOSO study, or a composite one where there are several datasets. datasets : name -> subjects.

    watches : by the selection, None for what the three that come with this program watch.
    averaged : each dataset is one fold, and the mean of their scores is a score, as under ``hde``.
    """
    watches = {"validation": VALIDATION, "oracle": TEST}.get(selection, NOTHING) if watches is None else watches
    counts = datasets or {"casme2": 4}
    folds = [_samples(name, number, clips, labels) for name, subjects in counts.items() for number in range(subjects)]
    protocol = "cde" if len(counts) > 1 else "loso"
    if averaged:
        protocol = "hde"
        folds = [tuple(s for fold in folds for s in fold if s.dataset == name) for name in sorted(counts)]
    parts = tuple(sorted(counts)) if len(counts) > 1 else ()
    members = {"full": [s for fold in folds for s in fold]}
    members |= {part: [s for s in members["full"] if s.dataset == part] for part in parts}
    ingredients = {
        "model": model,
        "hyperparameters": params or {},
        "code": code,
        "datasets": dict(sorted(counts.items())),
        "selection": selection,
        "watches": watches,
        "seed": seed,
        "labels": [[s.sample_id, s.label] for s in members["full"]],
    }
    if multilabel or averaged:
        ingredients["kind"] = [multilabel, averaged]
    key = digest(ingredients)
    card = StudyCard(
        model=model,
        params=params or {},
        hyperparameters={"epochs": 3, **(params or {})},
        dataset="+".join(sorted(counts)),
        parts=parts,
        task="au3" if multilabel else "megc3",
        classes=UNITS if multilabel else CLASSES,
        protocol=protocol,
        selection=selection,
        watches=watches,
        seed=seed,
        n_samples={part: len(samples) for part, samples in members.items()},
        n_subjects={part: len({s.subject for s in samples}) for part, samples in members.items()},
        class_counts={
            part: [sum(shown(s.label)[c] if multilabel else s.label == c for s in samples) for c in range(3)]
            for part, samples in members.items()
        },
        ingredients=ingredients,
        folds=tuple(
            FoldCard(
                fold_key(key, digest([s.sample_id for s in fold])),
                fold[0].dataset if averaged else fold[0].subject,
                len(fold),
            )
            for fold in folds
        ),
        synthetic=synthetic,
        multilabel=multilabel,
        averaged=averaged,
        weights=weights,
    )
    return ExampleStudy(card, tuple(folds))


def _samples(dataset: str, number: int, clips: int, labels: tuple[int, ...]) -> tuple[Sample, ...]:
    subject = f"{dataset}/sub{number:02}"
    return tuple(
        Sample(f"{subject}/EP{clip:02}", subject, dataset, labels[(clip + number) % len(labels)])
        for clip in range(clips)
    )
