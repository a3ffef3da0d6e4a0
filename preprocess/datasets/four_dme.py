"""4DME: 267 micro-expressions, some of several emotions; here the grey videos (Li et al., IEEE TAFFC 2022)."""

from __future__ import annotations

import re
from itertools import zip_longest

from preprocess.base.errors import DataError
from preprocess.datasets._build import register
from preprocess.datasets._spec import Count, Database, Record, Sheet, Tree, Workbook
from preprocess.labels.emotions import Annotation

EMOTIONS = ("Positive", "Negative", "Surprise", "Repression", "Others")
FIELDS = {"sub_ID": "subject", "fold_name": "clip", "Onset": "onset", "Apex": "apex", "Offset": "offset"}
# In the published sheet of this length, two rows (counted from 0) hold each other's labels.
CLIPS, SWAPPED = 267, (144, 145)
SWAP = "labels swapped with the neighbouring row's (public code of Varanka et al. 2023)"


def rows(workbook: Workbook) -> list[Record]:
    """Read the sheet; a clip's emotions are the columns that hold a 1."""
    heading, *body = next(iter(workbook.values())) or [[]]
    if lacking := [name for name in (*FIELDS, "AUs", "Emotion", *EMOTIONS) if name not in heading]:
        raise DataError(f"the first row lacks the headings {', '.join(lacking)}. Restore the published sheet.")
    lines = [line for row in body if (line := dict(zip_longest(heading, row, fillvalue="")))["fold_name"]]
    told = list(lines)
    if len(lines) == CLIPS and not all(_emotions(lines[row]) == _words(lines[row]) for row in SWAPPED):
        told[SWAPPED[0]], told[SWAPPED[1]] = lines[SWAPPED[1]], lines[SWAPPED[0]]
    return [_record(number, *both) for number, both in enumerate(zip(lines, told, strict=True))]


def _record(number: int, line: Record, told: Record) -> Record:
    record = {field: line[name] for name, field in FIELDS.items()}
    record |= {"emotion": "+".join(_emotions(told)), "action_units": told["AUs"], "row": str(number)}
    return record | {"origin": f"row {number + 1} below the headings", "repaired": "" if told is line else SWAP}


def _emotions(line: Record) -> list[str]:
    return [name for name in EMOTIONS if line.get(name) == "1"]


def _words(line: Record) -> list[str]:
    return [name for name in EMOTIONS if name.lower() in re.findall(r"[a-z]+", line["Emotion"].lower())]


register(
    Database(
        name="4dme",
        title="4DME micro-expressions (grey frames)",
        layout="gray_micro/S01/<clip>/100.jpg, 4DME_Labelling_Micro_release v1.xlsx beside it",
        trees=tuple(
            Tree(variant, folders, r"(?:.*\D)?(?P<n>\d+)\.(?:jpg|jpeg|png|bmp)", root=root)
            for variant, root in (("raw", "gray_micro"), ("cropped", "gray_micro_.*"))
            for folders in ((r"(?P<subject>S\d+)", r".+"), (r"(?P<clip>(?P<subject>S\d+)_.+)",))
        ),
        sheets=(
            Sheet("v1", r"4dme[-_ ]labelling[-_ ]micro.*", rows=rows, name="4DME_Labelling_Micro_release v1.xlsx"),
        ),
        subject="S{subject:0>2}",
        counts=(Count(CLIPS, None, "Li et al. 2022 and its sheet release v1"),),
        annotations={"4dme": Annotation(tuple(name.lower() for name in EMOTIONS), ("emotion5_4dme",))},
    ),
    __name__,
)
