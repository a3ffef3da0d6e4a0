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
    """Put complete studies into one file each, and bring MLflow up to date with the store.

    Parameters
    ----------
    results : the store.
    tracking_uri : of MLflow; ``off`` leaves it alone.
    folds : make a run of each fold, too.
    say : takes each line that is meant for the user.

    Returns
    -------
    0, or 1 where MLflow could not be reached.

    Raises
    ------
    UsageError : the results lie at an address, and no MLflow is named.
    """
    from results.scores.keeping import seal_studies
    from results.tracking.pretraining import track_pretrained
    from results.tracking.standing import standing
    from results.tracking.sync import TRACKING_OFF, open_tracking, resolve_tracking_uri
    from results.tracking.sync import sync as show
    from results.tracking.writer import OFF

    store = OutcomeStore(results_root(results))
    uri = None if tracking_uri == OFF else resolve_tracking_uri(tracking_uri, store.root)
    if uri is None and tracking_uri != OFF:
        raise UsageError(TRACKING_OFF)
    cards = store.cards()
    studies = seal_studies(store, cards, say)
    if uri is None:
        number = sum(study.sealed is not None for study in studies.values())
        say(f"{number} of {len(cards)} studies lie in one file each.")
        return 0
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    report = None if folds else standing(store, cards, uri, say, cached=studies, stored=cards)
    if report is None:
        open_tracking(uri, store.root)
        report = show(store, cards, uri, rng, say, page=tracked_page, folds=folds, cached=studies, stored=cards)
    if not report.unreachable:
        track_pretrained(uri, store.root, say)
    return 1 if report.unreachable else 0
