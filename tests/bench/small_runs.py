"""Small data, plans and runs without Ray, for the tests of this folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.config import RunConfig
from bench.engine.train import FoldJob, FoldResult, train_pack
from bench.plan.plan import Plan, PlannedStudy, make_plan
from bench.plan.request import resolve
from bench.study.data import StudyData
from bench.study.feature_rows import UNLIMITED
from bench.study.folds import Fold, fold_seed
from bench.study.protocols import PROTOCOLS
from bench.study.splitting import make_folds
from bench.workers.pack import run_pack
from bench.workers.settling import Settling
from mer_models.registry import MODELS
from preprocess.recipes import FEATURES
from preprocess.shards.prepared import PreparedDataset
from results.store.outcome_file import outcome_digest, result_digest
from results.store.outcome_store import MissingStore, OutcomeStore
from results.store.study_card import StudyCard

FEATURE = "flow_uvs_28"
CLASSES = ("negative", "positive", "surprise")


def study_data(subjects: int = 4, clips: int = 6, datasets: Sequence[str] = ("one",), seed: int = 0) -> StudyData:
    """Return drawn flow images, ``subjects`` people a dataset; everybody shows every class, each brightens a corner."""
    rng = np.random.default_rng(seed)
    people = [f"{dataset}/p{number:02d}" for dataset in datasets for number in range(subjects)]
    ids = [f"{person}/c{clip:02d}" for person in people for clip in range(clips)]
    labels = np.arange(len(ids), dtype=np.int64) % len(CLASSES)
    flow = rng.integers(0, 200, (len(ids), 3, 28, 28), dtype=np.uint8)
    for image, label in zip(flow, labels, strict=True):
        image[label, :14, :14] += 55
    subject_of = np.array([sample_id.rpartition("/")[0] for sample_id in ids])
    dataset_of = np.array([sample_id.partition("/")[0] for sample_id in ids])
    splits = np.full(len(ids), "")
    layouts = {FEATURE: FEATURES.get(FEATURE).layout}
    return StudyData(np.array(ids), subject_of, dataset_of, splits, labels, {FEATURE: flow}, layouts, CLASSES)


def with_features_of(model: str, data: StudyData, seed: int = 5) -> StudyData:
    """Return the data with drawn values for what the model takes besides flow images."""
    rng = np.random.default_rng(seed)
    features, layouts = dict(data.features), dict(data.layouts)
    for name in MODELS.get(model).features:
        if name not in features:
            feature = FEATURES.get(name)
            drawn = rng.integers(0, 256, (len(data), *feature.shape), dtype=np.uint8)
            layouts[name] = feature.layout
            features[name] = drawn if feature.dtype == "uint8" else (drawn / 128 - 1).astype(np.float32)
    return dataclasses.replace(data, features=features, layouts=layouts)


def multi_label(data: StudyData) -> StudyData:
    """Return the data as that of a multi-label task: each sample shows its class, every second one the next too."""
    labels = np.eye(len(data.classes), dtype=np.int64)[data.labels]
    labels[::2] |= np.roll(labels[::2], 1, axis=1)
    return dataclasses.replace(data, labels=labels)


def folds_of(data: StudyData, model: str = "tiny", validate: bool = False, seed: int = 0) -> list[Fold]:
    """Return the leave-one-subject-out folds of ``data``."""
    return make_folds(PROTOCOLS.get("loso"), model, validate, seed, data)


def resolved(model: str, **changes: Any) -> dict[str, Any]:
    """Return all hyper-parameters of a model, of a network as small as its quick form, with ``changes``."""
    info = MODELS.get(model)
    return {**info.hyperparameters(), **info.quick_params, **changes}


def trained(
    model: str,
    data: StudyData,
    folds: Iterable[Fold],
    selections: tuple[str, ...] = ("last",),
    threads: int = 1,
    memory: int = UNLIMITED,
    **changes: Any,
) -> dict[tuple[str, str], FoldResult]:
    """Train folds as one pack and return (fold's name, selection) -> result; an error of a fold is raised."""
    results: dict[tuple[str, str], FoldResult] = {}

    def keep(job: FoldJob, selection: str, result: FoldResult) -> None:
        results[job.fold.name, selection] = result

    def fail(job: FoldJob, error: BaseException) -> None:
        raise error

    jobs = [FoldJob(fold, selections) for fold in folds]
    values = resolved(model, **changes)
    for _ in train_pack(MODELS.get(model), values, data, jobs, keep, fail, threads=threads, memory=memory):
        pass
    return results


def assert_equal_results(first: FoldResult, second: FoldResult) -> None:
    """Assert that two results are equal to the bit, in everything but the time they took."""
    assert first.scores.tobytes() == second.scores.tobytes()
    assert first.selected_epoch == second.selected_epoch
    assert first.curves == second.curves
    assert_equal_weights(first.weights, second.weights)


def assert_equal_weights(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    """Assert that two sets of weights are equal to the bit."""
    assert first.keys() == second.keys()
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def config(**changes: Any) -> RunConfig:
    """Return the configuration of a quick run without tracking; ``changes`` are keys of a run."""
    quick: dict[str, Any] = {"models": ["majority"], "protocols": ["loso"], "epochs": 2, "tracking_uri": "off"}
    return RunConfig(**{**quick, **changes})


def plan_of(prepared: Sequence[PreparedDataset], store: OutcomeStore | None = None, **changes: Any) -> Plan:
    """Return the plan of ``config(**changes)``."""
    return make_plan(resolve(config(**changes)), prepared, store)


def run_here(
    plan: Plan,
    store: OutcomeStore,
    slots: int = 1,
    order: Callable[[list[tuple[int, list[int]]]], list[tuple[int, list[int]]]] = lambda packs: packs,
) -> tuple[int, int]:
    """Carry out a plan in this process as the runner does, and return how many folds were done and failed.

    order : how the packs are arranged; the default is the plan's own order.
    """
    settling = Settling(plan, store, print)
    done = failed = 0
    for place, wave in enumerate(plan.waves()):
        settling.settle(place)
        for planned in wave.trainings:
            for study in planned.studies:
                store.write_card(study.card)
                discard_stale(store, study, planned.todo)
        for number, folds in order(list(wave.packs(slots))):
            training = wave.trainings[number].training
            for finished, lost in run_pack(training, plan.data[training.data].read(), folds, store):
                done, failed = done + finished, failed + lost
    return done, failed


def discard_stale(store: OutcomeStore, study: PlannedStudy, todo: list[int]) -> None:
    """Remove the files of folds that are to be trained anew."""
    for number in todo:
        key = study.card.folds[number].key
        if key not in study.done:
            store.discard(study.card, key)


def digests(store: OutcomeStore, cards: Iterable[StudyCard]) -> dict[str, str]:
    """Return fold key -> digest of its result, of every fold that the store holds."""
    return {outcome.key: result_digest(outcome) for card in cards for outcome in store.read_outcomes(card)[0]}


def whole_digests(root: Path) -> dict[str, str]:
    """Return fold key -> digest of its outcome, also of when it was made, of all folds in a results folder."""
    try:
        store = OutcomeStore(root)
    except MissingStore:
        return {}
    return {one.key: outcome_digest(one) for card in store.cards() for one in store.read_outcomes(card)[0]}


def relabelled(data: StudyData, rows: np.ndarray) -> StudyData:
    """Return the data with the labels of some rows turned into other classes (or, multi-label, into the opposite)."""
    labels = data.labels.copy()
    if data.multilabel:
        labels[rows] = 1 - labels[rows]
        return dataclasses.replace(data, labels=labels)
    labels[rows] = (labels[rows] + 1 + np.arange(len(rows)) % 2) % len(data.classes)
    return dataclasses.replace(data, labels=labels)


def repainted(data: StudyData, rows: np.ndarray, seed: int = 99) -> StudyData:
    """Return the data with the images of some rows replaced by extreme ones."""
    features = {name: values.copy() for name, values in data.features.items()}
    rng = np.random.default_rng(seed)
    for values in features.values():
        values[rows] = 255 * rng.integers(0, 2, values[rows].shape, dtype=np.uint8)
    return dataclasses.replace(data, features=features)


def hand_fold(data: StudyData, train: list[int], validation: list[int], test: list[int], name: str = "made") -> Fold:
    """Return a fold made by hand from row numbers."""
    first, second, third = (np.array(part, dtype=np.int64) for part in (train, validation, test))
    return Fold(name, first, second, third, fold_seed(0, "tiny", data.sample_ids[third].tolist()))


def write_flow_tree(root: Path, clips: Iterable[tuple[str, int, str]]) -> Path:
    """Write a flow-image tree of real PNG files; clips : (subject, label, clip). Returns ``root``."""
    for subject, label, clip in clips:
        rng = np.random.default_rng(list(f"{subject}/{clip}".encode()))
        image = rng.integers(0, 256, (28, 28, 3), dtype=np.uint8)
        folder = root / subject / "u_test" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(folder / f"{subject}_{clip}.png"), image)
    return root


# Three people of CASME II and two of SAMM who all show every class.
WHOLE_TREE = [
    (subject, label, f"EP{label:02d}_{clip}")
    for subject in ("sub01", "sub02", "sub03", "006", "007")
    for label in (0, 1, 2)
    for clip in (1, 2)
]
