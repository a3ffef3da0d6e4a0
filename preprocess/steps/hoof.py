"""The step ``hoof``: histograms of oriented optical flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from preprocess.steps import Work, register_step
from preprocess.steps._options import positive
from preprocess.steps._parts import counts, directions, one_level, tiles


@register_step("hoof", version=1)
def hoof(work: Work, *, blocks: Sequence[int] = (5, 5), bins: int = 8) -> Work:
    """Describe the flow by a histogram of its directions in each block, weighted by magnitude.

    All pairs of frames count into the same histograms. Each has the sum 1, or is 0 where nothing moves.

    Parameters
    ----------
    blocks : rows and columns.
    bins : how many directions; the first is centred on the right, the others follow towards down.

    Returns
    -------
    The work with these fields set:
    tensor : (rows * columns * bins,) float32.

    References
    ----------
    Chaudhry et al., CVPR 2009, without their merging of left and right.

    Checked
    -------
    Not checked: the code of Chaudhry et al. is Matlab's, and was not run.
    """
    blocks = counts("hoof", "blocks", blocks, "rows, columns")
    flow = one_level(work, "hoof", "flow")
    bins = positive("hoof", "bins", bins)
    u, v = flow[..., 0], flow[..., 1]
    block = block_of_pixel(flow.shape[1], flow.shape[2], blocks)
    place = block * bins + directions(u, v, bins)
    total = blocks[0] * blocks[1] * bins
    weights = np.bincount(place.ravel(), weights=np.hypot(u, v).ravel(), minlength=total).reshape(-1, bins)
    sums = weights.sum(axis=1, keepdims=True)
    shares = np.divide(weights, sums, out=np.zeros_like(weights), where=sums > 0)
    return replace(work, tensor=shares.ravel().astype(np.float32))


def block_of_pixel(height: int, width: int, blocks: Sequence[int]) -> np.ndarray:
    """Return which block of a grid each pixel lies in, (H, W) int, row after row."""
    row = np.repeat(np.arange(blocks[0]), [end - start for start, end in tiles(height, blocks[0], "hoof")])
    column = np.repeat(np.arange(blocks[1]), [end - start for start, end in tiles(width, blocks[1], "hoof")])
    return row[:, None] * blocks[1] + column
