"""The step ``shape_maps``: what of a magnified frame is shape rather than light or colour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.motion.valid import cleared, lowest_and_span, within
from preprocess.samples.clip import ClipError
from preprocess.samples.layout import Content
from preprocess.steps import Work, register_step
from preprocess.steps._options import needed
from preprocess.steps._parts import inner_frames, number


def _pictures(before: Content, options: Mapping[str, Any]) -> Content:
    return replace(before, photo=False, no_mirror="its maps are of directed filters")


@register_step("shape_maps", version=2, pictures=_pictures)
def shape_maps(work: Work, *, fine: float = 1.0, coarse: float = 8.0) -> Work:
    """Replace frames by maps of their edges in 0..1, and drop the first frame, against which the others were magnified.

    A map is the difference of two Gaussians, averaged over colours, and scaled from its least and greatest value to
    0..1; pixels outside of the recording do not count and are 0. It stands in for the shape representation of the
    learned magnifier MagNet (Oh et al., ECCV 2018), from which the layered-relations system (ICIP 2023) cuts its
    patches and which is scaled map by map, too.

    Parameters
    ----------
    fine : sigma of the narrower Gaussian in pixels.
    coarse : sigma of the wider Gaussian in pixels, which is subtracted.

    Returns
    -------
    The work with these fields set:
    frames : (L, T - 1, H, W, 1) float32.
    landmarks : without those of the first frame.
    numbers : without the first frame.
    key : without the first frame.

    Raises
    ------
    ClipError : there is a single frame.

    Checked
    -------
    Not checked: it replaces what MagNet computes.
    """
    import cv2

    if number("shape_maps", "fine", fine, 0.1) >= number("shape_maps", "coarse", coarse, 0.1):
        raise UsageError(f"Step shape_maps: fine is {fine!r}, coarse {coarse!r}; expected the first to be smaller.")
    frames = needed(work, "shape_maps", "frames", "load")
    if frames.shape[1] < 2:
        raise ClipError(f"{work.clip.sample_id}: step shape_maps needs at least 2 frames; 1 was selected.")

    def edges(frame: np.ndarray) -> np.ndarray:
        grey = np.ascontiguousarray(frame.mean(axis=-1), dtype=np.float32)
        return cv2.GaussianBlur(grey, (0, 0), fine) - cv2.GaussianBlur(grey, (0, 0), coarse)

    def edges_of(part: np.ndarray) -> np.ndarray:
        return np.stack([edges(frame) for frame in part[1:]])[..., None]

    maps = np.stack([within(level, work.valid, edges_of)[..., 0] for level in frames])
    low, span = lowest_and_span(maps, work.valid, (2, 3))
    scaled = np.divide(maps - low, span, out=np.zeros_like(maps), where=span > 0)
    return replace(inner_frames(work, 1, frames.shape[1]), frames=cleared(scaled, work.valid)[..., None])
