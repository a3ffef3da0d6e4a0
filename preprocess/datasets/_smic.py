"""What the three cameras of SMIC have in common (Li et al., A Spontaneous Micro-expression Database, FG 2013)."""

from __future__ import annotations

from collections.abc import Mapping

from preprocess.datasets._spec import CROPPED, UNCROPPED, Count, Database, Record, Tree
from preprocess.labels.emotions import Annotation

VALENCE = Annotation(("negative", "positive", "surprise"), ("binary",))
EMOTIONS = {"ne": "negative", "po": "positive", "sur": "surprise"}
SUBJECT = r"s(?P<subject>\d{1,2})"
EMOTION = r"(?P<emotion>negative|positive|surprise)"
CLIP = r"s\d{1,2}_(?P<kind>ne|po|sur)_(?P<take>\d+)"
FOLDERS = ((SUBJECT, "micro", EMOTION, CLIP), (SUBJECT, EMOTION, CLIP))


def smic(
    name: str, camera: str, title: str, fps: float, clips: int, subjects: int, annotation: Annotation = VALENCE
) -> Database:
    """Return the database of one of SMIC's cameras, which is a folder of that name.

    There is no sheet: the names of folder and clip tell the class, the clip's first and last frame are onset and
    offset, and nobody annotated an apex. The three cameras recorded the same people: s01 of ``smic_vis`` is
    ``smic/s01``.

    Parameters
    ----------
    name : of the dataset.
    camera : "HS", "VIS" or "NIR".
    title : for people.
    fps : frames per second.
    clips : how many clips were published.
    subjects : how many people were published.
    annotation : how the clips are annotated.
    """
    # A cropped copy is a folder like SMIC_all_cropped/HS, or has the frames' names begin with reg_.
    inside = f"{CROPPED}/{camera}", f"{UNCROPPED}/{camera}"
    trees = tuple(
        tree
        for folders in FOLDERS
        for tree in (
            Tree("raw", folders, r"image(?P<n>\d+)\.(?:bmp|jpg|png)", root=inside[1]),
            Tree("cropped", folders, r"(?:reg_)?image(?P<n>\d+)\.(?:bmp|jpg|png)", root=inside[0]),
            Tree("cropped", folders, r"reg_image(?P<n>\d+)\.(?:bmp|jpg|png)", root=inside[1]),
        )
    )
    return Database(
        name=name,
        title=title,
        layout=f"{camera}/s1/micro/negative/s1_ne_01/image001234.bmp (cropped: reg_image001234.bmp), no sheet",
        trees=trees,
        registered=("cropped",),
        subject="s{subject:0>2}",
        clip="s{subject:0>2}_{kind}_{take:0>2}",
        fps=fps,
        people="smic",
        label=label,
        annotations={name: annotation},
        counts=(
            Count(clips, subjects, "Li et al. 2013"),
            *(Count(clips, subjects, "MEGC2019", task=task) for task in annotation.tasks if task == "megc3"),
        ),
    )


def label(path: str, fields: Mapping[str, str]) -> Record | None:
    """Return the clip's emotion; None where its folder and its name say different ones."""
    emotion = EMOTIONS[fields["kind"]]
    return {"emotion": emotion} if emotion == fields["emotion"] else None
