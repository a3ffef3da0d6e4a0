"""Facial action units (AUs) as each database's coders wrote them, read into numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from preprocess.base.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# The AUs that all six databases of the CD6ME protocol annotate.
SHARED_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17)


@dataclass(frozen=True)
class ActionUnit:
    """One coded action unit.

    number : FACS number. side : L left, R right, A asymmetric, T upper and B lower lip only, U one side without telling
        which, None both. intensity : A (trace) to E (maximum), None where not coded.
    alternative : the coders wrote "this or that". doubtful : the coders marked it as unsure, "?" or "(k)".
    """

    number: int
    side: str | None = None
    intensity: str | None = None
    alternative: bool = False
    doubtful: bool = False


# What stands in a cell beside units: a reference to another clip, and remarks on the picture.
_REMARKS = re.compile(r"\bref\.?\s*\([^)]*\)|\bref\b\.?|\bsoft\s*focus\b", re.IGNORECASE)
_NOTHING = re.compile(r"\s*(?:0|none|no|n/?a|nan|-|/|\?)?\s*", re.IGNORECASE)
_UNIT = re.compile(
    r"""(?:(?:AU|AD)\s*)?
    (?P<side>[LRATBU](?:/[LRA])?)?\s*
    (?:(?:AU|AD)\s*)?
    (?P<number>[0-9]{1,2})\s*
    (?P<intensity>[A-E](?![A-Z]))?\s*
    (?P<after>/?[LRAT](?:/[LRA])?(?![A-Z]))?\s*
    (?P<doubt>\(\s*[k?]?\s*\)|[?k])?""",
    re.IGNORECASE | re.VERBOSE,
)
_SEPARATOR = re.compile(r"\s*(?P<word>\bor\b|/|[+,;&]|\band\b)?\s*", re.IGNORECASE)


def parse(text: str | None, place: str = "") -> list[ActionUnit]:
    """Read one cell of a sheet.

    text : such as ``4+L10``, ``R12B``, ``12B or 14B``, ``4, 7(k)``; None, blank and ``0`` are no unit.
    place : names the cell in messages, such as a sample id.
    Returns the units in the order of the cell. Raises DataError for text that is no list of units.
    """
    if text is None or _NOTHING.fullmatch(text):
        return []
    # NFKC turns the full-width comma, plus sign and brackets of some sheets into plain ones.
    rest = _REMARKS.sub(" ", unicodedata.normalize("NFKC", text)).strip(" +,;")
    units: list[ActionUnit] = []
    position, alternative = 0, False
    while position < len(rest):
        found = _UNIT.match(rest, position)
        if found is None:
            raise DataError(_unreadable(text, rest[position:], place))
        separator = _SEPARATOR.match(rest, found.end())
        assert separator is not None, "the pattern fits the empty text too"
        joined_by_or = (separator["word"] or "").lower() in ("or", "/")
        units.append(_unit(found, alternative or joined_by_or))
        alternative, position = joined_by_or, separator.end()
    return units


def multi_hot(samples: pd.DataFrame, units: Sequence[int], doubtful: bool = False) -> np.ndarray:
    """Return which of the ``units`` each sample shows.

    samples : a samples table of n rows. units : k FACS numbers.
    doubtful : count units marked "(k)" or "?" as well. By default they do not count, as in the public code of the
        CD6ME benchmark; units joined by "or" always count, each of them: the coders saw one of them for certain.
    Returns (n, k) int64 of 0 and 1; a row of -1 where the clip has no annotation of action units at all.
    Raises DataError for a cell that cannot be read; it names the sample.
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
        for unit in parse(text, sample_id):
            if unit.number in place and (doubtful or not unit.doubtful):
                result[row, place[unit.number]] = 1
    return result


def _unit(found: re.Match[str], alternative: bool) -> ActionUnit:
    side = found["side"] or found["after"]
    return ActionUnit(
        number=int(found["number"]),
        side=side.strip("/")[0].upper() if side else None,
        intensity=found["intensity"].upper() if found["intensity"] else None,
        alternative=alternative,
        doubtful=found["doubt"] is not None,
    )


def _unreadable(text: str, rest: str, place: str) -> str:
    return (
        f"{place or 'A cell'}: the action units {text!r} cannot be read from {rest!r} on; expected units such as 12, "
        "L12, R12B joined by '+', ',', '/' or 'or', or 0 for none. Correct the annotation."
    )
