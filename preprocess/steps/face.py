"""The step ``face``: find the clip's face and fix the one transform that aligns all of its frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from preprocess.faces.alignment import ALIGNMENTS, face_transform
from preprocess.samples.layout import Content
from preprocess.steps import Work, register_step
from preprocess.steps._options import one_of, size_option


def _pictures(before: Content, options: Mapping[str, Any]) -> Content:
    return replace(before, width=float(size_option("face", options["size"])[0]))


@register_step("face", version=1, pictures=_pictures)
def face(
    work: Work,
    *,
    detector: str = "hog",
    size: Sequence[int] = (128, 128),
    margin: float = 0.1,
    align: str = "similarity",
) -> Work:
    """Find the face and fix one transform for the clip, so that alignment adds no motion.

    Parameters
    ----------
    detector : "hog", or "cnn", which is slow and finds more faces.
    size : width and height of the aligned face in pixels.
    margin : what is added on each side of the square from brows to chin, in parts of the square.
    align : "similarity" brings eyes and the base of the nose to standard places; "box" does not turn the face.

    Returns
    -------
    The work with these fields set:
    face : the face in the coordinates of the recording.
    transform : (2, 3) float64, from the recording to the aligned face.
    size : (width, height) of the aligned face.

    Raises
    ------
    ClipError : no face is found.
    """
    one_of("face", "align", align, ALIGNMENTS)
    width, height = size_option("face", size)
    found = work.finder.find(work.clip, detector)
    notes = []
    if found.faces > 1:
        notes.append(f"{found.faces} faces in frame {found.frame}: the largest taken")
    if found.way != detector:
        notes.append(f"face found by {found.way} in frame {found.frame}")
    return replace(
        work,
        face=found,
        transform=face_transform(found.landmarks, (width, height), margin, align),
        size=(width, height),
        notes=(*work.notes, *notes),
    )
