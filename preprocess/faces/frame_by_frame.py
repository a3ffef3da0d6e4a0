"""Landmarks of every frame of an aligned face: fitted one by one, and compared with the frames before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from preprocess.faces.alignment import landmark_box, landmark_turn
from preprocess.faces.fit import ELSEWHERE, regions_apart

if TYPE_CHECKING:
    from preprocess.faces.face import FaceFinder


def landmarks_of_frames(
    finder: FaceFinder, pictures: Sequence[np.ndarray], points: np.ndarray
) -> tuple[np.ndarray, dict[int, str]]:
    """Fit landmarks to every picture of one face.

    A region that jumps away for one picture and back is fitted again, in the place of the pictures beside it.

    Parameters
    ----------
    finder : fits landmarks.
    pictures : T pictures (H, W) uint8, in the order of time.
    points : (68, 2), about where the face is in all of them.

    Returns
    -------
    landmarks : (T, 68, 2) float32.
    unsure : index of a picture -> the region that lies elsewhere than in the pictures beside it, still.
    """
    box, turn = landmark_box(points), landmark_turn(points)
    fits = [finder.landmarks(picture, box, turn) for picture in pictures]
    unsure = {}
    for index in range(1, len(fits) - 1):
        before, after = fits[index - 1], fits[index + 1]
        if _jumping(before, fits[index], after) is None:
            continue
        between = (before + after) / 2
        fits[index] = finder.landmarks(pictures[index], landmark_box(between), landmark_turn(between))
        region = _jumping(before, fits[index], after)
        if region is not None:
            unsure[index] = region
    return np.stack(fits), unsure


def _jumping(before: np.ndarray, now: np.ndarray, after: np.ndarray) -> str | None:
    """Return the region that lies elsewhere than before and after, where it lies in one place."""
    still, jump, back = (regions_apart(*pair) for pair in ((before, after), (before, now), (now, after)))
    far = {name: min(jump[name], back[name]) for name in still if still[name] < ELSEWHERE}
    worst = max(far, key=lambda name: far[name], default=None)
    return worst if worst is not None and far[worst] > ELSEWHERE else None
