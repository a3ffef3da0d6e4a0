"""Studies of which only the predictions are here: their cards and outcomes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.engine.selection import Selection
from bench.plan.cards import benchmark_facts, labels_digest
from bench.study.data import StudyData
from bench.study.folds import Fold
from bench.study.predictions import unshown
from bench.study.predictions_file import Predictions
from bench.study.protocols import Protocol
from bench.study.splitting import ids_digest
from preprocess.base.errors import UsageError
from preprocess.base.hashing import digest
from preprocess.labels.tasks import Task
from preprocess.shards.prepared import PreparedDataset
from results.store.outcome import Outcome
from results.store.study_card import FoldCard, StudyCard, fold_key
from results.store.watched import IMPORTED, TEST, UNSHOWN

_NAME = re.compile(r"[^\W_][\w .+@:()/-]{0,79}")


@dataclass(frozen=True)
class Imported:
    """A study that a file brings.

    Attributes
    ----------
    model : what the system is called.
    rule : how its authors say that they chose the epoch.
    protocol : the splitting rule.
    task : the label scheme.
    group : the datasets.
    data : the study's samples.
    folds : the protocol's.
    given : the file.
    rows : those of the file that are about this study.
    notes : what a reader of the score should know besides.
    """

    model: str
    rule: Selection
    protocol: Protocol
    task: Task
    group: Sequence[PreparedDataset]
    data: StudyData
    folds: Sequence[Fold]
    given: Predictions
    rows: Sequence[int]
    notes: tuple[str, ...] = ()

    def card(self) -> StudyCard:
        """Return the study's card. What the file says is in the key, not where it lies or what it is called."""
        why = unshown(self.given, self.rows, self.data, self.folds)
        weights, watches = (UNSHOWN, TEST) if why else (IMPORTED, self.rule.watches)
        ingredients = {
            "model": self.model,
            "datasets": {dataset.name: dataset.fingerprint for dataset in self.group},
            "task": {"name": self.task.name, "classes": list(self.task.classes), "labels": labels_digest(self.data)},
            "protocol": self.protocol.name,
            "selection": self.rule.name,
            "watches": watches,
            "seed": 0,
            "weights": weights,
            "predictions": self._content(),
        }
        key = digest(ingredients)
        return StudyCard(
            model=self.model,
            params={"predictions": "external"},
            hyperparameters={},
            selection=self.rule.name,
            watches=watches,
            seed=0,
            ingredients=ingredients,
            folds=tuple(
                FoldCard(fold_key(key, ids_digest(fold, self.data)), fold.name, len(fold.test)) for fold in self.folds
            ),
            notes=[*self.notes, _note(self.given, why)],
            weights=weights,
            **benchmark_facts(self.protocol, self.task, self.group, self.data, self.folds),
        )

    def outcomes(self, card: StudyCard, provenance: dict[str, Any]) -> list[Outcome]:
        """Return what the file says of each fold. provenance : when and by what it was read."""
        row_of = {self.given.sample_ids[row]: row for row in self.rows}
        return [
            self._outcome(card, number, [row_of[name] for name in self.data.sample_ids[fold.test].tolist()], provenance)
            for number, fold in enumerate(self.folds)
        ]

    def _outcome(self, card: StudyCard, number: int, rows: list[int], provenance: dict[str, Any]) -> Outcome:
        test = self.folds[number].test
        return Outcome(
            key=card.folds[number].key,
            study_key=card.key,
            fold=card.folds[number].name,
            sample_ids=tuple(self.data.sample_ids[test].tolist()),
            subjects=tuple(self.data.subjects[test].tolist()),
            datasets=tuple(self.data.datasets[test].tolist()),
            y_true=self.data.labels[test],
            y_pred=self.given.y_pred[rows],
            scores=self.given.scores[rows],
            selected_epoch=0,
            curves={},
            provenance=provenance,
        )

    def _content(self) -> str:
        """Return the digest of what the file says, whatever the order of its rows."""
        rows = sorted(self.rows, key=lambda row: self.given.sample_ids[row])
        said = [[self.given.sample_ids[row], self.given.folds[row] if self.given.folds else ""] for row in rows]
        return digest([said, self.given.y_pred[rows].tolist(), [f"{x:.9g}" for x in self.given.scores[rows].ravel()]])


def check_name(name: str) -> str:
    """Return the name of a system without blanks around it.

    Raises
    ------
    UsageError : it would not fit into tables and commands.
    """
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"--model {name!r}: expected a name of at most 80 letters, digits, blanks and .+-@:()/_ that begins with a "
            "letter or a digit, such as gpt-4o."
        )
    return name


def restricted(data: StudyData, missing: frozenset[str]) -> StudyData:
    """Return the data without some of its samples."""
    kept = np.array([str(name) not in missing for name in data.sample_ids], dtype=bool)
    columns = ("sample_ids", "subjects", "datasets", "splits", "labels")
    return dataclasses.replace(data, **{name: getattr(data, name)[kept] for name in columns}, copies=())


def _note(given: Predictions, why: str) -> str:
    if why:
        return f"external: predictions of others, not ranked, for {why}"
    n_folds = len(set(given.folds))
    return (
        f"external: predictions of others; that nobody is in two of their {n_folds} folds was checked; whom they "
        "were trained on was not seen here"
    )
