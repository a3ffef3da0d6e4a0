"""The MLflow view of the store: one run a study, one experiment a benchmark, rebuilt from the store at any time."""

from __future__ import annotations

import copy
import dataclasses
import re
import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from preprocess.base.errors import StoreError, UsageError
from preprocess.base.hashing import digest
from results.scores.leaderboard import build_leaderboard
from results.store.outcome import Failure
from results.store.outcome_file import result_digest
from results.store.outcome_store import OutcomeStore
from results.store.storage import local_folder
from results.store.stored_study import StoredStudy, read_study
from results.store.study_card import StudyCard
from results.tracking.client import (
    SQLITE,
    FoundRun,
    RunContent,
    Tracker,
    TrackingLost,
    shown_uri,
    sqlite_file,
    sqlite_uri,
)
from results.tracking.runs import experiment_name, failed_run, leaderboard_run, scored_run

STUDY_TAG = "merbench.study"
LEADERBOARD_TAG = "merbench.leaderboard"

TRACKING_OFF = "Tracking is off: a results address has no MLflow database beside it. Give --tracking-uri to have one."

# Counts in every run's content digest: raised when runs show something else, so that the next sync makes them anew.
VIEW_VERSION = 2

_EXPECTED = "Give http://HOST:PORT of an MLflow server, or sqlite:///FILE.db for a database file."


@dataclass
class SyncReport:
    """What a sync did with the studies that it was given.

    Attributes
    ----------
    logged : number of runs made.
    updated : number of runs made again, because the study changed or its run was half-written.
    unchanged : number of runs left as they were.
    incomplete : number of studies with folds left to run; they have no run.
    unreachable : why MLflow could not be brought up to date, in one line; None where all went well.
    """

    logged: int = 0
    updated: int = 0
    unchanged: int = 0
    incomplete: int = 0
    unreachable: str | None = None


def resolve_tracking_uri(uri: str | None, results_root: str) -> str | None:
    """Return the address to track at. Nothing is opened or made.

    Parameters
    ----------
    uri : as the user gave it; None for a database file beside the results.
    results_root : local folder or address of the store.

    Returns
    -------
    The address; None where no ``uri`` is given and the results lie at an address: then there is no folder to put a
    database in, and tracking is off (TRACKING_OFF says so to users).

    Raises
    ------
    UsageError : an address that MLflow does not take here; the message names one that it takes.
    """
    if not uri:
        folder = local_folder(results_root)
        return None if folder is None else sqlite_uri(folder / "mlflow.db")
    if uri.startswith("sqlite:"):
        return _sqlite_uri(uri)
    if uri.startswith(("http://", "https://")):
        return _server_uri(uri)
    scheme = re.match(r"([A-Za-z][\w+]+)://", uri)
    if scheme and scheme[1] != "file":
        raise UsageError(
            f"--tracking-uri {shown_uri(uri)!r}: {scheme[1]} is no address of a tracking server. Start "
            "`mlflow server --backend-store-uri` on that database and give the server's http:// address."
        )
    raise UsageError(f"--tracking-uri {uri!r}: MLflow keeps no runs in plain folders such as ./mlruns. {_EXPECTED}")


def open_tracking(uri: str | None, results_root: str) -> str | None:
    """Return the address to track at, and make the database file and its tables where it is one.

    A server is not asked for: it may be down now, and ``sync`` finds out.

    Parameters
    ----------
    uri : as in ``resolve_tracking_uri``.
    results_root : as in ``resolve_tracking_uri``.

    Raises
    ------
    UsageError : as ``resolve_tracking_uri``.
    StoreError : the database file cannot be made, is damaged, or belongs to another version of MLflow.
    """
    resolved = resolve_tracking_uri(uri, results_root)
    if resolved is None or not resolved.startswith(SQLITE):
        return resolved
    path = sqlite_file(resolved)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Tracker(resolved)
    except (OSError, TrackingLost) as error:
        raise StoreError(
            f"The MLflow database {path} cannot be used: {error}. Everything in it can be made again from the "
            "results: move the file away and run the same command again, or name another with --tracking-uri."
        ) from error
    return resolved


def sync(
    store: OutcomeStore,
    cards: Iterable[StudyCard],
    tracking_uri: str,
    rng: np.random.Generator,
    say: Callable[[str], None],
    leaderboards: bool = True,
) -> SyncReport:
    """Bring MLflow up to date with some studies. Doing it again changes nothing and doubles nothing.

    A complete study has one run with scores. One that failed and has nothing left to run has one run without scores. An
    incomplete study has none. Runs are known by the study's key and a digest of what they show.

    Whatever goes wrong on MLflow's side ends the sync with ``unreachable`` set; the next one completes it.

    Parameters
    ----------
    store : where the outcomes lie.
    cards : the studies.
    tracking_uri : from ``open_tracking``.
    rng : for the bootstrap intervals, which are those of ``build_leaderboard`` with an equal generator. It is left as
        it was.
    say : takes each line that is meant for the user.
    leaderboards : renew also the leaderboard of each experiment that a given study belongs to, over all studies of the
        store. During a run that would read every outcome after every study, so do it at the end.

    Raises
    ------
    StoreError : the store cannot be read.
    HonestyError : predictions contradict their study's card.
    """
    report = SyncReport()
    given: dict[str, list[StudyCard]] = defaultdict(list)
    for card in cards:
        given[experiment_name(card)].append(card)
    known: dict[str, list[StudyCard]] = defaultdict(list)
    for card in store.cards() if leaderboards else ():
        known[experiment_name(card)].append(card)
    try:
        view = _View(store, Tracker(tracking_uri), rng, say, report)
        for experiment, shown in given.items():
            studies = {card.key: view.show(experiment, card) for card in shown}
            if leaderboards:
                view.show_leaderboard(experiment, known[experiment], studies)
    except TrackingLost as lost:
        report.unreachable = str(lost)
    say(_summary(report, store, tracking_uri))
    return report


@dataclass(frozen=True)
class _Shown:
    """A study, its failures, and the digest of what its run shows; None where folds are left to run."""

    study: StoredStudy
    failures: list[Failure]
    content: str | None

    def told(self) -> list[Any]:
        """Return all that a leaderboard shows of the study."""
        standing = (self.study.done, self.study.failed, self.study.finished)
        return [self.study.card.key, self.content, standing]


@dataclass
class _View:
    """One sync: the store on one side, MLflow on the other, and the count of what was done."""

    store: OutcomeStore
    tracker: Tracker
    rng: np.random.Generator
    say: Callable[[str], None]
    report: SyncReport

    def show(self, experiment: str, card: StudyCard) -> _Shown:
        """Make the study's run, unless it is there and shows the same; return what the store holds of the study."""
        shown = self._read(card)
        found = self.tracker.find(experiment, STUDY_TAG, card.key)
        if shown.content is None:
            self.report.incomplete += 1
            self._remove(found)
        elif [run.content for run in found] == [shown.content]:
            self.report.unchanged += 1
        else:
            run = self._run(shown)
            self._remove(found)
            self.tracker.write(experiment, (STUDY_TAG, card.key), run, shown.content)
            self.report.updated += bool(found)
            self.report.logged += not found
        return _without_curves(shown)

    def show_leaderboard(self, experiment: str, cards: list[StudyCard], read: dict[str, _Shown]) -> None:
        """Make the experiment's leaderboard run, unless it shows the same already; none before a study is complete.

        cards : all of the experiment. read : those that were read already, by study key.
        """
        shown = [read.get(card.key) or _without_curves(self._read(card)) for card in cards]
        # Two stores may share a server: each keeps a leaderboard of its own studies.
        identity = (LEADERBOARD_TAG, digest([experiment, shown_uri(self.store.root)]))
        content = digest([VIEW_VERSION, [one.told() for one in shown]])
        found = self.tracker.find(experiment, *identity)
        if not any(one.study.complete for one in shown):
            self._remove(found)
        elif [run.content for run in found] != [content]:
            cached = {one.study.card.key: one.study for one in shown}
            leaderboard = build_leaderboard(self.store, cards, rng=copy.deepcopy(self.rng), cached=cached)
            self._remove(found)
            self.tracker.write(experiment, identity, leaderboard_run(leaderboard), content)

    def _read(self, card: StudyCard) -> _Shown:
        study = read_study(self.store, card)
        for message in study.damage:
            self.say(message)
        if not study.settled:
            return _Shown(study, [], None)
        failures = self.store.failures(card) if study.failed else []
        shown = [VIEW_VERSION, card.to_json(), [result_digest(outcome) for outcome in study.outcomes]]
        errors = [[failure.key, failure.error, failure.traceback] for failure in failures]
        return _Shown(study, failures, digest([*shown, errors]))

    def _run(self, shown: _Shown) -> RunContent:
        study = shown.study
        if not study.complete:
            return failed_run(study.card, study.outcomes, shown.failures)
        cached = {study.card.key: study}
        own = build_leaderboard(self.store, [study.card], rng=copy.deepcopy(self.rng), cached=cached)
        return scored_run(study.card, study.outcomes, own.rows)

    def _remove(self, runs: list[FoundRun]) -> None:
        for run in runs:
            self.tracker.remove(run.run_id)


def _without_curves(shown: _Shown) -> _Shown:
    """Drop what leaderboards do not show, so that the outcomes of many studies fit into memory."""
    slim = [dataclasses.replace(outcome, curves={}) for outcome in shown.study.outcomes]
    return dataclasses.replace(shown, study=dataclasses.replace(shown.study, outcomes=slim))


def _summary(report: SyncReport, store: OutcomeStore, tracking_uri: str) -> str:
    shown = shown_uri(tracking_uri)
    if report.unreachable:
        again = f"merbench sync --results {shlex.quote(shown_uri(store.root))} --tracking-uri {shlex.quote(shown)}"
        return (
            f"MLflow at {shown} is not up to date: {report.unreachable}. No result is lost; once it works again, "
            f"bring it up to date with: {again}"
        )
    counts = {
        "logged": report.logged,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "incomplete": report.incomplete,
    }
    told = ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "nothing to show"
    return f"MLflow at {shown}: {told}."


def _sqlite_uri(uri: str) -> str:
    name = uri.removeprefix(SQLITE)
    if not uri.startswith(SQLITE) or not name or name.startswith(":memory:"):
        raise UsageError(f"--tracking-uri {uri!r} names no database file. {_EXPECTED}")
    if "?" in name:
        raise UsageError(
            f"--tracking-uri {uri!r}: in an address ? begins options, and a database file takes none here. A ? in the "
            f"file's own path is written %3F, and a % is written %25. {_EXPECTED}"
        )
    return sqlite_uri(sqlite_file(uri).expanduser().absolute())


def _server_uri(uri: str) -> str:
    try:
        parts = urlsplit(uri)
        valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise UsageError(f"--tracking-uri {shown_uri(uri)!r} has no valid host and port. {_EXPECTED}")
    return uri.rstrip("/")
