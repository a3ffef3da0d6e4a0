"""The step ``lbp_top``: local binary patterns on three orthogonal planes of the clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.motion.valid import shrunk
from preprocess.samples.clip import ClipError
from preprocess.steps import Work, register_step
from preprocess.steps._options import one_of, positive
from preprocess.steps._parts import counts, grey_clip, number, tiles

NEIGHBOURS = 8
BINS = NEIGHBOURS * (NEIGHBOURS - 1) + 3
# Plane -> the axes of a (T, H, W) clip that make its rows and columns; the third one is stacked.
PLANES = {"xy": (1, 2), "xt": (0, 2), "yt": (1, 0)}
# Order of histograms -> the axes (span, row, column, plane, pattern) in that order.
ORDERS = {"blocks": (0, 1, 2, 3, 4), "planes": (3, 1, 2, 0, 4)}


@register_step("lbp_top", version=3)
def lbp_top(
    work: Work,
    *,
    blocks: Sequence[int] = (8, 8, 1),
    overlap: float = 0.0,
    radius: int = 3,
    codes: str = "nri_uniform",
    rest: str = "spread",
    order: str = "blocks",
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
    rest : what becomes of voxels that blocks of equal sides leave over: "spread" makes blocks that differ by one,
        "drop" leaves them out (of blocks that share nothing).
    order : of the histograms: "blocks", span after span of time, in each row after row of blocks, in each block the
        three planes; "planes", plane after plane, in each row after row of blocks, at each place the spans of time.

    Returns
    -------
    The work with these fields set:
    tensor : (rows * columns * spans * 3 * 59,) float32, histograms of sum 1 in the order.

    Raises
    ------
    ClipError : the clip is too short for the radius, or for the spans of time.

    References
    ----------
    Zhao and Pietikainen, IEEE TPAMI 2007.

    Checked
    -------
    4x4x2 blocks, radius 1, codes uniform_as_published, rest drop, order planes: equal to
    xiazhaoqiang/Benchmark-MicroExpressionRec@78d418c5fa06, core/Features.py: LBP_TOP. The form of Zhao and Pietikainen
    is not checked against their own code; the patterns are scikit-image's.
    """
    one_of("lbp_top", "codes", codes, ("nri_uniform", "uniform_as_published"))
    one_of("lbp_top", "rest", rest, ("spread", "drop"))
    one_of("lbp_top", "order", order, ORDERS)
    rows, columns, spans = counts("lbp_top", "blocks", blocks, "rows, columns, spans")
    number("lbp_top", "overlap", overlap, 0, 0.95)
    if rest == "drop" and overlap:
        raise UsageError(
            f"Step lbp_top: rest is 'drop' and overlap {overlap:g}; expected 'spread' of blocks that overlap."
        )
    clip = grey_clip(work, "lbp_top")
    edge = positive("lbp_top", "radius", radius)
    if len(clip) < 2 * edge + spans:
        parts = f" and {spans} spans of time" if spans > 1 else ""
        raise ClipError(
            f"{work.clip.sample_id}: lbp_top of radius {edge}{parts} needs {2 * edge + spans} frames, not {len(clip)}."
        )
    published = codes == "uniform_as_published"
    patterns = plane_patterns(clip, edge, codes.removesuffix("_as_published"), beside=published)
    count, height, width = patterns.shape[1:]
    whole = shrunk(work.valid, edge)
    counted = np.ones((height, width), bool) if whole is None else whole[edge:-edge, edge:-edge]
    histograms = [
        np.bincount(
            plane[start:end, top:bottom, left:right][:, counted[top:bottom, left:right]].ravel(), minlength=BINS
        )
        for start, end in tiles(count, spans, "lbp_top", rest)
        for top, bottom in _sides(height, rows, overlap, rest)
        for left, right in _sides(width, columns, overlap, rest)
        for plane in patterns
    ]
    sums = np.stack(histograms).astype(np.float32)
    shares = sums / np.maximum(sums.sum(axis=1, keepdims=True), 1)
    shares = shares.reshape(spans, rows, columns, len(PLANES), BINS)
    return replace(work, tensor=shares.transpose(ORDERS[order]).ravel())


def plane_patterns(clip: np.ndarray, radius: int, method: str, *, beside: bool = False) -> np.ndarray:
    """Compute the patterns of a clip on the planes XY, XT and YT.

    Grey levels are rounded to 8 bits first: smaller differences are noise of interpolation. All planes of a kind are
    put into one picture; where they touch, patterns are wrong, and cut off as border.

    Parameters
    ----------
    clip : (T, H, W), 0..255.
    radius : of the eight neighbours.
    method : a method of scikit-image's ``local_binary_pattern``.
    beside : put planes beside each other, as the public code does, not below each other. Where a neighbour between
        pixels is as bright as the centre, rounding decides, and it depends on the place in the picture.

    Returns
    -------
    (3, T - 2 * radius, H - 2 * radius, W - 2 * radius) uint8.
    """
    from skimage.feature import local_binary_pattern

    clip = clip if clip.dtype == np.uint8 else np.clip(np.rint(clip), 0, 255).astype(np.uint8)
    inner = (slice(radius, -radius),) * 3
    result = []
    for rows, columns in PLANES.values():
        third = 3 - rows - columns
        order = (rows, third, columns) if beside else (third, rows, columns)
        stacked = clip.transpose(order)
        shape = (len(stacked), -1) if beside else (-1, stacked.shape[-1])
        flat = np.ascontiguousarray(stacked).reshape(shape)
        found = local_binary_pattern(flat, NEIGHBOURS, radius, method=method).reshape(stacked.shape)
        result.append(found.transpose(np.argsort(order))[inner].astype(np.uint8))
    return np.stack(result)


def _sides(length: int, count: int, overlap: float, rest: str) -> list[tuple[int, int]]:
    return overlapping(length, count, overlap) if overlap else tiles(length, count, "lbp_top", rest)


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
    shared = round(overlap * length / count)
    size = (length + shared * (count - 1)) // count
    starts = [i * (length - size) // max(1, count - 1) for i in range(count)]
    return [(start, start + size) for start in starts]
