"""The step ``roi_grid``: means over the blocks of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from preprocess.motion.valid import cleared
from preprocess.steps import Work, register_step
from preprocess.steps._options import needed, one_of
from preprocess.steps._parts import counts, tiles
from preprocess.steps.patches import MAKERS


@register_step("roi_grid", version=2)
def roi_grid(work: Work, *, of: str = "strain", blocks: Sequence[int] = (5, 5)) -> Work:
    """Make the result from the means of frames, flow or strain over a grid of blocks.

    Pixels outside of the recording do not count; a block without others gives 0.

    Parameters
    ----------
    of : "frames", "flow" or "strain".
    blocks : rows and columns, which together cover the picture.

    Returns
    -------
    The work with these fields set:
    tensor : (L, T, C, rows, columns) float32; L and C are left out where they are 1.
    """
    one_of("roi_grid", "of", of, MAKERS)
    blocks = counts("roi_grid", "blocks", blocks, "rows, columns")
    maps = needed(work, "roi_grid", of, MAKERS[of])
    maps = cleared(maps[..., None] if of == "strain" else maps, work.valid, axis=-3)
    rows, columns = (np.array(tiles(n, count, "roi_grid")) for n, count in zip(maps.shape[2:4], blocks, strict=True))
    sums = np.add.reduceat(maps.astype(np.float64), rows[:, 0], axis=2)
    sums = np.add.reduceat(sums, columns[:, 0], axis=3)
    counted = np.ones(maps.shape[2:4]) if work.valid is None else work.valid.astype(np.float64)
    area = np.add.reduceat(np.add.reduceat(counted, rows[:, 0], axis=0), columns[:, 0], axis=1)
    means = np.moveaxis(sums / np.maximum(area, 1)[..., None], -1, 2)
    means = means[:, :, 0] if means.shape[2] == 1 else means
    return replace(work, tensor=np.ascontiguousarray(means[0] if len(means) == 1 else means, dtype=np.float32))
