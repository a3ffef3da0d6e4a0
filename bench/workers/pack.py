"""One pack: folds of one training, trained here and written into the store one by one."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.plan.training import Training, verify_fold, verify_selections
from bench.study.data import StudyData
from bench.study.feature_rows import UNLIMITED
from bench.study.folds import Fold
from bench.workers.from_weights import scored_from_weights
from bench.workers.provenance import provenance
from bench.workers.start_weights import start_weights
from preprocess.base.errors import StoreError
from results.scores.metrics import decide
from results.store.outcome import PRETRAINING_CURVE, Failure, Outcome
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard

if TYPE_CHECKING:
    from bench.engine.train import FoldResult


def run_pack(
    training: Training,
    data: StudyData,
    fold_numbers: Sequence[int],
    store: OutcomeStore,
    device: str = "cpu",
    on_begin: Callable[[int], None] = lambda fold: None,
    memory: int = UNLIMITED,
) -> Iterator[tuple[int, int]]:
    """Train the given folds, write each outcome or failure the moment it is there, and yield (done, failed) a fold.

    Folds whose outcome is in the store already are not trained again, so a pack that a fault interrupted can simply be
    run again.

    Parameters
    ----------
    training : what is trained, and the cards of its studies.
    data : the samples of those studies.
    fold_numbers : which folds of the training are in this pack.
    store : where outcomes and failures are written.
    device : torch's name of the device.
    on_begin : called with a fold's number just before it is trained.
    memory : how many bytes of features may be held.

    Yields
    ------
    How many folds were done and how many failed since the last pair; together always one.

    Raises
    ------
    HonestyError : the folds or selections here are not those of the cards, or a fold starts from a network that has met
        somebody whom it holds out.
    StoreError : the store could not be written.
    """
    from bench.engine.train import FoldJob, train_pack
    from mer_models.registry import MODELS

    info = MODELS.get(training.model)
    verify_selections(training)
    if training.cards[0].inner:
        # Configurations are compared on clips as annotated.
        data = dataclasses.replace(data, shifted={})
    folds = training.folds(data)
    done = {card.key: store.state(card).done for card in training.cards}
    jobs, number_of, wanted = [], {}, {}
    for number in fold_numbers:
        verify_fold(training, number, folds[number], data)
        start = training.starts[number] if training.starts else None
        if start:
            from bench.study.unmet import check_unmet  # brings all datasets, which a run without it does without

            check_unmet(folds[number], data.subjects, start)
        missing = [card for card in training.cards if card.folds[number].key not in done[card.key]]
        if missing and not scored_from_weights(training, missing, number, folds[number], data, store, device, memory):
            name = folds[number].name
            selections = tuple(dict.fromkeys(card.selection for card in missing))
            weights = start_weights(store.root, start) if start else None
            jobs.append(FoldJob(folds[number], selections, training.hyperparameters(number), weights))
            number_of[name], wanted[name] = number, missing
        else:
            yield 1, 0
    outcome_counts = {"failed": 0}

    def keep(job: FoldJob, selection: str, result: FoldResult) -> None:
        for card in (card for card in wanted[job.fold.name] if card.selection == selection):
            own = dataclasses.replace(result, scores=result.shifted[card.shift]) if card.shift else result
            number = number_of[job.fold.name]
            if training.starts:
                before = {PRETRAINING_CURVE: list(training.starts[number].loss)}
                own = dataclasses.replace(own, curves={**own.curves, **before})
            outcome = outcome_of(card, number, job.fold, data, own, device, training.audit(number))
            if training.keep_weights and not card.shift:
                store.write_weights(card, outcome.key, result.weights)
            store.write_outcome(card, outcome)

    def fail(job: FoldJob, error: BaseException) -> None:
        if isinstance(error, StoreError):
            raise error
        outcome_counts["failed"] += 1
        for card in wanted[job.fold.name]:
            store.write_failure(card, failure_of(card, number_of[job.fold.name], job.fold, error, device))

    hyperparameters = training.cards[0].hyperparameters
    trained = train_pack(info, hyperparameters, data, jobs, keep, fail, device, info.resources.cpus, memory)
    for job in jobs:
        on_begin(number_of[job.fold.name])
        next(trained)
        failed, outcome_counts["failed"] = outcome_counts["failed"], 0
        yield (0, 1) if failed else (1, 0)


def outcome_of(
    card: StudyCard,
    number: int,
    fold: Fold,
    data: StudyData,
    result: FoldResult,
    device: str,
    audit: Mapping[str, Any] | None = None,
) -> Outcome:
    """Return the outcome of a fold.

    Parameters
    ----------
    card : the study's.
    number : the fold's place on the card.
    fold : the fold.
    data : the study's samples.
    result : what the engine made of the fold.
    device : torch's name of the device it was computed on.
    audit : what the provenance tells besides.
    """
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
        provenance={**provenance(device, result.seconds), **(audit or {})},
    )


def record_lost(training: Training, number: int, store: OutcomeStore, message: str) -> None:
    """Write that a fold failed for want of a worker, or of a choice, into each study that lacks its outcome."""
    for card in training.cards:
        where = card.folds[number]
        if where.key not in store.state(card).done:
            facts = provenance("unknown", None)
            store.write_failure(card, Failure(where.key, card.key, where.name, message, message, facts))


def failure_of(card: StudyCard, number: int, fold: Fold, error: BaseException, device: str) -> Failure:
    """Return the record of a fold that ``error`` ended; the others are as for ``outcome_of``."""
    return Failure(
        key=card.folds[number].key,
        study_key=card.key,
        fold=fold.name,
        error=f"{type(error).__name__}: {error}",
        traceback="".join(traceback.format_exception(error)),
        provenance=provenance(device, None),
    )
