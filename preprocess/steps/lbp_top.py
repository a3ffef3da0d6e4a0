"""The step ``lbp_top``: local binary patterns on three orthogonal planes of the clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from preprocess.motion.valid import shrunk
from preprocess.samples.clip import ClipError
from preprocess.steps import Work, register_step
from preprocess.steps._options import one_of, positive
from preprocess.steps._parts import counts, grey_clip, number, tiles

NEIGHBOURS = 8
BINS = NEIGHBOURS * (NEIGHBOURS - 1) + 3
# Plane -> the axes of a (T, H, W) clip that make its rows and columns; the third one is stacked.
PLANES = {"xy": (1, 2), "xt": (0, 2), "yt": (1, 0)}


@register_step("lbp_top", version=2)
def lbp_top(
    work: Work,
    *,
    blocks: Sequence[int] = (8, 8, 1),
    overlap: float = 0.0,
    radius: int = 3,
    codes: str = "nri_uniform",
) -> Work:
    """Describe the clip by histograms of local binary patterns on its XY, XT and YT planes.

    Voxels nearer than the radius to a border, of the picture or of its valid pixels, have no pattern. A block without
    patterns gives zeros.

    Parameters
    ----------
    blocks : rows, columns and spans of time.
    overlap : what neighbouring blocks of a row or column share, as a part of the plain block's side; spans of time
        share nothing.
    radius : of the eight neighbours, in pixels and in frames.
    codes : "nri_uniform", the 59 uniform patterns; "uniform_as_published" counts scikit-image's ten rotation-invariant
        ones into the 59 bins, so that 49 stay empty, as public code (xiazhaoqiang/Benchmark-MicroExpressionRec) does.

    Returns
    -------
    The work with these fields set:
    tensor : (rows * columns * spans * 3 * 59,) float32: block after block, in each XY, XT and YT, each histogram of sum
        1.

    Raises
    ------
    ClipError : the clip is too short for the radius.

    References
    ----------
    Zhao and Pietikainen, IEEE TPAMI 2007.
    """
    one_of("lbp_top", "codes", codes, ("nri_uniform", "uniform_as_published"))
    rows, columns, spans = counts("lbp_top", "blocks", blocks, "rows, columns, spans")
    number("lbp_top", "overlap", overlap, 0, 0.95)
    clip = grey_clip(work, "lbp_top")
    edge = positive("lbp_top", "radius", radius)
    if len(clip) <= 2 * edge:
        raise ClipError(
            f"{work.clip.sample_id}: lbp_top of radius {edge} needs {2 * edge + 1} frames, not {len(clip)}."
        )
    patterns = plane_patterns(clip, edge, codes.removesuffix("_as_published"))
    count, height, width = patterns.shape[1:]
    whole = shrunk(work.valid, edge)
    counted = np.ones((height, width), bool) if whole is None else whole[edge:-edge, edge:-edge]
    histograms = [
        np.bincount(
            plane[start:end, top:bottom, left:right][:, counted[top:bottom, left:right]].ravel(), minlength=BINS
        )
        for start, end in tiles(count, spans, "lbp_top")
        for top, bottom in overlapping(height, rows, overlap)
        for left, right in overlapping(width, columns, overlap)
        for plane in patterns
    ]
    sums = np.stack(histograms).astype(np.float32)
    return replace(work, tensor=(sums / np.maximum(sums.sum(axis=1, keepdims=True), 1)).ravel())


def plane_patterns(clip: np.ndarray, radius: int, method: str) -> np.ndarray:
    """Compute the patterns of a clip on the planes XY, XT and YT.

    Grey levels are rounded to 8 bits first: smaller differences are noise of interpolation.

    Parameters
    ----------
    clip : (T, H, W), 0..255.
    radius : of the eight neighbours.
    method : a method of scikit-image's ``local_binary_pattern``.

    Returns
    -------
    (3, T - 2 * radius, H - 2 * radius, W - 2 * radius) uint8.
    """
    from skimage.feature import local_binary_pattern

    clip = clip if clip.dtype == np.uint8 else np.clip(np.rint(clip), 0, 255).astype(np.uint8)
    inner = (slice(radius, -radius),) * 3
    result = []
    for rows, columns in PLANES.values():
        # All planes lie below each other in one picture: where they touch, patterns are wrong, and cut off as border.
        order = (3 - rows - columns, rows, columns)
        stacked = clip.transpose(order)
        flat = np.ascontiguousarray(stacked).reshape(-1, stacked.shape[-1])
        found = local_binary_pattern(flat, NEIGHBOURS, radius, method=method).reshape(stacked.shape)
        result.append(found.transpose(np.argsort(order))[inner].astype(np.uint8))
    return np.stack(result)


def overlapping(length: int, count: int, overlap: float) -> list[tuple[int, int]]:
    """Cut a length into equal spans from edge to edge, of which neighbours share some pixels.

    Parameters
    ----------
    length : in pixels.
    count : how many spans.
    overlap : what neighbours share, as a part of ``length / count``.

    Returns
    -------
    (start, end) of each span.
    """
    if not overlap:
        return tiles(length, count, "lbp_top")
    shared = round(overlap * length / count)
    size = (length + shared * (count - 1)) // count
    starts = [i * (length - size) // max(1, count - 1) for i in range(count)]
    return [(start, start + size) for start in starts]
