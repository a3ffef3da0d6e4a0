"""The step ``landmarks``: the 68 points in the coordinates of the loaded frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from preprocess.faces.alignment import landmark_box, transform_points
from preprocess.motion.valid import cleared
from preprocess.steps import Work, as_before, register_step
from preprocess.steps._options import needed, one_of
from preprocess.steps.flow import grey_frames


@register_step("landmarks", version=2, pictures=as_before)
def landmarks(work: Work, *, per: str = "clip") -> Work:
    """Give the loaded frames their 68 landmarks.

    Parameters
    ----------
    per : "clip" takes the points of the face that was found, the same for all frames. "frame" fits points to each frame
        of the first magnification level; they follow the motion and tremble by about half a pixel.

    Returns
    -------
    The work with these fields set:
    landmarks : (T, 68, 2) float32, x and y in pixels of the frames.
    """
    one_of("landmarks", "per", per, ("clip", "frame"))
    frames = needed(work, "landmarks", "frames", "load")
    face = work.face or work.finder.find(work.clip)
    points = face.landmarks if work.transform is None else transform_points(face.landmarks, work.transform)
    if per == "clip":
        result = np.repeat(points[None].astype(np.float32), frames.shape[1], axis=0)
    else:
        box = landmark_box(points)
        pictures = cleared(grey_frames(frames[:1])[0], work.valid)
        result = np.stack([work.finder.landmarks(picture, box) for picture in pictures])
    return replace(work, face=face, landmarks=result)
