"""A complete study as tables for other programs: CSV, and Parquet where CSV would be large."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from results.scores.leaderboard import Row
from results.scores.pooling import AVERAGE, Pooled
from results.store.outcome import Outcome
from results.views.predictions import csv_bytes, predictions_csv


def study_tables(pooled: Pooled, outcomes: Sequence[Outcome], rows: Sequence[Row]) -> dict[str, bytes]:
    """Return a complete study's predictions, subjects, classes, folds and, where there are some, curves as files.

    Parameters
    ----------
    pooled : the predictions of all outcomes.
    outcomes : of all folds.
    rows : the study's own leaderboard rows, one a part.

    Returns
    -------
    File name -> content.
    """
    files = {
        "predictions.csv": predictions_csv(pooled, outcomes),
        "subjects.csv": _subjects(pooled),
        "classes.csv": _classes(pooled, rows),
        "folds.csv": _folds(outcomes),
    }
    if any(outcome.curves for outcome in outcomes):
        files["curves.parquet"] = _curves(outcomes)
    return files


def _subjects(pooled: Pooled) -> bytes:
    """A line a subject; ``correct`` counts answers: one a sample, or one a sample and class of a multi-label task."""
    dataset_of = dict(zip(pooled.subjects, pooled.datasets, strict=True))
    samples = Counter(pooled.subjects)
    counting = pooled.counting
    header = ["subject", "dataset", "samples", "correct", "accuracy"]
    header += [f"{kind}_{name}" for name in pooled.classes for kind in ("true", "correct")]
    body = []
    for subject, (counts,) in zip(*pooled.counts_by_subject(), strict=True):
        right, support = int(counting.right(counts)), counting.support(counts)
        cells = [subject, dataset_of[subject], samples[subject], right, f"{right / int(counting.answers(counts)):.6f}"]
        hits = counts[:, 1, 1] if pooled.multilabel else np.diagonal(counts)
        body.append([*cells, *np.stack([support, hits], axis=1).reshape(-1).tolist()])
    return csv_bytes(header, body)


def _classes(pooled: Pooled, rows: Sequence[Row]) -> bytes:
    """A line a part and class, with its row of the confusion matrix (of a multi-label task: how the samples that show
    the class, and those that do not, were answered)."""
    counting = pooled.counting
    answers = [f"as_{name}" for name in pooled.classes]
    if pooled.multilabel:
        answers = ["true_positive", "false_negative", "false_positive", "true_negative"]
    header = ["part", "class", "samples", "precision", "recall", "f1", *answers]
    body = []
    for row in rows:
        if row.part == AVERAGE:
            continue
        counts = pooled.part(row.part).counts()
        precision = counting.precision(counts)
        for place, name in enumerate(pooled.classes):
            values = (precision[place], (row.recall_per_class or {})[name], (row.f1_per_class or {})[name])
            cells = [row.part, name, row.class_counts[name], *(f"{value:.6f}" for value in values)]
            answered = counts[place][[1, 1, 0, 0], [1, 0, 1, 0]] if pooled.multilabel else counts[place]
            body.append([*cells, *answered.tolist()])
    return csv_bytes(header, body)


def _folds(outcomes: Sequence[Outcome]) -> bytes:
    facts = ("seconds", "device", "host", "finished_at")
    header = ["step", "fold", "key", "n_test", "correct", "selected_epoch", *facts]
    body = (
        [
            *(step, outcome.fold, outcome.key, len(outcome.y_true), int((outcome.y_true == outcome.y_pred).sum())),
            *(outcome.selected_epoch, *(outcome.provenance.get(name) for name in facts)),
        ]
        for step, outcome in enumerate(outcomes)
    )
    return csv_bytes(header, body)


def _curves(outcomes: Sequence[Outcome]) -> bytes:
    """Return the curves of all folds as Parquet: fold, curve, epoch (from 1), value."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    series = [(o.fold, name, values) for o in outcomes for name, values in sorted(o.curves.items())]
    lengths = [len(values) for _, _, values in series]
    table = pa.table(
        {
            "fold": np.repeat([fold for fold, _, _ in series], lengths),
            "curve": np.repeat([name for _, name, _ in series], lengths),
            "epoch": np.concatenate([np.arange(1, length + 1) for length in lengths]),
            "value": np.concatenate([np.asarray(values, dtype=np.float64) for _, _, values in series]),
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue().to_pybytes()
