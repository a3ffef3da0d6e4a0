"""4DME: 267 micro-expressions, some of several emotions; here the grey videos (Li et al., IEEE TAFFC 2022)."""

from __future__ import annotations

import re

from preprocess.base.errors import DataError
from preprocess.datasets._build import register
from preprocess.datasets._spec import Count, Database, Record, Sheet, Tree, Workbook

EMOTIONS = ("Positive", "Negative", "Surprise", "Repression", "Others")
FIELDS = {"sub_ID": "subject", "fold_name": "clip", "Onset": "onset", "Apex": "apex", "Offset": "offset"}
FRAMES = r"(?:.*\D)?(?P<n>\d+)\.(?:jpg|jpeg|png|bmp)"
# In the published sheet of this length, two rows (counted from 0) hold each other's labels.
CLIPS, SWAPPED = 267, (144, 145)


def rows(workbook: Workbook) -> list[Record]:
    """Read the sheet; a clip's emotions are the columns that hold a 1."""
    table = next(iter(workbook.values()))
    top = next((place for place, row in enumerate(table) if "fold_name" in row), 0)
    lacking = [name for name in (*FIELDS, "AUs", "Emotion", *EMOTIONS) if name not in (table[top] if table else ())]
    if lacking:
        raise DataError(f"it has no column {', '.join(lacking)}. Restore the published sheet.")
    lines = [dict(zip(table[top], row, strict=False)) for row in table[top + 1 :]]
    lines = [line for line in lines if line.get("fold_name")]
    source = dict(enumerate(lines))
    if len(lines) == CLIPS and not all(_emotions(lines[row]) == _words(lines[row]) for row in SWAPPED):
        source |= {SWAPPED[0]: lines[SWAPPED[1]], SWAPPED[1]: lines[SWAPPED[0]]}
    records = []
    for number, line in enumerate(lines):
        record = {field: line.get(name, "") for name, field in FIELDS.items()}
        record |= {"row": str(number), "origin": f"row {number + 1} below the headings"}
        record |= {"emotion": "+".join(_emotions(source[number])), "action_units": source[number]["AUs"]}
        if source[number] is not line:
            record["repaired"] = "labels swapped with the neighbouring row's (public code of Varanka et al. 2023)"
        records.append(record)
    return records


def _emotions(line: Record) -> list[str]:
    return [name for name in EMOTIONS if line.get(name) == "1"]


def _words(line: Record) -> list[str]:
    words = re.findall(r"[a-z]+", line["Emotion"].lower())
    return [name for name in EMOTIONS if name.lower() in words]


register(
    Database(
        name="4dme",
        title="4DME micro-expressions (grey frames)",
        layout="gray_micro/S01/<clip>/100.jpg, 4DME_Labelling_Micro_release v1.xlsx beside it",
        trees=tuple(
            Tree(variant, folders, FRAMES, root=root)
            for variant, root in (("raw", "gray_micro"), ("cropped", "gray_micro_.*"))
            for folders in ((r"(?P<subject>S\d+)", r".+"), (r"(?P<clip>(?P<subject>S\d+)_.+)",))
        ),
        sheets=(Sheet("v1", r"4dme[-_ ]labelling[-_ ]micro.*", rows=rows),),
        subject="S{subject:0>2}",
        counts=(Count(CLIPS, None, "Li et al. 2022 and its sheet release v1"),),
    ),
    __name__,
)
