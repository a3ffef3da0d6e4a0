"""Local directional number patterns in space (LDN) and over three frames (STLDN)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from preprocess.motion.valid import cleared, within
from preprocess.samples.clip import ClipError
from preprocess.samples.layout import Content
from preprocess.steps import Work, register_step
from preprocess.steps._options import one_of
from preprocess.steps._parts import grey_clip, inner_frames, number

# The eight neighbours of a pixel, anticlockwise from the east, as (row, column) in a 3x3 kernel.
_RING = ((1, 2), (0, 2), (0, 1), (0, 0), (1, 0), (2, 0), (2, 1), (2, 2))
OVER = ("codes", "responses")


def _pictures(before: Content, options: Mapping[str, Any]) -> Content:
    return replace(before, photo=False, no_mirror="its codes number directions")


@register_step("ldn", version=2, pictures=_pictures)
def ldn(work: Work) -> Work:
    """Replace T grey frames by their maps of local directional numbers, uint8 in 0..63.

    Each pixel has eight Kirsch responses, numbered by direction, 0..7 anticlockwise from the east. Its code is 8 *
    (number of the strongest) + (number of the weakest); of equal ones the first counts. Outside of the recording it is
    0.

    Returns
    -------
    The work with these fields set:
    frames : (1, T, H, W, 1) uint8.
    tensor : (T, H, W) uint8.

    References
    ----------
    Ramirez Rivera, Castillo, Chae: Local Directional Number Pattern for Face Analysis, IEEE TIP 2013.

    Checked
    -------
    Equal to shayhan-ameen/Unified_MaE_and_ME_Recognition@593fea0c9d01, data_utilz/kirsch_mask.py: kirsch_mask_model,
    but for the outermost pixels, beyond which that sees black. Not checked against code of Ramirez Rivera et al.
    """
    maps = _maps(grey_clip(work, "ldn"), work.valid, _ldn)
    return replace(work, frames=maps[None, ..., None], tensor=maps)


@register_step("stldn", version=2, pictures=_pictures)
def stldn(work: Work, *, over: str = "codes", divisor: float | None = None) -> Work:
    """Replace T grey frames by T - 2 maps of spatio-temporal directional numbers, one a sliding triple.

    A number is 32 * (place of the largest) + (place of the smallest) among the values of a pixel in three frames.
    Numbers, landmarks and key frames become those of the middle frames.

    Parameters
    ----------
    over : what the values are. "codes": the three LDN codes, which gives 0..65, as in the public code of the unified
        macro- and micro-expression framework. "responses": all 24 Kirsch responses, frame after frame, which gives
        0..758. That these are what was meant is our reading of the divisor 758 in the same code, the largest such
        number.
    divisor : None leaves whole numbers (uint8 for codes, float32 for responses); a number divides by it (float32). 65
        and 758 scale the two kinds to 0..1. The public code divides codes by 986, so that they end at 0.066.

    Returns
    -------
    The work with these fields set:
    frames : (1, T - 2, H, W, 1).
    tensor : (T - 2, H, W).

    Raises
    ------
    ClipError : there are fewer than three frames.

    Checked
    -------
    Over codes, divisor 986: equal to what the line of process_dataset.py (dataset_process) makes of the maps of
    shayhan-ameen/Unified_MaE_and_ME_Recognition@593fea0c9d01, data_utilz/kirsch_mask.py: kirsch_mask_model, but for the
    outermost pixels. Over responses is not checked: no public code does that.
    """
    one_of("stldn", "over", over, OVER)
    frames = grey_clip(work, "stldn")
    if len(frames) < 3:
        raise ClipError(f"{work.clip.sample_id}: step stldn needs at least 3 frames; {len(frames)} were selected.")
    if divisor is not None:
        number("stldn", "divisor", divisor, 1)
    maps = _maps(frames, work.valid, lambda part: _stldn(part, over))
    if divisor is not None:
        scaled = (maps / divisor).astype(np.float32)
    else:
        scaled = maps.astype(np.uint8 if over == "codes" else np.float32)
    return replace(inner_frames(work, 1, len(frames) - 1), frames=scaled[None, ..., None], tensor=scaled)


def _maps(frames: np.ndarray, valid: np.ndarray | None, run: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return what ``run`` makes of (T, H, W) frames, seeing valid pixels only; 0 elsewhere."""
    return cleared(within(frames[..., None], valid, lambda part: run(part[..., 0])[..., None])[..., 0], valid)


def _ldn(frames: np.ndarray) -> np.ndarray:
    return _codes(kirsch(frames))


def _stldn(frames: np.ndarray, over: str) -> np.ndarray:
    triples = _triples(kirsch(frames), over)
    return 32 * triples.argmax(axis=1) + triples.argmin(axis=1)


def kirsch(frames: np.ndarray) -> np.ndarray:
    """Compute the eight Kirsch compass responses of frames; borders are repeated.

    Parameters
    ----------
    frames : (T, H, W).

    Returns
    -------
    (T, 8, H, W) float32.
    """
    import cv2

    kernels = _kernels()
    return np.stack(
        [
            np.stack([cv2.filter2D(frame, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE) for kernel in kernels])
            for frame in frames
        ]
    )


def _kernels() -> np.ndarray:
    """Return the (8, 3, 3) Kirsch kernels: 5 at three neighbours around the direction, -3 at the others, 0 inside."""
    kernels = np.full((8, 3, 3), -3.0, np.float32)
    kernels[:, 1, 1] = 0
    for direction in range(8):
        for step in (-1, 0, 1):
            kernels[(direction, *_RING[(direction + step) % 8])] = 5
    return kernels


def _codes(responses: np.ndarray) -> np.ndarray:
    return (8 * responses.argmax(axis=1) + responses.argmin(axis=1)).astype(np.uint8)


def _triples(responses: np.ndarray, over: str) -> np.ndarray:
    """Return (T - 2, n, H, W): the three codes, or the 24 responses, of every sliding triple."""
    if over == "codes":
        codes = _codes(responses)
        return np.stack([codes[:-2], codes[1:-1], codes[2:]], axis=1)
    return np.concatenate([responses[:-2], responses[1:-1], responses[2:]], axis=1)
