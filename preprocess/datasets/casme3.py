"""CAS(ME)^3 part A: 860 micro- and 3346 macro-expressions at 30 frames per second (Li et al., IEEE TPAMI 2022)."""

from __future__ import annotations

from preprocess.datasets._build import register
from preprocess.datasets._people import CAS_PSYCHOLOGY
from preprocess.datasets._spec import Count, Database, Record, Repair, Sheet, Tree
from preprocess.labels.emotions import Annotation

COLUMNS = ("subject", "clip", "onset", "apex", "offset", "action_units", "emotion")
OFFICIAL = "sheets of the repository jingtingEmmaLi/CAS-ME-3"
MEB = "public code of Varanka et al. 2023"
OUT = "frames out of order"
MISTAKES = (
    *((128, "apex", "83", "160"), (708, "offset", "3460", "34"), (749, "onset", "3647", "2647")),
    *((750, "onset", "0", "1"), (750, "apex", "0", "1"), (796, "offset", "0", "1845"), (798, "offset", "0", "2403")),
)


def macro(record: Record) -> Record | None:
    """Keep the macro-expressions: the micro-expressions have a sheet of their own, which names their emotions."""
    if not record["type"].lower().startswith("macro"):
        return None
    # This sheet writes some letters of recordings large, the folders and the other sheets write all of them small.
    return {**record, "clip": record["clip"].lower(), "dataset": "casme3_macro", "split": ""}


WORDS = ("anger", "disgust", "fear", "happy", "sad", "surprise", "others")

register(
    Database(
        name="casme3",
        title="CAS(ME)^3 part A (colour frames; micro-expressions, and macro-expressions where their sheet lies there)",
        layout="part_A/spNO.1/a/color/8.jpg, cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx beside it",
        trees=(
            Tree(
                "raw",
                (r"sp_?NO\.?(?P<subject>\d+)", r"(?P<clip>[a-mA-M])", r"color"),
                r"(?P<n>\d+)\.(?:jpg|png)",
                long=True,
            ),
        ),
        sheets=(
            *(
                Sheet(
                    version,
                    rf"cas\(me\)\^?3_part_a_me_label_jpgindex_{version}",
                    COLUMNS,
                    ("objective_class",),
                    name=f"cas(me)3_part_A_ME_label_JpgIndex_{version}.xlsx",
                )
                for version in ("v2", "v1")
            ),
            Sheet(
                "macro_v2",
                r"cas\(me\)\^?3_part_a_v2",
                ("subject", "clip", "onset", "apex", "offset", "action_units", "type"),
                ("objective_class", "emotion"),
                {"type": ("expression type",)},
                tab="AU+Emotion",
                part="macro",
                edit=macro,
                name="CAS(ME)3_part_A_v2.xls",
            ),
        ),
        subject="spNO.{subject}",
        laboratory=CAS_PSYCHOLOGY,
        fps=30.0,
        macro=("casme3_macro",),
        several=True,
        repairs=tuple(Repair("", cell, wrong, right, OUT, MEB, row, "v2") for row, cell, wrong, right in MISTAKES),
        counts=(
            Count(860, 94, OFFICIAL, "v2"),
            Count(921, 95, OFFICIAL, "v1"),
            Count(3346, None, OFFICIAL, dataset="casme3_macro"),
        ),
        annotations={
            "casme3": Annotation(WORDS, ("emotion7_others", "emotion4", "objective5")),
            "casme3_macro": Annotation(WORDS, ("emotion7_others", "emotion4")),
        },
    ),
    __name__,
)
