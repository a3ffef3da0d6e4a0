"""The face of a clip: found once, in one frame, with 68 landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np

    from preprocess.samples.clip import Clip


@dataclass(frozen=True)
class Face:
    """A face in the coordinates of the recording.

    landmarks : (68, 2) float32, x and y in pixels (dlib's 68 points). box : left, top, right, bottom of the detection.
    frame : the number of the frame it was found in. way : how it was found: ``hog``, ``hog_padded``, ``cnn`` or
        ``rectangle`` (landmarks fitted to the whole picture of a crop). faces : how many faces that frame showed.
    """

    landmarks: np.ndarray
    box: tuple[int, int, int, int]
    frame: int
    way: str
    faces: int = 1


class FaceFinder(Protocol):
    """Finds the face of a clip and remembers it."""

    def find(self, clip: Clip, detector: str = "hog") -> Face:
        """Return the clip's face; ClipError, which lists what was tried, where none is found.

        detector : the one to begin with, "hog" or "cnn".
        """

    def landmarks(self, picture: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
        """Fit the 68 points, (68, 2) float32 x and y, to the face in ``box`` of a grey uint8 picture."""
