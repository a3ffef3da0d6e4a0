"""The end of a command that scores what others made: their rows of the leaderboard, and MLflow."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import numpy as np
from rich.console import Console

from bench.commands.board import renew_board, tracked_page
from bench.config import RunConfig
from bench.console.say import say
from results.scores.keeping import seal_studies
from results.scores.leaderboard import build_leaderboard
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard
from results.tracking.writer import TrackingWriter
from results.views.leaderboard_text import render


def show_scored(
    cards: Sequence[StudyCard], store: OutcomeStore, config: RunConfig, failed: int, console: Console
) -> int:
    """Print the leaderboard of some studies, and bring MLflow and the board beside the results up to date.

    Parameters
    ----------
    cards : the studies.
    store : where they lie.
    config : says where MLflow is.
    failed : how many of their folds failed.
    console : where the leaderboard is shown.

    Returns
    -------
    The exit status: 0, or 1 where a fold failed.
    """
    studies = seal_studies(store, cards, lambda text: say(console, text))
    board = build_leaderboard(store, cards, rng=np.random.default_rng(0), cached=studies)
    console.print()
    table = render(board, "table", console.width)
    console.print(table, highlight=False, markup=False, emoji=False, soft_wrap=True, end="")

    def tell(text: str) -> None:
        say(console, text)

    TrackingWriter(store, config.tracking_uri, tell, tracked_page).finish(list(cards), studies)
    renew_board(store, tell)
    at = shlex.quote(store.where())
    say(console, f"Results: {store.where()}; beside others: merbench leaderboard --results {at}")
    return 1 if failed else 0
