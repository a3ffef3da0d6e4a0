"""``merbench test``: score a study again from its stored weights and compare with its stored predictions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.config import RunConfig, results_root
from bench.plan.cards import ENGINE
from bench.plan.training import Training
from bench.study.assemble import assemble
from bench.study.data import StudyData
from bench.study.sources import prepare_datasets, read_datasets, shards_root
from bench.study.spotted import FOLDER, spotted_datasets
from bench.workers.feature_memory import feature_memory
from bench.workers.node_blocks import blocks_of_a_command
from mer_models.registry import MODELS, ModelInfo
from preprocess.base.code import code_fingerprint
from preprocess.base.errors import DataError, StoreError, UsageError
from preprocess.base.storage import below
from preprocess.datasets import RawDataset
from preprocess.labels.tasks import TASKS
from preprocess.shards.prepared import PreparedDataset
from preprocess.shards.spotted import spot_recordings
from results.store.audit import fold_hyperparameters
from results.store.outcome import Outcome
from results.store.outcome_store import OutcomeStore, fold_file
from results.store.study_card import StudyCard
from results.store.watched import OWN
from results.views.study_report import find_study


def retest(config: RunConfig, study: str, say: Callable[[str], None]) -> int:
    """Score studies again from their stored weights, and compare with the stored predictions.

    Parameters
    ----------
    config : where the store lies, and the data that the studies were trained on; none is the synthetic default.
    study : the start of a study's key, or words of its title; "" for all studies with weights.
    say : prints a line.

    Returns
    -------
    0 where all predictions are the same again, else 1.

    Raises
    ------
    DataError : the data is not what the study was trained on.
    StoreError : there are no weights.
    UsageError : the study was trained on a GPU, and there is none here.
    """
    store = OutcomeStore(results_root(config.results))
    # Those of given weights (``--weights``) were not trained here, and their weights are not stored.
    own = [card for card in store.cards() if card.weights == OWN]
    cards = [find_study(own, study)] if study and own else own
    cards = [card for card in cards if store.state(card).weights]
    if not cards:
        raise StoreError(f"No study at {store.where()} has stored weights{f' ({study})' if study else ''}. {_REMEDY}")
    for card in cards:
        if changed := _changed_code(card):
            say(f"{card.title}: left out, its {changed} has changed since it was trained")
    cards = [card for card in cards if not _changed_code(card)]
    if not cards:
        raise StoreError("Other code than this trained these weights. Use that version of merbench, or train again.")
    raw = {dataset.name: dataset for dataset in read_datasets(config)}
    different = 0
    for card in cards:
        data = _data_of(card, raw, store)
        state = store.state(card)
        stored = [number for number, fold in enumerate(card.folds) if fold.key in state.done & state.weights]
        with blocks_of_a_command() as open_block:
            differing = _differing_folds(store, card, stored, data.opened(open_block), config.feature_memory)
        agree = len(stored) - len(differing)
        say(f"{card.title}: {agree} of {len(stored)} folds give the stored predictions again")
        for name in differing:
            say(f"  differs: {name}")
        if len(stored) < len(card.folds):
            say(f"  {len(card.folds) - len(stored)} of its {len(card.folds)} folds have no weights yet. {_REMEDY}")
        different += len(differing)
    return 1 if different else 0


_REMEDY = "Run the same command with --keep-weights."


def _changed_code(card: StudyCard) -> str:
    """Name the code that is not what the study was trained with: its weights mean nothing to another network."""
    now = {"model_code": MODELS.get(card.model).file, "engine_code": ENGINE}
    changed = [name for name, file in now.items() if card.ingredients[name] != code_fingerprint(file)]
    return " and ".join(name.replace("_", " ") for name in changed)


def _data_of(card: StudyCard, raw: dict[str, RawDataset], store: OutcomeStore) -> StudyData:
    names = card.dataset.split("+")
    missing = [name for name in names if name not in raw]
    if missing:
        raise DataError(
            f"{card.title}: dataset {missing[0]} is not in the data given, which holds {', '.join(sorted(raw))}. "
            "Give the --data that the study was trained on, or name another study."
        )
    info = MODELS.get(card.model)
    shards = shards_root(store.root)
    prepared = prepare_datasets([raw[name] for name in names], info.features, shards)
    for dataset in prepared:
        if dataset.lacking:
            raise DataError(f"{card.title}: {' '.join(dataset.lacking.values())}")
        _check_same(card, dataset)
    if card.spotting:
        prepared += _spotted(card, raw[card.dataset], info, shards)
    return assemble(prepared, TASKS.get(card.task), info.features)


def _spotted(card: StudyCard, raw: RawDataset, info: ModelInfo, shards: str) -> list[PreparedDataset]:
    found = spot_recordings([raw], below(shards, FOLDER))
    spotted = spotted_datasets([raw], found, shards, lambda of, at: prepare_datasets(of, info.features, at))
    people = {name: [one.found, one.false, one.missed] for name, one in spotted[raw.name].people.items()}
    if people != card.spotting:
        raise DataError(
            f"{card.title}: other expressions are spotted in {raw.name} now than when this study was trained. Run the "
            "same command again, or give the same --data."
        )
    return [spotted[raw.name].clips()]


def _check_same(card: StudyCard, dataset: PreparedDataset) -> None:
    contents = {name: card.ingredients["features"][name][dataset.name]["content"] for name in dataset.features}
    changed = [f"feature {name}" for name, content in contents.items() if dataset.features[name].fingerprint != content]
    if card.ingredients["datasets"][dataset.name] != dataset.fingerprint:
        changed.insert(0, "samples table")
    if changed:
        raise DataError(
            f"{card.title}: dataset {dataset.name} is not the one this study was trained on "
            f"(another {', another '.join(changed)}). Give the same --data."
        )


def _differing_folds(
    store: OutcomeStore, card: StudyCard, numbers: list[int], data: StudyData, asked: int | None
) -> list[str]:
    """Return the names of the folds that score otherwise than is stored. asked : ``--feature-memory``."""
    from bench.engine.train import score_again
    from bench.plan.training import verify_fold

    info = MODELS.get(card.model)
    training = Training((card,), data="")
    folds = training.folds(data)
    differing = []
    for number in numbers:
        fold, key = folds[number], card.folds[number].key
        verify_fold(training, number, fold, data)
        outcome = store.read_outcome(card, key)
        weights = store.read_weights(card, key)
        device, threads = _device_of(card, outcome), info.resources.cpus
        memory = feature_memory(asked, info, device, threads)
        try:
            values = fold_hyperparameters(card, outcome)
            scores = score_again(info, values, data, fold, weights, device, threads, memory)
        except DataError as error:
            where = store.where(fold_file(card, key, "weights"))
            raise StoreError(f"{where}: {error}. Remove the file. {_REMEDY}") from error
        stored = dict(zip(outcome.sample_ids, outcome.scores, strict=True))
        same = all(
            np.array_equal(stored[sample_id], row)
            for sample_id, row in zip(data.sample_ids[fold.test].tolist(), scores, strict=True)
        )
        if not same:
            differing.append(fold.name)
    return differing


def _device_of(card: StudyCard, outcome: Outcome) -> str:
    import torch

    trained_on = outcome.provenance["device"]
    if trained_on in ("cpu", "unknown"):
        return "cpu"
    if not torch.cuda.is_available():
        raise UsageError(
            f"{card.title} was trained on {trained_on}, and there is no GPU here: the scores would differ in their "
            "last digits. Run `merbench test` on such a machine, or name another study."
        )
    return "cuda"
