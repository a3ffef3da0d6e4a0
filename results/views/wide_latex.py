"""The field's table as LaTeX, for a paper. It needs the package booktabs."""

from __future__ import annotations

import itertools

from results.scores.leaderboard import Leaderboard, Row
from results.scores.pooling import FULL
from results.views.columns import COLUMNS, added_columns, interval, number
from results.views.latex import latex_escaped
from results.views.leaderboard_words import part_counts, section_title, stamps
from results.views.wide import WideTable, row_notes, wide_tables

_METRICS = ("uf1", "uar")


def wide_latex(leaderboard: Leaderboard) -> str:
    """Return a floating table for each section: a row for each model, the intervals of UF1 below its scores.

    The UF1 of the rows that cannot be told from the best one of their column is bold.
    """
    tables = wide_tables(leaderboard)
    texts = []
    for place, one in enumerate(tables):
        notes = [*row_notes(one.rows), *(leaderboard.notes if place == len(tables) - 1 else [])]
        texts.append("\n".join(_table(one, notes)))
    return "\n\n".join(texts or ["% No studies in this store yet."]) + "\n"


def _table(one: WideTable, notes: list[str]) -> list[str]:
    added = added_columns()
    before = len(one.shown)
    starts = range(before + 1, before + 1 + 2 * len(one.parts), 2)
    names = [COLUMNS.get(metric).title(one.multilabel) for metric in _METRICS]
    spans = [rf"\multicolumn{{2}}{{c}}{{{latex_escaped(one.title(part))}}}" for part in one.parts]
    headers = [*(column.header for column in one.shown), *(names * len(one.parts)), *(c.header for c in added)]
    sides = [*(column.justify[0] for column in one.shown), *("cc" * len(one.parts)), *(c.justify[0] for c in added)]
    lines = [
        r"\begin{table}[t]",
        r"\centering",
        r"\small",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{latex_escaped(_caption(one))}}}",
        rf"\begin{{tabular}}{{{''.join(sides)}}}",
        r"\toprule",
        " & ".join([*[""] * before, *spans, *[""] * len(added)]).strip() + r" \\",
        "".join(rf"\cmidrule(lr){{{start}-{start + 1}}}" for start in starts),
        " & ".join(map(latex_escaped, headers)) + r" \\",
    ]
    for _, alike in itertools.groupby(one.rows, key=lambda line: line[FULL].stamp):
        lines.append(r"\midrule")
        for line in alike:
            lines += _lines(one, line)
    lines += [r"\bottomrule", r"\end{tabular}"]
    if notes:
        lines += [r"\par\smallskip", r"{\raggedright\footnotesize"]
        lines += [rf"{latex_escaped(note if note.endswith('.') else note + '.')}\par" for note in notes]
        lines.append("}")
    return [*lines, r"\end{table}"]


def _lines(one: WideTable, line: dict[str, Row]) -> list[str]:
    """Return a model's scores, and below them the intervals of UF1."""
    full, added = line[FULL], added_columns()
    cells = [latex_escaped(column.text(full)) for column in one.shown]
    below = [""] * len(cells)
    for part in one.parts:
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


def _caption(one: WideTable) -> str:
    counts = "; ".join(part_counts(one.first[part], one.title(part)) for part in one.parts)
    same = "".join(f" {name.capitalize()}: {text}." for name, text in one.same.items())
    marks = "".join(f" {text}." for text in stamps([line[FULL] for line in one.rows]))
    names = " and ".join(COLUMNS.get(metric).title(one.multilabel) for metric in _METRICS)
    interval_of = COLUMNS.get("uf1").title(one.multilabel)
    return (
        f"{section_title(one.section)}. {counts}.{same} {names}: of the predictions of all folds pooled, the mean over "
        f"the seeds; below, the 95 % interval of {interval_of} over subjects. Bold: models that cannot be told from "
        f"the best one of the column, by swaps of whole subjects.{marks}"
    )
