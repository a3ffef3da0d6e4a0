"""Predictions as a table for other programs, which ``merbench import`` reads again: a line a sample."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from results.scores.pooling import Pooled
from results.store.outcome import Outcome

SAMPLE, SUBJECT, DATASET, FOLD, TRUE, PREDICTED = "sample_id", "subject", "dataset", "fold", "true", "predicted"
"""Columns of the table. Of a multi-label task, true and predicted are a column of 0 and 1 for each class."""


def score_column(name: str) -> str:
    """Return the column of a class's score."""
    return f"score_{name}"


def label_columns(kind: str, classes: Sequence[str], multilabel: bool) -> list[str]:
    """Return the columns of ``true`` or ``predicted`` labels."""
    return [f"{kind}_{name}" for name in classes] if multilabel else [kind]


def predictions_csv(pooled: Pooled, outcomes: Sequence[Outcome]) -> bytes:
    """Return the predictions of some outcomes as CSV.

    Parameters
    ----------
    pooled : the predictions of all outcomes.
    outcomes : say which fold each sample is in.
    """
    header, rows = _table(pooled, outcomes)
    # Nine digits tell any two float32 numbers apart.
    return csv_bytes(header, ([f"{x:.9g}" if isinstance(x, float) else x for x in row] for row in rows))


def predictions_parquet(pooled: Pooled, outcomes: Sequence[Outcome]) -> bytes:
    """Return what ``predictions_csv`` does, as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    header, rows = _table(pooled, outcomes)
    columns = list(zip(*rows, strict=True)) or [()] * len(header)
    scores = {score_column(name) for name in pooled.classes}
    arrays = [
        pa.array(column, pa.float32() if name in scores else None) for name, column in zip(header, columns, strict=True)
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays, names=header), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return a table as CSV in UTF-8."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return sink.getvalue().encode()


def _table(pooled: Pooled, outcomes: Sequence[Outcome]) -> tuple[list[str], list[list[Any]]]:
    fold_of = {sample: outcome.fold for outcome in outcomes for sample in outcome.sample_ids}
    names = pooled.classes
    labels = [column for kind in (TRUE, PREDICTED) for column in label_columns(kind, names, pooled.multilabel)]
    columns = (pooled.sample_ids, pooled.subjects, pooled.datasets, pooled.y_true, pooled.y_pred, pooled.scores)

    def answers(true: np.ndarray, guess: np.ndarray) -> list[Any]:
        return [*true.tolist(), *guess.tolist()] if pooled.multilabel else [names[int(true)], names[int(guess)]]

    rows = [
        [sample, subject, dataset, fold_of[sample], *answers(true, guess), *scores.tolist()]
        for sample, subject, dataset, true, guess, scores in zip(*columns, strict=True)
    ]
    return [SAMPLE, SUBJECT, DATASET, FOLD, *labels, *map(score_column, names)], rows
