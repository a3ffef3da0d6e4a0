"""Pairs of models as LaTeX: a table a benchmark and a row a pair, for a paper. It needs the package booktabs."""

from __future__ import annotations

import itertools
import re

from results.scores.comparison import Comparison
from results.scores.pairs import COMPARED, LEVEL, Pair
from results.views.columns import number
from results.views.comparison_words import interval, metric_name, signed, title
from results.views.latex import PAGE, SMALL_PRINT, in_lines, latex_escaped, name_cell, name_column, widest

_HEADERS = ("difference", r"95\,\% interval", r"$p_{\mathrm{Holm}}$")


def latex_tables(comparison: Comparison) -> str:
    """Return a floating table a benchmark; what is left out does not stand there."""
    lines = []
    for _, same in itertools.groupby(comparison.pairs, key=lambda pair: pair.benchmark):
        lines += [*_table(list(same)), ""]
    return "\n".join(lines)


def _table(pairs: list[Pair]) -> list[str]:
    first, width = pairs[0], len(_HEADERS)
    name, other = _name_columns(pairs)
    starts = range(3, 3 + width * len(COMPARED), width)
    spans = [rf"\multicolumn{{{width}}}{{c}}{{{latex_escaped(metric_name(metric, first))}}}" for metric in COMPARED]
    rules = [rf"\cmidrule(lr){{{start}-{start + width - 1}}}" for start in starts]
    return [
        r"\begin{table}[t]",
        r"\centering",
        *SMALL_PRINT,
        rf"\caption{{{_caption(pairs)}}}",
        rf"\begin{{tabular}}{{{name}{other}{'rlr' * len(COMPARED)}}}",
        r"\toprule",
        f" & & {' & '.join(spans)} \\\\",
        "".join(rules),
        f"model & against & {' & '.join(_HEADERS * len(COMPARED))} \\\\",
        r"\midrule",
        *(_row(pair, name, other) for pair in pairs),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def _name_columns(pairs: list[Pair]) -> tuple[str, str]:
    """Return what the table declares for both models' names, folded alike where the page is too narrow for them."""
    cells = [[_cells(pair, metric) for pair in pairs] for metric in COMPARED]
    headers = ("difference", "95 % interval", "p Holm")
    columns = [
        widest([name, *column]) for rows in cells for name, column in zip(headers, zip(*rows, strict=True), strict=True)
    ]
    room = PAGE - sum(columns)
    one, other = ["model", *(pair.first for pair in pairs)], ["against", *(pair.second for pair in pairs)]
    return (
        name_column(one, max(room / 2, room - widest(other))),
        name_column(other, max(room / 2, room - widest(one))),
    )


def _cells(pair: Pair, metric: str) -> tuple[str, str, str]:
    found = pair.metrics[metric]
    return signed(found.difference), interval(found), number(found.p_holm)


def _row(pair: Pair, name: str, other: str) -> str:
    row = [name_cell(pair.first, name), name_cell(pair.second, other)]
    for metric in COMPARED:
        found = pair.metrics[metric]
        cells = _cells(pair, metric)
        # A minus alone; two of them are the dash of a missing number.
        difference, *others = (re.sub("(?<!-)-(?!-)", "$-$", latex_escaped(cell)) for cell in cells)
        row += [rf"\textbf{{{difference}}}" if found.told_apart else difference, *others]
    return " & ".join(row) + r" \\"


def _caption(pairs: list[Pair]) -> str:
    first = pairs[0]
    seeds = sorted({len(pair.seeds) for pair in pairs})
    several = f"{seeds[0]} to {seeds[-1]} seeds" if len(seeds) > 1 else _counted(seeds[0], "seed")
    text = (
        f"{title(first)}: {first.n_samples} samples of {first.n_subjects} subjects, {several}. Differences of scores "
        "from pooled predictions; intervals from resampled subjects; p from swaps of whole subjects between two "
        f"models, corrected for {_counted(len(pairs), 'pair')} by Holm's method. Bold: below {LEVEL}."
    )
    return in_lines(text)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
