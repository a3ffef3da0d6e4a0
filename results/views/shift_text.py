"""The table of what moved key frames cost: for the terminal, as Markdown, and as cells for the board's page."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from results.scores.shifts import Loss, ShiftLoss
from results.views.columns import MISSING, number
from results.views.comparison_words import signed, signed_interval
from results.views.leaderboard_words import section, section_title
from results.views.text import Header, fitted_widths, paragraph, table

TITLE = "Key-frame error"
LEGEND = (
    "Onset and apex of the tested clips moved by so much, each earlier or later; the same weights score both. Loss: as "
    "annotated less moved, with its 95 % interval over people."
)


def headers(multilabel: bool) -> list[Header]:
    """Return the table's headers."""
    f1, recall = ("F1", "recall") if multilabel else ("UF1", "UAR")
    names: list[Header] = [("model", "left"), ("selection", "left"), ("part", "left"), ("moved by", "right")]
    for name in (f1, recall):
        names += [(f"{name} annotated", "right"), ("moved", "right"), ("loss", "right"), ("95% CI", "left")]
    return names


def cells(one: ShiftLoss) -> list[str]:
    """Return a line of the table; of an incomplete one, the folds that are done."""
    selection = f"{one.selection}{'*' if one.stamp else ''}"
    begin = [one.label, selection, one.part, one.shift]
    if one.uf1 is None or one.uar is None:
        return [*begin, MISSING, f"{one.folds_done}/{one.folds_total}", *[MISSING] * 6]
    return [*begin, *_scores(one.uf1), *_scores(one.uar)]


def shift_lines(losses: Sequence[ShiftLoss], width: int) -> list[str]:
    """Return the lines of one section's table for a terminal; none where nothing was moved."""
    if not losses:
        return []
    names, rows = headers(losses[0].multilabel), [cells(one) for one in losses]
    names = [(name.replace(" ", "\n"), side) for name, side in names]
    lines = [*paragraph(f"{TITLE}. {LEGEND}", width), *table(names, rows, fitted_widths(names, rows, width, 0))]
    for note in shift_notes(losses):
        lines += paragraph(f"! {note}", width)
    return [*lines, ""]


def shift_markdown(losses: Sequence[ShiftLoss]) -> list[str]:
    """Return the lines of a Markdown table for each section."""
    lines = []
    for where, same in itertools.groupby(losses, key=section):
        of_section = list(same)
        names = headers(of_section[0].multilabel)
        rows = [[name for name, _ in names], ["---:" if side == "right" else "---" for _, side in names]]
        rows += [cells(one) for one in of_section]
        lines += [f"### {TITLE}: {section_title(where)}", "", f"{LEGEND}", ""]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        lines += ["", *(f"- {note}" for note in shift_notes(of_section)), ""]
    return lines


def shift_notes(losses: Sequence[ShiftLoss]) -> list[str]:
    """Return the notes of some lines, equal ones once, with the models that they are of where these are not all."""
    models: dict[str, list[str]] = {}
    for one in losses:
        for note in one.notes:
            models.setdefault(note, []).append(one.label)
    everyone = {one.label for one in losses}
    return [
        note if set(labels) == everyone else f"{', '.join(dict.fromkeys(labels))}: {note}"
        for note, labels in models.items()
    ]


def _scores(loss: Loss) -> list[str]:
    ends = signed_interval(loss.low, loss.high)
    return [number(loss.annotated), number(loss.shifted), signed(loss.loss), ends]
