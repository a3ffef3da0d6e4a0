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

    detector : "hog", or "cnn" (slow, finds more). size : width and height of the aligned face in pixels. margin : what
    is added on each side of the square from brows to chin, in parts of it. align : "similarity" (eyes and nose base
    come to standard places) or "box" (no turning). Sets face, transform and size. ClipError where no face is found.
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
