"""``merbench status --watch``: the table of folds, renewed until no fold is left to run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from rich.console import Console
from rich.live import Live
from rich.text import Text

from bench.commands.results import inner_lines, status_table
from bench.config import results_root
from bench.console.interrupts import exit_status, terminable
from bench.console.say import say
from preprocess.base.storage import shown_address
from results.scores.stored_study import StoredStudy, counted
from results.store.outcome_store import MissingStore, OutcomeStore

SECONDS = 5.0
"""How often the results are looked at."""

DONE, SOME_FAILED = 0, 1
"""Exit statuses, as those of a run."""


def watch_status(results: str, console: Console) -> int:
    """Show the table of ``merbench status`` until no fold is left to run; return the exit status.

    On a terminal the table is renewed in its place; elsewhere it is printed anew where something has changed.

    Parameters
    ----------
    results : the store; where there is none yet, one is waited for.
    console : where the table goes.

    Raises
    ------
    StoreError : the store cannot be read.
    """
    root, shown = results_root(results), ""
    try:
        with terminable(), _shown_on(console) as show:
            while True:
                store, studies = _look(root)
                text = _text(root, store, studies)
                if text != shown:
                    show(text)
                shown = text
                if store and studies and not _left(store, studies):
                    return SOME_FAILED if any(study.failed for study in studies) else DONE
                time.sleep(SECONDS)
    except KeyboardInterrupt:
        return exit_status()


@contextlib.contextmanager
def _shown_on(console: Console) -> Iterator[Callable[[str], None]]:
    """Yield what shows a text in the place of the one before: below it, where the console is no terminal."""
    if not console.is_terminal:
        yield lambda text: say(console, text)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda text: live.update(Text(text), refresh=True)


def _look(root: str) -> tuple[OutcomeStore | None, list[StoredStudy]]:
    try:
        store = OutcomeStore(root)
    except MissingStore:
        return None, []
    return store, [counted(store, card) for card in store.cards()]


def _text(root: str, store: OutcomeStore | None, studies: Sequence[StoredStudy]) -> str:
    if not studies:
        what = "no study yet" if store else "no results yet"
        return f"{shown_address(root)}: {what}; waiting for a run to begin (Ctrl-C ends this)."
    total, done = sum(len(study.card.folds) for study in studies), sum(study.done for study in studies)
    failed = sum(study.failed for study in studies)
    # First, since a terminal that is too small cuts the table's end.
    counts = f"{done} of {total} folds done, {failed} failed, {total - done - failed} missing"
    inner = inner_lines(store, studies) if store else []
    return "\n".join([counts, status_table(studies), *inner])


def _left(store: OutcomeStore, studies: Sequence[StoredStudy]) -> list[StoredStudy]:
    """Return the studies with folds left to run, but those that a later run has replaced by newer code or data."""
    unsettled = [study for study in studies if not study.settled]
    return [study for study in unsettled if not (study.done and _replaced(store, study, studies))]


def _replaced(store: OutcomeStore, study: StoredStudy, studies: Sequence[StoredStudy]) -> bool:
    same = [other for other in studies if other is not study and _name(other) == _name(study)]
    return any(other.done and _finished(store, other) > _finished(store, study) for other in same)


def _name(study: StoredStudy) -> tuple[str, ...]:
    card = study.card
    return (card.label, card.dataset, card.task, card.protocol, card.selection, str(card.seed))


def _finished(store: OutcomeStore, study: StoredStudy) -> str:
    return replace(study, read=store.read_outcomes(study.card)[0]).finished
