"""The step ``mdmo``: main directional mean optical flow in 36 regions of the face."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from preprocess.steps import Work, register_step
from preprocess.steps._parts import directions, first_face, number, one_level

BINS = 8
UP_RIGHT = 7
# The forehead's edge lies above the brows by this part of the picture's height: 20 pixels of 112.
FOREHEAD = 20 / 112
# Points 68.. are made from the landmarks: above the brows, between brow tips, and half way between two landmarks.
ABOVE = {68: 17, 69: 19, 70: 21, 71: 22, 72: 24, 73: 26}
BETWEEN = {
    74: (70, 71),
    75: (3, 29),
    76: (13, 29),
    77: (4, 33),
    78: (12, 33),
    79: (5, 59),
    80: (11, 55),
    81: (2, 41),
    82: (14, 46),
    83: (6, 58),
    84: (8, 57),
    85: (10, 56),
}
# The corners of the 36 regions (layout of Liu et al., numbers as in tvaranka/meb): forehead, brow to eye, cheeks and
# nose, mouth, jaw.
REGIONS = (
    *((17, 68, 69, 19), (19, 69, 70, 21), (21, 70, 74, 27), (27, 74, 71, 22), (22, 71, 72, 24), (24, 72, 73, 26)),
    *((1, 0, 17, 36), (36, 17, 19, 38), (38, 19, 21, 39), (39, 21, 27, 28)),
    *((28, 27, 22, 42), (42, 22, 24, 43), (43, 24, 26, 45), (45, 26, 16, 15)),
    *((3, 2, 81, 75), (75, 81, 41, 39), (75, 39, 28, 29), (29, 28, 42, 76), (76, 42, 46, 82), (76, 82, 14, 13)),
    *((77, 75, 29, 33), (33, 29, 76, 78), (79, 77, 33, 59), (55, 33, 78, 80)),
    *((83, 79, 59, 58), (84, 83, 58, 57), (85, 84, 57, 56), (80, 85, 56, 55)),
    *((4, 3, 75, 77), (78, 76, 13, 12), (5, 4, 77, 79), (80, 78, 12, 11)),
    *((6, 5, 79, 83), (8, 6, 83, 84), (10, 8, 84, 85), (11, 10, 85, 80)),
)


@register_step("mdmo", version=3)
def mdmo(work: Work, *, beta: float = 0.8, as_published: bool = False) -> Work:
    """Describe the flow from the first frame to each later one by one main motion in each of 36 face regions.

    In each region and pair the pixels of the fullest of eight directions give a mean magnitude and a mean direction.
    The pairs are then averaged as vectors, each weighted by its share in all magnitudes. Regions are quadrilaterals
    between the landmarks of the first frame; pixels outside of the recording do not count, and a region without others
    does not move.

    Parameters
    ----------
    beta : the weight of magnitudes; directions have the weight 1 - beta.
    as_published : compute as the public code of Varanka et al. (tvaranka/meb): the weight of a pair is its sum of
        directions (0..2 pi) over the sum of all magnitudes, directions are averaged as plain numbers, which is wrong
        around 0, motion up and to the right counts as motion to the right, and corners of regions between two pixels
        are cut off, not rounded.

    Returns
    -------
    The work with these fields set:
    tensor : (72,) float32. First beta * magnitude / (largest magnitude) of each region, then (1 - beta) * direction in
        -pi..pi, where 0 is to the left (the direction 0..2 pi, clockwise from the right, less pi).

    References
    ----------
    Liu et al., IEEE TAC 2016.

    Checked
    -------
    as_published: within .001 of tvaranka/meb@f731b0a98168, meb/utils/traditional_methods.py: MDMO_video, whose angles
    OpenCV approximates. The default is not checked: Liu et al. have no public code.
    """
    number("mdmo", "beta", beta, 0, 1)
    flow = one_level(work, "mdmo", "flow")
    masks = region_masks(first_face(work, "mdmo"), *flow.shape[1:3], cut=as_published)
    if work.valid is not None:
        masks &= work.valid
    rho, theta = main_motions(flow, masks, as_published=as_published)
    total = rho.sum()
    weights = (theta if as_published else rho).sum(axis=1, keepdims=True) / (total if total > 0 else 1)
    u, v = (weights * rho * np.cos(theta)).sum(axis=0), (weights * rho * np.sin(theta)).sum(axis=0)
    magnitude = np.hypot(u, v)
    direction = np.arctan2(v, u) % (2 * np.pi) - np.pi
    magnitude = magnitude / (magnitude.max() or 1)
    return replace(work, tensor=np.concatenate([beta * magnitude, (1 - beta) * direction]).astype(np.float32))


def main_motions(flow: np.ndarray, masks: np.ndarray, *, as_published: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Average the flow of each region over the pixels of its fullest direction.

    Parameters
    ----------
    flow : (P, H, W, 2).
    masks : (R, H, W) bool, the regions; an empty one has no motion.
    as_published : as the step's option of that name.

    Returns
    -------
    Magnitude and direction (0..2 pi), each (P, R).
    """
    region, row, column = np.nonzero(masks)
    inside = flow[:, row, column].astype(np.float64)
    u, v = inside[..., 0], inside[..., 1]
    shape = (len(flow), len(masks), BINS)
    pair_region = np.arange(len(flow))[:, None] * len(masks) + region
    direction = directions(u, v, BINS)
    if as_published:
        direction[direction == UP_RIGHT] = 0
    cell = (pair_region * BINS + direction).ravel()
    counts = np.bincount(cell, minlength=np.prod(shape)).reshape(shape)
    fullest = counts.argmax(axis=-1)[..., None]

    def mean(values: np.ndarray) -> np.ndarray:
        sums = np.bincount(cell, weights=values.ravel(), minlength=np.prod(shape)).reshape(shape)
        return np.take_along_axis(sums / np.maximum(counts, 1), fullest, axis=-1)[..., 0]

    turn = 2 * np.pi
    theta = mean(np.arctan2(v, u) % turn) if as_published else np.arctan2(mean(v), mean(u)) % turn
    return mean(np.hypot(u, v)), theta


def region_masks(face: np.ndarray, height: int, width: int, *, cut: bool = False) -> np.ndarray:
    """Draw the 36 regions of a face.

    Parameters
    ----------
    face : (68, 2) landmarks.
    height : of the picture in pixels.
    width : of the picture in pixels.
    cut : cut the fractions of the corners' places off; False rounds them.

    Returns
    -------
    (36, H, W) bool; each region has at least one pixel.
    """
    import cv2

    points = np.zeros((86, 2))
    points[:68] = face
    for made, brow in ABOVE.items():
        points[made] = face[brow] - (0, FOREHEAD * height)
    for made, (first, second) in BETWEEN.items():
        points[made] = (points[first] + points[second]) / 2
    # Whatever lies outside of the picture counts to its border, so that every region has pixels.
    places = np.trunc(points) if cut else np.rint(points)
    whole = np.clip(places, 0, (width - 1, height - 1)).astype(np.int32)
    masks = np.zeros((len(REGIONS), height, width), np.uint8)
    for mask, corners in zip(masks, REGIONS, strict=True):
        cv2.fillPoly(mask, [whole[list(corners)]], 1)
    return masks.astype(bool)
