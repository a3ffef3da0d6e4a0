"""Models ranked over several benchmarks as text: for the terminal, as Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

from results.scores.over_benchmarks import MeanRank, OverBenchmarks
from results.views.columns import number
from results.views.comparison_words import left_out_lines
from results.views.latex import PAGE, SMALL_PRINT, in_lines, latex_escaped, name_cell, name_column, widest
from results.views.text import Header, check_known, fitted_widths, heading, paragraph, table, terminal_width

_LEGEND = (
    "rank: the mean over the benchmarks, by UF1, 1 is best; equal scores share the mean of their ranks. UF1: the mean. "
    "Models that share the number of a group cannot be told apart (Friedman's test, then Nemenyi's, at 5 %)."
)


def render(ranked: OverBenchmarks, format: str, width: int | None = None) -> str:
    """Return the ranks as text that ends with a newline.

    Parameters
    ----------
    ranked : what is shown.
    format : a key of FORMATS. ``json`` is ``OverBenchmarks.to_json``; ``csv`` has a line a model and benchmark.
    width : of the table, in characters; None for that of the terminal. The other formats ignore it.

    Raises
    ------
    UsageError : an unknown format.
    """
    check_known("format", format, FORMATS)
    return FORMATS[format](ranked, width)


def _headers(ranked: OverBenchmarks) -> list[Header]:
    numbers: list[Header] = [(f"[{place}]", "right") for place in range(1, len(ranked.benchmarks) + 1)]
    return [("rank", "right"), ("model", "left"), ("group", "left"), ("UF1", "right"), *numbers]


def _cells(model: MeanRank) -> list[str]:
    groups = " ".join(map(str, model.groups))
    return [f"{model.mean_rank:.2f}", model.model, groups, number(model.mean_uf1), *(f"{one:g}" for one in model.ranks)]


def _title(ranked: OverBenchmarks) -> str:
    n = len(ranked.benchmarks)
    return f"{len(ranked.models)} models over {n} benchmark{'' if n == 1 else 's'}"


def _tested(ranked: OverBenchmarks) -> list[str]:
    if ranked.statistic is None or ranked.p is None:
        return []
    return [
        f"Friedman: chi square {ranked.statistic:.2f}, {len(ranked.models) - 1} degrees of freedom, p {ranked.p:.2g}. "
        f"Critical difference of mean ranks (Nemenyi, 5 %): {ranked.critical_difference:.2f}."
    ]


def _benchmark_lines(ranked: OverBenchmarks) -> list[str]:
    named = zip(ranked.benchmarks, ranked.people, strict=True)
    return [f"[{place}] {title} ({people} people)" for place, (title, people) in enumerate(named, 1)]


def _footnotes(ranked: OverBenchmarks) -> list[str]:
    return [*left_out_lines(ranked.left_out), *(f"Note: {note}" for note in ranked.notes)]


def _table(ranked: OverBenchmarks, width: int | None) -> str:
    width = terminal_width(width)
    lines = []
    if ranked.models:
        rows = [_cells(model) for model in ranked.models]
        headers = _headers(ranked)
        lines += [*heading(_title(ranked)), *_benchmark_lines(ranked), ""]
        lines += [*table(headers, rows, fitted_widths(headers, rows, width, 1)), ""]
    for text in [*_tested(ranked), *([_LEGEND] if ranked.models else []), *_footnotes(ranked)]:
        lines += paragraph(text, width)
    return "\n".join(lines) + "\n"


def _markdown(ranked: OverBenchmarks, width: int | None) -> str:
    lines = []
    if ranked.models:
        headers = _headers(ranked)
        rule = ["---:" if side == "right" else "---" for _, side in headers]
        body = [[cell.replace("|", "\\|") for cell in _cells(model)] for model in ranked.models]
        lines += [f"### {_title(ranked)}", "", *(f"- {line}" for line in _benchmark_lines(ranked)), ""]
        lines += ["| " + " | ".join(cells) + " |" for cells in ([name for name, _ in headers], rule, *body)]
    texts = [*_tested(ranked), *([_LEGEND] if ranked.models else []), *_footnotes(ranked)]
    return "\n\n".join(["\n".join(lines), *texts] if lines else texts) + "\n"


def _latex(ranked: OverBenchmarks, width: int | None) -> str:
    """Return a floating table; it needs the package booktabs."""
    if not ranked.models:
        return ""
    headers = _headers(ranked)
    caption = " ".join([f"{_title(ranked)}.", *_tested(ranked), _LEGEND, *_benchmark_lines(ranked)])
    cells = [_cells(model) for model in ranked.models]
    columns = [[name, *column] for (name, _), column in zip(headers, zip(*cells, strict=True), strict=True)]
    name = name_column(columns[1], PAGE - sum(widest(column) for place, column in enumerate(columns) if place != 1))
    sides = [side[0] if place != 1 else name for place, (_, side) in enumerate(headers)]
    rows = [" & ".join(name_cell(cell, side) for cell, side in zip(line, sides, strict=True)) for line in cells]
    lines = [
        r"\begin{table}[t]",
        r"\centering",
        *SMALL_PRINT,
        rf"\caption{{{in_lines(caption)}}}",
        rf"\begin{{tabular}}{{{''.join(sides)}}}",
        r"\toprule",
        # A bracket behind a line's end would be its option.
        " & ".join(f"{{{latex_escaped(name)}}}" for name, _ in headers) + r" \\",
        r"\midrule",
        *(rf"{row} \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _csv(ranked: OverBenchmarks, width: int | None) -> str:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(["model", "mean_rank", "mean_uf1", "groups", "benchmark", "people", "rank", "uf1"])
    for model in ranked.models:
        for place, (title, people) in enumerate(zip(ranked.benchmarks, ranked.people, strict=True)):
            start = [model.model, model.mean_rank, model.mean_uf1, json.dumps(model.groups)]
            writer.writerow([*start, title, people, model.ranks[place], model.uf1[place]])
    return sink.getvalue()


def _json(ranked: OverBenchmarks, width: int | None) -> str:
    return json.dumps(ranked.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[OverBenchmarks, int | None], str]] = {
    "table": _table,
    "json": _json,
    "csv": _csv,
    "md": _markdown,
    "latex": _latex,
}
