"""A leaderboard as the field prints it: a line for each model, its scores on the whole and on each part beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from results.scores.leaderboard import Leaderboard, Row
from results.scores.pooling import FULL
from results.views.columns import COLUMNS, Column, added_columns
from results.views.leaderboard_words import Section, section

# What the parts of MEGC2019 are called in print, in the order of its tables.
_MEGC2019 = {FULL: "Full", "smic": "SMIC", "casme2": "CASME II", "samm": "SAMM"}


@dataclass(frozen=True)
class WideTable:
    """Rows that were tested on the very same samples of one dataset, task and protocol.

    Attributes
    ----------
    section : what its heading says.
    parts : what the rows are scored on, in print order.
    rows : a mapping for each line, part -> row; in the order of the whole.
    shown : columns that stand before the scores: rank and model, and what is not the same in all rows.
    same : header -> text of what is the same in all rows.
    """

    section: Section
    parts: list[str]
    rows: list[dict[str, Row]]
    shown: list[Column]
    same: dict[str, str]

    @property
    def first(self) -> dict[str, Row]:
        """The first line, for what all of them share."""
        return self.rows[0]

    def title(self, part: str) -> str:
        """Return what a part is called in print: where there is but one, what the dataset is called."""
        name = part if len(self.parts) > 1 else self.first[part].dataset
        return _MEGC2019.get(name, name)

    @property
    def added(self) -> list[Column]:
        """The columns behind the scores of the whole."""
        return added_columns([line[FULL] for line in self.rows])

    @property
    def multilabel(self) -> bool:
        """Whether a sample may show any number of the classes."""
        return self.first[FULL].multilabel


def wide_tables(leaderboard: Leaderboard) -> list[WideTable]:
    """Return the tables of a leaderboard, section by section in its order."""
    parts: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in leaderboard.rows:
        parts.setdefault(tuple(row.studies), {})[row.part] = row
    groups: dict[tuple[Any, ...], list[dict[str, Row]]] = {}
    for row in leaderboard.rows:
        if row.part == FULL:
            line = parts[tuple(row.studies)]
            groups.setdefault((section(row), *(one.benchmark for one in line.values())), []).append(line)
    return [_table(lines) for lines in groups.values()]


def _table(lines: list[dict[str, Row]]) -> WideTable:
    known = list(_MEGC2019)
    names = list(lines[0])
    # Behind those of MEGC2019 the others stay as they come.
    names.sort(key=lambda name: known.index(name) if name in known else len(known))
    shown, same = [COLUMNS.get("rank"), COLUMNS.get("model")], {}
    for column in (COLUMNS.get("selection"), COLUMNS.get("seeds")):
        texts = {column.text(line[FULL]) for line in lines}
        if len(texts) > 1:
            shown.append(column)
        else:
            same[column.header] = texts.pop()
    return WideTable(section(lines[0][FULL]), names, lines, shown, same)


def row_notes(rows: Sequence[dict[str, Row]]) -> list[str]:
    """Return the warnings of some lines, equal ones of several models and parts together."""
    parts: dict[tuple[str, str], list[str]] = {}
    for line in rows:
        for part, row in line.items():
            for note in row.notes:
                parts.setdefault((note, f"{row.label}, {row.selection}"), []).append(part)
    names: dict[tuple[str, str], list[str]] = {}
    for (note, name), noted in parts.items():
        names.setdefault((note, "" if noted == [FULL] else f" ({', '.join(noted)})"), []).append(name)
    return [f"{'; '.join(models)}{where}: {note}" for (note, where), models in names.items()]
