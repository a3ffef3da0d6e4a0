"""The step ``flow_codes``: flow rounded to the 256 grey levels in which programs store it as pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.motion.valid import cleared
from preprocess.steps import Work, as_before, register_step
from preprocess.steps._options import needed
from preprocess.steps._parts import number

LEAST_BOUND = 1e-3
HIGHEST = 255


@register_step("flow_codes", version=1, pictures=as_before)
def flow_codes(work: Work, *, bound: float = 10.0, jpeg: bool = True) -> Work:
    """Round u and v to 256 codes over a fixed range, as denseflow stores them for AUW-GCN.

    -bound becomes 0 and bound 255; what lies beyond is cut. With a bound of 10 pixels a code is .08 pixels, no small
    part of the motion between neighbouring frames.

    Parameters
    ----------
    bound : the end of the range in pixels.
    jpeg : True compresses each picture of codes as JPEG of OpenCV's quality (95) and reads it again, as is done there.

    Returns
    -------
    The work with these fields set:
    flow : (L, P, H, W, 2) float32, code / 255 - 1/2, in parts of the range: a pixel is 1 / (2 * bound), and rest is
        128 / 255 - 1/2 = .002. Outside of the recording it is 0.

    Checked
    -------
    Codes: equal to open-mmlab/denseflow@da2cc5eab55a, src/common.cpp: convertFlowToImage (compiled), which
    xjtupanda/AUW-GCN@03c86f3dd84e, feature_extraction/new_optflow.py calls with a bound of 10.
    """
    number("flow_codes", "bound", bound, LEAST_BOUND)
    if not isinstance(jpeg, bool):
        raise UsageError(f"Step flow_codes: jpeg is {jpeg!r}; expected true or false.")
    flow = needed(work, "flow_codes", "flow", "flow")
    codes = np.rint(HIGHEST * (flow.astype(np.float64) + bound) / (2 * bound)).clip(0, HIGHEST).astype(np.uint8)
    if jpeg:
        planes = np.moveaxis(codes, -1, -3)
        stored = np.stack([_stored(plane) for plane in planes.reshape(-1, *flow.shape[2:4])])
        codes = np.moveaxis(stored.reshape(planes.shape), -3, -1)
    shares = codes / np.float32(HIGHEST) - np.float32(0.5)
    return replace(work, flow=cleared(np.ascontiguousarray(shares), work.valid, axis=-3))


def _stored(picture: np.ndarray) -> np.ndarray:
    """Return what a JPEG file holds of a picture (H, W) uint8."""
    import cv2

    _, file = cv2.imencode(".jpg", np.ascontiguousarray(picture))
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_GRAYSCALE))
