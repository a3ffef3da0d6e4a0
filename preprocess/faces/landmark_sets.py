"""Named choices among dlib's 68 face landmarks, and which landmark becomes which when a face is mirrored.

dlib counts from 0: jaw 0-16, brows 17-26, nose bridge 27-30, nostrils 31-35, eyes 36-47, outer lip 48-59, inner lip
60-67. "Left" is the left side of the picture. Plain tuples, so that models can read them without NumPy.
"""

from __future__ import annotations

from preprocess.base.errors import UsageError, did_you_mean

PADDING = -1
"""Stands in a padded layout where no landmark is."""

ALL_68 = tuple(range(68))
FACE_REGIONS: dict[str, tuple[int, ...]] = {
    "brows": tuple(range(17, 27)),
    "eyes": tuple(range(36, 48)),
    "nose": tuple(range(27, 36)),
    "mouth": tuple(range(48, 68)),
    "jaw": tuple(range(17)),
}
# Without the jaw: the facial graph of the unified macro- and micro-expression framework.
INNER_51 = tuple(range(17, 68))
# Brows and mouth: the two token groups of the AU-fusion and layered-relations systems (ICASSP 2024, ICIP 2023).
BROWS_MOUTH_30 = (*range(17, 27), *range(48, 68))
# The nodes of AUW-GCN: three a brow, nose bridge and tip, lip corners, middle of upper and lower lip.
AU_GRAPH_12 = (18, 19, 20, 23, 24, 25, 28, 30, 48, 51, 54, 57)
# What moves with the skull alone: ends of the jaw, nose, corners of the eyes.
RIGID_19 = (0, 1, 2, 14, 15, 16, *range(27, 36), 36, 39, 42, 45)
# The points that align the face for MDMO: sides of the jaw, tip of the nose.
MDMO_13 = (*range(6), *range(11, 17), 30)

MHSSA_WIDTH = 12
# Points run outwards from the middle of the face, so that a region and its mirror image count alike.
MHSSA_REGIONS: dict[str, tuple[int, ...]] = {
    "left_brow": (21, 20, 19, 18, 17),
    "right_brow": (22, 23, 24, 25, 26),
    "left_eye": (39, 38, 37, 36, 41, 40),
    "right_eye": (42, 43, 44, 45, 46, 47),
    "nose": (27, 28, 29, 30, 31, 32, 33, 34, 35),
    "outer_lip": (48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59),
}
# The public code (leyin20/MHSSA-Tranformer-GCN, prepare_data.py) counts eyes before nose, which dlib does not: its
# eye regions lie on the nose and its nose region on the eyes.
MHSSA_REGIONS_AS_PUBLISHED: dict[str, tuple[int, ...]] = {
    "left_brow": (21, 20, 19, 18, 17),
    "right_brow": (22, 23, 24, 25, 26),
    "left_eye": (27, 28, 29, 32, 31, 30),
    "right_eye": (36, 35, 34, 38, 37, 33),
    "nose": (39, 40, 41, 42, 45, 46, 44, 47, 43),
    "outer_lip": (54, 48, 55, 53, 59, 49, 56, 52, 58, 50, 57, 51),
}


def padded(regions: dict[str, tuple[int, ...]], width: int = MHSSA_WIDTH) -> tuple[int, ...]:
    """Return the regions' points one after the other, each region filled up to ``width`` with ``PADDING``."""
    return tuple(point for points in regions.values() for point in (*points, *(PADDING,) * (width - len(points))))


# Six regions of twelve slots: points, which slots hold one, and the region of each slot.
MHSSA_72 = padded(MHSSA_REGIONS)
MHSSA_72_AS_PUBLISHED = padded(MHSSA_REGIONS_AS_PUBLISHED)
MHSSA_MASK = tuple(point != PADDING for point in MHSSA_72)
MHSSA_REGION_IDS = tuple(slot // MHSSA_WIDTH for slot in range(len(MHSSA_72)))

# The groups whose means are the centres of HTNet's four areas: the eyes, the lip corners.
FACE_AREAS = (tuple(range(36, 42)), tuple(range(42, 48)), (48,), (54,))

LANDMARK_SETS: dict[str, tuple[int, ...]] = {
    "all_68": ALL_68,
    "inner_51": INNER_51,
    "brows_mouth_30": BROWS_MOUTH_30,
    "au_graph_12": AU_GRAPH_12,
    "rigid_19": RIGID_19,
    "mdmo_13": MDMO_13,
    "mhssa_72": MHSSA_72,
    "mhssa_72_as_published": MHSSA_72_AS_PUBLISHED,
}


def landmark_set(name: str) -> tuple[int, ...]:
    """Return the landmarks of a named set, with ``PADDING`` where a slot is empty.

    Raises
    ------
    UsageError : an unknown name.
    """
    if not isinstance(name, str) or name not in LANDMARK_SETS:
        raise UsageError(f"Unknown landmark set {name!r}. {did_you_mean(str(name), LANDMARK_SETS)}")
    return LANDMARK_SETS[name]


def _mirror_68() -> tuple[int, ...]:
    pairs = [(i, 16 - i) for i in range(17)] + [(i, 43 - i) for i in range(17, 27)]
    pairs += [(i, 66 - i) for i in range(31, 36)] + [(i, i) for i in range(27, 31)]
    pairs += [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]
    pairs += [(48, 54), (49, 53), (50, 52), (51, 51), (59, 55), (58, 56), (57, 57)]
    pairs += [(60, 64), (61, 63), (62, 62), (67, 65), (66, 66)]
    both = dict(pairs) | {right: left for left, right in pairs}
    return tuple(both[i] for i in range(68))


MIRROR_68 = _mirror_68()
"""Landmark i of a face lies at landmark MIRROR_68[i] of the mirrored picture's face."""


def mirrored(points: tuple[int, ...]) -> tuple[int, ...]:
    """Return how values of landmarks change places when the picture is mirrored left to right.

    Empty slots stay where they are.

    Parameters
    ----------
    points : the landmark that each value belongs to.

    Returns
    -------
    A permutation: ``flipped[i] = values[mirrored(points)[i]]``.

    Raises
    ------
    UsageError : a landmark stands there twice, or without its counterpart on the other side of the face.
    """
    place = {point: slot for slot, point in enumerate(points) if point != PADDING}
    full = sum(point != PADDING for point in points)
    if len(place) != full or any(MIRROR_68[point] not in place for point in place):
        raise UsageError(f"Landmarks {points} have no mirror image: expected each once, and its counterpart with it.")
    return tuple(slot if point == PADDING else place[MIRROR_68[point]] for slot, point in enumerate(points))
