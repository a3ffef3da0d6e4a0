"""The step ``roi_mosaic``: flow and strain of brows, nose and mouth, put together into one small picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.motion.valid import resized, resized_valid, way_to
from preprocess.samples.layout import Content
from preprocess.steps import Work, register_step
from preprocess.steps._options import needed, size_option
from preprocess.steps._parts import first_face, number

# The landmarks that the four tiles show, in reading order.
TILES = (
    (*range(17, 22), *range(36, 42)),
    (*range(22, 27), *range(42, 48)),
    tuple(range(27, 36)),
    tuple(range(48, 68)),
)


def _pictures(before: Content, options: Mapping[str, Any]) -> Content:
    return replace(before, whole=False, no_mirror="it is a mosaic of tiles")


@register_step("roi_mosaic", version=2, pictures=_pictures)
def roi_mosaic(work: Work, *, size: int | Sequence[int] = 28, margin: float = 0.15) -> Work:
    """Replace flow and strain by a mosaic of four face regions: left and right brow with eye, then nose and mouth.

    Each region is the box of its landmarks in the first frame, widened, and resized to a quarter of the mosaic. Values
    stay in pixels of the frames that the flow was measured on. Strain is measured before, so that the seams between
    regions add none.

    Parameters
    ----------
    size : of the mosaic, a number or [width, height], both even.
    margin : what is added to a box on each side, in parts of its size.

    Returns
    -------
    The work with these fields set:
    flow : (L, P, height, width, 2).
    strain : (L, P, height, width).
    valid : of the mosaic.

    References
    ----------
    Dual-ATME (Zhou et al., Entropy 2023) feeds such a mosaic of hand-picked regions.

    Checked
    -------
    Not checked: neither its code nor the tables of its paper fix regions and order, which are chosen here.
    """
    width, height = size_option("roi_mosaic", size)
    number("roi_mosaic", "margin", margin, 0)
    if width % 2 or height % 2:
        raise UsageError(f"Step roi_mosaic: size is {size!r}; expected even numbers.")
    flow = needed(work, "roi_mosaic", "flow", "flow")
    strain = needed(work, "roi_mosaic", "strain", "strain")
    maps = np.stack([flow[..., 0], flow[..., 1], strain])
    face = first_face(work, "roi_mosaic")
    boxes = [region_box(face[list(points)], margin, *strain.shape[2:4]) for points in TILES]
    u, v, strain = _tiled(maps, work.valid, boxes, (width // 2, height // 2))
    valid = None if work.valid is None else _tiled_valid(work.valid, boxes, (width // 2, height // 2))
    return replace(work, flow=np.stack([u, v], axis=-1), strain=strain, valid=valid)


def region_box(points: np.ndarray, margin: float, height: int, width: int) -> tuple[slice, slice]:
    """Return the box around some landmarks.

    Parameters
    ----------
    points : (n, 2), x and y.
    margin : what is added on each side, in parts of the box's size.
    height : of the picture in pixels.
    width : of the picture in pixels.

    Returns
    -------
    Its rows and its columns, inside the picture, at least 2 of each.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    widen = margin * (high - low)
    left, top = np.clip(np.floor(low - widen), 0, (width - 2, height - 2)).astype(int)
    right, bottom = np.clip(np.ceil(high + widen), (left + 1, top + 1), (width - 1, height - 1)).astype(int)
    return slice(top, bottom + 1), slice(left, right + 1)


def _tiled(
    maps: np.ndarray, valid: np.ndarray | None, boxes: list[tuple[slice, slice]], tile: tuple[int, int]
) -> np.ndarray:
    """Return the mosaic of (..., H, W) maps, (..., height, width)."""

    def drawn(box: tuple[slice, slice]) -> np.ndarray:
        part = maps[..., box[0], box[1]]
        inside = None if valid is None else valid[box]
        return resized(part, inside, tile, way_to(part.shape[-2:], tile))

    return _side_by_side([drawn(box) for box in boxes])


def _tiled_valid(valid: np.ndarray, boxes: list[tuple[slice, slice]], tile: tuple[int, int]) -> np.ndarray:
    parts = [resized_valid(valid[box], tile, way_to(valid[box].shape, tile)) for box in boxes]
    return _side_by_side([part for part in parts if part is not None])


def _side_by_side(tiles: list[np.ndarray]) -> np.ndarray:
    first, second, third, fourth = tiles
    above, below = np.concatenate([first, second], axis=-1), np.concatenate([third, fourth], axis=-1)
    return np.ascontiguousarray(np.concatenate([above, below], axis=-2))
