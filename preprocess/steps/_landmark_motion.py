"""Key frames by landmark motion: frames between which the face's points move equally far."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from preprocess.faces.alignment import face_transform, transform_points, warp
from preprocess.faces.frame_by_frame import landmarks_of_frames
from preprocess.samples.frames import FrameReader
from preprocess.steps._heads import face_and_path

if TYPE_CHECKING:
    from preprocess.steps import Work

SIZE = 256
# Frames over which positions are averaged: single fits tremble by a few tenths of a pixel.
SMOOTH = 1.5


def landmark_motion_frames(work: Work, present: list[int], count: int) -> list[int]:
    """Choose frames between which the landmarks move equally far.

    The motion between two frames is the mean path of the 51 inner points of a face that was aligned frame by frame, so
    that the motion of the head does not count. Paths are summed along the clip.

    Parameters
    ----------
    work : whose clip it is.
    present : the clip's frame numbers.
    count : how many frames to choose.

    Returns
    -------
    Frame numbers in order, the first and the last one of the clip included.
    """
    from scipy.ndimage import gaussian_filter1d

    points = aligned_landmarks(work, present)
    smooth = gaussian_filter1d(points, SMOOTH, axis=0, mode="nearest")
    steps = np.linalg.norm(np.diff(smooth, axis=0), axis=2).mean(axis=1)
    path = np.concatenate([[0.0], np.cumsum(steps)])
    if path[-1] == 0:
        path = np.arange(len(present), dtype=np.float64)
    goals = np.linspace(0, path[-1], count)[1:-1]
    between = [present[int(np.abs(path - goal).argmin())] for goal in goals]
    return [present[0], *between, present[-1]][:count]


def aligned_landmarks(work: Work, present: list[int]) -> np.ndarray:
    """Fit the landmarks of every frame, each face aligned by its own eyes and nose.

    Parameters
    ----------
    work : whose clip it is.
    present : the clip's frame numbers.

    Returns
    -------
    (T, 51, 2) float64, the points without the jaw, in pixels of a picture of SIZE x SIZE.
    """
    face, path = face_and_path(work)
    transform = face_transform(face.landmarks, (SIZE, SIZE))
    pictures = []
    with FrameReader(work.clip) as reader:
        for number in present:
            read, picture = reader.read_nearest(number)
            here = transform if path is None else path.transform(transform, read)
            # One grey level outside of the recording: a repeated edge looks like a face's.
            pictures.append(warp(picture, here, (SIZE, SIZE), float(np.median(picture))))
    fits, _ = landmarks_of_frames(work.finder, pictures, transform_points(face.landmarks, transform))
    result = [transform_points(points, face_transform(points, (SIZE, SIZE)))[17:] for points in fits]
    return np.asarray(result, dtype=np.float64)
