"""``merbench test``: score a study again from its stored weights and compare with its stored predictions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.config import RunConfig, results_root
from bench.data import StudyData, assemble
from bench.sources import prepare_datasets, read_datasets, shards_folder
from bench.training import Training
from mer_models.registry import MODELS
from preprocess.base.errors import DataError, StoreError
from preprocess.tasks import TASKS
from results.report import find_study
from results.store import OutcomeStore
from results.study import StudyCard


def retest(sources: list[str], study: str, results: str, say: Callable[[str], None]) -> int:
    """Score one study (or, with an empty ``study``, all that have weights) again; return 0 when all predictions agree.

    sources : the ``--data`` that the studies were trained on; empty for the embedded default.
    Raises DataError when the data is not what the study was trained on, StoreError when there are no weights.
    """
    store = OutcomeStore(results_root(results))
    cards = [find_study(store.cards(), study)] if study else [c for c in store.cards() if store.state(c).weights]
    if not cards:
        raise StoreError(f"No study at {store.root} has stored weights. Run it with --keep-weights.")
    different = 0
    for card in cards:
        differing = _differing_folds(store, card, _data_of(card, sources, store))
        agree = len(card.folds) - len(differing)
        say(f"{card.title}: {agree} of {len(card.folds)} folds give the stored predictions again")
        for name in differing:
            say(f"  differs: {name}")
        different += len(differing)
    return 1 if different else 0


def _data_of(card: StudyCard, sources: list[str], store: OutcomeStore) -> StudyData:
    names = card.dataset.split("+")
    config = RunConfig(data=sources, datasets=names)
    info = MODELS.get(card.model)
    prepared = prepare_datasets(read_datasets(config), info.features, shards_folder(store.root))
    for dataset in prepared:
        if card.ingredients["datasets"][dataset.name] != dataset.fingerprint:
            raise DataError(
                f"{card.title}: dataset {dataset.name} is not the one this study was trained on "
                "(another samples table). Give the same --data."
            )
    return assemble(prepared, TASKS.get(card.task), info.features)


def _differing_folds(store: OutcomeStore, card: StudyCard, data: StudyData) -> list[str]:
    from bench.engine import score_again
    from bench.training import verify_fold

    info = MODELS.get(card.model)
    training = Training((card,), data="")
    differing = []
    for number, fold in enumerate(training.folds(data)):
        verify_fold(training, number, fold, data)
        key = card.folds[number].key
        outcome = store.read_outcome(card, key)
        weights = store.read_weights(card, key)
        device = "cuda" if outcome.provenance["device"] not in ("cpu", "unknown") else "cpu"
        scores = score_again(info, card.hyperparameters, data, fold, weights, device, info.resources.cpus)
        stored = dict(zip(outcome.sample_ids, outcome.scores, strict=True))
        same = all(
            np.array_equal(stored[sample_id], row)
            for sample_id, row in zip(data.sample_ids[fold.test].tolist(), scores, strict=True)
        )
        if not same:
            differing.append(fold.name)
    return differing
