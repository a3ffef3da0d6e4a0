"""The runs of a study's folds, which stand below its own where somebody asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from results.store.outcome import Outcome
from results.store.study_card import StudyCard
from results.tracking.client import Point, RunContent

FOLDS_TAG = "merbench.folds"
"""Holds the study's key in each of them."""

_PARENT_TAG = "mlflow.parentRunId"


def fold_run(card: StudyCard, outcome: Outcome, parent: str) -> RunContent:
    """Return the run of one fold. Its accuracy is raw material: the study's score is of all folds pooled.

    Parameters
    ----------
    card : the study's.
    outcome : the fold's.
    parent : MLflow's name for the study's run.
    """
    ended = _milliseconds(outcome.provenance)
    started = ended - int(1000 * float(outcome.provenance.get("seconds") or 0.0))
    facts: dict[str, float] = {"n_test": len(outcome.sample_ids), "selected_epoch": outcome.selected_epoch}
    if len(outcome.y_true):
        facts["accuracy"] = float(np.mean(outcome.y_true == outcome.y_pred))
    points = [Point(name, float(value), 0, ended) for name, value in facts.items()]
    for name, curve in outcome.curves.items():
        points += [Point(name, float(value), epoch, ended) for epoch, value in enumerate(curve, start=1)]
    tags = {"kind": "fold", "model": card.model, "label": card.label, "fold": outcome.fold, _PARENT_TAG: parent}
    return RunContent(outcome.fold, "FINISHED", started, ended, tags, metrics=tuple(points))


def _milliseconds(provenance: Mapping[str, Any]) -> int:
    text = provenance.get("finished_at")
    return int(datetime.fromisoformat(text).timestamp() * 1000) if text else 0
