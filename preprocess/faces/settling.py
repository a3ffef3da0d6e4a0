"""From a detector's box to landmarks that can be trusted: fitted again where they are not, and compared over frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from preprocess.faces.detectors import Box, Detectors
from preprocess.faces.fit import ELSEWHERE, Fit, eye_distance, regions_apart
from preprocess.faces.landmark_sets import FACE_REGIONS

# How far fits may differ. Those of faces differ by 0.005 to 0.02; those of other pictures, and of faces that are turned
# otherwise than was looked for, by 0.035 and more.
SURE = 0.03
# A detector's own word allows for hard light and glasses, where no other box and no other turn does better.
MAX_SPREAD = {"hog": 0.1, "hog_padded": 0.1, "cnn": 0.1}
# Other boxes for a fit that is not sure: shifts to the right and down and growths, in parts of the box.
OTHER_BOXES = (
    ("higher", 0.0, -0.1, 0.0),
    ("lower", 0.0, 0.1, 0.0),
    ("larger", 0.0, 0.0, 0.15),
    ("smaller", 0.0, 0.0, -0.15),
    ("further left", -0.1, 0.0, 0.0),
    ("further right", 0.1, 0.0, 0.0),
)
# Other turns, in degrees clockwise. HOG finds faces that are turned by up to 40.
HOG_TURNS = (30.0, -30.0)
ALL_TURNS = (45.0, -45.0, 90.0, -90.0, 135.0, -135.0, 180.0)
# Parts without which a face is not seen, and how many of their points may lie outside of the picture.
_PARTS = {
    "left eye": tuple(range(36, 42)),
    "right eye": tuple(range(42, 48)),
    "nose": FACE_REGIONS["nose"],
    "mouth": FACE_REGIONS["mouth"],
}
MOST_OUTSIDE = 0.34


@dataclass(frozen=True)
class Settled:
    """Landmarks that can be trusted.

    Attributes
    ----------
    fit : the landmarks.
    notes : what a person should know of how they were found.
    """

    fit: Fit
    notes: tuple[str, ...] = ()


def settled(detectors: Detectors, picture: np.ndarray, box: Box, way: str, turn: float = 0.0) -> Settled | str:
    """Fit landmarks in a box, and in other boxes and at other turns where that fit is not sure.

    Parameters
    ----------
    detectors : fit landmarks.
    picture : (H, W) uint8.
    box : of a detection.
    way : how it was found.
    turn : degrees clockwise by which the detector found the face turned.

    Returns
    -------
    The landmarks, or why no fit is a face.
    """
    first = detectors.fit(picture, box, turn)
    faults, cut = first.faults(SURE), _cut(first, picture)
    if not faults and not cut:
        return Settled(first, _outside(first, picture))
    reason = "; ".join([*faults.values(), *cut])
    if cut and not faults:
        # Half a face. Other boxes would press it into what is seen of it.
        return reason
    turns = HOG_TURNS if way.startswith("hog") else ALL_TURNS
    others = [(f"turned by {more:+.0f} degrees", detectors.fit(picture, box, turn + more)) for more in turns]
    elsewhere = [] if cut else [(f"in a {name} box", _other(box, *change)) for name, *change in OTHER_BOXES]
    moved = [(name, detectors.fit(picture, other, turn)) for name, other in elsewhere]
    found = _best([*others, *moved], picture, SURE)
    if found is not None:
        return Settled(found[1], (f"landmarks fitted again {found[0]}: {reason}", *_outside(found[1], picture)))
    found = _best([("", first), *moved], picture, MAX_SPREAD[way]) if way in MAX_SPREAD and not cut else None
    if found is not None:
        return Settled(found[1], (f"landmarks are not sure: {reason}", *_outside(found[1], picture)))
    return reason


def settled_in_crop(detectors: Detectors, picture: np.ndarray, boxes: Sequence[Box]) -> Settled | str:
    """Fit landmarks in rectangles that nobody found a face in: two of them must give the same face.

    Parameters
    ----------
    detectors : fit landmarks.
    picture : (H, W) uint8.
    boxes : the rectangles to try.

    Returns
    -------
    The landmarks, or why there are none.
    """
    fits: list[Fit] = []
    for box in boxes:
        found = _best((("", detectors.fit(picture, box, turn)) for turn in (0.0, *ALL_TURNS)), picture, SURE)
        if found is None:
            continue
        fit = found[1]
        if any(_same(fit, other) for other in fits):
            return Settled(fit, _outside(fit, picture))
        fits.append(fit)
    return "no two rectangles give the same face"


def looks_alike(detectors: Detectors, fit: Fit, other: np.ndarray) -> bool:
    """Whether another frame, (H, W) uint8, shows every region where a fit has it; one look, in the same place."""
    return max(regions_apart(fit.landmarks, detectors.look(other, fit)).values()) < ELSEWHERE


def agreeing(fits: Sequence[Fit]) -> int | None:
    """Return which of the fits to several frames is nearest to the others; None where it agrees with none of them."""
    distance = np.array(
        [[max(regions_apart(one.landmarks, other.landmarks).values()) for other in fits] for one in fits]
    )
    best = int(distance.sum(axis=1).argmin())
    near = [distance[best, index] < ELSEWHERE for index in range(len(fits)) if index != best]
    return best if any(near) else None


def _same(one: Fit, other: Fit) -> bool:
    """Whether two fits to a picture are the same face in the same place."""
    distance = eye_distance(one.landmarks)
    inner = [name for name in FACE_REGIONS if name != "jaw"]
    moved = one.landmarks - other.landmarks
    return all(np.linalg.norm(moved[list(FACE_REGIONS[name])].mean(axis=0)) < ELSEWHERE * distance for name in inner)


def _best(fits: Iterable[tuple[str, Fit]], picture: np.ndarray, spread: float) -> tuple[str, Fit] | None:
    """Return the fit without a fault that differs least, and what was said of it."""
    good = [(name, fit) for name, fit in fits if fit.plausible(spread) and not _cut(fit, picture)]
    return min(good, key=lambda one: one[1].spread, default=None)


def _cut(fit: Fit, picture: np.ndarray) -> list[str]:
    """Return which parts of a face lie outside of the picture, in words."""
    away = (name for name, points in _PARTS.items() if _share_outside(fit, picture, points) > MOST_OUTSIDE)
    return [f"the {name} lies outside of the picture" for name in away]


def _outside(fit: Fit, picture: np.ndarray) -> tuple[str, ...]:
    """Return a note where regions of the inner face lie outside of the picture in part."""
    shares = {name: _share_outside(fit, picture, points) for name, points in FACE_REGIONS.items() if name != "jaw"}
    cut = [f"{share:.0%} of the {name}" for name, share in shares.items() if share > 0]
    return (f"outside of the picture lie {', '.join(cut)}",) if cut else ()


def _share_outside(fit: Fit, picture: np.ndarray, points: tuple[int, ...]) -> float:
    """Return how many of some landmarks lie outside of a picture, by more than a fit trembles."""
    height, width = picture.shape
    room = 0.05 * eye_distance(fit.landmarks)
    x, y = fit.landmarks[list(points)].T
    return float(((x < -room) | (y < -room) | (x > width - 1 + room) | (y > height - 1 + room)).mean())


def _other(box: Box, right: float, down: float, growth: float) -> Box:
    left, top, end, low = box
    side = max(end - left, low - top)
    x, y, half = (left + end) / 2 + right * side, (top + low) / 2 + down * side, side * (1 + growth) / 2
    return round(x - half), round(y - half), round(x + half), round(y + half)
