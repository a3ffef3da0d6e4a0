"""The step ``flow_wheel``: flow as colours, its direction as a hue and its length as brightness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from preprocess.motion.valid import cleared, lowest_and_span
from preprocess.samples.layout import Content
from preprocess.steps import Work, register_step
from preprocess.steps._parts import one_level
from preprocess.steps.flow_tensor import arranged


def _shown(before: Content, options: Mapping[str, Any]) -> Content:
    return Content(whole=before.whole, no_mirror=before.no_mirror or "its colours are directions of flow")


@register_step("flow_wheel", version=1, tensor=_shown)
def flow_wheel(work: Work) -> Work:
    """Make pictures of the flow of each pair: the direction as a hue of full saturation, the length as its brightness.

    Motion to the right is red, down yellowish green, to the left cyan, up violet. In each pair the least length becomes
    black and the greatest full brightness. This is the input of SLSTT.

    Returns
    -------
    The work with these fields set:
    tensor : (P, 3, H, W) uint8, red, green and blue; (3, H, W) of one pair.

    Checked
    -------
    Within a grey level of Vision-Intelligence-and-Robots-Group/SLSTT@364656fe18ce, preprocess/data_init.py:
    selectframes, before that stores it as JPEG.
    """
    import cv2

    flow = one_level(work, "flow_wheel", "flow")
    length, angle = cv2.cartToPolar(flow[..., 0].reshape(-1), flow[..., 1].reshape(-1))
    length, angle = length.reshape(flow.shape[:-1]), angle.reshape(flow.shape[:-1])
    low, span = lowest_and_span(length, work.valid, (1, 2))
    bright = np.divide(np.clip(length - low, 0, span), span, out=np.zeros_like(length), where=span > 0)
    colour = np.full((*length.shape, 3), 255, np.uint8)
    # Hues of 8 bits are halves of degrees, cut off as brightness is.
    colour[..., 0] = (angle * np.float32(180) / np.float32(np.pi) / 2).astype(np.uint8)
    colour[..., 2] = (255 * bright).astype(np.uint8)
    pictures = np.stack([cv2.cvtColor(one, cv2.COLOR_HSV2RGB) for one in colour]).transpose(0, 3, 1, 2)
    return replace(work, tensor=arranged(cleared(pictures, work.valid)[None], "tchw"))
