"""The step ``lbp_top_meb``: local binary patterns on three planes, counted as tvaranka/meb counts them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from preprocess.motion.valid import shrunk
from preprocess.samples.clip import ClipError
from preprocess.steps import Work, register_step
from preprocess.steps._parts import grey_clip

RADIUS, NEIGHBOURS, BINS = 3, 8, 59
BLOCKS, OVERLAP = 8, 0.7
# XY, XT, YT: the axis of a (T, H, W) clip along which the circle's cosine goes, forwards or backwards, and the one
# along which its sine goes backwards.
PLANES = ((2, 1, 1), (2, 1, 0), (1, -1, 0))


@register_step("lbp_top_meb", version=1)
def lbp_top_meb(work: Work) -> Work:
    """Count the local binary patterns of a clip in 8x8 blocks on its planes XY, XT and YT, as tvaranka/meb does.

    Neighbours lie 3 pixels and frames away, on whole pixels. A pixel counts in the block that its row and its column
    come to first, and in a second one where another formula of its row and column gives another: blocks overlap by 0.7
    of a side, but nothing counts more than twice. Histograms hold counts. Pixels nearer than 3 to the edge of
    the recording have no pattern.

    Returns
    -------
    The work with these fields set:
    tensor : (11328,) float32: block after block, in each XY, XT and YT, 58 uniform patterns by rising code and the
        rest.

    Raises
    ------
    ClipError : the clip is too short for the radius.

    References
    ----------
    Varanka et al., arXiv:2211.11425; Zhao and Pietikainen, IEEE TPAMI 2007.

    Checked
    -------
    Equal to tvaranka/meb@f731b0a98168, meb/utils/traditional_methods.py: LBPTOP.
    """
    clip = grey_clip(work, "lbp_top_meb")
    if len(clip) <= 2 * RADIUS:
        raise ClipError(
            f"{work.clip.sample_id}: lbp_top_meb of radius {RADIUS} needs {2 * RADIUS + 1} frames, not {len(clip)}."
        )
    clip = clip if clip.dtype == np.uint8 else np.clip(np.rint(clip), 0, 255).astype(np.uint8)
    whole = shrunk(work.valid, RADIUS)
    blocks = _blocks(*(length - 2 * RADIUS for length in clip.shape[1:]))
    if whole is not None:
        blocks = [np.where(whole[RADIUS:-RADIUS, RADIUS:-RADIUS], block, -1) for block in blocks]
    counts = np.zeros((BLOCKS**2, len(PLANES), BINS), np.float32)
    for plane, circle in enumerate(PLANES):
        for frame in _patterns(clip, *circle):
            for block in blocks:
                cell = block[block >= 0] * BINS + frame[block >= 0]
                counts[:, plane] += np.bincount(cell, minlength=BLOCKS**2 * BINS).reshape(-1, BINS)
    return replace(work, tensor=counts.ravel())


def _patterns(clip: np.ndarray, cosine: int, way: int, sine: int) -> np.ndarray:
    """Return the pattern 0..58 of each voxel that has all neighbours, (T - 6, H - 6, W - 6)."""
    inner = [slice(RADIUS, length - RADIUS) for length in clip.shape]
    centre = clip[tuple(inner)]
    code = np.zeros(centre.shape, np.int64)
    for neighbour in range(NEIGHBOURS):
        angle, place = 2 * math.pi * neighbour / NEIGHBOURS, list(inner)
        for axis, shift in ((cosine, way * RADIUS * math.cos(angle)), (sine, -RADIUS * math.sin(angle))):
            whole = math.floor(shift + 0.5)
            place[axis] = slice(RADIUS + whole, clip.shape[axis] - RADIUS + whole)
        code |= (clip[tuple(place)] >= centre).astype(np.int64) << neighbour
    return _bins()[code]


def _bins() -> np.ndarray:
    """Return the bin of each code: those with at most two changes around the circle by rising code, all others last."""
    codes = np.arange(2**NEIGHBOURS)
    turned = (codes << 1 | codes >> (NEIGHBOURS - 1)) & (2**NEIGHBOURS - 1)
    uniform = np.array([int(changed).bit_count() <= 2 for changed in codes ^ turned])
    return np.where(uniform, np.cumsum(uniform) - 1, BINS - 1)


def _blocks(height: int, width: int) -> list[np.ndarray]:
    """Return the first block of each pixel and its second one, -1 where there is no other; each (height, width)."""
    (rows, more_rows), (columns, more_columns) = _spans(height), _spans(width)
    first = rows[:, None] * BLOCKS + columns
    second = more_rows[:, None] * BLOCKS + more_columns
    return [first, np.where(second == first, -1, second)]


def _spans(length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which of the spans of a row or column each place of it comes to, by the public code's two formulas."""
    shared = math.ceil((math.ceil(length / BLOCKS) - 1) * OVERLAP) - 1
    side = (length + shared * (BLOCKS - 1)) // BLOCKS
    place = np.arange(1, length + 1)
    first = np.where(place <= side, 0, np.floor((place - side - 1) / (side - shared) + 1)).clip(0, BLOCKS - 1)
    second = (np.ceil((place + (first + 1) * shared) / side) - 1).clip(0, BLOCKS - 1)
    return first.astype(np.int64), second.astype(np.int64)
