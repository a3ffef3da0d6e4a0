"""What a leaderboard of several benchmarks begins with: each model's UF1 and rank on each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from results.scores.leaderboard import Row
from results.scores.pooling import FULL
from results.views.columns import COLUMNS, MISSING, number
from results.views.text import Header, fitted_widths, heading, natural_widths, table

_NARROWEST_MODEL, _GAP = 12, 2


def summary_lines(rows: Sequence[Row], width: int) -> list[str]:
    """Return a table, a model a line and a benchmark a column; nothing of fewer than two benchmarks.

    Rows that are never ranked do not stand there. First come the models with a score on all benchmarks, those with the
    best mean rank before the others.
    """
    shown = [row for row in rows if row.part == FULL and row.competes]
    benchmarks = list(dict.fromkeys(row.benchmark for row in shown))
    if len(benchmarks) < 2:
        return []
    models: dict[tuple[str, str], dict[tuple[Any, ...], Row]] = {}
    for row in shown:
        models.setdefault((row.label, row.selection), {})[row.benchmark] = row
    order = sorted(models, key=lambda model: (*_place(models[model], benchmarks), model))
    several = len({selection for _, selection in order}) > 1
    cells = [
        [label, *([selection] if several else []), *(_cell(models[label, selection].get(one)) for one in benchmarks)]
        for label, selection in order
    ]
    first = {row.benchmark: row for row in reversed(shown)}
    names = _names([first[one] for one in benchmarks])
    start: list[Header] = [("model", "left")]
    start += [("selection", "left")] if several else []
    headers: list[Header] = [*start, *((name, "right") for name in names)]
    legend = []
    if sum(natural_widths(headers, cells)[1:]) + _GAP * (len(headers) - 1) + _NARROWEST_MODEL > width:
        headers = [*start, *((f"[{place}]", "right") for place in range(1, len(names) + 1))]
        legend = [f"[{place}] {' · '.join(name.split(chr(10)))}" for place, name in enumerate(names, 1)]
    return [
        *heading("Summary: UF1 and rank"),
        *legend,
        *table(headers, cells, fitted_widths(headers, cells, width, 0)),
        "",
    ]


def _place(found: dict[tuple[Any, ...], Row], benchmarks: Sequence[tuple[Any, ...]]) -> tuple[int, float]:
    """Return by what models are ordered: benchmarks without a score, and the mean rank on the others."""
    ranks = [row.rank for row in found.values() if row.rank is not None]
    return len(benchmarks) - len(ranks), sum(ranks) / max(len(ranks), 1)


def _names(rows: Sequence[Row]) -> list[str]:
    """Return a benchmark's name for each row, a line for each word that tells them apart."""
    tasks = len({row.task for row in rows}) > 1
    names = [
        "\n".join([COLUMNS.get("dataset").text(row), *([row.task] if tasks else []), row.protocol]) for row in rows
    ]
    # Of other samples, for some models lack a feature for some of them.
    return [
        f"{name}\n{row.n_samples} samples" if names.count(name) > 1 else name
        for name, row in zip(names, rows, strict=True)
    ]


def _cell(row: Row | None) -> str:
    if row is None:
        return MISSING
    if row.uf1 is None:
        return COLUMNS.get("folds").text(row)
    return f"{number(row.uf1)} {COLUMNS.get('rank').text(row):>3}"
