"""Shows finished studies in MLflow while others train, from one background thread: tracking never delays a fold."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from preprocess.base.errors import MerError
from results.scores.stored_study import StoredStudy
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard

if TYPE_CHECKING:
    from results.tracking.report import Done
    from results.tracking.sync import MakePage

OFF = "off"


def check_address(tracking_uri: str | None, results_root: str) -> str | None:
    """Return the address that a run would track at. Nothing is opened or made.

    Parameters
    ----------
    tracking_uri : as the user gave it; ``off`` for no tracking.
    results_root : local folder or address of the store.

    Returns
    -------
    The address; None for no tracking.

    Raises
    ------
    UsageError : an address that MLflow does not take.
    """
    from results.tracking.sync import resolve_tracking_uri

    return None if tracking_uri == OFF else resolve_tracking_uri(tracking_uri, results_root)


class TrackingWriter:
    """The driver's only writer to MLflow.

    A server that is down costs nothing: the store is the truth, and ``merbench sync`` shows it later.

    Parameters
    ----------
    store : where the outcomes lie.
    tracking_uri : of a server or database; None for SQLite beside the results; ``off`` for no tracking.
    say : takes each line that is meant for the user.
    page : as in ``sync``.

    Attributes
    ----------
    where : the address in use; None where tracking is off.

    Raises
    ------
    UsageError : an address that MLflow does not take.
    """

    def __init__(
        self,
        store: OutcomeStore,
        tracking_uri: str | None,
        say: Callable[[str], None],
        page: MakePage | None = None,
    ) -> None:
        from results.tracking.sync import TRACKING_OFF

        self._store, self._say, self._page = store, say, page
        self.where = check_address(tracking_uri, store.root)
        if self.where is None and tracking_uri is None:
            say(TRACKING_OFF)
        self._waiting: queue.SimpleQueue[list[StudyCard] | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._done: dict[str, Done] = {}
        self._opened = False
        self._thread = threading.Thread(target=self._work, name="mlflow-writer", daemon=True)
        self._thread.start()

    def add(self, cards: list[StudyCard]) -> None:
        """Have these studies shown as soon as the writer gets to them."""
        self._waiting.put(cards)

    def abandon(self) -> None:
        """Stop after the studies being written; the rest stays for the next run or ``merbench sync``."""
        self._stopped.set()
        self._waiting.put(None)
        self._thread.join(timeout=10)

    def finish(
        self,
        cards: list[StudyCard],
        cached: Mapping[str, StoredStudy] | None = None,
        stored: Sequence[StudyCard] | None = None,
    ) -> None:
        """Show everything of the run, leaderboards included, and say how that went.

        Parameters
        ----------
        cards : the run's studies.
        cached : study key -> studies that the caller has read already.
        stored : all studies of the store, where the caller has read their cards.
        """
        self._waiting.put(None)
        self._thread.join()
        if self.where is not None:
            self._sync(cards, leaderboards=True, say=self._say, cached=cached, stored=stored)

    def _work(self) -> None:
        """Sync study by study until told to end; after a problem, leave the rest to the sync at the end of the run."""
        while (cards := self._waiting.get()) is not None:
            if self.where is not None and not self._stopped.is_set() and not self._sync(cards, False, _silent):
                self._stopped.set()

    def _sync(
        self,
        cards: list[StudyCard],
        leaderboards: bool,
        say: Callable[[str], None],
        cached: Mapping[str, StoredStudy] | None = None,
        stored: Sequence[StudyCard] | None = None,
    ) -> bool:
        """Bring MLflow up to date with ``cards``; return whether it is."""
        from results.tracking.standing import standing
        from results.tracking.sync import open_tracking, sync

        assert self.where is not None
        given: dict[str, Any] = {"cached": cached, "stored": stored}
        known = {name: value for name, value in given.items() if value is not None}
        try:
            report = standing(self._store, cards, self.where, say, self._done, **known) if leaderboards else None
            if report is None and not self._opened:
                open_tracking(self.where, self._store.root)
                self._opened = True
            rng = np.random.default_rng(0)
            report = report or sync(
                self._store,
                cards,
                self.where,
                rng,
                say,
                leaderboards=leaderboards,
                before=self._done,
                page=self._page,
                **known,
            )
        except MerError as error:
            say(f"MLflow is not up to date: {error}")
            return False
        self._done |= report.done
        return report.unreachable is None


def _silent(text: str) -> None:
    """Say nothing: what a sync during the run tells, the one at its end tells again."""
