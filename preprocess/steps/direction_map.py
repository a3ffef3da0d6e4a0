"""The step ``direction_map``: a flow picture's direction as a colour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.samples.layout import NO_MIRROR_OF_DIRECTIONS, Content
from preprocess.steps import Work, register_step
from preprocess.steps._options import needed


def _shown(before: Content, options: Mapping[str, Any]) -> Content:
    return Content(whole=before.whole, no_mirror=before.no_mirror or NO_MIRROR_OF_DIRECTIONS)


@register_step("direction_map", version=1, tensor=_shown)
def direction_map(work: Work) -> Work:
    """Replace a flow picture, whose u and v are codes of 0..255, by the direction (u, v) of each pixel as a colour.

    The colour's hue is the angle of the vector of both codes (0 where v is 0, 90 degrees where u is 0), its saturation
    and its value are the greatest. Codes are not negative, so that hues end at 90 degrees, blue is always 0, and the
    colour says how v stands to u *after* each was scaled; 0 is not where nothing moves. That is what the direction maps
    of CausalNet's data are.

    Returns
    -------
    The work with these fields set:
    tensor : (3, H, W) uint8, red, green and blue.

    Raises
    ------
    UsageError : the tensor is not (C, H, W) uint8 with u and v first.

    Checked
    -------
    All pixels of the 884 maps in the data of tony19980810/CausalNet@7bdf163face0 follow from the flow pictures beside
    them; its code does not make them.
    """
    import cv2

    codes = needed(work, "direction_map", "tensor", "flow_tensor")
    if codes.dtype != np.uint8 or codes.ndim != 3 or len(codes) < 2:
        raise UsageError(
            f"Step direction_map: the tensor is {codes.dtype} {codes.shape}; expected uint8 (C, H, W) of one pair with "
            "u and v first. Put flow_tensor with channels [u, v] and normalise 8bit before it."
        )
    u, v = np.ascontiguousarray(codes[:2], np.float32)
    _, angle = cv2.cartToPolar(u, v)
    colour = np.full((*codes.shape[1:], 3), 255, np.uint8)
    # Hues of 8 bits are halves of degrees, cut off.
    colour[..., 0] = (angle * np.float32(180) / np.float32(np.pi) / 2).astype(np.uint8)
    return replace(work, tensor=np.ascontiguousarray(cv2.cvtColor(colour, cv2.COLOR_HSV2RGB).transpose(2, 0, 1)))
