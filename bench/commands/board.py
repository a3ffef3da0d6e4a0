"""``merbench board``: the results as one page that any browser opens."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.commands.results import BOOTSTRAP_SEED
from bench.config import results_root
from bench.plan.printed import printed_scores
from bench.plan.sizes import sizes_of
from mer_models.registry import MODELS
from preprocess.base.errors import MerError, UsageError
from preprocess.base.files import write_atomic
from preprocess.base.hashing import digest
from preprocess.base.plugins import shipment
from preprocess.base.storage import local_folder
from results.scores.stored_study import StoredStudy
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard
from results.views.board_data import Size
from results.views.board_page import FILE, board_page, page_code, page_of

SECONDS, SECONDS_AT_THE_END = 20.0, 1.0
"""How long sizes of networks are worked out: when the board is asked for, and at the end of a run."""

MOST_FOLDS = 3000
"""Folds of a store whose board a run makes anew when it ends; of a larger store, the run's own studies."""


def write_board(results: str, out: Path | None) -> Path:
    """Write the board of a store.

    Parameters
    ----------
    results : the store.
    out : the file; None for ``board.html`` beside the results, or here where they lie at an address.

    Returns
    -------
    The file.

    Raises
    ------
    UsageError : the file cannot be written.
    """
    store = OutcomeStore(results_root(results))
    cards = store.cards()
    page = _page(store, cards, sizes_of(cards, SECONDS))
    return _written(out or (local_folder(store.root) or Path()) / FILE, page)


def board_of_run(
    store: OutcomeStore,
    own: Sequence[StudyCard],
    say: Callable[[str], None],
    cached: Mapping[str, StoredStudy] | None = None,
    stored: Sequence[StudyCard] | None = None,
) -> Path | None:
    """Write the board beside the results when a run ends; one that would show the same is left as it is.

    Parameters
    ----------
    store : the results; at an address there is no folder to write to.
    own : the run's studies: what is shown of a store that is too large to be read at the end of every run.
    say : is told why there is no board; a run ends well without one.
    cached : study key -> studies that the caller has read already.
    stored : all studies of the store, where the caller has read their cards.

    Returns
    -------
    The file; None where there is none.
    """
    folder = local_folder(store.root)
    if folder is None:
        return None
    cards = store.cards() if stored is None else list(stored)
    if sum(len(card.folds) for card in cards) > MOST_FOLDS:
        cards = list(own)
    of = made_of(cards, own, cached or {})
    if of and page_of(folder / FILE) == of:
        return folder / FILE
    sizes = sizes_of(own, SECONDS_AT_THE_END, flops=False)
    try:
        return _written(folder / FILE, _page(store, cards, sizes, cached=cached, made_of=of))
    except MerError as error:
        say(f"There is no board: {error}")
        return None


def renew_board(store: OutcomeStore, say: Callable[[str], None]) -> None:
    """Write the board beside the results anew where there is one, once studies came to them; else say how.

    Parameters
    ----------
    store : the results.
    say : is told what was done.
    """
    folder = local_folder(store.root)
    command = f"merbench board --results {shlex.quote(store.where())}"
    if folder is None or not (folder / FILE).exists():
        say(f"All of it as a page for your browser: {command} --out {FILE}")
        return
    cards = store.cards()
    if sum(len(card.folds) for card in cards) > MOST_FOLDS:
        say(f"{folder / FILE} is as it was, for the store is large; renew it with: {command}")
        return
    try:
        _written(folder / FILE, _page(store, cards, sizes_of(cards, SECONDS_AT_THE_END, flops=False)))
        say(f"Renewed: {folder / FILE}")
    except MerError as error:
        say(f"The board is as it was: {error}")


def tracked_page(
    store: OutcomeStore, cards: Sequence[StudyCard], rng: np.random.Generator, cached: Mapping[str, StoredStudy]
) -> bytes:
    """Return the page that MLflow holds of some studies; the parameters are those of ``results.tracking.sync``."""
    return _page(store, cards, sizes_of(cards, SECONDS_AT_THE_END, flops=False), rng, cached)


def _page(
    store: OutcomeStore,
    cards: Sequence[StudyCard],
    sizes: Mapping[str, Size],
    rng: np.random.Generator | None = None,
    cached: Mapping[str, StoredStudy] | None = None,
    made_of: str = "",
) -> bytes:
    printed = printed_scores(sorted({card.model for card in cards} & set(MODELS.names())))
    rng = rng or np.random.default_rng(BOOTSTRAP_SEED)
    return board_page(store, cards, rng=rng, sizes=sizes, printed=printed, cached=cached, made_of=made_of)


def made_of(cards: Sequence[StudyCard], own: Sequence[StudyCard], studies: Mapping[str, StoredStudy]) -> str:
    """Return a digest of all that a page at the end of a run shows.

    Parameters
    ----------
    cards : the studies on it.
    own : those whose networks' sizes it shows.
    studies : study key -> the studies that were read.

    Returns
    -------
    64 hex digits; "" where a study may change unseen (it does not lie in one sealed file, or was not read), and where
    plug-ins are loaded, which may add columns and metrics.
    """
    seals = {key: study.sealed.seal for key, study in studies.items() if study.sealed}
    if any(card.key not in seals for card in cards) or shipment().plugins:
        return ""
    shown = sorted(digest([card.to_json(), seals[card.key], studies[card.key].weights]) for card in cards)
    printed = printed_scores(sorted({card.model for card in cards} & set(MODELS.names())))
    # What a printed score fits is a function of its benchmark's words.
    told = [repr({name: value for name, value in vars(one).items() if name != "fits"}) for one in printed]
    return digest([shown, sorted(card.key for card in own), page_code(), told])


def _written(path: Path, page: bytes) -> Path:
    try:
        write_atomic(path, page)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}. Name another file with --out.") from error
    return path
