"""Key frames by landmark motion: where the face's points move most, or between which they move equally far."""

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


def most_motion(work: Work, numbers: list[int], count: int) -> list[int]:
    """Choose the frames that the landmarks moved to farthest since the frame before.

    Parameters
    ----------
    work : whose clip it is.
    numbers : of the frames to choose from, in order.
    count : how many frames to choose.

    Returns
    -------
    Frame numbers in order. The first frame, which nothing moved to, is none of them; of equal ones the earlier are.
    Where there are no more than ``count`` frames, all of them, some repeated; where nothing moves, equal steps.
    """
    seen = work.seen(numbers) or numbers
    if len(seen) <= count:
        return _spread(seen, count)
    motion = landmark_motion(work, seen)
    if not motion.any():
        return _spread(seen[1:], count)
    chosen = np.argsort(-motion, kind="stable")[:count]
    return [seen[1 + index] for index in sorted(chosen)]


def equal_motion(work: Work, numbers: list[int], count: int) -> list[int]:
    """Choose frames between which the landmarks move equally far: motions are summed from the first on.

    Parameters
    ----------
    work : whose clip it is.
    numbers : of the frames to choose from, in order.
    count : how many frames to choose.

    Returns
    -------
    Frame numbers in order, the first and the last one included; equal steps where nothing moves.
    """
    seen = work.seen(numbers) or numbers
    path = np.concatenate([[0.0], np.cumsum(landmark_motion(work, seen))])
    if path[-1] == 0:
        return _spread(seen, count)
    goals = np.linspace(0, path[-1], count)[1:-1]
    between = [seen[int(np.abs(path - goal).argmin())] for goal in goals]
    return [seen[0], *between, seen[-1]][:count]


def landmark_motion(work: Work, numbers: list[int]) -> np.ndarray:
    """Measure how far the landmarks move from each frame to the next.

    The motion between two frames is the mean path of the 51 inner points of a face that was aligned frame by frame, so
    that the motion of the head does not count. Positions are smoothed over time.

    Parameters
    ----------
    work : whose clip it is.
    numbers : T frame numbers in order.

    Returns
    -------
    (T - 1,) float64, in pixels of a picture of SIZE x SIZE.
    """
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(aligned_landmarks(work, numbers), SMOOTH, axis=0, mode="nearest")
    motion: np.ndarray = np.linalg.norm(np.diff(smooth, axis=0), axis=2).mean(axis=1)
    return motion


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


def _spread(numbers: list[int], count: int) -> list[int]:
    """Return ``count`` of the numbers at equal steps, from the first to the last."""
    return [numbers[index] for index in np.rint(np.linspace(0, len(numbers) - 1, count)).astype(int)]
