"""The step ``biwoof``: bi-weighted oriented optical flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.motion.valid import resized
from preprocess.steps import Work, register_step
from preprocess.steps._options import one_of, size_option
from preprocess.steps._parts import RESTS, counts, one_level, tiles

BINS = 8


@register_step("biwoof", version=2)
def biwoof(
    work: Work,
    *,
    blocks: Sequence[int] = (5, 5),
    reach: int = 1,
    rest: str = "spread",
    size: int | Sequence[int] | None = None,
    density: bool = False,
    norm: str = "l2",
) -> Work:
    """Describe flow by direction histograms, weighted in the block by magnitude and between blocks by strain.

    There are eight directions over [-180, 180) degrees. The histogram of a block, of sum 1, is multiplied by the
    block's sum of optical strain.

    Parameters
    ----------
    blocks : rows and columns.
    reach : how many pixels a block goes into its neighbours.
    rest : where the picture's sides are no multiple of the blocks', what becomes of the pixels that are left over:
        "spread" makes blocks that differ by a pixel, "last" adds them to the last row and column, "drop" leaves them
        out.
    size : flow and strain are first resized to this, a number or [width, height]; None leaves them.
    density : True makes the integral of a block's histogram over the angle in radians 1, so that its sum is 4 / pi.
    norm : "l2" divides the whole vector by its length, "none" leaves it.

    Returns
    -------
    The work with these fields set:
    tensor : (rows * columns * 8,) float32.

    Raises
    ------
    UsageError : the flow has more than one pair.

    References
    ----------
    Liong, See, Wong, Phan: Less is more, Signal Processing: Image Communication 2018.

    Checked
    -------
    5x5 blocks, reach 1, rest last, norm l2: equal to christy1206/biwoof@0b57b37c571e, biwoof.m, of the same flow and
    strain, which it reads from files (run in Octave). It calls a function weightedhistc that is not there, for which
    one of eight bins was put; the public one of that name (P. Kovesi) would count in the last bin only what moves along
    135 degrees exactly, which is not done here.

    6x6 blocks, reach 0, rest drop, size 60, density, norm none, strain of Sobel derivatives: equal to
    xiazhaoqiang/Benchmark-MicroExpressionRec@78d418c5fa06, core/Features.py: BiWOOF. Of grey files its TV-L1 flow sees
    grey levels 255 times as large, which is not done here.
    """
    one_of("biwoof", "rest", rest, RESTS)
    if not isinstance(density, bool):
        raise UsageError(f"Step biwoof: density is {density!r}; expected true or false.")
    one_of("biwoof", "norm", norm, ("l2", "none"))
    row_count, column_count = counts("biwoof", "blocks", blocks, "rows, columns")
    if not isinstance(reach, int) or reach < 0:
        raise UsageError(f"Step biwoof: reach is {reach!r}; expected a number of pixels, 0 or more.")
    flow, strain = one_level(work, "biwoof", "flow"), one_level(work, "biwoof", "strain")
    if len(flow) != 1:
        raise UsageError(f"Step biwoof takes the flow of one pair of frames; the steps before it made {len(flow)}.")
    u, v, weight = (_resized(plane, work.valid, size) for plane in (flow[0, ..., 0], flow[0, ..., 1], strain[0]))
    bin_of = (np.floor((np.degrees(np.arctan2(v, u)) + 180) / (360 / BINS)).astype(np.int64)) % BINS
    magnitude = np.hypot(u, v)
    histograms = []
    width = 2 * np.pi / BINS if density else 1
    for rows in _spans(u.shape[0], row_count, reach, rest):
        for columns in _spans(u.shape[1], column_count, reach, rest):
            part = (rows, columns)
            local = np.bincount(bin_of[part].ravel(), weights=magnitude[part].ravel(), minlength=BINS)
            share = local / local.sum() if local.sum() > 0 else local
            histograms.append(share / width * weight[part].sum())
    vector = np.concatenate(histograms)
    length = np.linalg.norm(vector)
    if norm == "l2" and length > 0:
        vector = vector / length
    return replace(work, tensor=vector.astype(np.float32))


def _spans(length: int, count: int, reach: int, rest: str) -> list[slice]:
    spans = tiles(length, count, "biwoof", rest)
    return [slice(max(0, start - reach), min(length, end + reach)) for start, end in spans]


def _resized(plane: np.ndarray, valid: np.ndarray | None, size: int | Sequence[int] | None) -> np.ndarray:
    import cv2

    return plane if size is None else resized(plane, valid, size_option("biwoof", size), cv2.INTER_LINEAR)
