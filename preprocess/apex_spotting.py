"""Apex spotting: the frame of the strongest expression in a clip where nobody annotated it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from preprocess.alignment import face_transform, transform_points, warp
from preprocess.clips import ClipError
from preprocess.frames import FrameReader

if TYPE_CHECKING:
    from preprocess.steps import Work

SIZE = 128


def midpoint(work: Work, present: list[int]) -> int:
    """Return the frame in the middle of the clip, as several public preprocessings of SMIC do."""
    return present[(len(present) - 1) // 2]


def roi_difference(work: Work, present: list[int]) -> int:
    """Return the frame whose brow and mouth regions differ most from onset and offset."""
    curve = difference_curve(work, present)
    return present[int(curve.argmax())]


SPOTTERS: dict[str, Callable[[Work, list[int]], int]] = {"roi_difference": roi_difference, "midpoint": midpoint}


def difference_curve(work: Work, present: list[int]) -> np.ndarray:
    """Return how far each frame is from onset and offset, (T,) float64."""
    from scipy.ndimage import gaussian_filter1d

    face = work.face or work.finder.find(work.clip)
    transform = face_transform(face.landmarks, (SIZE, SIZE))
    mask = _regions(transform_points(face.landmarks, transform))
    faces = _faces(work, present, transform)[:, mask]
    count = max(1, len(present) // 20)
    first, last = faces[:count].mean(axis=0), faces[-count:].mean(axis=0)
    curve = np.abs(faces - first).mean(axis=1) + np.abs(faces - last).mean(axis=1)
    return gaussian_filter1d(curve, max(1.0, len(present) / 20), mode="nearest")


def _faces(work: Work, present: list[int], transform: np.ndarray) -> np.ndarray:
    """Return every frame as an aligned grey face, (T, SIZE, SIZE) float32, smoothed a little."""
    import cv2

    result = np.empty((len(present), SIZE, SIZE), np.float32)
    with FrameReader(work.clip) as reader:
        for index, number in enumerate(present):
            try:
                picture = reader.read(number)
            except ClipError:
                _, picture = reader.read_nearest(number)
            result[index] = cv2.GaussianBlur(warp(picture, transform, (SIZE, SIZE)).astype(np.float32), (0, 0), 1.0)
    return result


def _regions(points: np.ndarray) -> np.ndarray:
    """Return the (SIZE, SIZE) mask of the brows and the mouth; the eyes stay out of it, for they blink."""
    mask = np.zeros((SIZE, SIZE), bool)
    for part in (points[17:22], points[22:27], points[48:68]):
        left, top = np.floor(part.min(axis=0)).astype(int) - 5
        right, bottom = np.ceil(part.max(axis=0)).astype(int) + 5
        mask[max(top, 0) : bottom, max(left, 0) : right] = True
    return mask
