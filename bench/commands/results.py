"""The verbs that only read the store: status, leaderboard, compare, report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.config import results_root
from preprocess.base.errors import UsageError
from preprocess.base.files import write_atomic
from results.scores.stored_study import StoredStudy, counted
from results.store.outcome_store import OutcomeStore
from results.store.watched import INNER
from results.views.text import Header, table

BOOTSTRAP_SEED = 0
"""Seed of the intervals' resampling: the same store gives the same table, whoever asks and whenever."""


def status(results: str) -> str:
    """Return a table of the store's studies with their folds done, failed and missing."""
    store = OutcomeStore(results_root(results))
    studies = [counted(store, card) for card in store.cards()]
    return "\n".join([status_table(studies), *inner_lines(store, studies)])


def inner_lines(store: OutcomeStore, studies: Sequence[StoredStudy]) -> list[str]:
    """Return a line on the inner folds that are done, where a tuned study waits for them."""
    if not any(study.card.watches == INNER and not study.settled for study in studies):
        return []
    inner = [counted(store, card) for card in store.cards(inner=True)]
    done, failed = sum(one.done for one in inner), sum(one.failed for one in inner)
    return ["", f"inner folds, on which tuned studies try configurations: {done} done, {failed} failed"]


def status_table(studies: Sequence[StoredStudy]) -> str:
    """Return a table of studies with their folds done, failed and missing."""
    rows = []
    for study in studies:
        card, total = study.card, len(study.card.folds)
        counts = [str(count) for count in (total, study.done, study.failed, total - study.done - study.failed)]
        rows.append(
            [card.key[:12], card.label, card.dataset, card.task, card.protocol, card.selection, str(card.seed), *counts]
        )
    names = ["study", "model", "dataset", "task", "protocol", "selection", "seed", "folds", "done", "failed", "missing"]
    headers: list[Header] = [(name, "right" if name in names[6:] else "left") for name in names]
    return "\n".join(table(headers, rows))


def leaderboard(
    results: str, format: str, include_superseded: bool, width: int | None, shape: str | None = None
) -> str:
    """Return the ranked table of the store in one of the formats of ``results.views.leaderboard_text``."""
    from results.scores.leaderboard import build_leaderboard
    from results.views.leaderboard_text import render

    store = OutcomeStore(results_root(results))
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    return render(build_leaderboard(store, rng=rng, include_superseded=include_superseded), format, width, shape)


def compare(
    results: str, models: Sequence[str], benchmarks: Sequence[str], parts: Sequence[str], format: str, width: int | None
) -> str:
    """Return which models are better than others, in one of the formats of ``results.views.comparison_text``."""
    from results.scores.comparison import compare
    from results.store.chosen import choose_cards
    from results.views.comparison_text import render

    store = OutcomeStore(results_root(results))
    cards = choose_cards(store.cards(), models, benchmarks)
    return render(compare(store, cards, rng=np.random.default_rng(BOOTSTRAP_SEED), parts=parts), format, width)


def compare_over_benchmarks(
    results: str,
    models: Sequence[str],
    benchmarks: Sequence[str],
    parts: Sequence[str],
    format: str,
    width: int | None,
    diagram: str | None,
) -> str:
    """Return the models' ranks over all benchmarks, in a format of ``results.views.over_benchmarks_text``.

    diagram : file that the critical-difference diagram is written to; None for none.
    """
    from results.scores.over_benchmarks import rank_over_benchmarks
    from results.store.chosen import choose_cards
    from results.views.over_benchmarks_text import render
    from results.views.rank_picture import check_ending, rank_diagram

    ending = check_ending(diagram) if diagram else ""
    store = OutcomeStore(results_root(results))
    ranked = rank_over_benchmarks(store, choose_cards(store.cards(), models, benchmarks), parts)
    text = render(ranked, format, width)
    if diagram:
        picture = rank_diagram(ranked, ending)
        try:
            write_atomic(diagram, picture)
        except OSError as error:
            raise UsageError(f"--diagram {diagram} cannot be written: {error.strerror}.") from error
    return text


def claims(results: str, models: Sequence[str], format: str, width: int | None) -> str:
    """Return printed scores beside ours, in one of the formats of ``results.views.claims_text``.

    Parameters
    ----------
    results : the store.
    models : names or shell patterns of the models; none for those of the store.
    format : of the text.
    width : of the table, in characters; None for that of the terminal.
    """
    from bench.plan.printed import printed_scores
    from mer_models.registry import MODELS
    from results.scores.claims import claims as held_against
    from results.scores.leaderboard import build_leaderboard
    from results.views.claims_text import render

    store = OutcomeStore(results_root(results))
    cards = store.cards()
    known = set(MODELS.names())
    names = MODELS.select(list(models)) if models else sorted({card.model for card in cards} & known)
    printed = printed_scores(names)
    chosen = [card for card in cards if card.model in names]
    board = build_leaderboard(store, chosen, rng=np.random.default_rng(BOOTSTRAP_SEED))
    return render(held_against(printed, board.rows), format, width)


def report(results: str, study: str) -> str:
    """Return the per-class and per-subject report of the study that ``study`` (a key's start or words) names."""
    from results.views.study_report import find_study, study_report

    store = OutcomeStore(results_root(results))
    card = find_study(store.cards(), study)
    outcomes, damaged = store.read_outcomes(card)
    text = study_report(card, outcomes, store.failures(card), np.random.default_rng(BOOTSTRAP_SEED))
    return "\n".join([*(f"warning: {message}" for message in damaged), text])
