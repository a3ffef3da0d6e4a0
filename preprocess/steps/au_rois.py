"""The step ``au_rois``: one motion vector for each of twelve regions of action units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.faces.landmark_sets import AU_GRAPH_12, mirrored
from preprocess.samples.layout import Content
from preprocess.steps import Work, register_step
from preprocess.steps._options import needed, one_of, positive
from preprocess.steps._parts import first_face, number, one_level
from preprocess.steps.patches import gather_patches

# Borders of right, down, left and up, in degrees clockwise from the right: in the regions up and down are wide, at the
# nose all four are equal.
REGION_BORDERS = (30, 150, 210, 330)
NOSE_BORDERS = (45, 135, 225, 315)
NOSE_SHARE = 0.88
NOSE_REACH = 0.35


def _shown(before: Content, options: Mapping[str, Any]) -> Content:
    return Content(u=0, points=mirrored(AU_GRAPH_12))


@register_step("au_rois", version=2, tensor=_shown)
def au_rois(work: Work, *, radius: int = 5, share: float = 0.6, at: str = "first") -> Work:
    """Reduce the flow to one vector for each of the twelve landmarks of AUW-GCN, freed of head motion.

    In a window around each landmark (brows, nose, mouth) the motion of the nose is subtracted, the vectors of the
    fullest of four directions are taken, and of these the longest. The result has the mean length of the vectors that
    are left, and the direction of their sum. The nose's motion is found in the same way in the box around landmarks 29
    and 30, from 88 % of the vectors of the fullest direction.

    Parameters
    ----------
    radius : the window is 2 * radius + 1 pixels wide and high.
    share : the part of the fullest direction's vectors that counts, the longest first; 0..1.
    at : "first" takes the landmarks of the first frame for every pair, "each" those of the t-th frame for pair t,
        "later" those of the frame after it, to which flow between neighbours leads.

    Returns
    -------
    The work with these fields set:
    tensor : (P, 12, 2) float32, u and v in the flow's units.

    References
    ----------
    Yin et al.: AU-aware graph convolutional network for macro- and micro-expression spotting, ICME 2023.

    Checked
    -------
    Defaults, of the same flow: equal to xjtupanda/AUW-GCN@03c86f3dd84e, feature_extraction/tools.py:
    calculate_roi_freature_list.
    """
    one_of("au_rois", "at", at, ("first", "each", "later"))
    number("au_rois", "share", share, 0, 1)
    positive("au_rois", "radius", radius)
    flow = one_level(work, "au_rois", "flow")
    start = 1 if at == "later" else 0
    faces = needed(work, "au_rois", "landmarks", "landmarks")[start : start + len(flow)]
    if at == "first":
        faces = np.repeat(first_face(work, "au_rois")[None], len(flow), axis=0)
    elif len(faces) < len(flow):
        raise UsageError(f"Step au_rois: {len(flow)} pairs, but landmarks of {len(faces)} frames. Use at: first.")
    valid = np.ones(flow.shape[1:3], bool) if work.valid is None else work.valid
    head = np.stack([nose_motion(field, face, valid) for field, face in zip(flow, faces, strict=True)])
    centres = faces[:, list(AU_GRAPH_12)]
    windows = gather_patches(flow[None], centres, radius)[0]
    known = gather_patches(np.repeat(valid[None, None, ..., None], len(flow), axis=1), centres, radius)[0, ..., 0]
    vectors = windows.reshape(*windows.shape[:2], -1, 2) - head[:, None, None]
    motions = main_motion(vectors, REGION_BORDERS, share, known.reshape(vectors.shape[:-1]))
    return replace(work, tensor=motions.astype(np.float32))


def nose_motion(flow: np.ndarray, face: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return the main motion (2,) of the nose in a flow field (H, W, 2), of its ``valid`` pixels (H, W) only."""
    height, width = flow.shape[:2]
    reach = int(NOSE_REACH * (face[42, 0] - face[39, 0]) / 2)
    low = np.rint(face[29:31].min(axis=0)).astype(int) - reach
    high = np.rint(face[29:31].max(axis=0)).astype(int) + reach
    left, right = np.clip((low[0], high[0]), 0, width - 1)
    top, bottom = np.clip((low[1], high[1]), 0, height - 1)
    box = slice(top, bottom + 1), slice(left, right + 1)
    return main_motion(flow[box].reshape(-1, 2), NOSE_BORDERS, NOSE_SHARE, valid[box].ravel())


def main_motion(
    vectors: np.ndarray, borders: tuple[int, ...], share: float, known: np.ndarray | None = None
) -> np.ndarray:
    """Reduce many vectors to one: the mean length of the longest in the fullest direction, along their sum.

    Parameters
    ----------
    vectors : (..., N, 2), u and v.
    borders : the angles between the directions, in degrees of 0..360 clockwise from the right.
    share : the part of the fullest direction's vectors that counts, the longest first; at least one counts.
    known : (..., N) bool, which vectors count at all; None for all.

    Returns
    -------
    (..., 2), u and v; 0 where no vector counts.
    """
    known = np.ones(vectors.shape[:-1], bool) if known is None else known
    vectors = np.where(known[..., None], vectors, 0)
    angle = np.degrees(np.arctan2(vectors[..., 1], vectors[..., 0])) % 360
    direction = np.where(known, np.digitize(angle, borders) % len(borders), -1)
    counts = (direction[..., None] == np.arange(len(borders))).sum(axis=-2)
    fullest = counts.argmax(axis=-1)
    magnitude = np.hypot(vectors[..., 0], vectors[..., 1])
    order = np.argsort(np.where(direction == fullest[..., None], -magnitude, np.inf), axis=-1, kind="stable")
    kept = np.maximum(1, (counts.max(axis=-1) * share).astype(int))[..., None]
    counted = (np.arange(order.shape[-1]) < kept)[..., None]
    total = (np.take_along_axis(vectors, order[..., None], axis=-2) * counted).sum(axis=-2)
    mean = (np.take_along_axis(magnitude, order, axis=-1) * counted[..., 0]).sum(axis=-1, keepdims=True) / kept
    length = np.linalg.norm(total, axis=-1, keepdims=True)
    return np.divide(total, length, out=np.zeros_like(total), where=length > 0) * mean
