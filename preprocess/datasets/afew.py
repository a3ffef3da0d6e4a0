"""AFEW: 773 training and 383 validation clips from films (Dhall et al., IEEE MultiMedia 2012; EmotiW 2016)."""

from __future__ import annotations

from collections.abc import Mapping

from preprocess.datasets._build import register
from preprocess.datasets._spec import Count, Database, Record, Tree
from preprocess.labels.emotions import Annotation
from preprocess.samples.frames import VIDEO_ENDINGS

FOLDERS = (r"(?P<subject>train|val)_afew", r"(?P<emotion>Angry|Disgust|Fear|Happy|Neutral|Sad|Surprise)")
SPLITS = {"train": "train", "val": "validation"}


def split(path: str, fields: Mapping[str, str]) -> Record:
    """Return which set a clip is of.

    AFEW does not name its people. All that is known is that nobody is in both sets, so each set counts as one subject:
    no protocol can then put one person on both sides, and leaving one subject out is the official split.
    """
    return {"split": SPLITS[fields["subject"]]}


register(
    Database(
        name="afew",
        title="AFEW (videos or aligned faces; its two sets count as two subjects, for its people are not named)",
        layout="Train_AFEW/Angry/000046280.avi and Val_AFEW/... (aligned: train_afew/Angry/000046280/001.jpg)",
        trees=(
            Tree("raw", FOLDERS, videos=rf"(?P<clip>.+)\.(?:{'|'.join(VIDEO_ENDINGS)})"),
            Tree("aligned", (*FOLDERS, r"[^.]+"), r"(?:.*\D)?(?P<n>\d+)\.(?:jpg|jpeg|png|bmp)"),
        ),
        macro=("afew",),
        label=split,
        counts=(
            Count(773 + 383, 2, "EmotiW 2016"),
            Count(773, 1, "EmotiW 2016: training set"),
            Count(383, 1, "EmotiW 2016: validation set"),
        ),
        annotations={
            "afew": Annotation(
                ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"), ("emotion7_neutral",)
            )
        },
    ),
    __name__,
)
