"""MMEW: 300 micro-expressions of 30 people at 90 frames per second (Ben et al., IEEE TPAMI 44(9), 2022)."""

from __future__ import annotations

from preprocess.datasets._build import register
from preprocess.datasets._spec import Count, Database, Sheet, Tree
from preprocess.labels.emotions import Annotation

# Class folders are not read: the sheet names the emotion, and calls "others" what a folder calls "repression".
FOLDERS = (r"[A-Za-z]+", r"S(?P<subject>\d+)-\d+-\d+")

register(
    Database(
        name="mmew",
        title="MMEW micro-expressions (raw frames)",
        layout="Micro_Expression/disgust/S03-01-002/1.jpg, MMEW_Micro_Exp.xlsx beside it",
        trees=(Tree("raw", FOLDERS, r"(?:img)?(?P<n>\d+)\.(?:jpg|jpeg|png|bmp)"),),
        sheets=(
            Sheet(
                "Micro_Exp",
                r"mmew[-_ ]micro[-_ ]?exp.*",
                ("subject", "clip", "onset", "apex", "offset", "action_units", "emotion"),
                name="MMEW_Micro_Exp.xlsx",
            ),
        ),
        subject="S{subject:0>2}",
        fps=90.0,
        counts=(Count(300, 30, "the published sheet MMEW_Micro_Exp"),),
        annotations={
            "mmew": Annotation(
                ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "others", "repression"),
                ("emotion7_others",),
            )
        },
    ),
    __name__,
)
