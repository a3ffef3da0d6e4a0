"""The MLflow view of the store: one run a study, one experiment a benchmark, rebuilt from the store at any time."""

from __future__ import annotations

import copy
import dataclasses
import errno
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np

from preprocess.base.errors import StoreError, UsageError
from preprocess.base.hashing import digest
from preprocess.base.storage import local_folder
from results.scores.leaderboard import build_leaderboard, study_rows
from results.scores.stored_study import StoredStudy, read_studies, read_study
from results.store.outcome_file import result_digest
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard
from results.tracking.client import (
    CONTENT_TAG,
    SQLITE,
    Experiment,
    FoundRun,
    RunContent,
    Tracker,
    TrackingLost,
    shown_uri,
    sqlite_file,
    sqlite_uri,
)
from results.tracking.fold_runs import FOLDS_TAG, fold_run
from results.tracking.moved import mend_moved
from results.tracking.pages import page_tags
from results.tracking.report import Done, SyncReport, tell
from results.tracking.runs import RANKED_TAG, failed_run, leaderboard_run, scored_run
from results.tracking.shown import (
    LEADERBOARD_TAG,
    STUDY_TAG,
    VIEW_VERSION,
    ShownStudy,
    by_experiment,
    shown_board,
    shown_study,
)
from results.views.board_page import board_page

TRACKING_OFF = "Tracking is off: a results address has no MLflow database beside it. Give --tracking-uri to have one."

_EXPECTED = "Give http://HOST:PORT of an MLflow server, or sqlite:///FILE.db for a database file."

MakePage = Callable[[OutcomeStore, Sequence[StudyCard], np.random.Generator, Mapping[str, StoredStudy]], bytes]
"""(store, studies, generator, studies that were read already by key) -> the page of a leaderboard's run."""


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
    StoreError : the database file cannot be made or written, is damaged, or belongs to another version of MLflow.
    """
    resolved = resolve_tracking_uri(uri, results_root)
    if resolved is None or not resolved.startswith(SQLITE):
        return resolved
    path = sqlite_file(resolved)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Tracker(resolved)
    except (OSError, TrackingLost) as error:
        if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            # The results are somebody else's, perhaps.
            raise StoreError(
                f"The MLflow database {path} cannot be written: {error.strerror}. Give yourself the permission, or "
                "name another with --tracking-uri."
            ) from error
        ours = (
            "Everything in it can be made again from the results: move the file away and run the same command again, or"
        )
        # Somebody's own database may hold what nothing here can make again.
        others = f"If another version of MLflow made it, `mlflow db upgrade {shlex.quote(resolved)}` brings it up; or"
        remedy = ours if resolve_tracking_uri(None, results_root) == resolved else others
        raise StoreError(
            f"The MLflow database {path} cannot be used: {error}. {remedy} name another with --tracking-uri."
        ) from error
    return resolved


def sync(
    store: OutcomeStore,
    cards: Iterable[StudyCard],
    tracking_uri: str,
    rng: np.random.Generator,
    say: Callable[[str], None],
    leaderboards: bool = True,
    before: Mapping[str, Done] | None = None,
    page: MakePage | None = None,
    folds: bool = False,
    cached: Mapping[str, StoredStudy] | None = None,
    stored: Sequence[StudyCard] | None = None,
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
    before : what earlier syncs of the same command did, by study key. A run that they made, and that this one leaves as
        it is, is told as made.
    page : makes the page of a leaderboard's run; None for ``board_page``, which knows only what the store holds.
    folds : make a run of each fold, too, below its study's. Those that are there go when their study's run does.
    cached : study key -> studies that the caller has read already.
    stored : all studies of the store, where the caller has read their cards.

    Raises
    ------
    StoreError : the store cannot be read.
    HonestyError : predictions contradict their study's card.
    """
    report, pages = SyncReport(), list[tuple[str, Experiment]]()
    given, known = by_experiment(cards), by_experiment(())
    if leaderboards:
        known = by_experiment(store.cards() if stored is None else stored)
    try:
        view = _View(store, Tracker(tracking_uri), rng, say, report, pages, page or _page, folds)
        view.mend_moved()
        for experiment, shown in given.items():
            wanted = {card.key: card for card in [*shown, *known[experiment]]}
            studies = {key: cached[key] for key in wanted if cached and key in cached}
            studies |= read_studies(store, [card for key, card in wanted.items() if key not in studies])
            found = view.show([card.key for card in shown], experiment, studies, many=leaderboards)
            if leaderboards:
                all_of_it = [found.get(card.key) or view.shown(studies[card.key]) for card in known[experiment]]
                view.show_leaderboard(experiment, all_of_it)
    except TrackingLost as lost:
        report.unreachable = str(lost)
    tell(report, pages, store, tracking_uri, say, before)
    return report


@dataclass
class _View:
    """One sync: the store on one side, MLflow on the other, and the count of what was done."""

    store: OutcomeStore
    tracker: Tracker
    rng: np.random.Generator
    say: Callable[[str], None]
    report: SyncReport
    pages: list[tuple[str, Experiment]]
    page: MakePage
    folds: bool
    _said: list[str] = field(default_factory=list)

    def mend_moved(self) -> None:
        """Find the files of runs again where the database was moved, with the results or without."""
        if not self.tracker.uri.startswith(SQLITE):
            return
        here = sqlite_file(self.tracker.uri)
        with self.tracker.alone():
            moved = mend_moved(here)
            for one in moved:
                # The leaderboard of the same store, before it was moved.
                identity = digest([one.experiment, str(one.folder)])
                self._remove(self.tracker.find(one.experiment, LEADERBOARD_TAG, identity))
        for folder in sorted({one.folder for one in moved}):
            runs = sum(one.runs for one in moved if one.folder == folder)
            self.say(
                f"MLflow's database lay in {folder} before: the files of {runs} runs are found in {here.parent} now."
            )

    def show(
        self, keys: Iterable[str], experiment: str, studies: Mapping[str, StoredStudy], many: bool
    ) -> dict[str, ShownStudy]:
        """Make the runs of an experiment's studies, unless they are there and show the same.

        Parameters
        ----------
        keys : of the studies to be shown.
        experiment : its name.
        studies : what the store holds of them, by key.
        many : ask for all runs of the experiment at once.

        Returns
        -------
        Study key -> what the store holds of it.
        """
        known = self.tracker.find_all(experiment, STUDY_TAG) if many else {}
        found = {}
        for key in dict.fromkeys(keys):
            shown = self.shown(studies[key])
            unchanged = shown.content is not None and [run.content for run in known.get(key, ())] == [shown.content]
            if unchanged and not self.folds:
                self.report.done[key] = "unchanged"
            else:
                shown = self._show(experiment, shown.study.card)
            found[key] = dataclasses.replace(shown, study=shown.study.without_curves())
        return found

    def _show(self, experiment: str, card: StudyCard) -> ShownStudy:
        key = card.key
        with self.tracker.alone():
            # Read again: it may have been a while, and other drivers are at work.
            shown = self.shown(read_study(self.store, card))
            found = self.tracker.find(experiment, STUDY_TAG, key)
            if shown.content is None:
                self.report.done[key] = "incomplete"
                self._remove(found)
            elif [run.content for run in found] == [shown.content]:
                self.report.done[key] = "unchanged"
            else:
                self._write(experiment, (STUDY_TAG, key), self._run(shown), shown.content, found)
                self._remove(self.tracker.find(experiment, FOLDS_TAG, key) if found else [])
                self.report.done[key] = "updated" if found else "logged"
            if self.folds and shown.content is not None:
                self._show_folds(experiment, shown.study)
        return shown

    def _show_folds(self, experiment: str, study: StoredStudy) -> None:
        """Make the runs of a study's folds, unless they are there and show the same."""
        card = study.card
        (parent, *_) = (run.run_id for run in self.tracker.find(experiment, STUDY_TAG, card.key))
        wanted = {digest([VIEW_VERSION, parent, result_digest(one)]): one for one in study.outcomes}
        found = self.tracker.find(experiment, FOLDS_TAG, card.key)
        if sorted(run.content or "" for run in found) == sorted(wanted):
            return
        self._remove(found)
        for content, outcome in wanted.items():
            self.tracker.write(experiment, (FOLDS_TAG, card.key), fold_run(card, outcome, parent), content)

    def show_leaderboard(self, experiment: str, shown: list[ShownStudy]) -> None:
        """Make the experiment's page and leaderboard run, unless they show the same already.

        There is no such run before a study is complete, and no page of an experiment without runs.

        shown : all studies of the experiment, in the store's order.
        """
        with self.tracker.alone():
            self._show_leaderboard(experiment, shown)

    def _show_leaderboard(self, experiment: str, shown: list[ShownStudy]) -> None:
        cards, board = [one.study.card for one in shown], shown_board(self.store, experiment, shown)
        found = self.tracker.find(experiment, *board.identity)
        if not board.complete:
            self._remove(found)
        page = self.tracker.experiment(experiment)
        standing = not board.complete or [run.content for run in found] == [board.content]
        if page is None:
            return
        self.pages.append((experiment, page))
        if standing and page.tags.get(CONTENT_TAG) == board.page_content:
            return
        cached = {one.study.card.key: one.study for one in shown}
        leaderboard = build_leaderboard(self.store, cards, rng=copy.deepcopy(self.rng), cached=cached)
        if not standing:
            page_of_all = self.page(self.store, cards, copy.deepcopy(self.rng), cached)
            self._write(experiment, board.identity, leaderboard_run(leaderboard, page_of_all), board.content, found)
        ranked = {key for row in leaderboard.rows if not (row.stamp or row.superseded) for key in row.studies}
        values = {card.key: str(card.key[:16] in ranked).lower() for card in cards}
        self.tracker.tag_runs(experiment, STUDY_TAG, RANKED_TAG, values)
        tags = page_tags(page, leaderboard, shown_uri(self.store.root))
        self.tracker.tag_experiment(page, {**tags, CONTENT_TAG: board.page_content})

    def shown(self, study: StoredStudy) -> ShownStudy:
        """Return a study with what its run shows; what is damaged of it is said once."""
        for message in study.damage:
            if message not in self._said:
                self._said.append(message)
                self.say(message)
        return shown_study(self.store, study)

    def _run(self, shown: ShownStudy) -> RunContent:
        study = shown.study
        if not study.complete:
            return failed_run(study.card, study.outcomes, shown.failures)
        rows = study_rows(study.card, study.outcomes, copy.deepcopy(self.rng))
        return scored_run(study.card, study.outcomes, rows, shown_uri(self.store.root) if study.kept else "")

    def _write(
        self, experiment: str, identity: tuple[str, str], run: RunContent, content: str, before: list[FoundRun]
    ) -> None:
        """Put a run in the place of those that were there before; of equal ones by several drivers, the first stays."""
        self._remove(before)
        self.tracker.write(experiment, identity, run, content)
        others = [one for one in self.tracker.find(experiment, *identity) if one.content == content]
        self._remove(others[1:])

    def _remove(self, runs: list[FoundRun]) -> None:
        for run in runs:
            self.tracker.remove(run.run_id)


def _page(
    store: OutcomeStore, cards: Sequence[StudyCard], rng: np.random.Generator, cached: Mapping[str, StoredStudy]
) -> bytes:
    return board_page(store, cards, rng=rng, cached=cached)


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
