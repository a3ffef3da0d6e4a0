"""A fitted face, and what tells a right one from a wrong one: every region is judged for itself.

The mean over 68 points hides a mouth that lies on the chin. A region's fits must agree with each other, and it must lie
where dlib's mean face has it, as seen from the region above it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from preprocess.faces.alignment import placement
from preprocess.faces.landmark_sets import FACE_REGIONS
from preprocess.faces.mean_shape import mean_shape

# How far the fits of one region may differ, as a multiple of what is allowed on average over all points.
REGION_SPREAD = {"brows": 2.0, "eyes": 1.5, "nose": 1.5, "mouth": 2.0, "jaw": 3.0}
_DOWN, _ACROSS = 1, 0
_BROWS, _EYES, _NOSE_BASE = tuple(range(17, 27)), tuple(range(36, 48)), tuple(range(31, 36))
_EYES_AND_NOSE = slice(27, 48)
# The upper lip without its corners: it hangs on the skull, while corners and lower lip move with every expression.
_UPPER_LIP = (49, 50, 51, 52, 53, 61, 62, 63)
_CHIN = (7, 8, 9)


@dataclass(frozen=True)
class Place:
    """Where a region should lie.

    Distances are in shares of the one between the eyes, along and across an upright face.

    Attributes
    ----------
    region : the region that is judged, a key of ``FACE_REGIONS``.
    of : points of it.
    seen_from : points from which their distance is measured.
    axis : 0 across the face, 1 down.
    less, more : how much less and more than in dlib's mean face it may be.
    """

    region: str
    of: tuple[int, ...]
    seen_from: tuple[int, ...]
    axis: int
    less: float
    more: float

    def off(self, upright: np.ndarray) -> float:
        """Return how far the region lies from its place, as a share of what is allowed; below 0 where it is short."""
        over = self._distance(upright) - self._distance(_upright(mean_shape()))
        return over / (self.more if over > 0 else self.less)

    def _distance(self, points: np.ndarray) -> float:
        return float(points[list(self.of), self.axis].mean() - points[list(self.seen_from), self.axis].mean())


# Fits to rendered people at rest and with strong expressions, to a talking head and to portraits lie within: brows
# -.42 to -.22, nose .50 to .84, upper lip .14 to .33 below the nose, chin .76 to 1.31 below that; across, nose and lip
# within .12, chin within .21 of the eyes' middle. The limits leave as much again for other people and poses.
PLACES = (
    Place("brows", _BROWS, _EYES, _DOWN, 0.3, 0.2),
    Place("nose", _NOSE_BASE, _EYES, _DOWN, 0.4, 0.35),
    Place("nose", _NOSE_BASE, _EYES, _ACROSS, 0.5, 0.5),
    Place("mouth", _UPPER_LIP, _NOSE_BASE, _DOWN, 0.23, 0.2),
    Place("mouth", _UPPER_LIP, _NOSE_BASE, _ACROSS, 0.25, 0.25),
    Place("mouth", (54,), (48,), _ACROSS, 0.4, 0.7),
    Place("jaw", _CHIN, _UPPER_LIP, _DOWN, 0.35, 0.9),
    Place("jaw", _CHIN, _UPPER_LIP, _ACROSS, 0.45, 0.45),
    Place("jaw", (16,), (0,), _ACROSS, 0.8, 0.8),
)


@dataclass(frozen=True)
class Fit:
    """The landmarks fitted to one face.

    Attributes
    ----------
    landmarks : (68, 2) float32, the mean of several fits.
    spread : how far the fits differ on average, as a share of the distance between the eyes.
    regions : the same for each region of the face.
    turn : degrees by which the face is turned clockwise, as far as is known.
    """

    landmarks: np.ndarray
    spread: float
    regions: dict[str, float] = field(default_factory=dict)
    turn: float = 0.0

    @classmethod
    def of(cls, fits: np.ndarray, turn: float) -> Fit:
        """Return the mean of several fits, (n, 68, 2), of a face that is turned by so many degrees."""
        mean = fits.mean(axis=0)
        apart = np.linalg.norm(fits - mean, axis=2).mean(axis=0) / max(eye_distance(mean), 1.0)
        regions = {name: float(apart[list(points)].mean()) for name, points in FACE_REGIONS.items()}
        return cls(mean.astype(np.float32), float(apart.mean()), regions, turn)

    def plausible(self, max_spread: float) -> bool:
        """Whether the fits agree and form a face whose every region lies where it should (see ``faults``)."""
        return not self.faults(max_spread)

    def faults(self, max_spread: float) -> dict[str, str]:
        """Return what is wrong with the fit.

        Parameters
        ----------
        max_spread : how far the fits may differ on average.

        Returns
        -------
        Region of the face, or "face" -> what is wrong with it, in words.
        """
        found = {}
        if self.spread >= max_spread:
            found["face"] = f"fits differ by {self.spread:.2f} of the distance between the eyes"
        for name, spread in self.regions.items():
            if spread >= REGION_SPREAD[name] * max_spread:
                found[name] = f"fits of the {name} differ by {spread:.2f} of the distance between the eyes"
        upright = _upright(self.landmarks, self.turn)
        for place in PLACES:
            off = place.off(upright)
            if not abs(off) < 1:
                found[place.region] = f"the {place.region} lies {abs(off):.1f} times as far off as a face allows"
        tilt = abs((placement(self.landmarks)[2] - self.turn + 180) % 360 - 180)
        if tilt > MAX_TILT:
            found["face"] = f"the face is turned by {tilt:.0f} degrees more than was looked for"
        return found


ELSEWHERE = 0.12
"""How far a region may lie elsewhere in the next frame, or by another fit, in distances between the eyes."""

MAX_TILT = 26.0
"""How many degrees a face may lie turned in the window of its fit."""


def eye_distance(points: np.ndarray) -> float:
    """Return the distance between the centres of the eyes of a face, (68, 2)."""
    return float(np.linalg.norm(points[42:48].mean(axis=0) - points[36:42].mean(axis=0)))


def regions_apart(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Return how far the inner regions of two faces, (68, 2), lie from each other, as seen from eyes and nose.

    Returns
    -------
    Region -> distance, as a share of the one between the eyes.
    """
    first, second = _on_mean(one), _on_mean(other)
    unit = eye_distance(mean_shape())
    inner = {name: list(points) for name, points in FACE_REGIONS.items() if name != "jaw"}
    return {
        name: float(np.linalg.norm(first[points].mean(axis=0) - second[points].mean(axis=0)) / unit)
        for name, points in inner.items()
    }


def _on_mean(points: np.ndarray) -> np.ndarray:
    """Return a face moved, turned and scaled so that its eyes and nose lie on those of dlib's mean face."""
    middle, side, turn = placement(points, _EYES_AND_NOSE)
    angle = np.deg2rad(turn)
    back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (np.asarray(points, dtype=np.float64) - middle) @ back.T / side


def _upright(points: np.ndarray, turn: float = 0.0) -> np.ndarray:
    """Return a face turned back by ``turn`` degrees, in shares of the distance between its eyes."""
    angle = np.deg2rad(turn)
    back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray(points, dtype=np.float64) @ back.T / max(eye_distance(points), 1e-9)
