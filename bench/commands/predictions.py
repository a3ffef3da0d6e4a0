"""``merbench import`` and ``merbench export``: others' predictions onto the board, and ours out of the store."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from bench.commands.gathering import read_sources
from bench.commands.scored import show_scored
from bench.config import RunConfig, results_root
from bench.console.say import say
from bench.engine.selection import SELECTIONS, Selection
from bench.plan.imported import Imported, check_name, restricted
from bench.plan.plan import groups_of
from bench.study.assemble import assemble, has_labels
from bench.study.predictions import MissingPredictions, check_samples
from bench.study.predictions_file import read_predictions, read_table
from bench.study.protocols import Protocol, select_protocols
from bench.study.sources import shards_root, survey_datasets
from bench.study.splitting import make_folds
from bench.workers.provenance import provenance
from preprocess.base.errors import DataError, UsageError
from preprocess.base.files import write_atomic
from preprocess.labels.tasks import TASKS, Task
from preprocess.shards.prepared import PreparedDataset
from results.scores.pooling import missing_folds, pool, pool_complete
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard
from results.store.watched import UNSHOWN
from results.tracking.writer import check_address
from results.views.predictions import predictions_csv, predictions_parquet
from results.views.study_report import find_study

_Named = TypeVar("_Named", Protocol, Selection, Task)


def import_predictions(config: RunConfig, file: Path, model: str, console: Console) -> int:
    """Score the predictions of a file as studies of the store. Nothing is written before all of it was checked.

    Parameters
    ----------
    config : the data, one task, protocol and selection, where results go.
    file : CSV or Parquet, a row a sample.
    model : what the system is called.
    console : where the leaderboard is shown.

    Returns
    -------
    The exit status.

    Raises
    ------
    MerError : something must be mended first; the message names file and row.
    """
    name, rule = check_name(model), _selection(config)
    protocol, task = _one("protocol", select_protocols(config.protocols)), _task(config)
    if protocol.spots:
        raise UsageError(
            f"Protocol {protocol.name}: predictions of others are read of annotated clips, and this protocol tests "
            "those that are spotted here. Name another --protocols."
        )
    check_address(config.tracking_uri, results_root(config.results))
    given = read_predictions(read_table(file, task.classes, task.multilabel), task.classes, task.multilabel)
    root = results_root(config.results)
    surveyed = survey_datasets(read_sources(config, console), (), shards_root(root))
    groups = _groups(protocol, task, surveyed)
    store = OutcomeStore(root, create=True)
    studies, unknown = [], set(range(len(given.sample_ids)))
    for group in groups:
        data = assemble(group, task, ())
        # Protocols of one dataset each: the others' rows are about other studies.
        own = {str(sample) for sample in data.sample_ids}
        rows = [row for row, sample in enumerate(given.sample_ids) if len(groups) == 1 or sample in own]
        unknown -= set(rows)
        if rows:
            folds = make_folds(protocol, name, False, 0, data)
            study = Imported(name, rule, protocol, task, group, data, folds, given, rows)
            studies.append(_checked(study, store))
    for row in sorted(unknown)[:1]:
        raise DataError(
            f"{given.table.where(row)}: sample {given.sample_ids[row]!r} is no labelled sample of the data, which "
            f"holds {', '.join(dataset.name for group in groups for dataset in group)}. Correct the id or --data."
        )
    return show_scored([_stored(study, store, console) for study in studies], store, config, 0, console)


def export_predictions(results: str, words: str, out: Path | None, warn: Callable[[str], None]) -> int:
    """Write a study's predictions in the form that ``import_predictions`` reads.

    Parameters
    ----------
    results : the store.
    words : the start of the study's key, or words of its title.
    out : a file, Parquet where it ends in ``.parquet``; None prints CSV.
    warn : takes what a reader of the predictions must know.

    Returns
    -------
    0, or 1 where folds are missing.
    """
    store = OutcomeStore(results_root(results))
    card = find_study(store.cards(), words)
    outcomes, damaged = store.read_outcomes(card)
    if not outcomes:
        raise DataError(f"{card.title}: no fold is done, so that there is nothing to export.")
    missing = missing_folds(card, outcomes)
    pooled = (pool if missing else pool_complete)(card, outcomes)
    for line in damaged:
        warn(f"warning: {line}")
    if missing:
        warn(
            f"warning: {card.title} is INCOMPLETE: {len(outcomes)}/{len(card.folds)} folds are done. These predictions "
            f"have no score. Missing: {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}."
        )
    if card.stamp:
        warn(f"warning: {card.title}: {card.stamp}.")
    if out is None:
        sys.stdout.write(predictions_csv(pooled, outcomes).decode())
    else:
        parquet = out.suffix.lower() == ".parquet"
        try:
            write_atomic(out, (predictions_parquet if parquet else predictions_csv)(pooled, outcomes))
        except OSError as error:
            raise UsageError(f"--out {out} cannot be written: {error.strerror}.") from error
        warn(f"{len(pooled.sample_ids)} predictions of {card.title}: {out}")
    return 1 if missing else 0


def _selection(config: RunConfig) -> Selection:
    return _one("selection", [SELECTIONS.get(name) for name in SELECTIONS.select(config.selection)])


def _task(config: RunConfig) -> Task:
    return _one("task", [TASKS.get(name) for name in TASKS.select(config.tasks)])


def _one(kind: str, found: Sequence[_Named]) -> _Named:
    if len(found) != 1:
        option = {"protocol": "--protocols", "task": "--tasks"}.get(kind, "--selection")
        names = ", ".join(one.name for one in found)
        raise UsageError(f"A file of predictions is of one {kind}, and {names} were given. Name it with {option}.")
    return found[0]


def _groups(protocol: Protocol, task: Task, surveyed: Sequence[PreparedDataset]) -> list[list[PreparedDataset]]:
    fit = [dataset for dataset in surveyed if has_labels(task, dataset)]
    if not fit:
        names = ", ".join(dataset.name for dataset in surveyed)
        raise DataError(f"No sample of {names} has a label in task {task.name}. Give other --data, or name --tasks.")
    groups = groups_of(protocol, fit)
    if protocol.over != "each" and len(groups) > 1:
        pairs = "; ".join("+".join(dataset.name for dataset in group) for group in groups)
        raise UsageError(
            f"Protocol {protocol.name} makes several studies of these datasets ({pairs}), and a file is of one. Name "
            "its datasets with --datasets."
        )
    return groups


def _checked(study: Imported, store: OutcomeStore) -> Imported:
    """Return the study once its rows fit its samples; without those that a run could not use, and the file lacks."""
    for fold in study.folds:
        fold.check(study.data.subjects, study.data.copies)
    try:
        check_samples(study.given, study.rows, study.data, study.folds, study.protocol.name)
    except MissingPredictions as error:
        tested = frozenset(study.given.sample_ids[row] for row in study.rows)
        alike = _study_of(store, study, tested)
        if alike is None:
            raise DataError(
                f"{error} Or leave out exactly those that a complete study of the store leaves out."
            ) from None
        data = restricted(study.data, frozenset(error.missing))
        note = f"{len(error.missing)} labelled samples are left out, as in {alike.title}"
        folds = make_folds(study.protocol, study.model, False, 0, data)
        study = dataclasses.replace(study, data=data, folds=folds, notes=(note,))
        check_samples(study.given, study.rows, study.data, study.folds, study.protocol.name)
    return study


def _study_of(store: OutcomeStore, study: Imported, tested: frozenset[str]) -> StudyCard | None:
    """Return a complete study of the same benchmark that was trained here and tested on just these samples."""
    dataset = "+".join(sorted(one.name for one in study.group))
    for card in store.cards():
        same = (card.dataset, card.task, card.protocol) == (dataset, study.task.name, study.protocol.name)
        if not same or card.weights or card.n_samples["full"] != len(tested):
            continue
        outcomes, _ = store.read_outcomes(card)
        if not missing_folds(card, outcomes) and tested == {name for one in outcomes for name in one.sample_ids}:
            return card
    return None


def _stored(study: Imported, store: OutcomeStore, console: Console) -> StudyCard:
    card = study.card()
    facts = provenance("elsewhere", None)
    outcomes = study.outcomes(card, {**facts, "weights": card.weights, "imported_from": study.given.table.file.name})
    pool_complete(card, outcomes)
    store.write_card(card)
    for outcome in outcomes:
        store.write_outcome(card, outcome)
    state = "not ranked" if card.weights == UNSHOWN or card.stamp else "ranked"
    say(console, f"{card.title}: {len(study.rows)} predictions, {state}. {card.notes[-1]}.")
    return card
