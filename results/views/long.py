"""A leaderboard with a line for each row: every part of a composite by itself, with every column."""

from __future__ import annotations

import itertools

from results.scores.leaderboard import Leaderboard, Row
from results.views.columns import Column, flat_columns, row_columns
from results.views.latex import latex_escaped
from results.views.leaderboard_words import footnotes, gap_lines, part_counts, section, section_title, stamps
from results.views.shift_text import shift_lines, shift_markdown
from results.views.text import fitted_widths, heading, paragraph, table


def long_table(leaderboard: Leaderboard, width: int) -> list[str]:
    """Return the lines of a table for each benchmark and part, and its gaps."""
    lines = []
    columns = row_columns(leaderboard.rows)
    widths = _row_widths(columns, leaderboard.rows, width)
    for where, rows in itertools.groupby(leaderboard.rows, key=section):
        lines += heading(section_title(where))
        for _, same in itertools.groupby(rows, key=lambda row: row.benchmark):
            lines += _benchmark_lines(list(same), columns, widths, width)
        lines += gap_lines([gap for gap in leaderboard.gaps if section(gap) == where])
        lines += shift_lines([loss for loss in leaderboard.shifts if section(loss) == where], width)
    return lines


def _row_widths(columns: list[Column], rows: list[Row], width: int) -> list[int]:
    """Return one width a column, the same for all tables so that they line up; only the model's name is folded."""
    cells = [[column.text(row) for column in columns] for row in rows]
    model = [column.header for column in columns].index("model")
    headers = [(max(column.header, column.multilabel_header, key=len), column.justify) for column in columns]
    return fitted_widths(headers, cells, width, model)


def _benchmark_lines(rows: list[Row], columns: list[Column], widths: list[int], width: int) -> list[str]:
    lines = paragraph(part_counts(rows[0], rows[0].part), width)
    for _, same in itertools.groupby(rows, key=lambda row: row.stamp):
        alike = list(same)
        headers = [(column.title(alike[0].multilabel), column.justify) for column in columns]
        cells = [[column.text(row) for column in columns] for row in alike]
        lines += [*stamps(alike), *table(headers, cells, widths)]
    for row in rows:
        for note in row.notes:
            lines += paragraph(f"! {row.label}, {row.selection}: {note}", width)
    return [*lines, ""]


def long_markdown(leaderboard: Leaderboard) -> str:
    """Return one Markdown table; each line names all that its score depends on."""
    columns = flat_columns(leaderboard.rows)
    header = [column.header for column in columns]
    rule = ["---:" if column.justify == "right" else "---" for column in columns]
    body = [[cell.replace("|", "\\|") for cell in cells] for cells in _cells(columns, leaderboard)]
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, rule, *body)]
    lines += ["", *shift_markdown(leaderboard.shifts)] if leaderboard.shifts else []
    return "\n".join([*lines, *(f"\n{note}" for note in footnotes(leaderboard))]) + "\n"


def long_latex(leaderboard: Leaderboard) -> str:
    """Return one LaTeX tabular; each line names all that its score depends on."""
    columns = flat_columns(leaderboard.rows)
    sides = "".join(column.justify[0] for column in columns)
    header = [latex_escaped(column.header) for column in columns]
    body = [[latex_escaped(cell) for cell in cells] for cells in _cells(columns, leaderboard)]
    lines = [" & ".join(cells) + r" \\" for cells in body]
    notes = [rf"\multicolumn{{{len(columns)}}}{{l}}{{{latex_escaped(note)}}} \\" for note in footnotes(leaderboard)]
    return (
        "\n".join(
            [
                rf"\begin{{tabular}}{{{sides}}}",
                r"\hline",
                " & ".join(header) + r" \\",
                r"\hline",
                *lines,
                r"\hline",
                *notes,
                r"\end{tabular}",
            ]
        )
        + "\n"
    )


def _cells(columns: list[Column], leaderboard: Leaderboard) -> list[list[str]]:
    return [[column.text(row) for column in columns] for row in leaderboard.rows]
