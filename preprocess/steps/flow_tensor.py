"""The step ``flow_tensor``: channels made from flow and strain, resized and brought into a range."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.motion.valid import lowest_and_span, resized, resized_valid, way_to
from preprocess.samples.layout import Content
from preprocess.steps import Work, register_step
from preprocess.steps._options import needed, one_of, size_option
from preprocess.steps.strain import optical_strain

NORMALISE = ("raw", "8bit", "minmax", "clip")
RANGES = ("sample", "pair")
LAYOUTS = ("tchw", "cthw")


def _shown(before: Content, options: Mapping[str, Any]) -> Content:
    if before.no_mirror:
        return Content(whole=before.whole, no_mirror=before.no_mirror)
    channels, scaled = options["channels"], options["normalise"] in ("8bit", "minmax")
    return Content(
        whole=before.whole,
        u=channels.index("u") if "u" in channels else None,
        u_range=options["range_of"] if scaled and "u" in channels else "",
        no_mirror="it holds the orientation of flow" if "orientation" in channels else "",
    )


@register_step("flow_tensor", version=2, tensor=_shown)
def flow_tensor(
    work: Work,
    *,
    channels: Sequence[str] = ("u", "v", "strain"),
    size: int | Sequence[int] = 28,
    normalise: str = "8bit",
    limit: float = 3.0,
    range_of: str = "sample",
    layout: str = "tchw",
) -> Work:
    """Make the result from flow: resize, choose channels, normalise.

    Pixels outside of the recording do not count for ranges, and show no motion and no strain.

    Parameters
    ----------
    channels : of u, v, magnitude, orientation (radians, -pi..pi), strain.
    size : a number, or [width, height]. Values stay in pixels of the frames that the flow was measured on.
    normalise : "raw", float32 as it is; "8bit", uint8, the least to the greatest value of each channel onto 0..255 (as
        in STSTNet's flow images); "minmax", the same onto 0..1 as float32; "clip", float32, u, v, magnitude and strain
        cut to -limit..limit and divided by the limit, orientation divided by pi. With "8bit" and "minmax" a channel of
        one value becomes 0.
    limit : for "clip".
    range_of : whether least and greatest are those of the whole "sample" or of each "pair"; of a magnification level in
        both cases.
    layout : of several pairs, "tchw" (P, C, H, W) or "cthw" (C, P, H, W); one pair gives (C, H, W). Several
        magnification levels L stand before these.

    Returns
    -------
    The work with these fields set:
    tensor : of the layout.

    Checked
    -------
    Channels u, v, magnitude, normalise 8bit, of Farneback flow of 28x28 pictures: within a code of
    wangzhifengharrison/HTNet@91cf4bda0a2d, HTNet_for_three_datasets_confusion_matrix.py: get_whole_u_v_os, which cuts
    fractions off. Not checked against STSTNet's flow images, whose code is not public.
    """
    one_of("flow_tensor", "range_of", range_of, RANGES)
    one_of("flow_tensor", "normalise", normalise, NORMALISE)
    one_of("flow_tensor", "layout", layout, LAYOUTS)
    for channel in channels:
        one_of("flow_tensor", "channels", channel, CHANNELS)
    if limit <= 0:
        raise UsageError(f"Step flow_tensor: limit is {limit}; expected a number above 0.")
    flow = needed(work, "flow_tensor", "flow", "flow")
    strain = work.strain if work.strain is not None else optical_strain(flow, work.valid)
    target = size_option("flow_tensor", size)
    way = way_to(flow.shape[2:4], target)
    u, v, small = (resized(plane, work.valid, target, way) for plane in (flow[..., 0], flow[..., 1], strain))
    tensor = np.stack([CHANNELS[name](u, v, small) for name in channels], axis=2)
    valid = resized_valid(work.valid, target, way)
    tensor = _normalised(tensor, valid, channels, normalise, limit, per_pair=range_of == "pair")
    return replace(work, tensor=arranged(tensor, layout))


def arranged(tensor: np.ndarray, layout: str) -> np.ndarray:
    """Bring a tensor into a layout.

    Parameters
    ----------
    tensor : (L, P, C, H, W).
    layout : "tchw" or "cthw".

    Returns
    -------
    The tensor in the layout, without axes L and P of length 1, C-contiguous.
    """
    if layout == "cthw":
        tensor = tensor.swapaxes(1, 2)
        tensor = tensor[:, :, 0] if tensor.shape[2] == 1 else tensor
    elif tensor.shape[1] == 1:
        tensor = tensor[:, 0]
    return np.ascontiguousarray(tensor[0] if tensor.shape[0] == 1 else tensor)


CHANNELS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "u": lambda u, v, strain: u,
    "v": lambda u, v, strain: v,
    "magnitude": lambda u, v, strain: np.hypot(u, v),
    "orientation": lambda u, v, strain: np.arctan2(v, u),
    "strain": lambda u, v, strain: strain,
}


def _normalised(
    tensor: np.ndarray,
    valid: np.ndarray | None,
    channels: Sequence[str],
    normalise: str,
    limit: float,
    *,
    per_pair: bool,
) -> np.ndarray:
    if normalise == "raw":
        return tensor
    if normalise == "clip":
        bounds = np.array([np.pi if name == "orientation" else limit for name in channels], np.float32)
        bounds = bounds[None, None, :, None, None]
        return np.clip(tensor, -bounds, bounds) / bounds
    axes = (3, 4) if per_pair else (1, 3, 4)
    low, span = lowest_and_span(tensor, valid, axes)
    # Outside of the recording stands no motion; its code may lie beyond the range of what moves.
    unit = np.divide(np.clip(tensor - low, 0, span), span, out=np.zeros_like(tensor), where=span > 0)
    return unit if normalise == "minmax" else np.rint(unit * 255).astype(np.uint8)
