"""Plain-text tables and paragraphs that fit a terminal and never lose a digit."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Collection, Sequence
from typing import Literal

from rich.cells import cell_len, chop_cells

from preprocess.base.errors import UsageError, did_you_mean

Justify = Literal["left", "right"]
Header = tuple[str, Justify]

_GAP = "  "


def terminal_width(width: int | None) -> int:
    """Return the width to print at: as given, or that of the terminal, or 100 characters where there is none."""
    return width or shutil.get_terminal_size((100, 24)).columns


def natural_widths(headers: Sequence[Header], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return how many characters each column takes to show every line of its header and its cells unbroken."""
    columns = zip([text for text, _ in headers], *rows, strict=True)
    return [max(cell_len(line) for cell in cells for line in cell.split("\n")) for cells in columns]


def fitted_widths(headers: Sequence[Header], rows: Sequence[Sequence[str]], width: int, elastic: int) -> list[int]:
    """Return the natural widths of a table's columns, with one narrowed so that the table fits.

    Parameters
    ----------
    headers : text and alignment of each column.
    rows : the cells.
    width : of the table, in characters.
    elastic : index of the column that is narrowed. It keeps at least 12 characters: a narrower terminal shows lines
        that are too long, never numbers that are cut.
    """
    widths = natural_widths(headers, rows)
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    widths[elastic] = max(widths[elastic] - max(excess, 0), min(widths[elastic], 12))
    return widths


def table(headers: Sequence[Header], rows: Sequence[Sequence[str]], widths: Sequence[int] | None = None) -> list[str]:
    """Return the lines of a table: headers, a rule, rows. A line that is wider than its column goes on below.

    Parameters
    ----------
    headers : text of each column, of one line or more, and the side that it is aligned to.
    rows : the cells, of one line or more.
    widths : characters a column; None for the natural ones.
    """
    widths = widths or natural_widths(headers, rows)
    sides = [side for _, side in headers]
    names = [text.split("\n") for text, _ in headers]
    deep = max(map(len, names))
    # The lines of a header stand at its bottom, those of a cell at its top.
    lines = _lines([[""] * (deep - len(name)) + name for name in names], widths, sides)
    lines.append("─" * (sum(widths) + len(_GAP) * (len(widths) - 1)))
    for row in rows:
        cells = zip(row, widths, strict=True)
        lines += _lines(
            [[piece for line in cell.split("\n") for piece in _folded(line, w)] for cell, w in cells], widths, sides
        )
    return lines


def _lines(cells: Sequence[Sequence[str]], widths: Sequence[int], sides: Sequence[Justify]) -> list[str]:
    """Return one row's lines. cells : the lines of each."""
    deep = max(map(len, cells))
    return [_line([cell[at] if at < len(cell) else "" for cell in cells], widths, sides) for at in range(deep)]


def paragraph(text: str, width: int) -> list[str]:
    """Return the lines of a text, broken between words."""
    return textwrap.wrap(text, max(width, 20), break_long_words=False, break_on_hyphens=False) or [""]


def heading(text: str) -> list[str]:
    """Return the lines of an underlined heading."""
    return [text, "=" * cell_len(text)]


def _folded(text: str, width: int) -> list[str]:
    """Return the text in pieces of at most ``width``, broken before ``[`` and behind commas and blanks where it can."""
    if cell_len(text) <= width:
        return [text]
    pieces = [""]
    for word in re.split(r"(?<=[, ])|(?=\[)", text):
        if cell_len(pieces[-1] + word.rstrip()) <= width:
            pieces[-1] += word
        else:
            pieces += chop_cells(word, width)
    return [piece.rstrip() for piece in pieces if piece]


def _line(cells: Sequence[str], widths: Sequence[int], sides: Sequence[Justify]) -> str:
    padded = []
    for cell, width, side in zip(cells, widths, sides, strict=True):
        blank = " " * (width - cell_len(cell))
        padded.append(blank + cell if side == "right" else cell + blank)
    return _GAP.join(padded).rstrip()


def check_known(kind: str, name: str, known: Collection[str]) -> None:
    """Raise UsageError, with the near names, where there is no format, shape or the like of this name."""
    if name not in known:
        raise UsageError(f"Unknown {kind} {name!r}. {did_you_mean(name, known)}")
