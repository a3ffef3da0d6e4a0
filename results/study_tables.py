"""A complete study as tables for other programs: CSV, and Parquet where CSV would be large."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from results.leaderboard import Row
from results.metrics import precision_per_class
from results.outcome import Outcome
from results.scoring import Pooled


def study_tables(pooled: Pooled, outcomes: Sequence[Outcome], rows: Sequence[Row]) -> dict[str, bytes]:
    """Return file name -> content: predictions, subjects, classes and folds, and the curves where there are some.

    pooled : the predictions of all outcomes. rows : the study's own leaderboard rows, one a part.
    """
    files = {
        "predictions.csv": _predictions(pooled, outcomes),
        "subjects.csv": _subjects(pooled),
        "classes.csv": _classes(pooled, rows),
        "folds.csv": _folds(outcomes),
    }
    if any(outcome.curves for outcome in outcomes):
        files["curves.parquet"] = _curves(outcomes)
    return files


def _predictions(pooled: Pooled, outcomes: Sequence[Outcome]) -> bytes:
    fold_of = {sample: outcome.fold for outcome in outcomes for sample in outcome.sample_ids}
    names = pooled.classes
    header = ["sample_id", "subject", "dataset", "fold", "true", "predicted", *(f"score_{name}" for name in names)]
    columns = (pooled.sample_ids, pooled.subjects, pooled.datasets, pooled.y_true, pooled.y_pred, pooled.scores)
    return _csv(
        header,
        # Nine digits tell any two float32 numbers apart.
        (
            [sample, subject, dataset, fold_of[sample], names[true], names[guess], *(f"{s:.9g}" for s in scores)]
            for sample, subject, dataset, true, guess, scores in zip(*columns, strict=True)
        ),
    )


def _subjects(pooled: Pooled) -> bytes:
    dataset_of = dict(zip(pooled.subjects, pooled.datasets, strict=True))
    header = ["subject", "dataset", "samples", "correct", "accuracy"]
    header += [f"{kind}_{name}" for name in pooled.classes for kind in ("true", "correct")]
    body = []
    for subject, matrix in zip(*pooled.confusion_by_subject(), strict=True):
        samples, hits = int(matrix.sum()), np.diagonal(matrix)
        cells = [subject, dataset_of[subject], samples, int(hits.sum()), f"{hits.sum() / samples:.6f}"]
        body.append([*cells, *np.stack([matrix.sum(axis=1), hits], axis=1).reshape(-1).tolist()])
    return _csv(header, body)


def _classes(pooled: Pooled, rows: Sequence[Row]) -> bytes:
    header = ["part", "class", "samples", "precision", "recall", "f1", *(f"as_{name}" for name in pooled.classes)]
    body = []
    for row in rows:
        matrix = pooled.part(row.part).confusion()
        precision = precision_per_class(matrix)
        for place, name in enumerate(pooled.classes):
            values = (precision[place], (row.recall_per_class or {})[name], (row.f1_per_class or {})[name])
            cells = [row.part, name, row.class_counts[name], *(f"{value:.6f}" for value in values)]
            body.append([*cells, *matrix[place].tolist()])
    return _csv(header, body)


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
    return _csv(header, body)


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


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return sink.getvalue().encode()
