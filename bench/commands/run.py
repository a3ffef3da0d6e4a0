"""A run from configuration to leaderboard: prepare, plan, fan out, track, score."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from bench.commands.board import board_of_run, tracked_page
from bench.commands.gathering import (
    prepare_features,
    prepare_shifted,
    prepare_spotted,
    read_sources,
    to_be_spotted,
)
from bench.config import RunConfig, results_root
from bench.console.interrupts import exit_status, farewell, terminable
from bench.console.prepared import describe_outstanding
from bench.console.progress import RunProgress
from bench.console.say import say
from bench.console.waiting import telling
from bench.plan.plan import make_plan
from bench.plan.planned import Plan, PlannedStudy, PlannedTraining
from bench.plan.request import Request, resolve
from bench.plan.starts import bring
from bench.plan.table import plan_table
from bench.plan.tuning_time import tuning_lines
from bench.study.shifted import described_shifts, shifted_datasets
from bench.study.sources import shards_root, survey_datasets
from bench.study.spotted import FOLDER, described_spotting, spotted_datasets
from bench.workers.capacity import demand
from bench.workers.feature_memory import told_of_plan
from bench.workers.local_workers import local_workers
from bench.workers.node_types import wait_for_room, with_growth
from bench.workers.ray_session import RaySession, cluster_address
from bench.workers.settling import Settling
from preprocess.base.errors import HonestyError, MerError, Unfit
from preprocess.base.storage import below
from preprocess.recipes import load_recipes
from preprocess.shards.spotted import spot_recordings
from results.scores.counted import counting_of
from results.scores.keeping import seal_studies
from results.scores.leaderboard import Leaderboard, build_leaderboard
from results.scores.pooling import FULL, score_of_counts
from results.scores.stored_study import StoredStudy
from results.store.outcome_store import MissingStore, OutcomeStore
from results.store.study_card import StudyCard
from results.tracking.writer import TrackingWriter, check_address
from results.views.leaderboard_text import render
from results.views.study_report import words_for

DONE, SOME_FAILED = 0, 1
"""Exit statuses of a run that was not stopped (2, a usage or data error, is the command line's)."""


def dry_run(config: RunConfig, console: Console) -> int:
    """Print what a run would do; train nothing, make no feature and write nothing.

    Without ``--data``, the synthetic default is rendered where it is not there yet: its sheets are what is planned.
    """
    try:
        with terminable():
            _show_plan(config, console)
    except KeyboardInterrupt:
        say(console, "Interrupted. Nothing was written.")
        return exit_status()
    return DONE


def _show_plan(config: RunConfig, console: Console) -> None:
    root = results_root(config.results)
    request = _request(config)
    raw = read_sources(config, console)
    try:
        store = OutcomeStore(root)
    except MissingStore:
        store = None
    with telling("looking at the shards"):
        surveyed = survey_datasets(raw, request.features, shards_root(root))
        shifted = shifted_datasets(
            raw, config.shift_keyframes, shards_root(root), lambda of, at: survey_datasets(of, request.features, at)
        )
        wanted = to_be_spotted(raw, request)
        found = spot_recordings(wanted, below(shards_root(root), FOLDER), make=False)
        spotted = spotted_datasets(
            wanted, found, shards_root(root), lambda of, at: survey_datasets(of, request.features, at)
        )
    for line in (line for dataset in surveyed for line in describe_outstanding(dataset)):
        say(console, line)
    for line in (*described_shifts(shifted), *described_spotting(spotted)):
        say(console, line)
    try:
        plan = make_plan(request, surveyed, store, _planning(console), shifted, spotted)
    except Unfit as reason:
        if not any(one.waiting for one in spotted.values()):
            raise
        # What a study of spotted expressions tests shows in the run that spots them.
        say(console, str(reason))
        return
    say(console, plan_table(plan, tuning_lines(plan, store)))
    if config.device != "cuda" and not cluster_address(config.address):
        for text in told_of_plan(plan, config.feature_memory, local_workers(config.workers)):
            say(console, f"On this machine's CPUs, {text}.")
    moved = [one.prepared for datasets in shifted.values() for one in datasets.values()]
    cut = [one.prepared for one in spotted.values() if one.prepared]
    if any(dataset.outstanding for dataset in [*surveyed, *moved, *cut]):
        say(console, "Nothing was made. Which clips cannot be used shows when features are made: folds may get fewer.")


def run(config: RunConfig, console: Console) -> int:
    """Carry out a run and print its leaderboard; return the exit status.

    Raises
    ------
    MerError : something must be mended before folds can be trained.
    """
    start = time.monotonic()
    root = results_root(config.results)
    plan = writer = studies = None
    with RaySession(config.address, config.workers, lambda text: say(console, text), preload=True) as session:
        try:
            if config.overwrite == "all" or _nothing_stored(root):
                # Something will be trained, unless the options or the data are wrong.
                session.start_ahead()
            request = _request(config)
            raw = read_sources(config, console)
            long = to_be_spotted(raw, request)
            store = OutcomeStore(root, create=True)
            prepared = prepare_features(raw, request, session, console)
            shifted = prepare_shifted(raw, request, session, console)
            spotted = prepare_spotted(long, request, session, console)
            bring(request.starts, store.root)
            plan = make_plan(request, prepared, store, _planning(console), shifted, spotted)
            if plan.pretrainings:
                from bench.commands.pretrain import pretrain_all

                pretrain_all(list(plan.pretrainings.values()), config, session, console)
                plan = make_plan(request, prepared, store, _planning(console), shifted, spotted)
            _announce(plan, store, config, console)
            writer = TrackingWriter(store, config.tracking_uri, lambda text: say(console, text), tracked_page)
            read = dict(plan.found)
            ended = _train(plan, store, config, session, writer, console, read)
            # It ends while the scores are worked out.
            session.leave()
            studies = _show_results(plan, store, config, writer, console, read)
        except KeyboardInterrupt:
            if writer:
                writer.abandon()
    if plan is None or studies is None:
        # Interrupted. Told now, for until Ray has ended a worker may finish one more fold.
        say(console, farewell(_folds_kept(plan, store)) if plan else farewell())
        return exit_status()
    if ended is not None:
        raise MerError(ended)
    return _status(studies.values(), store, time.monotonic() - start, console)


def _show_results(
    plan: Plan,
    store: OutcomeStore,
    config: RunConfig,
    writer: TrackingWriter,
    console: Console,
    read: Mapping[str, StoredStudy],
) -> dict[str, StoredStudy]:
    """Print the leaderboard, see the tracking through and write the board; return the run's studies by key.

    read : sealed studies, by key, that are known already.
    """
    studies = seal_studies(store, plan.cards, lambda text: say(console, text), read)
    board = build_leaderboard(store, plan.cards, rng=np.random.default_rng(0), cached=studies)
    console.print()
    table = render(board, "table", console.width)
    console.print(table, highlight=False, markup=False, emoji=False, soft_wrap=True, end="")
    stored = store.cards()
    writer.finish(plan.cards, studies, stored)
    board_file = board_of_run(store, plan.cards, lambda text: say(console, text), studies, stored)
    _where_next(config, stored, store.where(), _best_study(board, plan.cards), board_file, console)
    return studies


def _nothing_stored(root: str) -> bool:
    try:
        return not OutcomeStore(root).holds_studies()
    except MissingStore:
        return True


def _folds_kept(plan: Plan, store: OutcomeStore) -> str:
    kept = sum(len(store.state(card).done) for card in plan.cards)
    told = f"{kept} of {sum(len(card.folds) for card in plan.cards)} folds"
    inner = [card for planned in plan.trainings if planned.inner for card in planned.training.cards]
    return f"{told} and {sum(len(store.state(card).done) for card in inner)} inner ones" if inner else told


@dataclass(frozen=True)
class _Best:
    uf1: float
    text: str


def _request(config: RunConfig) -> Request:
    """Check every name and address of the configuration, before any data is touched."""
    for file in config.recipes:
        load_recipes(file)
    request = resolve(config)
    check_address(config.tracking_uri, results_root(config.results))
    return request


def _announce(plan: Plan, store: OutcomeStore, config: RunConfig, console: Console) -> None:
    total, done, failed = (sum(map(len, column)) for column in zip(*map(_counted, plan.studies), strict=True))
    todo = plan.left()
    say(
        console,
        f"{len(plan.studies)} studies of {total} folds (preset {config.resolved_preset()}): {done} done, "
        f"{failed} failed before, {todo} trainings to do",
    )
    for note in [*tuning_lines(plan, store), *plan.notes]:
        say(console, note)
    for message in (message for planned in plan.trainings for study in planned.studies for message in study.damaged):
        say(console, f"warning: {message}")
    for study in plan.studies:
        if study.reason:
            say(console, f"{study.card.title}: computed, because it {_because(study.reason)}")


def _counted(study: PlannedStudy) -> tuple[Sized, Sized, Sized]:
    return study.card.folds, study.done, study.failed


def _because(reason: str) -> str:
    return reason if reason.startswith("differs") else f"was asked for or needed: {reason}"


def _train(
    plan: Plan,
    store: OutcomeStore,
    config: RunConfig,
    session: RaySession,
    writer: TrackingWriter,
    console: Console,
    read: dict[str, StoredStudy],
) -> str | None:
    """Fan out what is to do, wave by wave; return why the run had to stop, None when it went through.

    read : takes by key the studies that were sealed on the way, so that the end need not read them again.
    """
    total = plan.left()
    for planned in plan.trainings:
        if planned.inner:
            continue
        _begin(store, planned)
        if total and not planned.todo:
            writer.add([study.card for study in planned.studies])
    if not total:
        say(console, "Nothing to train: every fold is done or failed before (--overwrite failed tries those again).")
        return None
    cluster = with_growth(session.cluster(), config.grow_to)
    from bench.workers.pack_trials import (
        fan_out,  # imports Ray, which reads the session's environment when it is imported
    )

    models = (planned.info for planned in plan.trainings if planned.todo)
    needs = demand(models, config.device, cluster.capacity)
    where = "GPU" if needs.on_gpu else "CPU"
    say(console, f"Ray at {cluster.address}: {cluster.capacity.describe()}; training on {where}")
    if not cluster.capacity.final and not cluster.capacity.untold:
        wait_for_room(needs.bundles)
    # Workers on a cluster, or with a GPU, tell it themselves: it depends on what they find.
    told = told_of_plan(plan, config.feature_memory, cluster.cpus) if cluster.local and not needs.on_gpu else []
    for text in told:
        say(console, text)
    progress = RunProgress(console, total)
    best: list[_Best] = []

    def tell(text: str) -> None:
        if text not in told:
            say(console, text)

    settling = Settling(plan, store, tell)
    deaths = 0
    error: str | None = None
    with progress.shown():
        for number, wave in enumerate(plan.waves()):
            settling.settle(number)
            progress.expect(plan.left(number))
            for planned in wave.trainings:
                if planned.inner and planned.todo:
                    _begin(store, planned)

            def training_over(training: int, wave: Plan = wave) -> None:
                if wave.trainings[training].inner:
                    return
                cards = [study.card for study in wave.trainings[training].studies]
                # What stays in many files is told at the end of the run.
                studies = seal_studies(store, cards, lambda text: None)
                read.update((key, study) for key, study in studies.items() if study.sealed)
                writer.add(cards)
                _note_best(best, studies.values())
                if best:
                    progress.best(best[0].text)

            if not any(planned.todo for planned in wave.trainings):
                continue
            memory = config.feature_memory
            report = fan_out(wave, store, cluster, needs, config.workers, progress.update, training_over, tell, memory)
            deaths, error = deaths + report.deaths, report.error
            if error:
                break
    if deaths:
        say(console, f"{deaths} workers died, or were lost with their node; their folds were given out again.")
    return error


def _begin(store: OutcomeStore, planned: PlannedTraining) -> None:
    """Write the cards of a training's studies, and remove what is in the way of what is trained anew."""
    for study in planned.studies:
        if not study.written:
            store.write_card(study.card)
        if study.damaged or study.failed or study.reason:
            _discard(store, study, planned.todo)


def _discard(store: OutcomeStore, study: PlannedStudy, todo: list[int]) -> None:
    """Remove what is left of the folds that are trained anew: a worker takes a fold that is there for done."""
    keys = [study.card.folds[number].key for number in todo]
    store.discard(study.card, *(key for key in keys if key not in study.done))


def _note_best(best: list[_Best], studies: Iterable[StoredStudy]) -> None:
    for study in studies:
        card = study.card
        if card.stamp or not study.complete:
            continue
        full = study.counted.parts[FULL]
        uf1 = score_of_counts(FULL, card.classes, counting_of(card), full.n_samples, full.counts).metrics["uf1"]
        if not best or uf1 > best[0].uf1:
            best[:] = [_Best(uf1, f"{card.label} UF1 {uf1:.3f} ({card.dataset}, {card.protocol})")]


def _status(studies: Iterable[StoredStudy], store: OutcomeStore, seconds: float, console: Console) -> int:
    missing = failed = 0
    for card in (study.card for study in studies if not study.complete):
        failures = store.failures(card)
        failed += len(failures)
        missing += len(card.folds) - len(store.state(card).done)
        for error in list(dict.fromkeys(failure.error for failure in failures))[:3]:
            more = f"merbench report --results {shlex.quote(store.where())} {card.key[:12]}"
            say(console, f"FAILED {card.title}: {error} ({more})")
    if missing > failed:
        raise HonestyError(
            f"{missing - failed} folds were reported done, but their outcomes are not at {store.where()}. Workers on "
            "other nodes wrote elsewhere: give --results a folder that all nodes share, or a URI (s3://bucket/path)."
        )
    say(console, f"Took {seconds:.0f} s." + (f" {failed} folds FAILED." if failed else ""))
    return SOME_FAILED if failed else DONE


def _best_study(board: Leaderboard, cards: Sequence[StudyCard]) -> StudyCard:
    """Return the first study of the leaderboard's best row, or any study where no row has a score."""
    scored = next((row for row in board.rows if row.uf1 is not None), board.rows[0])
    return next(card for card in cards if card.key.startswith(scored.studies[0]))


def _where_next(
    config: RunConfig, stored: Sequence[StudyCard], where: str, study: StudyCard, board: Path | None, console: Console
) -> None:
    """Say where the results are and what to look at.

    Parameters
    ----------
    config : the run.
    stored : all studies of the store.
    where : the store, for people.
    study : what the example of a report is about.
    board : the page, where there is one.
    console : where it is said.
    """
    say(console, f"Results: {where}")
    at = shlex.quote(where)
    if board:
        say(console, f"  {board}    all of it as a page for your browser")
    else:
        say(console, f"  merbench board --results {at} --out board.html    all of it as a page for your browser")
    say(console, f"  merbench leaderboard --results {at} --format md    this table as Markdown, CSV, JSON or LaTeX")
    words = shlex.join(words_for(stored, study).split())
    say(console, f"  merbench report --results {at} {words}    per subject and class (others: merbench status)")
    if not config.data:
        say(console, "  merbench run --data PATH                             the same on your own database")


def _planning(console: Console) -> Callable[[int], None]:
    """Return what ``make_plan`` tells its progress."""
    return _every_five_seconds(lambda studies: say(console, f"planning: {studies} studies"))


def _every_five_seconds(tell: Callable[..., None]) -> Callable[..., None]:
    """Return ``tell`` held back: it is called at most every five seconds, and not at once."""
    last = time.monotonic()

    def throttled(*values: Any) -> None:
        nonlocal last
        if time.monotonic() - last > 5:
            last = time.monotonic()
            tell(*values)

    return throttled
