"""The step ``motion_image``: the apex beside the strength of motion towards it and away from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from preprocess.motion.valid import cleared, lowest_and_span
from preprocess.samples.layout import Content
from preprocess.steps import Work, register_step
from preprocess.steps._parts import grey_clip, key_index, number, one_level


def _shown(before: Content, options: Mapping[str, Any]) -> Content:
    return Content(whole=before.whole, no_mirror=before.no_mirror)


@register_step("motion_image", version=3, tensor=_shown)
def motion_image(work: Work, *, threshold: float = 1.5) -> Work:
    """Make a picture of the grey apex and the flow magnitude of each pair of frames.

    Each magnitude is scaled from its least and greatest value to 0..255, fractions cut off; what lies outside of the
    recording is 0. With the pairs onset-apex and offset-apex this is the input of SAMER, whose network takes the upper
    half as the eyes and the lower half as the mouth.

    Parameters
    ----------
    threshold : scaled values below this many times their mean become 0.

    Returns
    -------
    The work with these fields set:
    tensor : (1 + P, H, W) uint8.

    Checked
    -------
    Both magnitudes, with flow tvl1_half: equal to
    Justin900429/mimicking-annotation-micro-expression-recognition@b0317b94142c, utils/optical_related.py:
    TVL1_magnitude and the threshold of utils/crop_face_optical.py. The apex there is a magnified one.
    """
    number("motion_image", "threshold", threshold, 0)
    flow = one_level(work, "motion_image", "flow")
    apex = grey_clip(work, "motion_image")[key_index(work, "motion_image", "apex")]
    magnitude = np.hypot(flow[..., 0], flow[..., 1])
    low, span = lowest_and_span(magnitude, work.valid, (1, 2))
    # In the order of the public code, so that fractions fall to the same side.
    codes = ((magnitude - low) / (span + np.float32(1e-8)) * 255).clip(0, 255).astype(np.uint8)
    counted = True if work.valid is None else work.valid
    codes[codes < threshold * codes.mean(axis=(1, 2), keepdims=True, where=counted)] = 0
    grey = np.clip(np.rint(apex), 0, 255).astype(np.uint8)
    return replace(work, tensor=cleared(np.concatenate([grey[None], codes]), work.valid))
