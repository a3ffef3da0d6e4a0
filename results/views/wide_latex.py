"""The field's table as LaTeX, for a paper. It needs the package booktabs."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from results.scores.leaderboard import Leaderboard, Row
from results.scores.pooling import FULL
from results.views.columns import COLUMNS, Column, interval, number
from results.views.latex import (
    BETWEEN,
    PAGE,
    SMALL_PRINT,
    in_lines,
    latex_escaped,
    length,
    name_cell,
    name_column,
    widest,
)
from results.views.leaderboard_words import part_counts, section_title, stamps
from results.views.wide import WideTable, row_notes, wide_tables

_METRICS = ("uf1", "uar")

# In points: UF1 and UAR of a part with what stands between them, and what names may take where they are too long.
_PART, _NAME = 57.0, 120.0


def wide_latex(leaderboard: Leaderboard) -> str:
    """Return a floating table for each section: a row for each model, the intervals of UF1 below its scores.

    The UF1 of the rows that cannot be told from the best one of their column is bold. Parts that do not fit on a page
    beside each other stand in a table of their own, and names of models that are too long go on below.
    """
    tables = wide_tables(leaderboard)
    texts = []
    for place, one in enumerate(tables):
        notes = [*row_notes(one.rows), *(leaderboard.notes if place == len(tables) - 1 else [])]
        pieces = _pieces(one)
        texts += [
            "\n".join(_table(one, piece, notes if piece is pieces[-1] else [], continued=piece is not pieces[0]))
            for piece in pieces
        ]
    return "\n\n".join(texts or ["% No studies in this store yet."]) + "\n"


@dataclass(frozen=True)
class _Piece:
    """What stands in one table.

    Attributes
    ----------
    parts : those whose scores stand there.
    added : the columns that somebody added.
    name : what the table declares for the names of models, which go on below where they are too long.
    """

    parts: list[str]
    added: list[Column]
    name: str


def _pieces(one: WideTable) -> list[_Piece]:
    """Return the parts in runs of about one length that fit on a page."""
    added, model = one.added, COLUMNS.get("model")
    names = [model.header, *(model.text(line[FULL]) for line in one.rows)]
    others = (column for column in (*one.shown, *added) if column is not model)
    rest = PAGE - sum(widest([column.header, *(column.text(line[FULL]) for line in one.rows)]) for column in others)
    part = max(_PART, *(length(one.title(part)) + BETWEEN for part in one.parts))
    room = max(_NAME, rest - part * len(one.parts))
    most = max(1, int((rest - min(room, widest(names))) / part))
    size = math.ceil(len(one.parts) / math.ceil(len(one.parts) / most))
    runs = [one.parts[start : start + size] for start in range(0, len(one.parts), size)]
    return [_Piece(run, added if FULL in run else [], name_column(names, room)) for run in runs]


def _table(one: WideTable, piece: _Piece, notes: list[str], continued: bool) -> list[str]:
    parts, added = piece.parts, piece.added
    before = len(one.shown)
    starts = range(before + 1, before + 1 + 2 * len(parts), 2)
    names = [COLUMNS.get(metric).title(one.multilabel) for metric in _METRICS]
    spans = [rf"\multicolumn{{2}}{{c}}{{{latex_escaped(one.title(part))}}}" for part in parts]
    headers = [*(column.header for column in one.shown), *(names * len(parts)), *(c.header for c in added)]
    sides = [piece.name if column is COLUMNS.get("model") else column.justify[0] for column in one.shown]
    sides += [*("cc" * len(parts)), *(c.justify[0] for c in added)]
    lines = [
        r"\begin{table}[t]",
        r"\centering",
        *SMALL_PRINT,
        rf"\caption{{{in_lines(_caption(one, parts, continued))}}}",
        rf"\begin{{tabular}}{{{''.join(sides)}}}",
        r"\toprule",
        " & ".join([*[""] * before, *spans, *[""] * len(added)]).strip() + r" \\",
        "".join(rf"\cmidrule(lr){{{start}-{start + 1}}}" for start in starts),
        " & ".join(map(latex_escaped, headers)) + r" \\",
    ]
    for _, alike in itertools.groupby(one.rows, key=lambda line: line[FULL].stamp):
        lines.append(r"\midrule")
        for line in alike:
            lines += _lines(one, line, piece)
    lines += [r"\bottomrule", r"\end{tabular}"]
    if notes:
        lines += [r"\par\smallskip", r"{\raggedright\footnotesize"]
        lines += [rf"{in_lines(note if note.endswith('.') else note + '.')}\par" for note in notes]
        lines.append("}")
    return [*lines, r"\end{table}"]


def _lines(one: WideTable, line: dict[str, Row], piece: _Piece) -> list[str]:
    """Return a model's scores, and below them the intervals of UF1."""
    full, added = line[FULL], piece.added
    cells = [
        name_cell(column.text(full), piece.name if column is COLUMNS.get("model") else "l") for column in one.shown
    ]
    below = [""] * len(cells)
    for part in piece.parts:
        row = line[part]
        best = number(row.uf1)
        if row.uf1 is None:
            cells.append(_over_both(latex_escaped(COLUMNS.get("folds").text(row))))
            below.append(_over_both(""))
        else:
            cells += [rf"\textbf{{{best}}}" if row.rank == 1 else best, number(row.uar)]
            below.append(_over_both(rf"\scriptsize {latex_escaped(interval(row.uf1_low, row.uf1_high))}"))
    cells += [latex_escaped(column.text(full)) for column in added]
    below += [""] * len(added)
    # An incomplete row has nothing below.
    lines = [cells, below] if full.uf1 is not None else [cells]
    return [(" & ".join(texts) + r" \\").strip() for texts in lines]


def _over_both(text: str) -> str:
    return rf"\multicolumn{{2}}{{c}}{{{text}}}"


def _caption(one: WideTable, parts: list[str], continued: bool) -> str:
    counts = "; ".join(part_counts(one.first[part], one.title(part)) for part in parts)
    if continued:
        return f"{section_title(one.section)}, continued. {counts}."
    same = "".join(f" {name.capitalize()}: {text}." for name, text in one.same.items())
    marks = "".join(f" {text}." for text in stamps([line[FULL] for line in one.rows]))
    names = " and ".join(COLUMNS.get(metric).title(one.multilabel) for metric in _METRICS)
    interval_of = COLUMNS.get("uf1").title(one.multilabel)
    return (
        f"{section_title(one.section)}. {counts}.{same} {names}: of the predictions of all folds pooled, the mean over "
        f"the seeds; below, the 95 % interval of {interval_of} over subjects. Bold: models that cannot be told from "
        f"the best one of the column, by swaps of whole subjects.{marks}"
    )
