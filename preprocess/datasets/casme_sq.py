"""CAS(ME)^2: spotted micro- and macro-expressions of 22 people at 30 frames per second (Qu et al., IEEE TAFFC 2018)."""

from __future__ import annotations

from preprocess.base.errors import DataError
from preprocess.datasets._build import register
from preprocess.datasets._people import CAS_PSYCHOLOGY
from preprocess.datasets._spec import Count, Database, Record, Sheet, Tree, Workbook
from preprocess.labels.emotions import Annotation

COLUMNS = ("number", "clip", "onset", "apex", "offset", "action_units", "emotion", "type", "self_report")
TYPES = {"micro-expression": "casme_sq", "macro-expression": "casme_sq_macro"}
FRAMES = r"img_?(?P<n>\d+)\.(?:jpg|jpeg|png|bmp)"
PAPER = "Qu et al., IEEE TAFFC 9(4), 2018"


def rows(workbook: Workbook) -> list[Record]:
    """Read the sheet, which has no headings, with the help of two more: people -> folders, videos -> codes."""
    tabs = list(workbook.values())
    if len(tabs) < 3:
        raise DataError(f"the workbook has the tabs {', '.join(workbook)}; expected the clips and two naming rules.")
    people = {row[2]: row[0] for row in tabs[1] if len(row) > 2}
    codes = {row[1]: row[0] for row in tabs[2] if len(row) > 1}
    records = []
    for number, row in enumerate(tabs[0]):
        record = dict(zip(COLUMNS, row, strict=False))
        kind = TYPES.get(record.get("type", "").lower())
        if kind is None:
            continue
        record |= {"subject": people.get(record["number"], ""), "dataset": kind}
        # The raw recording of a video holds all its expressions, the other copies one each.
        record["folder"] = f"{record['clip']}|{codes.get(record['clip'].split('_')[0], '')}"
        if record["offset"] == "0":
            record |= {"offset": record["apex"], "repaired": "offset 0 -> apex (its end was not coded)"}
        records.append({**record, "row": str(number), "origin": f"first tab, row {number + 1}"})
    return records


WORDS = ("negative", "positive", "surprise", "others")

register(
    Database(
        name="casme_sq",
        title="CAS(ME)^2 (micro- and macro-expressions in long recordings)",
        layout="rawpic/s15/15_0101disgustingteeth/img001.jpg (or selectedpic/s15/anger1_1, cropped/15/anger1_1) beside "
        "CAS(ME)^2code_final.xlsx",
        trees=(
            Tree("raw", (r"s(?P<subject>\d+)", r"\d+_(?P<clip>\d{4}).*"), FRAMES, root="rawpic", long=True),
            Tree("selected", (r"s?(?P<subject>\d+)", r"[a-z]+\d*_\d+"), FRAMES, root="selectedpic"),
            Tree("cropped", (r"s?(?P<subject>\d+)", r"[a-z]+\d*_\d+"), FRAMES, root="cropped"),
        ),
        sheets=(
            Sheet(
                "updated",
                r"(cas\(me\)\^?2)?code_?final ?\(updated\)",
                rows=rows,
                name="CAS(ME)^2code_final(Updated).xlsx",
            ),
            Sheet("final", r"(cas\(me\)\^?2)?code_?final", rows=rows, name="CAS(ME)^2code_final.xlsx"),
        ),
        registered=("cropped",),
        subject="s{subject:0>2}",
        laboratory=CAS_PSYCHOLOGY,
        fps=30.0,
        macro=("casme_sq_macro",),
        counts=(Count(57, None, PAPER), Count(300, None, PAPER, dataset="casme_sq_macro")),
        annotations={"casme_sq": Annotation(WORDS, ("emotion4",)), "casme_sq_macro": Annotation(WORDS, ("emotion4",))},
    ),
    __name__,
)
