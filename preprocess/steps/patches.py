"""The step ``patches``: small squares around landmarks, the tokens of the landmark-patch networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.faces.landmark_sets import PADDING, landmark_set
from preprocess.motion.valid import cleared
from preprocess.samples.layout import Content
from preprocess.steps import Work, register_step
from preprocess.steps._options import needed, one_of
from preprocess.steps._parts import at_landmarks

MAKERS = {"frames": "load", "flow": "flow", "strain": "strain"}


def _shown(before: Content, options: Mapping[str, Any]) -> Content:
    if options["merge"]:
        return Content(no_mirror="landmarks and maps share an axis")
    shown = Content(u=0 if options["of"] == "flow" else None, no_mirror=before.no_mirror)
    return at_landmarks(shown, options["points"])


@register_step("patches", version=2, tensor=_shown)
def patches(
    work: Work, *, of: str, points: str, size: int = 7, at: str = "each", merge: bool = False, dtype: str = "float32"
) -> Work:
    """Cut size x size patches of frames, flow or strain around a set of landmarks.

    Landmarks are rounded to pixels; beyond the border of the aligned picture its border is repeated. What lies outside
    of the recording is 0.

    Parameters
    ----------
    of : "frames", "flow" or "strain".
    points : a name of ``preprocess.faces.landmark_sets``; empty slots give zeros.
    size : of a patch in pixels, odd.
    at : "each" cuts map t at the landmarks of frame t, "first" every map at those of the first frame (flow from the
        onset to each frame is measured at the places of the onset).
    merge : True puts maps and points on one axis, for networks that take all patches as channels.
    dtype : "float32", or "uint8" for frames of whole numbers.

    Returns
    -------
    The work with these fields set:
    tensor : (L, T, C, V, size, size), or (L, C, T * V, size, size) when merged, map after map; L and C are left out
        where they are 1.
    """
    one_of("patches", "of", of, MAKERS)
    one_of("patches", "at", at, ("each", "first"))
    one_of("patches", "dtype", dtype, ("float32", "uint8"))
    if not isinstance(size, int) or size < 1 or size % 2 == 0:
        raise UsageError(f"Step patches: size is {size!r}; expected an odd number of pixels.")
    chosen = np.asarray(landmark_set(points))
    maps = needed(work, "patches", of, MAKERS[of])
    maps = cleared(maps[..., None] if of == "strain" else maps, work.valid, axis=-3)
    cut = gather_patches(maps, _centres(work, maps.shape[1], at)[:, chosen], size // 2)
    cut[:, :, chosen == PADDING] = 0
    cut = np.moveaxis(cut, -1, 1)
    if merge:
        cut = cut.reshape(*cut.shape[:2], -1, size, size)
        cut = cut[:, 0] if cut.shape[1] == 1 else cut
    else:
        cut = cut[:, 0] if cut.shape[1] == 1 else cut.swapaxes(1, 2)
    return replace(work, tensor=np.ascontiguousarray(cut[0] if len(cut) == 1 else cut, dtype=dtype))


def gather_patches(maps: np.ndarray, centres: np.ndarray, radius: int) -> np.ndarray:
    """Cut squares out of maps; beyond the border of a map its border is repeated.

    Parameters
    ----------
    maps : (L, T, H, W, C).
    centres : (T, V, 2), x and y in pixels, rounded to the nearest.
    radius : a square has 2 * radius + 1 = k pixels a side.

    Returns
    -------
    (L, T, V, k, k, C).
    """
    height, width = maps.shape[2:4]
    reach = np.arange(-radius, radius + 1)
    whole = np.rint(centres).astype(np.int64)
    columns = np.clip(whole[..., 0, None] + reach, 0, width - 1)
    rows = np.clip(whole[..., 1, None] + reach, 0, height - 1)
    times = np.arange(maps.shape[1])[:, None, None, None]
    return maps[:, times, rows[..., :, None], columns[..., None, :]]


def _centres(work: Work, count: int, at: str) -> np.ndarray:
    """Return landmarks (count, 68, 2), one face a map."""
    landmarks = needed(work, "patches", "landmarks", "landmarks")
    if at == "first":
        return np.repeat(landmarks[:1], count, axis=0)
    if len(landmarks) < count:
        raise UsageError(f"Step patches: {count} maps, but landmarks of {len(landmarks)} frames. Use at: first.")
    return landmarks[:count]
