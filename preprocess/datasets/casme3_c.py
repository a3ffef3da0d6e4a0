"""CAS(ME)^3 part C: 165 micro-expressions of people who play a suspect (Li et al., IEEE TPAMI 2022)."""

from __future__ import annotations

from preprocess.datasets._build import register
from preprocess.datasets._people import CAS_PSYCHOLOGY
from preprocess.datasets._spec import Count, Database, Record, Sheet, Tree
from preprocess.labels.emotions import Annotation


def numbered(record: Record) -> Record:
    """Let the running number name the expression: one recording, ``a``, holds all of a person's."""
    return {**record, "folder": f"{record['clip']}|a"}


register(
    Database(
        name="casme3_c",
        title="CAS(ME)^3 part C (colour frames, no apex)",
        layout="part_C/01/a/color/1.jpg, CAS(ME)3_part_C_ME.xlsx beside it",
        trees=(
            Tree("raw", (r"(?P<subject>\d{1,2})", r"(?P<clip>[a-z])", r"color"), r"(?P<n>\d+)\.(?:jpg|png)", long=True),
            Tree("clips", (r"(?P<subject>\d{1,2})", r"(?P<clip>\d+)", r"color"), r"(?P<n>\d+)\.(?:jpg|png)"),
        ),
        sheets=(
            Sheet(
                "ME",
                r"cas\(me\)\^?3_part_c_me",
                ("subject", "clip", "onset", "offset", "action_units", "emotion"),
                headings={"clip": ("count",)},
                edit=numbered,
                name="CAS(ME)3_part_C_ME.xlsx",
            ),
        ),
        subject="{subject:0>2}",
        laboratory=CAS_PSYCHOLOGY,
        fps=30.0,
        counts=(Count(165, 30, "sheet of the repository jingtingEmmaLi/CAS-ME-3"),),
        annotations={"casme3_c": Annotation(("negative", "positive", "surprise", "others"), ("emotion4",))},
    ),
    __name__,
)
