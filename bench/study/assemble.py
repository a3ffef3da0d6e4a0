"""From prepared datasets to the data of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bench.study.data import Copy, StudyData
from bench.study.feature_rows import rows_of
from bench.study.shifted import shifted_rows
from preprocess.base.errors import DataError, Unfit
from preprocess.labels.action_units import SHARED_UNITS, multi_hot
from preprocess.labels.tasks import Task
from preprocess.labels.tasks import labels as labels_of
from preprocess.shards.prepared import PreparedDataset


def labelled(task: Task, dataset: PreparedDataset) -> np.ndarray:
    """Return which of a dataset's samples have a label in the task, (n,) bool."""
    return _has_label(labels_of(task, dataset.samples))


def has_labels(task: Task, dataset: PreparedDataset) -> bool:
    """Return whether the task is made for a dataset, and labels at least one of its samples."""
    return bool(task.mapping(dataset.name)) and bool(labelled(task, dataset).any())


def assemble(
    prepared: Sequence[PreparedDataset],
    task: Task,
    features: Sequence[str],
    action_units: bool = False,
    shifted: Mapping[str, Sequence[PreparedDataset]] | None = None,
) -> StudyData:
    """Join the rows and labels of datasets into the data of one study, whose features stay where they are.

    A sample without a class in the task, or without one of the features, is left out.

    Parameters
    ----------
    prepared : the datasets.
    task : the label scheme.
    features : names of the features.
    action_units : whether the samples' action units are loaded, too.
    shifted : shift -> the datasets with shifted clips, in the same order.

    Raises
    ------
    DataError : a sample id occurs in two datasets.
    Unfit : no sample has a class, or a feature has another shape or layout in another dataset.
    """
    _check_shapes(prepared, features)
    _check_layouts(prepared, features)
    ids: list[np.ndarray] = []
    subjects: list[np.ndarray] = []
    datasets: list[np.ndarray] = []
    splits: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    units: list[np.ndarray] = []
    part: list[np.ndarray] = []
    for number, dataset in enumerate(prepared):
        label = labels_of(task, dataset.samples)
        keep = _has_label(label) & dataset.usable(features)
        labels.append(label[keep])
        for column, target in (("sample_id", ids), ("subject", subjects), ("dataset", datasets)):
            target.append(dataset.samples[column].to_numpy(dtype=str)[keep])
        splits.append(dataset.samples["split"].fillna("").to_numpy(dtype=str)[keep])
        if action_units:
            units.append(multi_hot(dataset.samples[keep], SHARED_UNITS).astype(np.int8))
        part.append(np.full(int(keep.sum()), number))
    all_ids = np.concatenate(ids)
    order = np.argsort(all_ids, kind="stable")
    sorted_ids = all_ids[order]
    twice = sorted_ids[1:][sorted_ids[1:] == sorted_ids[:-1]]
    if len(twice):
        raise DataError(f"Sample {str(twice[0])!r} occurs twice in {', '.join(d.name for d in prepared)}.")
    if not len(sorted_ids):
        names = ", ".join(d.name for d in prepared)
        also = f" and the features {', '.join(features)}" if features else ""
        raise Unfit(f"No sample of {names} has a class in task {task.name!r} ({', '.join(task.classes)}){also}.")
    part_of = np.concatenate(part)[order]
    return StudyData(
        sample_ids=sorted_ids,
        subjects=np.concatenate(subjects)[order],
        datasets=np.concatenate(datasets)[order],
        splits=np.concatenate(splits)[order],
        labels=np.concatenate(labels)[order].astype(np.int64),
        features={
            name: rows_of([dataset.block(name) for dataset in prepared], sorted_ids.tolist(), part_of)
            for name in features
        },
        layouts={name: prepared[0].features[name].layout for name in features},
        classes=tuple(task.classes),
        action_units=np.concatenate(units)[order] if action_units else None,
        macro=frozenset(dataset.name for dataset in prepared if dataset.macro),
        copies=_copies(prepared, features, sorted_ids),
        shifted={
            shift: {name: shifted_rows(prepared, moved, name, sorted_ids.tolist(), part_of) for name in features}
            for shift, moved in (shifted or {}).items()
        },
    )


def _check_shapes(prepared: Sequence[PreparedDataset], features: Sequence[str]) -> None:
    for name in features:
        shapes = {dataset.name: dataset.features[name].shape for dataset in prepared if name in dataset.features}
        if len(set(shapes.values())) > 1:
            found = ", ".join(f"{shape} in {dataset}" for dataset, shape in shapes.items())
            raise Unfit(f"{name} is {found}. Make it by one recipe everywhere, or use --protocols loso.")


def _check_layouts(prepared: Sequence[PreparedDataset], features: Sequence[str]) -> None:
    for name in features:
        first, *others = (dataset for dataset in prepared if name in dataset.features)
        for other in others:
            if other.features[name].layout != first.features[name].layout:
                raise Unfit(
                    f"{name} has the axes {first.features[name].layout.axes} in {first.name} and "
                    f"{other.features[name].layout.axes} in {other.name}, or its values show something else there. "
                    "Make it by one recipe everywhere, or use --protocols loso."
                )


def _copies(prepared: Sequence[PreparedDataset], features: Sequence[str], sample_ids: np.ndarray) -> tuple[Copy, ...]:
    """Return the rows whose files hold the same picture, and those that are equal in all features.

    A feature that is constant tells nothing: many still clips share it, and are no copies of each other.
    """
    row_of = {sample_id: row for row, sample_id in enumerate(sample_ids.tolist())}
    groups: dict[tuple[str, ...], tuple[str, ...]] = {}
    for one in (one for dataset in prepared for one in dataset.copies):
        groups[one.sample_ids] = tuple(map(str, one.files))
    alike: dict[tuple[str | None, ...], list[str]] = {}
    for dataset in prepared:
        hashes = [dataset.features[name].tensors for name in features]
        for sample_id in dataset.samples["sample_id"]:
            if sample_id in row_of and any(sample_id in known for known in hashes):
                alike.setdefault(tuple(known.get(sample_id) for known in hashes), []).append(sample_id)
    for same in alike.values():
        groups.setdefault(tuple(sorted(same)), (f"all of {', '.join(features)} is equal",) * len(same))
    copies = []
    for names, what in groups.items():
        there = [(row_of[name], f"{name} ({text})") for name, text in zip(names, what, strict=True) if name in row_of]
        if len(there) > 1:
            copies.append(Copy(tuple(row for row, _ in there), tuple(text for _, text in there)))
    return tuple(copies)


def _has_label(labels: np.ndarray) -> np.ndarray:
    # A multi-label row is -1 as a whole or not at all.
    return (labels if labels.ndim == 1 else labels.min(axis=1)) >= 0
