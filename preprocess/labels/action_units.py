"""Facial action units (AUs) as each database's coders wrote them, read into numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from preprocess.base.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# The AUs that all six databases of the CD6ME benchmark annotate.
SHARED_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17)

# What the CD6ME benchmark, looking at the flow, took for SAMM's five cells that hold an "or".
_SETTLED = {
    "samm/007/007_6_1": "R12+R15",
    "samm/007/007_6_5": "R12+R15",
    "samm/011/011_4_2": "L14",
    "samm/014/014_5_2": "R14",
    "samm/035/035_7_2": "R14A",
}


@dataclass(frozen=True)
class ActionUnit:
    """One code of the Facial Action Coding System, as it stands in a cell.

    Attributes
    ----------
    number : its FACS number; 0 where a descriptor stands alone.
    side : L left, R right, A asymmetric, U unilateral, T top or B bottom lip only; None for both.
    intensity : A (trace) to E (maximum), the lower one of "A/B"; X to Z in the older FACS; None where it is not coded.
    alternative : the coders wrote "this or that".
    doubtful : the coders wrote "?".
    static : the coders wrote "(k)": it does not move within the clip.
    reference : the coders wrote "ref( )": it is there in the reference frame, too.
    descriptor : the letter of a code that is no action unit: M for a movement of head or eyes ("M58"), D for an action
        descriptor ("AD38", "D"), N; None for a unit, and for codes of head and eyes that are written as plain numbers.
    """

    number: int
    side: str | None = None
    intensity: str | None = None
    alternative: bool = False
    doubtful: bool = False
    static: bool = False
    reference: bool = False
    descriptor: str | None = None


_NOTHING = re.compile(
    r"(?:(?:AU)?0(?:\.0+)?|none|no|nil|neutral|n[./]?a\.?|nan|null|[-\u2013\u2014/?]+)?", re.IGNORECASE
)
_REMARK = re.compile(r"\bsoft\s*focus\b", re.IGNORECASE)
# Side and intensity behind a number: "12L", "12B", "12LB", "10A/B".
_LETTERS = r"[LRTU]?(?:[A-EX-Z](?:[/-][A-E])?)?[LRTU]?"
# Where a code may end: not within a word, and not at the next code, since nobody can tell whose letter "4B7" holds.
_END = r"(?=or(?![A-Z])|and(?![A-Z])|A[UD]|[^A-Z0-9]|$)"
_TOKEN = re.compile(
    rf"""\s*(?:
    (?P<word>or(?![A-Z])|/)
    | (?P<separator>[+,;&|\\\u3001]|\.(?![0-9])|and(?![A-Z]))
    | (?P<open>(?:ref\.?\s*)?\()
    | (?P<close>\))
    | (?:(?P<kind>AUs?|AD|[MND])\s*[:_-]?\s*)?
      (?P<before>[LRATBU](?:/?[LRATBU])?)?\s*
      (?P<number>[0-9]{{1,2}})(?:\.0+)?(?![0-9])
      (?P<letters>\s+(?=[A-Z]){_LETTERS}(?!\s*[0-9]){_END}
        |(?:[-_](?=[A-Z]))?{_LETTERS}{_END})
      \s*(?P<mark>\(\s*(?:k|\?|[A-ELRTU])\s*\)|\?)?
    | (?P<alone>[MND]){_END}
    )\s*""",
    re.IGNORECASE | re.VERBOSE,
)


def parse(text: str | None, place: str = "") -> list[ActionUnit]:
    """Read one cell of a sheet.

    Parameters
    ----------
    text : such as ``4+L10``, ``R12B``, ``(R6 or R12) + R15``, ``AU4(k), 7``, ``1+2+5+M58``. None, blank and ``0`` hold
        no unit.
    place : names the cell in messages, such as a sample id.

    Returns
    -------
    The codes, in the order of the cell: units, and those of head, eyes and other behaviour.

    Raises
    ------
    DataError : the text is no list of codes; the message has the place, the cell and where it cannot be read.
    """
    # NFKC turns the full-width comma, plus sign and brackets of some sheets into plain ones.
    plain = _REMARK.sub("", unicodedata.normalize("NFKC", text or "")).strip()
    units: list[ActionUnit] = []
    opened: list[bool] = []
    position, after_or = 0, False
    if _NOTHING.fullmatch(plain):
        return []
    while position < len(plain):
        found = _TOKEN.match(plain, position)
        if found is None:
            raise DataError(_unreadable(text, plain[position:].split()[0], place))
        if found["number"] or found["alone"]:
            units.append(_unit(found, alternative=after_or, reference=any(opened)))
        elif found["open"]:
            opened.append(found["open"] != "(")
        elif found["close"]:
            if not opened:
                raise DataError(_unreadable(text, ")", place))
            opened.pop()
        elif found["word"] and units:
            units[-1] = replace(units[-1], alternative=True)
        after_or = bool(found["word"]) or (after_or and bool(found["open"]))
        position = found.end()
    if opened:
        raise DataError(_unreadable(text, "(", place))
    # FACS writes 0 for a neutral face.
    return [unit for unit in units if unit.number or unit.descriptor]


def unreadable_cells(samples: pd.DataFrame) -> list[str]:
    """Return what is wrong with each cell of action units that cannot be read: sample, cell, and from where on.

    The units of such a sample count as not annotated; the rest of the dataset is not touched by it.

    Parameters
    ----------
    samples : a samples table.
    """
    annotated = samples[samples["action_units"].notna()]
    found = []
    for sample_id, text in zip(annotated["sample_id"].tolist(), annotated["action_units"].tolist(), strict=True):
        try:
            _units_of(sample_id, text)
        except DataError as error:
            found.append(str(error))
    return found


def multi_hot(samples: pd.DataFrame, units: Sequence[int]) -> np.ndarray:
    """Return which action units each sample shows, counted as the CD6ME benchmark counts them.

    A unit counts whatever its side and intensity, also where it is doubtful ("?") or in the reference frame, too ("ref(
    )"). One that does not move ("(k)") does not count, nor does a code with a descriptor ("M58"). Of units joined by
    "or" each counts; in the five such cells of SAMM only the one that the benchmark chose.

    Parameters
    ----------
    samples : a samples table of n rows.
    units : k FACS numbers.

    Returns
    -------
    (n, k) int64 of 0 and 1; a row of -1 where the clip has no annotation of action units at all, or one that cannot be
    read (``unreadable_cells`` tells which).

    Notes
    -----
    Source: Varanka et al., Data Leakage and Evaluation Issues in Micro-Expression Analysis, and its public code.
    """
    import numpy as np

    result = np.full((len(samples), len(units)), -1, dtype=np.int64)
    place = {number: column for column, number in enumerate(units)}
    missing = samples["action_units"].isna().tolist()
    cells = zip(samples["sample_id"].tolist(), samples["action_units"].tolist(), strict=True)
    for row, (sample_id, text) in enumerate(cells):
        if missing[row]:
            continue
        try:
            shown = _units_of(sample_id, text)
        except DataError:
            continue
        result[row] = 0
        for unit in shown:
            if unit.number in place and not unit.static and unit.descriptor is None:
                result[row, place[unit.number]] = 1
    return result


def _units_of(sample_id: str, text: str) -> list[ActionUnit]:
    return parse(_SETTLED.get(sample_id, text), sample_id)


def _unit(found: re.Match[str], alternative: bool, reference: bool) -> ActionUnit:
    mark = (found["mark"] or "").strip("( )").upper()
    letters = (found["letters"] or "").strip().upper() + (mark if mark not in ("K", "?") else "")
    side = (found["before"] or "").upper() or "".join(re.findall("[LRTU]", letters))
    intensity = re.findall("[A-EX-Z]", letters)
    kind = (found["alone"] or found["kind"] or "").upper()
    return ActionUnit(
        number=int(found["number"] or 0),
        side=side[:1] or None,
        intensity=intensity[0] if intensity else None,
        alternative=alternative,
        doubtful=mark == "?",
        static=mark == "K",
        reference=reference,
        descriptor=None if kind in ("", "AU", "AUS") else kind[-1],
    )


def _unreadable(text: str | None, token: str, place: str) -> str:
    return (
        f"{place or 'A cell'}: the action units {text!r} cannot be read at {token!r}; expected codes such as 12, L12, "
        "R12B, M58 joined by '+', ',' or 'or', or 0 for none. Correct the annotation."
    )
