"""CASME: 195 micro-expressions at 60 frames per second (Yan et al., FG 2013); its sheet annotates 189 of them."""

from __future__ import annotations

from preprocess.datasets._build import register
from preprocess.datasets._people import CAS_PSYCHOLOGY
from preprocess.datasets._spec import Count, Database, Repair, Sheet, Tree
from preprocess.labels.emotions import Annotation

FOLDERS = (r"sub(?P<subject>\d{1,2})", r"[^.]+")
SOURCE = "public code of Varanka et al., Data Leakage and Evaluation Issues in Micro-Expression Analysis, 2023"
# Row, counted from 0 below the headings -> what it should say. The wrong values are not published, so a row is mended
# only where its frames are out of order.
ROWS: dict[int, dict[str, str]] = {
    40: {"onset": "100", "apex": "120", "offset": "149"},
    42: {"onset": "101", "apex": "110", "offset": "119"},
    43: {"onset": "57", "apex": "65", "offset": "74"},
    54: {"offset": "40"},
    140: {"offset": "142"},
}

register(
    Database(
        name="casme",
        title="CASME (raw or cropped frames)",
        layout="CASME_raw_selected/sub01/<clip>/<clip>-46.jpg (cropped: reg_<clip>-46.jpg), casme.xlsx beside it",
        trees=(
            Tree("raw", FOLDERS, r"(?!reg_).+-(?P<n>\d+)\.(?:jpg|jpeg|png|bmp)"),
            Tree("cropped", FOLDERS, r"reg_.+-(?P<n>\d+)\.(?:jpg|jpeg|png|bmp)"),
        ),
        sheets=(
            # The sheet has two apexes where coders disagreed; the first is used, as the literature does.
            Sheet(
                "coding",
                r"casme|casme[-_ ](coding|micro|raw|label).*",
                ("subject", "clip", "onset", "apex", "offset", "action_units", "emotion"),
                headings={"apex": ("ApexF1",)},
                name="casme.xlsx",
            ),
        ),
        registered=("cropped",),
        subject="sub{subject:0>2}",
        laboratory=CAS_PSYCHOLOGY,
        fps=60.0,
        repairs=tuple(
            Repair("", cell, None, right, "the row's frames are out of order", SOURCE, row=row)
            for row, cells in ROWS.items()
            for cell, right in cells.items()
        ),
        counts=(Count(189, None, SOURCE), Count(195, None, "Yan et al. 2013")),
        annotations={
            "casme": Annotation(
                ("contempt", "disgust", "fear", "happiness", "repression", "sadness", "surprise", "tense"),
                ("emotion4",),
            )
        },
    ),
    __name__,
)
