"""What one fold produced: predictions per sample id, curves, provenance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

PRETRAINING_CURVE = "pretraining_loss"
"""The curve of a fold that starts from a pretrained network: how that was trained."""


@dataclass(frozen=True)
class Outcome:
    """One finished fold.

    Attributes
    ----------
    key : the fold's key (``results.store.study_card.fold_key``).
    study_key : its study's key.
    fold : the name of what it held out; under LOSO, the test subject.
    sample_ids : one string a test sample.
    subjects : the subject of each test sample.
    datasets : the dataset of each test sample.
    y_true : (n,) int64 class indices; of a multi-label task (n, n_classes) int64, 1 where the sample shows the class.
    y_pred : what was predicted, in the form of ``y_true``.
    scores : (n, n_classes) float32, logits or decision values; of a multi-label task, above 0 means present.
    selected_epoch : number of the epoch whose weights were scored, counted from 1; 0 for estimators and given
        weights.
    curves : name -> one float an epoch: ``train_loss``, what the selection watched, such as ``validation_uf1``, and
        ``pretraining_loss``.
    provenance : where, when and with what it was computed; not part of what is compared between runs.
    """

    key: str
    study_key: str
    fold: str
    sample_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    datasets: tuple[str, ...]
    y_true: np.ndarray
    y_pred: np.ndarray
    scores: np.ndarray
    selected_epoch: int
    curves: dict[str, list[float]]
    provenance: dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """A fold that a bug or bad data ended.

    Attributes
    ----------
    key : the fold's key.
    study_key : its study's key.
    fold : the name of what it held out.
    error : the error in one line.
    traceback : where it was raised.
    provenance : as in ``Outcome``.
    """

    key: str
    study_key: str
    fold: str
    error: str
    traceback: str
    provenance: dict[str, Any]

    @property
    def raised(self) -> bool:
        """Whether an error of the model or its data ended the fold, as it would again, and not the loss of workers."""
        return self.traceback != self.error
