"""What the cells of an annotation mean: ids, frame numbers, known mistakes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from preprocess.datasets._spec import ANYTHING, Record, Repair

# How sheets write that nobody knows.
_EMPTY = frozenset(("", "/", "\\", "-", "--", "?", "none", "nan", "n/a", "na", "null", "x"))


def subject_id(form: str, text: str) -> str:
    """Return the one spelling of a subject: ``"1"``, ``"01"`` and ``"sub01"`` are the same.

    Parameters
    ----------
    form : how ids are written, such as ``"sub{subject:0>2}"``.
    text : a folder's name or a cell. Its last number is the id; a text without a number is taken in lower case.
    """
    numbers = re.findall(r"\d+", text)
    return form.format(subject=str(int(numbers[-1])) if numbers else text.strip().lower())


def clip_key(name: str) -> str:
    """Return what two spellings of one clip share: no case, no spaces, no zero padding, one form of each letter."""
    plain = re.sub(r"\s+", "", unicodedata.normalize("NFKC", name)).lower()
    return re.sub(r"[0-9]+", lambda match: str(int(match[0])), plain)


def loose_clip_key(name: str) -> str:
    """Return what spellings share that differ in punctuation, too: ``EP02-01f``, ``EP02_01f`` and ``EP02 01f``."""
    return clip_key("_".join(re.findall(r"[^\W_]+", name)))


def to_frame(text: str, name: str) -> int | None:
    """Return a cell's frame number; None where the cell says that there is none.

    Raises
    ------
    ValueError : the cell holds something else.
    """
    plain = unicodedata.normalize("NFKC", text).strip().strip(",").lower()
    if plain in _EMPTY:
        return None
    if not re.fullmatch(r"\d+(\.0*)?", plain):
        raise ValueError(f"{name} is {text!r}, not a frame number")
    return int(plain.split(".")[0])


def to_rate(text: str) -> float | None:
    """Return a cell's frames per second; None where it is empty.

    Raises
    ------
    ValueError : the cell holds something else.
    """
    if text.strip().lower() in _EMPTY:
        return None
    rate = float(text)
    if not 0 < rate < 1e6:
        raise ValueError(f"fps is {text!r}, not a frame rate")
    return rate


def frame_order(onset: int | None, apex: int | None, offset: int | None) -> bool:
    """Say whether the frames that are known are in order."""
    known = [number for number in (onset, apex, offset) if number is not None]
    return known == sorted(known)


def mended(record: Record, clip: str, repairs: Iterable[Repair], version: str) -> tuple[Record, list[str]]:
    """Mend the known mistakes of a record.

    Parameters
    ----------
    record : a row of the sheet. What its reader mended already, field ``repaired``, comes first in the list.
    clip : ``<subject>/<clip>``.
    repairs : the known mistakes. One is mended only where the cell still holds it.
    version : of the sheet.

    Returns
    -------
    The record, and what was mended, one line a cell.
    """
    result = dict(record)
    lines = [record["repaired"]] if record.get("repaired") else []
    for repair in repairs:
        fits = repair.clip in ("", clip) and repair.version in ("", version)
        if not fits or (repair.row is not None and record.get("row") != str(repair.row)):
            continue
        value = record.get(repair.cell, "")
        wrong = _out_of_order(record) if repair.wrong is None else repair.wrong in (value, ANYTHING)
        if wrong and value != repair.right:
            result[repair.cell] = repair.right
            lines.append(f"{repair.cell} {value or 'empty'} -> {repair.right} ({repair.reason}; {repair.reference})")
    return result, lines


def _out_of_order(record: Record) -> bool:
    try:
        frames = [to_frame(record.get(name, ""), name) for name in ("onset", "apex", "offset")]
    except ValueError:
        return True
    return not frame_order(*frames)
