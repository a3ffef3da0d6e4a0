"""CK+: posed macro-expressions of 123 people, 327 of 593 sequences labelled (Lucey et al., CVPR Workshops 2010)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from preprocess.base.errors import DataError
from preprocess.datasets._build import register
from preprocess.datasets._folders import below, listing
from preprocess.datasets._spec import Count, Database, Record, Tree
from preprocess.datasets._trees import last_number
from preprocess.labels.emotions import Annotation

CODED = ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
EMOTIONS = {float(code): emotion for code, emotion in enumerate(CODED)}
FRAMES = r"S\d+_\d+_(?P<n>\d+)\.(?:png|jpg)"


def coded(path: str, fields: Mapping[str, str]) -> Record | None:
    """Return the label of a sequence, which is one number in a text file; None where there is none.

    The last frame is the apex.

    Raises
    ------
    DataError : the labels are not there, or a file holds no number from 0 to 7.
    """
    folder = Path(path)
    root = below(folder.parents[2], "Emotion")
    if root is None or not listing(root):
        missing = folder.parents[2] / "Emotion"
        raise DataError(
            f"{missing} is not there: without it no sequence of CK+ has a label. Copy it there, or rename the "
            "folder of labels so."
        )
    labels = below(root, folder.parent.name, folder.name)
    names = [name for name, _ in listing(labels)] if labels else []
    files = [labels / name for name in names if labels and name.lower().endswith("_emotion.txt")]
    if not files:
        return None
    text = files[0].read_text(encoding="utf-8", errors="replace").strip()
    try:
        emotion = EMOTIONS[float(text)]
    except (ValueError, KeyError) as error:
        raise DataError(f"{files[0]} holds {text!r}; expected one number from 0 to 7. Restore the file.") from error
    return {"emotion": emotion, "apex": last_number(path, FRAMES)}


register(
    Database(
        name="ckplus",
        title="CK+ (sequences with an emotion label)",
        layout="cohn-kanade-images/S005/001/S005_001_00000001.png and Emotion/S005/001/*_emotion.txt beside it",
        trees=(Tree("raw", (r"S(?P<subject>\d+)", r"\d+"), FRAMES, root="cohn-kanade-images"),),
        subject="S{subject:0>3}",
        macro=("ckplus",),
        label=coded,
        counts=(Count(327, None, "Lucey et al. 2010"),),
        annotations={
            "ckplus": Annotation(
                ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "contempt", "neutral"),
                ("emotion7", "emotion6"),
            )
        },
    ),
    __name__,
)
