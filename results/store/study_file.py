"""The study file: the outcomes of all folds of a study in one sealed Parquet file, a row a fold."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from preprocess.base.errors import StoreError
from preprocess.base.hashing import canonical_json
from preprocess.base.sealed_parquet import BrokenSeal, checked_seal, sealed, unchecked
from results.store.outcome import Outcome
from results.store.outcome_file import DamagedOutcome, curves_from_json, curves_to_json, opened, outcome_digest

SCHEMA_VERSION = 1

_METADATA_KEY = "merbench_study"
_NAMES = ("sample_ids", "subjects", "datasets")
_NUMBERS = {"y_true": np.int64, "y_pred": np.int64, "scores": np.float32}


@dataclass(frozen=True)
class SealedStudy:
    """A study file whose bytes are those that were written.

    Attributes
    ----------
    study_key : of the study that it should hold.
    where : its address, for messages.
    read : returns its bytes.
    seal : the sha256 that it carries: equal seals are equal files.
    counts : what was kept of what its scores are made of, as it lies there; None where nothing was.
    weights : number of folds whose weights are kept.
    """

    study_key: str
    where: str
    read: Callable[[], bytes] = field(compare=False, repr=False)
    seal: str
    counts: bytes | None
    weights: int

    @property
    def outcomes(self) -> list[Outcome]:
        """The outcomes, read anew each time.

        Raises
        ------
        StoreError : the file was changed or removed since.
        """
        return outcomes_from_bytes(self.read(), self.study_key, self.where)


def study_to_bytes(study_key: str, outcomes: Sequence[Outcome]) -> bytes:
    """Write a study's outcomes as one sealed Parquet file, which any Parquet reader opens.

    A row is a fold. ``sample_ids``, ``subjects``, ``datasets``, ``y_true``, ``y_pred`` and ``scores`` are lists of a
    value a sample; ``scores``, and of a multi-label task ``y_true`` and ``y_pred``, of a value a sample and class,
    sample by sample. ``curves`` and ``provenance`` are JSON, ``sha256`` is the ``outcome_digest``. Nothing is
    compressed, for studies are small, and a changed byte spoils no other folds then.

    Parameters
    ----------
    study_key : the study's key.
    outcomes : its folds.

    Raises
    ------
    StoreError : an outcome is another study's, or single-label ones stand beside multi-label ones.
    """
    kinds = {np.ndim(outcome.y_true) for outcome in outcomes}
    if len(kinds) != 1 or any(outcome.study_key != study_key for outcome in outcomes):
        raise StoreError(f"Study {study_key[:16]}: these {len(outcomes)} outcomes are not those of one study.")
    columns: dict[str, Any] = {
        "key": pa.array([outcome.key for outcome in outcomes], pa.string()),
        "fold": pa.array([outcome.fold for outcome in outcomes], pa.string()),
        "selected_epoch": pa.array([outcome.selected_epoch for outcome in outcomes], pa.int64()),
        "classes_scored": pa.array([np.shape(outcome.scores)[1] for outcome in outcomes], pa.int64()),
    }
    for name in _NAMES:
        columns[name] = pa.array([list(getattr(one, name)) for one in outcomes], pa.list_(pa.string()))
    for name, kind in _NUMBERS.items():
        values = [np.asarray(getattr(one, name), dtype=kind).ravel() for one in outcomes]
        columns[name] = pa.array(values, pa.list_(pa.from_numpy_dtype(kind)))
    columns["curves"] = pa.array([canonical_json(curves_to_json(one.curves)) for one in outcomes], pa.string())
    columns["provenance"] = pa.array([canonical_json(one.provenance) for one in outcomes], pa.string())
    columns["sha256"] = pa.array([outcome_digest(one) for one in outcomes], pa.string())
    metadata = {"schema_version": SCHEMA_VERSION, "study_key": study_key, "multilabel": kinds == {2}}
    return sealed(pa.table(columns), {_METADATA_KEY: canonical_json(metadata)})


def outcomes_from_bytes(data: bytes, study_key: str, where: str) -> list[Outcome]:
    """Read what ``study_to_bytes`` wrote.

    Parameters
    ----------
    data : the file's bytes.
    study_key : of the study that it should hold.
    where : the file's address, for messages.

    Raises
    ------
    DamagedOutcome : a byte changed, the file was cut short, or it is another kind of file, or another study's.
    StoreError : another version of this program wrote it.
    """
    table, metadata = opened(data, _METADATA_KEY, (SCHEMA_VERSION,), "study", "study", where)
    if metadata["study_key"] != study_key:
        raise DamagedOutcome(f"{where} holds study {metadata['study_key'][:16]}, not {study_key[:16]}.")
    return list(_outcomes(table, study_key, metadata["multilabel"]))


def whole_outcomes(data: bytes, study_key: str) -> list[Outcome]:
    """Return the outcomes of a damaged study file of which no byte has changed."""
    try:
        table, texts = unchecked(data)
        multilabel = json.loads(texts[_METADATA_KEY])["multilabel"]
    except (BrokenSeal, KeyError, TypeError, ValueError):
        return []
    found = []
    for row in range(len(table)):
        # Whatever a changed byte breaks here breaks this row alone.
        with suppress(KeyError, TypeError, ValueError, AttributeError, OverflowError, pa.ArrowException):
            (outcome,) = _outcomes(table.slice(row, 1), study_key, multilabel)
            if outcome_digest(outcome) == table["sha256"][row].as_py():
                found.append(outcome)
    return found


def seal_of(data: bytes) -> str | None:
    """Return the seal of a study file; None where its bytes are not those that were written."""
    try:
        return checked_seal(data)
    except BrokenSeal:
        return None


def _outcomes(table: pa.Table, study_key: str, multilabel: bool) -> Iterator[Outcome]:
    names = {name: _lists(table[name]) for name in _NAMES}
    numbers = {name: _arrays(table[name]) for name in _NUMBERS}
    single = {name: table[name].to_pylist() for name in ("key", "fold", "selected_epoch", "classes_scored")}
    curves, provenance = (map(json.loads, table[name].to_pylist()) for name in ("curves", "provenance"))
    for row, (own_curves, facts) in enumerate(zip(curves, provenance, strict=True)):
        labels = (-1, single["classes_scored"][row]) if multilabel else (-1,)
        sample_ids = tuple(names["sample_ids"][row])
        yield Outcome(
            key=single["key"][row],
            study_key=study_key,
            fold=single["fold"][row],
            sample_ids=sample_ids,
            subjects=tuple(names["subjects"][row]),
            datasets=tuple(names["datasets"][row]),
            y_true=numbers["y_true"][row].reshape(labels),
            y_pred=numbers["y_pred"][row].reshape(labels),
            scores=numbers["scores"][row].reshape(len(sample_ids), single["classes_scored"][row]),
            selected_epoch=single["selected_epoch"][row],
            curves=curves_from_json(own_curves),
            provenance=facts,
        )


def _lists(column: pa.ChunkedArray) -> list[list[str]]:
    """Return the list of each row."""
    values, offsets = _flat(column)
    texts = values.to_pylist()
    return [texts[begin:end] for begin, end in itertools.pairwise(offsets)]


def _arrays(column: pa.ChunkedArray) -> list[np.ndarray]:
    """Return the numbers of each row."""
    values, offsets = _flat(column)
    numbers = values.to_numpy()
    return [numbers[begin:end] for begin, end in itertools.pairwise(offsets)]


def _flat(column: pa.ChunkedArray) -> tuple[pa.Array, list[int]]:
    lists = column.combine_chunks()
    first, *others = lists.offsets.to_pylist()
    return lists.flatten(), [0, *(offset - first for offset in others)]
