"""The step ``face``: find the clip's face and the transform that aligns its frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from preprocess.faces.alignment import ALIGNMENTS, face_transform, picture_transform
from preprocess.faces.following import head_path
from preprocess.samples.frames import FrameReader
from preprocess.samples.layout import Content
from preprocess.samples.quality import SPREAD
from preprocess.steps import Work, register_step
from preprocess.steps._options import one_of, size_option


def _pictures(before: Content, options: Mapping[str, Any]) -> Content:
    return replace(before, width=float(size_option("face", options["size"])[0]))


CROPS = ("as_face", "align")


@register_step("face", version=5, pictures=_pictures)
def face(
    work: Work,
    *,
    detector: str = "hog",
    size: Sequence[int] = (128, 128),
    margin: float = 0.1,
    align: str = "similarity",
    crops: str = "as_face",
    follow: bool = True,
) -> Work:
    """Find the face and fix one transform for the clip, so that alignment adds no motion; follow a head that goes far.

    Parameters
    ----------
    detector : "hog", or "cnn", which is slow and finds more faces.
    size : width and height of the aligned face in pixels.
    margin : what is added on each side of the square from brows to chin, in parts of the square.
    align : "similarity" brings eyes and the base of the nose to standard places; "box" does not turn the face.
    crops : what is done with pictures that the database's authors cut out and registered. "as_face" takes the whole
        picture as the face, stretched to ``size``, as published flow features do; no face is looked for. "align" treats
        them like recordings.
    follow : whether a head that goes too far for one transform gets one for each frame.

    Returns
    -------
    The work with these fields set:
    face : the face in the coordinates of the recording; None where the picture is taken as the face.
    transform : (2, 3) float64, from the recording to the aligned face.
    path : how the transform moves with a head that goes far.
    size : (width, height) of the aligned face.
    quality : how far the fits of each region of the face differ; of a followed head, how far it goes and how much of it
        is not seen.

    Raises
    ------
    ClipError : no face is found.
    """
    one_of("face", "align", align, ALIGNMENTS)
    one_of("face", "crops", crops, CROPS)
    width, height = size_option("face", size)
    if work.clip.registered and crops == "as_face":
        return replace(work, transform=picture_transform(_picture_size(work), (width, height)), size=(width, height))
    found = work.finder.find(work.clip, detector)
    notes = []
    if found.faces > 1:
        notes.append(f"{found.faces} faces in frame {found.frame}: the largest taken")
    if found.way != detector:
        notes.append(f"face found by {found.way} in frame {found.frame}")
    notes += found.notes
    path = head_path(work.clip, found, work.finder) if follow else None
    if path is not None:
        notes.append(path.note)
    return replace(
        work,
        face=found,
        transform=face_transform(found.landmarks, (width, height), margin, align),
        path=path,
        size=(width, height),
        quality={
            **work.quality,
            **{SPREAD + region: spread for region, spread in found.spread.items()},
            **({} if path is None else path.quality),
        },
        notes=(*work.notes, *notes),
    )


def _picture_size(work: Work) -> tuple[int, int]:
    """Return width and height of the clip's frames."""
    with FrameReader(work.clip) as reader:
        onset = work.clip.onset if work.clip.onset is not None else reader.numbers[0]
        _, picture = reader.read_nearest(onset)
    return picture.shape[1], picture.shape[0]
