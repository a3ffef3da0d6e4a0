"""Shows finished studies in MLflow while others train, from one background thread: tracking never delays a fold."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import numpy as np

from results.store import OutcomeStore
from results.study import StudyCard

OFF = "off"


class TrackingWriter:
    """The driver's only writer to MLflow.

    tracking_uri : of a server or database; None for SQLite beside the results; ``off`` for no tracking.
    A server that is down costs nothing: the store is the truth, and ``merbench sync`` shows it later.
    """

    def __init__(self, store: OutcomeStore, tracking_uri: str | None, say: Callable[[str], None]) -> None:
        from results.tracking import open_tracking

        self._store, self._say = store, say
        self.where = None if tracking_uri == OFF else open_tracking(tracking_uri, store.root)
        self._waiting: queue.SimpleQueue[list[StudyCard] | None] = queue.SimpleQueue()
        self._down = False
        self._thread = threading.Thread(target=self._work, name="mlflow-writer", daemon=True)
        self._thread.start()

    def add(self, cards: list[StudyCard]) -> None:
        """Show these studies as soon as the writer gets to them."""
        self._waiting.put(cards)

    def abandon(self) -> None:
        """Stop after the studies being written; the rest stays for the next run or ``merbench sync``."""
        self._down = True
        self._waiting.put(None)
        self._thread.join(timeout=10)

    def finish(self, cards: list[StudyCard]) -> None:
        """Show everything of the run, leaderboards included, and say how that went."""
        self._waiting.put(None)
        self._thread.join()
        if self.where is None:
            return
        self._sync(cards, leaderboards=True, say=self._say)

    def _work(self) -> None:
        while (cards := self._waiting.get()) is not None:
            if self.where is not None and not self._down:
                self._down = self._sync(cards, leaderboards=False, say=_silent) is not None

    def _sync(self, cards: list[StudyCard], leaderboards: bool, say: Callable[[str], None]) -> str | None:
        from results.tracking import sync

        assert self.where is not None
        rng = np.random.default_rng(0)
        return sync(self._store, cards, self.where, rng, say=say, leaderboards=leaderboards).unreachable


def _silent(text: str) -> None:
    """Say nothing: what a sync during the run tells, the one at its end tells again."""
