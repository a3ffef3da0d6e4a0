"""The step ``align_flow``: what the whole head did taken out of the flow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.faces.landmark_sets import PADDING, landmark_set
from preprocess.motion.valid import cleared
from preprocess.steps import Work, as_before, register_step
from preprocess.steps._options import needed
from preprocess.steps._parts import first_face
from preprocess.steps.patches import gather_patches

WINDOW = 3


@register_step("align_flow", version=2, pictures=as_before)
def align_flow(work: Work, *, points: str = "rigid_19") -> Work:
    """Take the head's shift, turn and growth out of the flow of each pair of frames.

    The motion of landmarks that no expression of brows and mouth moves is fitted by a similarity transform (least
    squares); what is left of the flow is the motion within the face. The motion of a landmark is the median flow of 7x7
    pixels around it; landmarks nearer than that to the border of the recording do not count. Put the step before
    ``strain``. Landmarks are those of the first frame, so each pair must begin there, or the head must move little.

    Parameters
    ----------
    points : a name of ``preprocess.faces.landmark_sets`` with two points at least.

    Returns
    -------
    The work with these fields set:
    flow : (L, P, H, W, 2) float32.

    References
    ----------
    Liu et al., IEEE TAC 2016, align so in the optical-flow domain, with the points "mdmo_13" and an affine transform.

    Checked
    -------
    Not checked: Liu et al. have no public code. That of tvaranka/meb leaves this step out.
    """
    from skimage.transform import estimate_transform

    chosen = [point for point in landmark_set(points) if point != PADDING]
    if len(chosen) < 2:
        raise UsageError(f"Step align_flow: points {points!r} is too few; two at least decide how the head moved.")
    flow = needed(work, "align_flow", "flow", "flow")
    rigid = first_face(work, "align_flow")[chosen].astype(np.float64)
    if work.valid is not None:
        inside = gather_patches(work.valid[None, None, ..., None], rigid[None], WINDOW)[0, 0].all(axis=(1, 2, 3))
        # A landmark at the edge of the recording says less of the head than those within it.
        rigid = rigid[inside] if inside.sum() >= 2 else rigid
    centres = np.broadcast_to(rigid, (flow.shape[1], *rigid.shape))
    motions = np.median(gather_patches(flow, centres, WINDOW), axis=(3, 4))
    height, width = flow.shape[2:4]
    here = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float64)
    aligned = np.empty_like(flow)
    for level, pair in np.ndindex(flow.shape[:2]):
        back = estimate_transform("similarity", rigid + motions[level, pair], rigid).params
        there = here + flow[level, pair]
        # einsum rather than @: a matrix product's last bit may depend on the number of threads.
        aligned[level, pair] = np.einsum("yxj,ij->yxi", there, back[:2, :2]) + back[:2, 2] - here
    return replace(work, flow=cleared(aligned, work.valid, axis=-3))
