"""The steps ``landmark_points`` and ``face_areas``: where landmarks lie, as a feature of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.faces.landmark_sets import FACE_AREAS, PADDING, landmark_set
from preprocess.samples.layout import Content
from preprocess.steps import Work, register_step
from preprocess.steps._options import needed, one_of, size_option
from preprocess.steps._parts import at_landmarks, key_index

AREAS_MIRRORED = (1, 0, 3, 2)
"""The areas (left eye, right eye, left and right lip corner) in the mirrored picture."""


def _shown(before: Content, options: Mapping[str, Any]) -> Content:
    return at_landmarks(Content(width=_width("landmark_points", before, options)), options["points"])


def _areas_shown(before: Content, options: Mapping[str, Any]) -> Content:
    return Content(points=AREAS_MIRRORED, width=_width("face_areas", before, options))


def _width(step: str, before: Content, options: Mapping[str, Any]) -> float:
    """Return the width of the picture in whose pixels coordinates are given."""
    return before.width if options["size"] is None else float(size_option(step, options["size"])[0])


@register_step("landmark_points", version=1, tensor=_shown)
def landmark_points(
    work: Work, *, points: str = "all_68", frame: str = "apex", size: int | Sequence[int] | None = None
) -> Work:
    """Make the result from landmark coordinates x, y.

    Parameters
    ----------
    points : a name of ``preprocess.faces.landmark_sets``; empty slots give zeros.
    frame : "onset", "apex", "offset", or "all" for every chosen frame.
    size : of the picture in whose pixels coordinates are given, a number or [width, height], as if the frames were
        resized to it; None keeps the pixels of the frames.

    Returns
    -------
    The work with these fields set:
    tensor : (V, 2), or (T, V, 2) for all frames, float32.
    """
    chosen = np.asarray(landmark_set(points))
    placed = _of_frames(work, "landmark_points", frame, size)[:, chosen]
    placed[:, chosen == PADDING] = 0
    return replace(work, tensor=np.ascontiguousarray(placed if frame == "all" else placed[0], dtype=np.float32))


@register_step("face_areas", version=1, tensor=_areas_shown)
def face_areas(work: Work, *, frame: str = "apex", size: int | Sequence[int] = 28, reach: int = 7) -> Work:
    """Make the result from the centres of HTNet's four areas: left eye, right eye, left and right lip corner.

    Centres are not rounded. They are kept away from the borders (7..21 of 28 pixels, as in HTNet).

    Parameters
    ----------
    frame : "onset", "apex" or "offset".
    size : of the picture in whose pixels centres are given, a number or [width, height].
    reach : half the side of an area, which is how far centres are kept from the borders.

    Returns
    -------
    The work with these fields set:
    tensor : (4, 2) float32, x and y.

    Checked
    -------
    Not checked: HTNet's code finds landmarks otherwise (MTCNN on pictures of 28x28).
    """
    width, height = size_option("face_areas", size)
    if not isinstance(reach, int) or not 0 <= 2 * reach <= min(width, height):
        raise UsageError(f"Step face_areas: reach is {reach!r}; expected at most half of the size {size!r}.")
    if frame == "all":
        raise UsageError("Step face_areas: frame is 'all'; expected one frame: onset, apex or offset.")
    face = _of_frames(work, "face_areas", frame, size)[0]
    centres = np.stack([face[list(points)].mean(axis=0) for points in FACE_AREAS])
    return replace(work, tensor=np.clip(centres, reach, (width - reach, height - reach)).astype(np.float32))


def _of_frames(work: Work, step: str, frame: str, size: int | Sequence[int] | None) -> np.ndarray:
    """Return landmarks (T, 68, 2) of the wanted frame (T = 1) or of all, in pixels of a picture of ``size``."""
    one_of(step, "frame", frame, ("onset", "apex", "offset", "all"))
    landmarks = needed(work, step, "landmarks", "landmarks")
    if frame != "all":
        landmarks = landmarks[key_index(work, step, frame)][None]
    if size is None:
        return landmarks.copy()
    height, width = needed(work, step, "frames", "load").shape[2:4]
    scale = np.array(size_option(step, size)) / (width, height)
    # Pixels are squares, so a picture's corner is at -0.5: resizing keeps corners, not centres of pixels.
    return (landmarks + 0.5) * scale - 0.5
