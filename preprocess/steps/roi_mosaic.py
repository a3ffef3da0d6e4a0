"""The step ``roi_mosaic``: flow and strain of brows, nose and mouth, put together into one small picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from preprocess.base.errors import UsageError
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


@register_step("roi_mosaic", version=1, pictures=_pictures)
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

    References
    ----------
    Dual-ATME (Zhou et al., Entropy 2023) feeds such a mosaic of hand-picked regions. Neither its code nor the tables of
    its paper fix regions and order, which are chosen here.
    """
    width, height = size_option("roi_mosaic", size)
    number("roi_mosaic", "margin", margin, 0)
    if width % 2 or height % 2:
        raise UsageError(f"Step roi_mosaic: size is {size!r}; expected even numbers.")
    flow = needed(work, "roi_mosaic", "flow", "flow")
    strain = needed(work, "roi_mosaic", "strain", "strain")
    maps = np.concatenate([flow, strain[..., None]], axis=-1)
    face = first_face(work, "roi_mosaic")
    boxes = [region_box(face[list(points)], margin, *maps.shape[2:4]) for points in TILES]
    mosaic = np.stack([[_tiled(one, boxes, (width // 2, height // 2)) for one in level] for level in maps])
    return replace(work, flow=np.ascontiguousarray(mosaic[..., :2]), strain=np.ascontiguousarray(mosaic[..., 2]))


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


def _tiled(maps: np.ndarray, boxes: list[tuple[slice, slice]], tile: tuple[int, int]) -> np.ndarray:
    import cv2

    def resized(box: tuple[slice, slice]) -> np.ndarray:
        part = np.ascontiguousarray(maps[box])
        smaller = tile[0] <= part.shape[1] and tile[1] <= part.shape[0]
        return cv2.resize(part, tile, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)

    first, second, third, fourth = (resized(box) for box in boxes)
    return np.vstack([np.hstack([first, second]), np.hstack([third, fourth])])
