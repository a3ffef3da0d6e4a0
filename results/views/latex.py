"""Text inside LaTeX, and how wide it is there: tables must fit a page."""

from __future__ import annotations

import re
from collections.abc import Iterable

# In points: a page less its margins (A4 with 25 mm), and what stands between two columns of a table that begins so.
PAGE, BETWEEN = 455.0, 6.0
SMALL_PRINT = [r"\small", r"\setlength{\tabcolsep}{3pt}"]

# Of small print: letters that are narrower or wider than most; the least that a name is given.
_LETTERS = {**dict.fromkeys("fijlrt.,:;[]()'!/| -", 3.1), **dict.fromkeys("mwMW=+", 7.8)}
_LETTER, _CAPITAL = 4.7, 6.7
_NARROWEST = 60.0

_SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--"},
    **{"·": r"\textperiodcentered{}", "±": r"$\pm$"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
}


def latex_escaped(text: str) -> str:
    """Return a text as LaTeX prints it: no character of it is a command."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def in_lines(text: str) -> str:
    """Return an escaped text that LaTeX may break behind the datasets of a composite."""
    return latex_escaped(text).replace("+", r"+\allowbreak{}")


def length(text: str) -> float:
    """Return about how many points a text takes in small print."""
    return sum(_LETTERS.get(one, _CAPITAL if one.isupper() else _LETTER) for one in text)


def widest(texts: Iterable[str]) -> float:
    """Return about how many points a column takes."""
    return max(map(length, texts), default=0.0) + BETWEEN


def name_column(names: Iterable[str], room: float) -> str:
    """Return what a table declares for a column of names: one that folds them where the room, in points, is less."""
    return "l" if widest(names) <= room else f"p{{{max(room, _NARROWEST) - BETWEEN:.0f}pt}}"


def name_cell(name: str, column: str) -> str:
    """Return an escaped name; in a column that folds names, LaTeX may break it behind its signs."""
    escaped = latex_escaped(name)
    if not column.startswith("p"):
        return escaped
    return r"\raggedright " + re.sub(r"(\\_|[\[,=+/])", r"\1\\allowbreak{}", escaped)
