"""The step ``biwoof``: bi-weighted oriented optical flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.steps import Work, register_step
from preprocess.steps._options import one_of, size_option
from preprocess.steps._parts import counts, one_level, tiles

BINS = 8


@register_step("biwoof", version=1)
def biwoof(
    work: Work,
    *,
    blocks: Sequence[int] = (5, 5),
    reach: int = 1,
    size: int | Sequence[int] | None = None,
    norm: str = "l2",
) -> Work:
    """Describe flow by direction histograms, weighted in the block by magnitude and between blocks by strain.

    blocks : rows and columns. reach : pixels by which a block goes into its neighbours. size : resize flow and strain
    first, as [width, height]. norm : "l2" of the whole vector, or "none".
    Eight directions over [-180, 180) degrees; each block's histogram, of sum 1, times its sum of optical strain.
    Sets tensor (rows * columns * 8,) float32. Liong, See, Wong, Phan: Less is more, Signal Processing: Image
    Communication 2018; the authors' code has blocks of 5x5, reach 1 and norm l2.
    Raises UsageError where the flow has more than one pair.
    """
    one_of("biwoof", "norm", norm, ("l2", "none"))
    row_count, column_count = counts("biwoof", "blocks", blocks, "rows, columns")
    if not isinstance(reach, int) or reach < 0:
        raise UsageError(f"Step biwoof: reach is {reach!r}; expected a number of pixels, 0 or more.")
    flow, strain = one_level(work, "biwoof", "flow"), one_level(work, "biwoof", "strain")
    if len(flow) != 1:
        raise UsageError(f"Step biwoof takes the flow of one pair of frames; the steps before it made {len(flow)}.")
    u, v, weight = (_resized(plane, size) for plane in (flow[0, ..., 0], flow[0, ..., 1], strain[0]))
    bin_of = (np.floor((np.degrees(np.arctan2(v, u)) + 180) / (360 / BINS)).astype(np.int64)) % BINS
    magnitude = np.hypot(u, v)
    histograms = []
    for rows in _spans(u.shape[0], row_count, reach):
        for columns in _spans(u.shape[1], column_count, reach):
            part = (rows, columns)
            local = np.bincount(bin_of[part].ravel(), weights=magnitude[part].ravel(), minlength=BINS)
            share = local / local.sum() if local.sum() > 0 else local
            histograms.append(share * weight[part].sum())
    vector = np.concatenate(histograms)
    length = np.linalg.norm(vector)
    if norm == "l2" and length > 0:
        vector = vector / length
    return replace(work, tensor=vector.astype(np.float32))


def _spans(length: int, count: int, reach: int) -> list[slice]:
    spans = tiles(length, count, "biwoof")
    return [slice(max(0, start - reach), min(length, end + reach)) for start, end in spans]


def _resized(plane: np.ndarray, size: int | Sequence[int] | None) -> np.ndarray:
    import cv2

    if size is None:
        return plane
    return cv2.resize(np.ascontiguousarray(plane), size_option("biwoof", size), interpolation=cv2.INTER_LINEAR)
