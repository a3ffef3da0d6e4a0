"""A training: the studies that share every fold's training, and how one of their packs is run into the store.

``last`` and ``oracle`` differ only in which epoch is read, so the studies of both are one training. A training is
described by a few plain values; its folds are worked out from the data wherever they are needed (driver or worker),
and the fold keys written on the study's card prove that both worked out the same.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.data import StudyData
from bench.folds import Fold, fold_seed, split_validation
from bench.protocols import check_tested_once, find_protocol
from bench.provenance import provenance
from preprocess.base.errors import HonestyError, StoreError
from results.metrics import decide
from results.outcome import Failure, Outcome
from results.study import StudyCard, fold_ids_digest, fold_key

if TYPE_CHECKING:
    from results.store import OutcomeStore


@dataclass(frozen=True)
class Training:
    """Studies equal in all but selection, whose folds are trained once. data : key of the study data it is cut from."""

    cards: tuple[StudyCard, ...]
    data: str
    keep_weights: bool = False

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.cards[0].model

    def folds(self, data: StudyData) -> list[Fold]:
        """Work out the folds of this training from its data, in the cards' order."""
        card = self.cards[0]
        return make_folds(card.protocol, card.model, card.selection == "validation", card.seed, data)


def make_folds(protocol: str, model: str, validate: bool, seed: int, data: StudyData) -> list[Fold]:
    """Return the folds of a protocol over ``data``; with ``validate``, each with an inner subject-grouped split."""
    everyone = np.arange(len(data))
    splits = find_protocol(protocol).split(data)
    check_tested_once(protocol, splits)
    folds: list[Fold] = []
    for split in splits:
        train = np.setdiff1d(everyone, split.test) if split.train is None else split.train
        validation = np.empty(0, dtype=np.int64)
        own_seed = fold_seed(seed, model, data.sample_ids[split.test].tolist())
        if validate:
            train, validation = split_validation(train, data.subjects, data.labels, own_seed, split.name)
        folds.append(Fold(split.name, train, validation, split.test, own_seed))
    return folds


def ids_digest(fold: Fold, data: StudyData) -> str:
    """Return the digest of a fold's sample ids, by role."""
    roles = (fold.train, fold.validation, fold.test)
    return fold_ids_digest(*(data.sample_ids[rows].tolist() for rows in roles))


def run_pack(
    training: Training,
    data: StudyData,
    fold_numbers: Sequence[int],
    store: OutcomeStore,
    device: str = "cpu",
) -> Iterator[tuple[int, int]]:
    """Train the given folds, write each outcome or failure the moment it is there, and yield (done, failed) a fold.

    Folds whose outcome is in the store already are not trained again, so that a pack which a fault interrupted can be
    given out once more. Raises HonestyError when the folds worked out here are not the ones of the cards.
    """
    from bench.engine import FoldJob, FoldResult, train_pack
    from mer_models.registry import MODELS

    info = MODELS.get(training.model)
    folds = training.folds(data)
    done = {card.selection: store.state(card).done for card in training.cards}
    jobs, number_of = [], {}
    for number in fold_numbers:
        verify_fold(training, number, folds[number], data)
        wanted = [card for card in training.cards if card.folds[number].key not in done[card.selection]]
        if wanted:
            jobs.append(FoldJob(folds[number], tuple(card.selection for card in wanted)))
            number_of[folds[number].name] = number
        else:
            yield 1, 0
    cards = {card.selection: card for card in training.cards}
    outcome_counts = {"failed": 0}

    def keep(job: FoldJob, selection: str, result: FoldResult) -> None:
        card = cards[selection]
        outcome = _outcome(card, number_of[job.fold.name], job.fold, data, result, device)
        if training.keep_weights:
            store.write_weights(card, outcome.key, result.weights)
        store.write_outcome(card, outcome)

    def fail(job: FoldJob, error: BaseException) -> None:
        if isinstance(error, StoreError):
            raise error
        outcome_counts["failed"] += 1
        for selection in job.selections:
            card = cards[selection]
            store.write_failure(card, _failure(card, number_of[job.fold.name], job.fold, error, device))

    resources = info.resources
    hyperparameters = training.cards[0].hyperparameters
    for _ in train_pack(info, hyperparameters, data, jobs, keep, fail, device, threads=resources.cpus):
        failed, outcome_counts["failed"] = outcome_counts["failed"], 0
        yield (0, 1) if failed else (1, 0)


def verify_fold(training: Training, number: int, fold: Fold, data: StudyData) -> None:
    """Raise HonestyError when a fold worked out here does not hold the samples that its key on the card stands for."""
    ids = ids_digest(fold, data)
    for card in training.cards:
        if fold_key(card.key, ids) != card.folds[number].key:
            raise HonestyError(
                f"Fold {number} ({fold.name!r}) of {card.title} has other samples here than in the plan. "
                "The driver and its workers run different code or data: give all nodes the same version."
            )


def _outcome(card: StudyCard, number: int, fold: Fold, data: StudyData, result: Any, device: str) -> Outcome:
    return Outcome(
        key=card.folds[number].key,
        study_key=card.key,
        fold=fold.name,
        sample_ids=tuple(data.sample_ids[fold.test].tolist()),
        subjects=tuple(data.subjects[fold.test].tolist()),
        datasets=tuple(data.datasets[fold.test].tolist()),
        y_true=data.labels[fold.test],
        y_pred=decide(result.scores, data.multilabel),
        scores=result.scores,
        selected_epoch=result.selected_epoch,
        curves=result.curves,
        provenance=provenance(device, result.seconds),
    )


def _failure(card: StudyCard, number: int, fold: Fold, error: BaseException, device: str) -> Failure:
    return Failure(
        key=card.folds[number].key,
        study_key=card.key,
        fold=fold.name,
        error=f"{type(error).__name__}: {error}",
        traceback="".join(traceback.format_exception(error)),
        provenance=provenance(device, None),
    )
