"""``merbench sync``: what MLflow has missed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.commands.board import tracked_page
from bench.commands.results import BOOTSTRAP_SEED
from bench.config import results_root
from preprocess.base.errors import UsageError
from results.store.outcome_store import OutcomeStore


def sync(results: str, tracking_uri: str | None, folds: bool, say: Callable[[str], None]) -> int:
    """Bring MLflow up to date with the store; return 0, or 1 where the server could not be reached."""
    from results.tracking.sync import TRACKING_OFF, open_tracking
    from results.tracking.sync import sync as show

    store = OutcomeStore(results_root(results))
    uri = open_tracking(tracking_uri, store.root)
    if uri is None:
        raise UsageError(TRACKING_OFF)
    report = show(store, store.cards(), uri, np.random.default_rng(BOOTSTRAP_SEED), say, page=tracked_page, folds=folds)
    return 1 if report.unreachable else 0
