"""The outcome file: one Parquet file a fold, sealed so that any changed byte is found."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from preprocess.base.errors import StoreError
from preprocess.base.hashing import canonical_json, digest_bytes
from preprocess.base.sealed_parquet import BrokenSeal, sealed, unsealed
from results.store.outcome import Outcome

SCHEMA_VERSION, MULTILABEL_VERSION = 1, 2
"""Of the outcomes of single-label tasks (y_true and y_pred are numbers) and of multi-label ones (they are lists)."""

_METADATA_KEY = "merbench"


class DamagedOutcome(StoreError):
    """An outcome file whose bytes are not the ones that were written."""


def outcome_to_bytes(outcome: Outcome) -> bytes:
    """Write an outcome as one sealed Parquet file, which any Parquet reader opens.

    Its rows are the predictions: sample_id, subject, dataset, y_true and y_pred (int64), scores (list of float32). Of a
    multi-label task y_true and y_pred are lists of int64, 0 or 1 for each class. Everything else is JSON in the
    metadata.

    Raises
    ------
    ValueError : the columns' lengths differ, or the provenance holds something other than JSON values.
    """
    scores = np.ascontiguousarray(outcome.scores, dtype=np.float32)
    _check_shapes(outcome, scores)
    multilabel = np.ndim(outcome.y_true) == 2
    columns = {
        "sample_id": pa.array(outcome.sample_ids, pa.string()),
        "subject": pa.array(outcome.subjects, pa.string()),
        "dataset": pa.array(outcome.datasets, pa.string()),
        "y_true": _column(np.asarray(outcome.y_true, dtype=np.int64)),
        "y_pred": _column(np.asarray(outcome.y_pred, dtype=np.int64)),
        "scores": _column(scores),
    }
    metadata = {
        "schema_version": MULTILABEL_VERSION if multilabel else SCHEMA_VERSION,
        **_identity(outcome),
        "classes_scored": scores.shape[1],
        "provenance": outcome.provenance,
    }
    return sealed(pa.table(columns), {_METADATA_KEY: canonical_json(metadata)})


def outcome_from_bytes(data: bytes, where: str) -> Outcome:
    """Read what ``outcome_to_bytes`` wrote.

    Parameters
    ----------
    data : the file's bytes.
    where : the file's address, for messages.

    Raises
    ------
    DamagedOutcome : a byte changed, the file was cut short, or it is another kind of file.
    StoreError : another version of this program wrote it.
    """
    table, metadata = opened(data, _METADATA_KEY, (SCHEMA_VERSION, MULTILABEL_VERSION), "outcome", "fold", where)
    width = metadata["classes_scored"]
    return Outcome(
        key=metadata["key"],
        study_key=metadata["study_key"],
        fold=metadata["fold"],
        sample_ids=tuple(table["sample_id"].to_pylist()),
        subjects=tuple(table["subject"].to_pylist()),
        datasets=tuple(table["dataset"].to_pylist()),
        y_true=_array(table["y_true"], width),
        y_pred=_array(table["y_pred"], width),
        scores=_array(table["scores"], width),
        selected_epoch=metadata["selected_epoch"],
        curves=curves_from_json(metadata["curves"]),
        provenance=metadata["provenance"],
    )


def result_digest(outcome: Outcome) -> str:
    """Return the sha256 of everything but the provenance. Equal digests mean results that are equal to the bit."""
    names = [outcome.sample_ids, outcome.subjects, outcome.datasets]
    labels = [np.asarray(column, dtype="<i8").tobytes() for column in (outcome.y_true, outcome.y_pred)]
    scores = np.asarray(outcome.scores, dtype="<f4")
    text = canonical_json([_identity(outcome), names, list(scores.shape)])
    return digest_bytes(text.encode(), *labels, scores.tobytes())


def opened(
    data: bytes, metadata_key: str, versions: Sequence[int], kind: str, holds: str, where: str
) -> tuple[pa.Table, dict[str, Any]]:
    """Return the table and the metadata of a sealed file of one of these schema versions.

    Parameters
    ----------
    data : the file's bytes.
    metadata_key : under which the metadata lie.
    versions : of the schema that can be read.
    kind : ``outcome`` or ``study``, for messages.
    holds : what is lost with the file, for messages.
    where : the file's address, for messages.

    Raises
    ------
    DamagedOutcome : a byte changed, the file was cut short, or it is another kind of file.
    StoreError : another version of this program wrote it.
    """
    try:
        table, texts = unsealed(data)
    except BrokenSeal as error:
        raise DamagedOutcome(f"{where} is damaged or no {kind} file: {error}.") from error
    try:
        metadata = json.loads(texts[metadata_key])
        version = metadata["schema_version"]
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedOutcome(f"{where} is sealed, but it is no {kind} file: {error}.") from error
    if version not in versions:
        read = f"version{'s' if len(versions) > 1 else ''} {' and '.join(map(str, versions))}"
        raise StoreError(
            f"{where} has {kind} schema version {version}, this program reads {read}. Use the merbench version that "
            f"wrote it, or remove the file to have the {holds} computed again."
        )
    return table, metadata


def _identity(outcome: Outcome) -> dict[str, Any]:
    return {
        "key": outcome.key,
        "study_key": outcome.study_key,
        "fold": outcome.fold,
        "selected_epoch": outcome.selected_epoch,
        "curves": curves_to_json(outcome.curves),
    }


def outcome_digest(outcome: Outcome) -> str:
    """Return the sha256 of everything, the provenance too."""
    return digest_bytes(result_digest(outcome).encode(), canonical_json(outcome.provenance).encode())


def curves_to_json(curves: Mapping[str, Sequence[float]]) -> dict[str, list[float | str]]:
    """Return curves as JSON values."""
    return {name: [_json_float(value) for value in curve] for name, curve in curves.items()}


def curves_from_json(value: Mapping[str, Sequence[float | str]]) -> dict[str, list[float]]:
    """Return what ``curves_to_json`` was given."""
    return {name: [float(one) for one in curve] for name, curve in value.items()}


def _json_float(value: float) -> float | str:
    """JSON knows no NaN or infinity; they are written as the strings that ``float`` reads."""
    value = float(value)
    return value if math.isfinite(value) else str(value)


def _column(values: np.ndarray) -> pa.Array:
    """Return (n,) values as a column of numbers, (n, width) ones as a column of lists."""
    if values.ndim == 1:
        return pa.array(values)
    rows, width = values.shape
    return pa.ListArray.from_arrays(np.arange(rows + 1, dtype=np.int32) * width, values.reshape(-1))


def _array(column: pa.ChunkedArray, width: int) -> np.ndarray:
    """Return what ``_column`` was given; width : of lists."""
    if not pa.types.is_list(column.type):
        return column.to_numpy()
    return column.combine_chunks().flatten().to_numpy().reshape(len(column), width)


def _check_shapes(outcome: Outcome, scores: np.ndarray) -> None:
    rows = len(outcome.sample_ids)
    lengths = {name: len(getattr(outcome, name)) for name in ("subjects", "datasets", "y_true", "y_pred")}
    wrong: dict[str, object] = {name: length for name, length in lengths.items() if length != rows}
    shapes = {name: np.shape(getattr(outcome, name)) for name in ("y_true", "y_pred")}
    wrong |= {name: shape for name, shape in shapes.items() if shape not in ((rows,), scores.shape)}
    if wrong or shapes["y_true"] != shapes["y_pred"] or scores.ndim != 2 or len(scores) != rows:
        raise ValueError(
            f"outcome of fold {outcome.fold!r}: {rows} sample ids need columns of that length and scores of shape "
            f"({rows}, n_classes), not {wrong} and scores {scores.shape}"
        )
