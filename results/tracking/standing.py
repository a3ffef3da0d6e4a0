"""Seeing that MLflow shows everything already, without MLflow: most reruns find nothing to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing

from results.scores.stored_study import StoredStudy, read_studies
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard
from results.tracking.client import CONTENT_TAG, SQLITE, Experiment, FoundRun, sqlite_file
from results.tracking.database import DatabaseFile
from results.tracking.moved import has_moved
from results.tracking.report import Done, SyncReport, tell
from results.tracking.shown import STUDY_TAG, ShownStudy, by_experiment, shown_board, shown_study


def standing(
    store: OutcomeStore,
    cards: Iterable[StudyCard],
    tracking_uri: str,
    say: Callable[[str], None],
    before: Mapping[str, Done] | None = None,
    cached: Mapping[str, StoredStudy] | None = None,
    stored: Sequence[StudyCard] | None = None,
) -> SyncReport | None:
    """Return what ``sync`` with leaderboards would report, where it would find nothing to do.

    Two questions an experiment, however many studies it has, to the database file itself.

    Parameters
    ----------
    store, cards, tracking_uri, say, before, cached, stored : as in ``sync``.

    Returns
    -------
    The report, which was said; None, with nothing said, where there is something to do, something to be told of damaged
    files, or a server instead of a file: ``sync`` finds out what.

    Raises
    ------
    StoreError : the store cannot be read.
    HonestyError : predictions contradict their study's card.
    """
    if not tracking_uri.startswith(SQLITE) or not sqlite_file(tracking_uri).is_file():
        return None
    path, report, pages = sqlite_file(tracking_uri), SyncReport(), list[tuple[str, Experiment]]()
    given, known = by_experiment(cards), by_experiment(store.cards() if stored is None else stored)
    try:
        if has_moved(path):
            return None
        with closing(DatabaseFile(path)) as database:
            for experiment, own in given.items():
                shown = _read(store, {card.key: card for card in [*own, *known[experiment]]}, cached or {})
                page = database.experiment(experiment)
                if page is None or not _stands(store, experiment, own, known[experiment], shown, database, page):
                    return None
                pages.append((experiment, page))
                report.done |= dict.fromkeys((card.key for card in own), "unchanged")
    except sqlite3.Error:
        # No database of MLflow's, or one that is busy: the sync that follows says so, or waits.
        return None
    tell(report, pages, store, tracking_uri, say, before)
    return report


def _read(
    store: OutcomeStore, cards: Mapping[str, StudyCard], cached: Mapping[str, StoredStudy]
) -> dict[str, ShownStudy]:
    """Return study key -> what its run shows."""
    new = read_studies(store, [card for key, card in cards.items() if key not in cached])
    return {key: shown_study(store, cached.get(key) or new[key]) for key in cards}


def _stands(
    store: OutcomeStore,
    experiment: str,
    own: Sequence[StudyCard],
    all_of_it: Sequence[StudyCard],
    shown: Mapping[str, ShownStudy],
    database: DatabaseFile,
    page: Experiment,
) -> bool:
    """Return whether an experiment's runs, leaderboard and page show what they should."""
    if any(one.study.damage for one in shown.values()):
        return False
    runs = database.runs(page, STUDY_TAG)
    if any(_contents(runs.get(card.key, ())) != [shown[card.key].content] for card in own):
        return False
    board = shown_board(store, experiment, [shown[card.key] for card in all_of_it])
    tag, value = board.identity
    boards = _contents(database.runs(page, tag).get(value, ()))
    return board.complete and boards == [board.content] and page.tags.get(CONTENT_TAG) == board.page_content


def _contents(runs: Sequence[FoundRun]) -> list[str | None]:
    return [run.content for run in runs]
