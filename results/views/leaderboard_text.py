"""A leaderboard as text: for the terminal, as JSON, CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
from collections.abc import Callable
from typing import Any

from preprocess.base.errors import UsageError, did_you_mean
from results.scores.leaderboard import Gap, Leaderboard, Row
from results.views.columns import Column, class_counts, flat_columns, number, number_ranges, row_columns
from results.views.latex import latex_escaped
from results.views.text import Header, fitted_widths, heading, paragraph, table, terminal_width


def render(leaderboard: Leaderboard, format: str, width: int | None = None) -> str:
    """Return the leaderboard as text that ends with a newline.

    Parameters
    ----------
    leaderboard : what is shown.
    format : a key of FORMATS. ``table`` is for people. ``json`` is ``Leaderboard.to_json``. ``csv`` has the fields of
        Row and its stamp, lists and mappings as JSON. ``md`` and ``latex`` have one line a row with every column.
    width : of the table, in characters; None for that of the terminal. The other formats ignore it.

    Raises
    ------
    UsageError : an unknown format.
    """
    if format not in FORMATS:
        raise UsageError(f"Unknown format {format!r}. {did_you_mean(format, FORMATS)}")
    return FORMATS[format](leaderboard, width)


def _table(leaderboard: Leaderboard, width: int | None) -> str:
    width = terminal_width(width)
    lines = [] if leaderboard.rows else ["No studies in this store yet."]
    columns = row_columns()
    widths = _row_widths(columns, leaderboard.rows, width)
    for section, rows in itertools.groupby(leaderboard.rows, key=_section):
        lines += _section_heading(section)
        for _, same in itertools.groupby(rows, key=lambda row: row.benchmark):
            lines += _benchmark_lines(list(same), columns, widths, width)
        lines += _gap_lines([gap for gap in leaderboard.gaps if _section(gap) == section])
    for note in leaderboard.notes:
        lines += paragraph(f"Note: {note}", width)
    return "\n".join(lines) + "\n"


def _row_widths(columns: list[Column], rows: list[Row], width: int) -> list[int]:
    """Return one width a column, the same for all tables so that they line up; only the model's name is folded."""
    cells = [[column.text(row) for column in columns] for row in rows]
    model = [column.header for column in columns].index("model")
    headers = [(max(column.header, column.multilabel_header, key=len), column.justify) for column in columns]
    return fitted_widths(headers, cells, width, model)


def _section(entry: Row | Gap) -> tuple[bool, str, str, str]:
    return entry.synthetic, entry.dataset, entry.task, entry.protocol


def _section_heading(section: tuple[bool, str, str, str]) -> list[str]:
    synthetic, dataset, task, protocol = section
    return heading(f"{dataset} · task {task} · protocol {protocol}" + (" · SYNTHETIC DATA" if synthetic else ""))


def _benchmark_lines(rows: list[Row], columns: list[Column], widths: list[int], width: int) -> list[str]:
    first = rows[0]
    counts = f"{first.n_samples} samples, {first.n_subjects} subjects ({class_counts(first)})"
    counts += "; a sample may show several classes" if first.multilabel else ""
    lines = paragraph(f"{first.part}: {counts}", width)
    for _, same in itertools.groupby(rows, key=lambda row: row.stamp):
        alike = list(same)
        lines += [*_stamps(alike), *_row_table(alike, columns, widths)]
    for row in rows:
        for note in row.notes:
            lines += paragraph(f"! {row.label}, {row.selection}: {note}", width)
    return [*lines, ""]


def _stamps(rows: list[Row]) -> list[str]:
    """Return what the stars behind the names of selections mean, a line each."""
    return sorted({f"* {row.selection} = {row.stamp}" for row in rows if row.stamp})


def _row_table(rows: list[Row], columns: list[Column], widths: list[int]) -> list[str]:
    headers = [(column.title(rows[0].multilabel), column.justify) for column in columns]
    return table(headers, [[column.text(row) for column in columns] for row in rows], widths)


def _gap_lines(gaps: list[Gap]) -> list[str]:
    oracles = sorted({gap.oracle for gap in gaps})
    return [line for oracle in oracles for line in _gap_table(oracle, [gap for gap in gaps if gap.oracle == oracle])]


def _gap_table(oracle: str, gaps: list[Gap]) -> list[str]:
    names: list[Header] = [("model", "left"), ("part", "left"), ("seeds", "left"), ("selection", "left")]
    scores: list[Header] = [("honest", "right"), (f"{oracle}*", "right"), ("gap", "right")]
    rows = [
        (
            *(gap.label, gap.part, number_ranges(gap.seeds), gap.selection),
            *(number(gap.honest_uf1), number(gap.oracle_uf1), f"{gap.gap:+.4f}"),
        )
        for gap in gaps
    ]
    return [f"Optimism gap ({oracle} minus honest UF1):", *table(names + scores, rows), ""]


def _json(leaderboard: Leaderboard, width: int | None) -> str:
    return json.dumps(leaderboard.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _csv(leaderboard: Leaderboard, width: int | None) -> str:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow([*(field.name for field in dataclasses.fields(Row)), "stamp"])
    for row in leaderboard.rows:
        writer.writerow([_csv_cell(value) for value in row.to_json().values()])
    return sink.getvalue()


def _csv_cell(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _markdown(leaderboard: Leaderboard, width: int | None) -> str:
    columns = flat_columns()
    header = [column.header for column in columns]
    rule = ["---:" if column.justify == "right" else "---" for column in columns]
    body = [[cell.replace("|", "\\|") for cell in cells] for cells in _cells(columns, leaderboard)]
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, rule, *body)]
    footer = [f"\n{note}" for note in _footnotes(leaderboard)]
    return "\n".join([*lines, *footer]) + "\n"


def _latex(leaderboard: Leaderboard, width: int | None) -> str:
    columns = flat_columns()
    sides = "".join(column.justify[0] for column in columns)
    header = [latex_escaped(column.header) for column in columns]
    body = [[latex_escaped(cell) for cell in cells] for cells in _cells(columns, leaderboard)]
    lines = [" & ".join(cells) + r" \\" for cells in body]
    notes = [rf"\multicolumn{{{len(columns)}}}{{l}}{{{latex_escaped(note)}}} \\" for note in _footnotes(leaderboard)]
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


def _footnotes(leaderboard: Leaderboard) -> list[str]:
    stamps = [f"{stamp}." for stamp in _stamps(leaderboard.rows)]
    warnings = {
        f"{row.label}, {row.selection}, {row.dataset}, {row.part}: {note}."
        for row in leaderboard.rows
        for note in row.notes
    }
    return [*stamps, *sorted(warnings), *leaderboard.notes]


FORMATS: dict[str, Callable[[Leaderboard, int | None], str]] = {
    "table": _table,
    "json": _json,
    "csv": _csv,
    "md": _markdown,
    "latex": _latex,
}
