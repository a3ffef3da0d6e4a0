"""The step ``landmarks``: the 68 points in the coordinates of the loaded frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from preprocess.faces.alignment import transform_points
from preprocess.faces.frame_by_frame import landmarks_of_frames
from preprocess.steps import Work, as_before, register_step
from preprocess.steps._options import needed, one_of
from preprocess.steps.flow import grey_frames


@register_step("landmarks", version=3, pictures=as_before)
def landmarks(work: Work, *, per: str = "clip") -> Work:
    """Give the loaded frames their 68 landmarks.

    Parameters
    ----------
    per : "clip" takes the points of the face that was found, the same for all frames. "frame" fits points to each frame
        of the first magnification level; they follow the motion and tremble by a tenth of a pixel or two.

    Returns
    -------
    The work with these fields set:
    landmarks : (T, 68, 2) float32, x and y in pixels of the frames.
    """
    one_of("landmarks", "per", per, ("clip", "frame"))
    frames = needed(work, "landmarks", "frames", "load")
    face = work.face or work.finder.find(work.clip)
    points = face.landmarks if work.transform is None else transform_points(face.landmarks, work.transform)
    notes: list[str] = []
    if per == "clip":
        result = np.repeat(points[None].astype(np.float32), frames.shape[1], axis=0)
    else:
        pictures = _plain_outside(grey_frames(frames[:1])[0], work.valid)
        result, unsure = landmarks_of_frames(work.finder, list(pictures), points)
        notes = [f"landmarks of the {region} jump in frame {work.numbers[index]}" for index, region in unsure.items()]
    return replace(work, face=face, landmarks=result, notes=(*work.notes, *notes))


def _plain_outside(pictures: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    """Return pictures (T, H, W) with one grey level outside of the recording: a repeated edge looks like a face's."""
    if valid is None or not valid.any():
        return pictures
    plain = np.median(pictures[:, valid], axis=1).astype(pictures.dtype)
    return np.where(valid, pictures, plain[:, None, None])
