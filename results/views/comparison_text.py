"""Pairs of models as text: for the terminal, as Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable

from results.scores.comparison import Comparison
from results.scores.pairs import COMPARED, LEVEL, Difference, Pair
from results.views.columns import number, number_ranges
from results.views.comparison_latex import latex_tables
from results.views.comparison_words import interval, left_out_lines, metric_name, signed, title
from results.views.text import Header, check_known, heading, natural_widths, paragraph, table, terminal_width


def render(comparison: Comparison, format: str, width: int | None = None) -> str:
    """Return the comparison as text that ends with a newline.

    Parameters
    ----------
    comparison : what is shown.
    format : a key of FORMATS. ``table`` is for people, ``md`` the same as Markdown. ``json`` is ``Comparison.to_json``.
        ``csv`` has a line a pair and metric, ``latex`` a table a benchmark; what is left out stands in neither.
    width : of the table, in characters; None for that of the terminal. The other formats ignore it.

    Raises
    ------
    UsageError : an unknown format.
    """
    check_known("format", format, FORMATS)
    return FORMATS[format](comparison, width)


_LEGEND = (
    "score, other: the model's and the other's, from pooled predictions, the mean over the seeds. diff: their "
    "difference; its 95 % interval is from resampled subjects, the same for both models. p: the share of swaps of "
    "whole subjects between the two models that give as large a difference; Holm: p corrected for all pairs of the "
    "table. "
    f"better: yes where that is below {LEVEL}. ± people, ± seeds: standard deviation of the difference over resampled "
    "subjects, and over the seeds. 80 %: the smallest true difference that so many subjects and pairs tell apart in 80 "
    "of 100 studies."
)

_HEADERS: list[Header] = [
    *(("model", "left"), ("against", "left"), ("seeds", "left")),
    *(("score", "right"), ("other", "right"), ("diff", "right"), ("95 % interval", "left")),
    *(("p", "right"), ("Holm", "right"), ("better", "left")),
    *(("± people", "right"), ("± seeds", "right"), ("80 %", "right")),
]


def _cells(pair: Pair, metric: str) -> list[str]:
    found = pair.metrics[metric]
    return [
        *(pair.first, pair.second, number_ranges(pair.seeds)),
        *(number(found.first), number(found.second), signed(found.difference), interval(found)),
        *(number(found.p), number(found.p_holm), _verdict(found)),
        *(number(found.spread_people), number(found.spread_seeds), number(found.detectable)),
    ]


def _verdict(found: Difference) -> str:
    if not found.told_apart:
        return "no"
    return "yes" if found.difference > 0 else "worse"


def _people(pair: Pair) -> str:
    return f"{pair.n_samples} samples of {pair.n_subjects} subjects"


def _table(comparison: Comparison, width: int | None) -> str:
    width = terminal_width(width)
    lines = []
    for _, same in itertools.groupby(comparison.pairs, key=lambda pair: pair.benchmark):
        pairs = list(same)
        lines += [*heading(title(pairs[0])), _people(pairs[0]), ""]
        for metric in COMPARED:
            rows = [_cells(pair, metric) for pair in pairs]
            lines += [f"{metric_name(metric, pairs[0])}:", *table(_HEADERS, rows, _widths(rows, width)), ""]
    lines += paragraph(_LEGEND, width) if comparison.pairs else ["No two models to compare."]
    for text in _footnotes(comparison):
        lines += paragraph(text, width)
    return "\n".join(lines) + "\n"


def _widths(rows: list[list[str]], width: int) -> list[int]:
    """Return one width a column; where the table would be too wide, the names of both models are folded alike."""
    one, other, *rest = natural_widths(_HEADERS, rows)
    room = width - sum(rest) - 2 * (len(_HEADERS) - 1)
    fair = max(room // 2, 12)
    return [min(one, max(fair, room - other)), min(other, max(fair, room - one)), *rest]


def _markdown(comparison: Comparison, width: int | None) -> str:
    lines = []
    for _, same in itertools.groupby(comparison.pairs, key=lambda pair: pair.benchmark):
        pairs = list(same)
        lines += [f"### {title(pairs[0])}", "", f"{_people(pairs[0])}.", ""]
        for metric in COMPARED:
            header = [f"{text} ({metric_name(metric, pairs[0])})" if text == "score" else text for text, _ in _HEADERS]
            rule = ["---:" if side == "right" else "---" for _, side in _HEADERS]
            body = [[cell.replace("|", "\\|") for cell in _cells(pair, metric)] for pair in pairs]
            lines += [*("| " + " | ".join(cells) + " |" for cells in (header, rule, *body)), ""]
    lines += [_LEGEND] if comparison.pairs else ["No two models to compare."]
    return "\n".join([*lines, *(f"\n{text}" for text in _footnotes(comparison))]) + "\n"


def _latex(comparison: Comparison, width: int | None) -> str:
    return latex_tables(comparison)


def _footnotes(comparison: Comparison) -> list[str]:
    """Return what is left out, a line a benchmark and reason, and the notes."""
    return [*left_out_lines(comparison.left_out), *(f"Note: {note}" for note in comparison.notes)]


def _json(comparison: Comparison, width: int | None) -> str:
    return json.dumps(comparison.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _csv(comparison: Comparison, width: int | None) -> str:
    """Return a line a pair and metric; lists as JSON."""
    lines = []
    for pair in comparison.to_json()["pairs"]:
        metrics = pair.pop("metrics")
        for name, found in metrics.items():
            scores = {"first_score": found.pop("first"), "second_score": found.pop("second")}
            lines.append({**pair, "metric": name, **scores, **found})
    sink = io.StringIO()
    if lines:
        writer = csv.DictWriter(sink, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _csv_cell(value) for name, value in line.items()} for line in lines)
    return sink.getvalue()


def _csv_cell(value: object) -> object:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


FORMATS: dict[str, Callable[[Comparison, int | None], str]] = {
    "table": _table,
    "json": _json,
    "csv": _csv,
    "md": _markdown,
    "latex": _latex,
}
