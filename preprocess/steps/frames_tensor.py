"""The step ``frames_tensor``: the frames themselves as the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.motion.valid import cleared, resized_valid, way_to
from preprocess.samples.layout import Content
from preprocess.steps import Work, register_step
from preprocess.steps._options import needed, one_of, size_option
from preprocess.steps.flow_tensor import LAYOUTS, arranged

NORMALISE = ("8bit", "unit", "standard")
MOMENTS = "tmchw"
"""The layout of frames that stand for two key frames."""


def _shown(before: Content, options: Mapping[str, Any]) -> Content:
    photo = before.photo and options["normalise"] == "8bit"
    return Content(whole=before.whole, photo=photo, no_mirror=before.no_mirror)


@register_step("frames_tensor", version=2, tensor=_shown)
def frames_tensor(
    work: Work,
    *,
    size: int | Sequence[int] | None = None,
    normalise: str = "8bit",
    layout: str = "tchw",
) -> Work:
    """Make the result from frames: resize and normalise. What lies outside of the recording is 0.

    Parameters
    ----------
    size : a number, or [width, height]; None keeps that of the frames.
    normalise : "8bit", uint8 0..255; "unit", float32 0..1; "standard", float32 of mean 0 and deviation 1 over a
        magnification level of the sample.
    layout : "tchw" (T, C, H, W) or "cthw" (C, T, H, W); a single frame gives (C, H, W). "tmchw" (2, M, C, H, W): the
        first half of the frames are moments near the onset, the others near the apex, as ``select`` takes them for
        "near_onset_apex". Several magnification levels stand before these.

    Returns
    -------
    The work with these fields set:
    tensor : of the layout.

    Raises
    ------
    UsageError : for "tmchw", the number of frames is odd.
    """
    one_of("frames_tensor", "normalise", normalise, NORMALISE)
    one_of("frames_tensor", "layout", layout, (*LAYOUTS, MOMENTS))
    frames = needed(work, "frames_tensor", "frames", "load")
    valid = work.valid
    if size is not None:
        target = size_option("frames_tensor", size)
        valid = resized_valid(valid, target, way_to(frames.shape[2:4], target))
        frames = resized(frames, target)
    tensor = np.moveaxis(frames, -1, 2)
    if normalise == "8bit":
        tensor = np.clip(np.rint(tensor), 0, 255).astype(np.uint8)
    else:
        tensor = tensor.astype(np.float32) / 255
    if normalise == "standard":
        axes = (1, 2, 3, 4)
        counted = True if valid is None else valid
        deviation = tensor.std(axis=axes, keepdims=True, where=counted)
        tensor = (tensor - tensor.mean(axis=axes, keepdims=True, where=counted)) / np.maximum(deviation, 1e-6)
    tensor = cleared(tensor, valid)
    return replace(work, tensor=_by_key_frame(tensor) if layout == MOMENTS else arranged(tensor, layout))


def _by_key_frame(tensor: np.ndarray) -> np.ndarray:
    """Return (L, T, C, H, W) as (L, 2, T / 2, C, H, W), without an axis L of length 1, C-contiguous."""
    levels, times, *picture = tensor.shape
    if times % 2:
        raise UsageError(
            f"Step frames_tensor: layout {MOMENTS} needs as many frames near the onset as near the apex; there are "
            f"{times}. Choose them with select: {{frames: near_onset_apex, count: 5}}."
        )
    tensor = np.ascontiguousarray(tensor.reshape(levels, 2, times // 2, *picture))
    return tensor[0] if levels == 1 else tensor


def resized(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize frames; shrinking averages the pixels that fall together.

    Parameters
    ----------
    frames : (L, T, H, W, C).
    size : (width, height).

    Returns
    -------
    (L, T, height, width, C).
    """
    import cv2

    height, width = frames.shape[2:4]
    if size == (width, height):
        return frames
    way = way_to(frames.shape[2:4], size)
    shape = (*frames.shape[:2], size[1], size[0], frames.shape[4])
    return np.stack([[cv2.resize(one, size, interpolation=way) for one in level] for level in frames]).reshape(shape)
