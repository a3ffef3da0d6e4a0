"""A leaderboard as text: for the terminal, as JSON, CSV, Markdown and LaTeX, and in two shapes."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable
from typing import Any

from preprocess.base.errors import UsageError
from results.scores.leaderboard import Leaderboard, Row
from results.views.leaderboard_summary import summary_lines
from results.views.long import long_latex, long_markdown, long_table
from results.views.text import check_known, paragraph, terminal_width
from results.views.wide_latex import wide_latex
from results.views.wide_text import wide_markdown, wide_table

WIDE, LONG = "wide", "long"
SHAPES = (WIDE, LONG)
"""A line a model with its parts beside each other, as the field prints it; or a line a model and part."""


def render(leaderboard: Leaderboard, format: str, width: int | None = None, shape: str | None = None) -> str:
    """Return the leaderboard as text that ends with a newline.

    Parameters
    ----------
    leaderboard : what is shown.
    format : a key of FORMATS. ``table`` is for people; of several benchmarks it begins with a summary. ``json`` is
        ``Leaderboard.to_json``. ``csv`` has the fields of Row and its stamp, lists and mappings as JSON.
    width : of the table, in characters; None for that of the terminal. The other formats ignore it.
    shape : one of SHAPES, of the formats of SHAPED; None for ``wide``. In ``long``, ``md`` and ``latex`` are one table
        with every column.

    Raises
    ------
    UsageError : an unknown format or shape, or a shape of a format that has but one.
    """
    check_known("format", format, FORMATS)
    if shape is not None:
        check_known("shape", shape, SHAPES)
    if format in _PLAIN:
        if shape is not None:
            raise UsageError(f"{format} has one shape. --shape is for {', '.join(SHAPED)}.")
        return _PLAIN[format](leaderboard)
    return SHAPED[format](leaderboard, terminal_width(width), shape or WIDE)


def _table(leaderboard: Leaderboard, width: int, shape: str) -> str:
    lines = [] if leaderboard.rows else ["No studies in this store yet."]
    lines += summary_lines(leaderboard.rows, width)
    lines += (long_table if shape == LONG else wide_table)(leaderboard, width)
    for note in leaderboard.notes:
        lines += paragraph(f"Note: {note}", width)
    return "\n".join(lines) + "\n"


def _markdown(leaderboard: Leaderboard, width: int, shape: str) -> str:
    return (long_markdown if shape == LONG else wide_markdown)(leaderboard)


def _latex(leaderboard: Leaderboard, width: int, shape: str) -> str:
    return (long_latex if shape == LONG else wide_latex)(leaderboard)


def _json(leaderboard: Leaderboard) -> str:
    return json.dumps(leaderboard.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _csv(leaderboard: Leaderboard) -> str:
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


SHAPED: dict[str, Callable[[Leaderboard, int, str], str]] = {"table": _table, "md": _markdown, "latex": _latex}
_PLAIN: dict[str, Callable[[Leaderboard], str]] = {"json": _json, "csv": _csv}
FORMATS = ("table", "json", "csv", "md", "latex")
