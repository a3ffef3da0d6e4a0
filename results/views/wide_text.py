"""The field's table for the terminal and as Markdown."""

from __future__ import annotations

import itertools

from results.scores.leaderboard import Leaderboard, Row
from results.scores.pooling import FULL
from results.views.columns import COLUMNS, interval, number
from results.views.leaderboard_words import footnotes, gap_lines, part_counts, section, section_title, stamps
from results.views.shift_text import shift_lines, shift_markdown
from results.views.text import Header, fitted_widths, heading, natural_widths, paragraph, table
from results.views.wide import WideTable, row_notes, wide_tables

_NARROWEST_MODEL, _GAP = 12, 2


def wide_table(leaderboard: Leaderboard, width: int) -> list[str]:
    """Return the lines of a table for each section, and its gaps. Below UF1 and UAR stands the interval of UF1."""
    lines = []
    for where, tables in itertools.groupby(wide_tables(leaderboard), key=lambda one: one.section):
        lines += heading(section_title(where))
        for one in tables:
            lines += [*_table_lines(one, width), ""]
        lines += gap_lines([gap for gap in leaderboard.gaps if section(gap) == where])
        lines += shift_lines([loss for loss in leaderboard.shifts if section(loss) == where], width)
    return lines


def _table_lines(one: WideTable, width: int) -> list[str]:
    lines = []
    for part in one.parts:
        lines += paragraph(part_counts(one.first[part], part), width)
    lines += [" · ".join(f"{name} {text}" for name, text in one.same.items())] if one.same else []
    for _, same in itertools.groupby(one.rows, key=lambda line: line[FULL].stamp):
        alike = list(same)
        lines += stamps([line[FULL] for line in alike])
        for parts in _side_by_side(one, width):
            lines += _piece(one, alike, parts, width)
    for note in row_notes(one.rows):
        lines += paragraph(f"! {note}", width)
    return lines


def _side_by_side(one: WideTable, width: int) -> list[list[str]]:
    """Return the parts in runs that fit beside each other, with the model's name folded where it must be."""
    headers, cells = _start(one, one.rows)
    fixed = natural_widths(headers, cells)
    fixed[1] = min(fixed[1], _NARROWEST_MODEL)
    part = max(natural_widths(*_scores(one, one.rows, one.parts)))
    fit = max(1, (width - sum(fixed) - _GAP * (len(fixed) - 1)) // (part + _GAP))
    return [one.parts[start : start + fit] for start in range(0, len(one.parts), fit)]


def _piece(one: WideTable, rows: list[dict[str, Row]], parts: list[str], width: int) -> list[str]:
    """Return a table of some lines and some parts; its columns are as wide as those of all lines."""
    headers, everyone = _columns(one, one.rows, parts)
    return table(headers, _columns(one, rows, parts)[1], fitted_widths(headers, everyone, width, 1))


def _columns(one: WideTable, rows: list[dict[str, Row]], parts: list[str]) -> tuple[list[Header], list[list[str]]]:
    """Return headers and cells: what a line is, its scores, and behind those of the whole what somebody added."""
    added = one.added if FULL in parts else []
    (start, models), (names, scores) = _start(one, rows), _scores(one, rows, parts)
    headers = [*start, *names, *((column.title(one.multilabel), column.justify) for column in added)]
    more = ([column.text(line[FULL]) for column in added] for line in rows)
    return headers, [[*model, *score, *rest] for model, score, rest in zip(models, scores, more, strict=True)]


def _start(one: WideTable, rows: list[dict[str, Row]]) -> tuple[list[Header], list[list[str]]]:
    headers: list[Header] = [(column.header, column.justify) for column in one.shown]
    return headers, [[column.text(line[FULL]) for column in one.shown] for line in rows]


def _scores(one: WideTable, rows: list[dict[str, Row]], parts: list[str]) -> tuple[list[Header], list[list[str]]]:
    names = f"{_name(one, 'uf1'):>6} {_name(one, 'uar'):>6}"
    headers: list[Header] = [(f"{part if len(one.parts) > 1 else ''}\n{names}".lstrip("\n"), "left") for part in parts]
    return headers, [[_cell(line[part]) for part in parts] for line in rows]


def _cell(row: Row) -> str:
    if row.uf1 is None:
        return f"{COLUMNS.get('folds').text(row):>6}"
    return f"{number(row.uf1):>6} {number(row.uar):>6}\n{interval(row.uf1_low, row.uf1_high)}"


def _name(one: WideTable, metric: str) -> str:
    return COLUMNS.get(metric).title(one.multilabel)


def wide_markdown(leaderboard: Leaderboard) -> str:
    """Return a Markdown table for each section, each score with its interval; the best group's UF1 is bold."""
    lines: list[str] = []
    for one in wide_tables(leaderboard):
        lines += [f"### {section_title(one.section)}", ""]
        lines += [f"- {part_counts(one.first[part], one.title(part))}" for part in one.parts]
        lines += [f"- {name} {text}" for name, text in one.same.items()]
        lines += ["", *_markdown_table(one), ""]
    lines += [] if leaderboard.rows else ["No studies in this store yet."]
    lines += shift_markdown(leaderboard.shifts)
    notes = [f"{note}\n" for note in footnotes(leaderboard)]
    return "\n".join([*lines, *notes]).rstrip("\n") + "\n"


def _markdown_table(one: WideTable) -> list[str]:
    added = one.added
    scored = [f"{one.title(part)} {_name(one, metric)}" for part in one.parts for metric in ("uf1", "uar")]
    header = [*(column.header for column in one.shown), *scored, *(column.title(one.multilabel) for column in added)]
    sides = [
        *(column.justify for column in one.shown),
        *("left" for _ in scored),
        *(column.justify for column in added),
    ]
    lines = [header, ["---:" if side == "right" else "---" for side in sides]]
    for line in one.rows:
        cells = [column.text(line[FULL]) for column in one.shown]
        for part in one.parts:
            cells += _markdown_scores(line[part])
        lines.append([*cells, *(column.text(line[FULL]) for column in added)])
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in lines]


def _markdown_scores(row: Row) -> tuple[str, str]:
    if row.uf1 is None:
        return COLUMNS.get("folds").text(row), ""
    uf1 = f"**{number(row.uf1)}**" if row.rank == 1 else number(row.uf1)
    return (
        f"{uf1} {interval(row.uf1_low, row.uf1_high)}",
        f"{number(row.uar)} {interval(row.uar_low, row.uar_high)}",
    )
