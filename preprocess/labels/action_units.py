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
    """One coded action unit.

    Attributes
    ----------
    number : its FACS number.
    side : L left, R right, A asymmetric, U unilateral, T top or B bottom lip only; None for both.
    intensity : A (trace) to E (maximum), the lower one of "A/B"; None where it is not coded.
    alternative : the coders wrote "this or that".
    doubtful : the coders wrote "?".
    static : the coders wrote "(k)": it does not move within the clip.
    reference : the coders wrote "ref( )": it is there in the reference frame, too.
    """

    number: int
    side: str | None = None
    intensity: str | None = None
    alternative: bool = False
    doubtful: bool = False
    static: bool = False
    reference: bool = False


_NOTHING = re.compile(r"(?:0|0\.0|none|n/?a|nan|-|/|\?)?", re.IGNORECASE)
_REMARK = re.compile(r"\bsoft\s*focus\b", re.IGNORECASE)
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<word>or\b|/)
    | (?P<separator>[+,;&]|and\b)
    | (?P<open>(?:ref\.?\s*)?\()
    | (?P<close>\))
    | (?:A[UD]\s*)?
      (?P<before>[LRATBU](?:/[LRATBU])?)?\s*
      (?P<number>[0-9]{1,2})(?![0-9])(?:\.0\b)?
      (?P<after>[LR](?![A-Z0-9]))?
      (?P<intensity>[A-E](?:/[A-E])?(?![A-Z0-9]))?
      \s*(?P<mark>\(\s*k\s*\)|\?)?
    )\s*""",
    re.IGNORECASE | re.VERBOSE,
)


def parse(text: str | None, place: str = "") -> list[ActionUnit]:
    """Read one cell of a sheet.

    Parameters
    ----------
    text : such as ``4+L10``, ``R12B``, ``(R6 or R12) + R15``, ``AU4(k), 7``. None, blank and ``0`` hold no unit.
    place : names the cell in messages, such as a sample id.

    Returns
    -------
    The units, in the order of the cell.

    Raises
    ------
    DataError : the text is no list of units.
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
            raise DataError(_unreadable(text, plain[position:], place))
        if found["number"]:
            units.append(_unit(found, alternative=after_or, reference=any(opened)))
        elif found["open"]:
            opened.append(found["open"] != "(")
        elif found["close"]:
            if not opened:
                raise DataError(_unreadable(text, plain[position:], place))
            opened.pop()
        elif found["word"] and units:
            units[-1] = replace(units[-1], alternative=True)
        after_or = bool(found["word"]) or (after_or and bool(found["open"]))
        position = found.end()
    if opened:
        raise DataError(_unreadable(text, plain, place))
    # FACS writes 0 for a neutral face.
    return [unit for unit in units if unit.number]


def multi_hot(samples: pd.DataFrame, units: Sequence[int]) -> np.ndarray:
    """Return which action units each sample shows, counted as the CD6ME benchmark counts them.

    A unit counts whatever its side and intensity, also where it is doubtful ("?") or in the reference frame, too ("ref(
    )"). One that does not move ("(k)") does not count. Of units joined by "or" each counts; in the five such cells of
    SAMM only the one that the benchmark chose.

    Parameters
    ----------
    samples : a samples table of n rows.
    units : k FACS numbers.

    Returns
    -------
    (n, k) int64 of 0 and 1; a row of -1 where the clip has no annotation of action units at all.

    Raises
    ------
    DataError : a cell cannot be read; the message names the sample.

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
        result[row] = 0
        for unit in parse(_SETTLED.get(sample_id, text), sample_id):
            if unit.number in place and not unit.static:
                result[row, place[unit.number]] = 1
    return result


def _unit(found: re.Match[str], alternative: bool, reference: bool) -> ActionUnit:
    side = found["before"] or found["after"]
    mark = found["mark"] or ""
    return ActionUnit(
        number=int(found["number"]),
        side=side[0].upper() if side else None,
        intensity=found["intensity"][0].upper() if found["intensity"] else None,
        alternative=alternative,
        doubtful=mark == "?",
        static=mark.startswith("("),
        reference=reference,
    )


def _unreadable(text: str | None, rest: str, place: str) -> str:
    return (
        f"{place or 'A cell'}: the action units {text!r} cannot be read from {rest!r} on; expected units such as 12, "
        "L12, R12B joined by '+', ',' or 'or', or 0 for none. Correct the annotation."
    )
