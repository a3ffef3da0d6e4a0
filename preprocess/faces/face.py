"""The face of a clip: found once, in one frame, with 68 landmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np

    from preprocess.samples.clip import Clip


@dataclass(frozen=True)
class Face:
    """A face in the coordinates of the recording.

    Attributes
    ----------
    landmarks : (68, 2) float32, x and y of dlib's points in pixels.
    box : left, top, right and bottom of the detection.
    frame : number of the frame in which it was found.
    way : how it was found: ``hog``, ``hog_padded``, ``cnn``, ``rectangle`` for landmarks fitted to a whole crop, or
        ``hog_turned`` for a face that is turned in the picture.
    faces : how many faces that frame showed.
    turn : degrees by which the face is turned clockwise.
    spread : region of the face -> how far its fits differ, as a share of the distance between the eyes.
    notes : what a person should know: a region that was fitted again, a face that is turned or partly outside.
    """

    landmarks: np.ndarray
    box: tuple[int, int, int, int]
    frame: int
    way: str
    faces: int = 1
    turn: float = 0.0
    spread: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class FaceFinder(Protocol):
    """Finds the face of a clip and remembers it."""

    def find(self, clip: Clip, detector: str = "hog") -> Face:
        """Return the face of a clip.

        Parameters
        ----------
        clip : the clip to look at.
        detector : the detector to begin with, "hog" or "cnn".

        Raises
        ------
        ClipError : no face was found; the message lists what was tried.
        """

    def landmarks(self, picture: np.ndarray, box: tuple[int, int, int, int], turn: float = 0.0) -> np.ndarray:
        """Fit the 68 points to a face, to tenths of a pixel.

        Parameters
        ----------
        picture : (H, W) uint8, grey.
        box : left, top, right and bottom of the face.
        turn : degrees by which the face is turned clockwise.

        Returns
        -------
        (68, 2) float32, x and y.
        """
