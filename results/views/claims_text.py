"""Printed scores beside ours as text: for the terminal, as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Sequence

from results.scores.claims import Claim, Ours, to_json
from results.views.columns import MISSING, interval, number
from results.views.comparison_words import signed
from results.views.text import Header, check_known, fitted_widths, heading, paragraph, table, terminal_width

NAMES = {"uf1": "UF1", "uar": "UAR", "accuracy": "accuracy"}

HEADERS: list[Header] = [
    *(("benchmark", "left"), ("score", "left"), ("printed", "right"), ("its selection", "left")),
    *(("as published, oracle", "right"), ("last", "right"), ("validation", "right")),
    *(("printed − honest", "right"), ("oracle − honest", "right"), ("printed lies", "left")),
]

LEGEND = (
    "printed: the number of the source, and how its epoch was chosen. as published, oracle: ours in the published "
    "form, the epoch chosen on the test person, as in most public code. last, validation: ours in the default form "
    "(with a star: in the published one), the last epoch, and the best on training people set aside. printed lies: "
    "where it lies of the 95 % intervals over people of the oracle score and of the honest one; an interval speaks of "
    "other people, not of other code. A dash: not run here, or only with other hyper-parameters or on synthetic data."
)


def render(found: Sequence[Claim], format: str, width: int | None = None) -> str:
    """Return printed scores beside ours as text that ends with a newline.

    Parameters
    ----------
    found : the claims.
    format : a key of FORMATS; ``table`` is for people, ``md`` the same as Markdown.
    width : of the table, in characters; None for that of the terminal. The other formats ignore it.

    Raises
    ------
    UsageError : an unknown format.
    """
    check_known("format", format, FORMATS)
    return FORMATS[format](found, width)


def place(claim: Claim) -> str:
    """Return where the printed score lies of our intervals: ``oracle: inside [.80, .91]; honest: above [.65, .78]``."""
    told = []
    for name, ours, inside in (
        ("oracle", claim.reproduced, claim.inside_reproduced),
        ("honest", claim.honest, claim.inside_honest),
    ):
        told += [f"{name}: {inside} {interval(ours.low, ours.high)}"] if ours and inside else []
    return "; ".join(told) or MISSING


def cells(claim: Claim) -> list[str]:
    """Return a line of the table."""
    return [
        *(claim.benchmark, NAMES[claim.metric], number(claim.printed), claim.selection),
        *(_score(claim.reproduced), _score(claim.last, True), _score(claim.validation, True)),
        *(_signed(claim.gap), _signed(claim.optimism), place(claim)),
    ]


def _score(ours: Ours | None, default: bool = False) -> str:
    if ours is None:
        return MISSING
    return number(ours.value) + ("*" if default and "as_published" in ours.label else "")


def _signed(value: float | None) -> str:
    return MISSING if value is None else signed(value)


def _models(found: Sequence[Claim]) -> list[tuple[str, list[Claim]]]:
    return [(model, list(same)) for model, same in itertools.groupby(found, key=lambda claim: claim.model)]


def _sources(same: Sequence[Claim]) -> list[str]:
    """Return each source once, behind the printed numbers that are from it."""
    numbers: dict[str, list[str]] = {}
    for claim in same:
        numbers.setdefault(claim.source, []).append(number(claim.printed))
    return [f"{', '.join(dict.fromkeys(values))}: {source.rstrip('.')}." for source, values in numbers.items()]


def _table(found: Sequence[Claim], width: int | None) -> str:
    lines = []
    for model, same in _models(found):
        rows = [cells(claim) for claim in same]
        widths = fitted_widths(HEADERS, rows, terminal_width(width), len(HEADERS) - 1)
        lines += [*heading(model), *table(HEADERS, rows, widths), ""]
        for source in _sources(same):
            lines += paragraph(source, terminal_width(width))
        lines.append("")
    return "\n".join([*lines, *paragraph(LEGEND if found else _NOTHING, terminal_width(width))]) + "\n"


def _markdown(found: Sequence[Claim], width: int | None) -> str:
    lines = []
    for model, same in _models(found):
        header = "| " + " | ".join(name for name, _ in HEADERS) + " |"
        rule = "| " + " | ".join("---:" if side == "right" else "---" for _, side in HEADERS) + " |"
        body = ["| " + " | ".join(cell.replace("*", "\\*") for cell in cells(claim)) + " |" for claim in same]
        lines += [f"### {model}", "", header, rule, *body, "", *(f"- {source}" for source in _sources(same)), ""]
    return "\n".join([*lines, LEGEND if found else _NOTHING]) + "\n"


def _json(found: Sequence[Claim], width: int | None) -> str:
    return json.dumps(to_json(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _csv(found: Sequence[Claim], width: int | None) -> str:
    """Return a line a claim; of our scores, value and interval."""
    sink = io.StringIO()
    lines = []
    for claim in to_json(found)["claims"]:
        for name in ("reproduced", "last", "validation"):
            ours = claim.pop(name) or {}
            claim |= {f"{name}{end}": ours.get(key) for end, key in (("", "value"), ("_low", "low"), ("_high", "high"))}
        lines.append(claim)
    if lines:
        writer = csv.DictWriter(sink, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return sink.getvalue()


_NOTHING = "No score is printed of these models, as far as this program knows."

FORMATS: dict[str, Callable[[Sequence[Claim], int | None], str]] = {
    "table": _table,
    "json": _json,
    "csv": _csv,
    "md": _markdown,
}
