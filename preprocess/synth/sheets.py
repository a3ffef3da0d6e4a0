"""Annotation sheets of rendered databases, with the habits of the real ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from preprocess.synth.databases import ClipPlan


def write_casme2(root: Path, clips: Sequence[ClipPlan]) -> None:
    """Write ``CASME2-coding-20140508.xlsx``: two columns without a name, ids as text, "/" where there is no apex."""
    rows: list[list[Any]] = [
        [
            "Subject",
            "Filename",
            None,
            "OnsetFrame",
            "ApexFrame",
            "OffsetFrame",
            None,
            "Action Units",
            "Estimated Emotion",
        ]
    ]
    for clip in clips:
        apex = "/" if clip.coded_apex is None else clip.coded_apex
        subject = clip.subject.removeprefix("sub")
        rows.append([subject, clip.clip, None, clip.onset, apex, clip.offset, None, clip.expression.facs, clip.emotion])
    write_sheet(root / "CASME2-coding-20140508.xlsx", rows)
    # A stray file, such as the published copy has.
    stray = (root / clips[0].folder).parent / f"{clips[0].clip} - Shortcut.lnk"
    stray.write_bytes(b"L\x00\x00\x00")


def write_samm(root: Path, clips: Sequence[ClipPlan]) -> None:
    """Write ``SAMM_Micro_FACS_Codes_v2.xlsx``: 13 rows of text, then the header, ids as text."""
    text: list[list[Any]] = [["SYNTHETIC: rendered faces in the layout of SAMM, after:"], [None]]
    text += [
        ["Spontaneous Actions and Micro-Movements"],
        [None],
        ["Subject: three digits"],
        ["Onset, apex and offset: frames"],
    ]
    text += [["Duration: offset - onset + 1"], ["Micro: shorter than half a second"], ["Action units after FACS"]]
    text += [["Emotion: estimated, not reported"], ["Objective classes: I to VII as 1 to 7"], ["Notes"], [None]]
    header = [
        "Subject",
        "Filename",
        "Inducement Code",
        "Onset Frame",
        "Apex Frame",
        "Offset Frame",
        "Duration",
        "Micro",
    ]
    rows: list[list[Any]] = [*text, [*header, "Action Units", "Estimated Emotion", "Objective Classes", "Notes"]]
    for number, clip in enumerate(clips):
        duration = clip.offset - clip.onset + 1
        kind = "Micro - 1/2" if duration <= 100 else "Macro"
        units = clip.expression.facs
        # Coders were not always sure.
        shown = units.replace("+", " or ") if number % 29 == 11 else units
        frames = [clip.onset, clip.coded_apex, clip.offset, duration, kind]
        place = clip.clip.split("_")[1]
        rows.append([clip.subject, clip.clip, int(place), *frames, shown, clip.emotion, objective_class(units), None])
    write_sheet(root / "SAMM_Micro_FACS_Codes_v2.xlsx", rows)


def write_nothing(root: Path, clips: Sequence[ClipPlan]) -> None:
    """SMIC has no sheet: folders tell the class, and nobody coded the apex."""


SHEETS: dict[str, Callable[[Path, Sequence[ClipPlan]], None]] = {
    "casme2": write_casme2,
    "samm": write_samm,
    "smic": write_nothing,
}


# Davison, Merghani and Yap, Objective Classes for Micro-Facial Expression Recognition, J. Imaging 2018, table 2.
_OBJECTIVE = {
    1: ("6", "12", "6+12", "6+7+12", "7+12"),
    2: ("1+2", "5", "25", "1+2+25", "25+26", "5+24"),
    3: ("23", "4", "4+7", "4+5", "4+5+7", "17+24", "4+6+7", "4+38"),
    4: ("10", "9", "4+9", "4+40", "4+5+40", "4+7+9", "4+9+17", "4+7+10", "4+5+7+9", "7+10"),
    5: ("1", "15", "1+4", "6+15", "15+17"),
    6: ("1+2+4", "20"),
}


def objective_class(facs: str) -> int:
    """Return the objective class, 1 to 7, of coded units such as ``4+L14``. The side of a unit does not matter."""
    units = "+".join(word.lstrip("LR") for word in facs.split("+"))
    return next((number for number, known in _OBJECTIVE.items() if units in known), 7)


def write_sheet(path: Path, rows: Sequence[Sequence[Any]]) -> None:
    """Write rows of cells as the one tab of a workbook."""
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(list(row))
    book.save(path)
