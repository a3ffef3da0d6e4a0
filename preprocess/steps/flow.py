"""The step ``flow``: dense optical flow between the loaded frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.faces.alignment import transform_points
from preprocess.motion.tvl1 import DEFAULT, Settings, tvl1_flow
from preprocess.motion.valid import box_of, cleared
from preprocess.steps import Work, as_before, register_step
from preprocess.steps._options import needed, one_of
from preprocess.steps._tvl1_options import PRESETS, tvl1_settings

# Pairs of key frames: name -> the roles of each pair.
KEY_PAIRS = {
    "onset_apex": (("onset", "apex"),),
    "apex_offset": (("apex", "offset"),),
    "to_apex": (("onset", "apex"), ("offset", "apex")),
}
PAIRS = (*KEY_PAIRS, "first_to_each", "consecutive")
HEAD_MOTION = ("keep", "remove")
# Flow of two (H, W) uint8 pictures: (H, W, 2) float32, where the content of the first went, in pixels.
FlowMethod = Callable[[np.ndarray, np.ndarray], np.ndarray]


@register_step("flow", version=3, pictures=as_before)
def flow(
    work: Work,
    *,
    method: str = "tvl1",
    pairs: str = "onset_apex",
    head_motion: str = "keep",
    tvl1: Mapping[str, float] | None = None,
) -> Work:
    """Compute dense optical flow u (to the right), v (down) in pixels of the loaded frames.

    Where frames have pixels that are not valid, it is measured in the box of the valid ones, and is 0 outside of them.

    Parameters
    ----------
    method : "tvl1" (Zach, Pock and Bischof 2007, on 8-bit grey frames), "tvl1_half", the same with each picture of the
        pyramid half as large as the one before, not 0.8 of it, "farneback" (2003) or "dis" (Kroeger et al. 2016). All
        but Farneback have OpenCV's default parameters otherwise.
    pairs : "onset_apex", "apex_offset", "to_apex" (from the onset and from the offset to the apex), "first_to_each"
        (the first frame to every later one) or "consecutive".
    head_motion : "keep", or "remove", which subtracts the median flow of the nose in each pair; expressions of brows
        and mouth hardly move the nose.
    tvl1 : of the methods "tvl1" and "tvl1_half" alone, settings other than OpenCV's defaults, which are {tau: 0.25,
        lambda: 0.15, theta: 0.3, levels: 5, scale_step: 0.8, warps: 5, outer: 10, inner: 30, median: 5, epsilon:
        0.01}; any of them may be left out. ``preprocess/motion/tvl1.py`` says what each is.

    Returns
    -------
    The work with these fields set:
    flow : (L, P, H, W, 2) float32.
    quality : the largest motion.

    Raises
    ------
    UsageError : an option is not known or out of its range, or the pairs need frames that are not there.

    Checked
    -------
    tvl1, with any settings: equal to OpenCV's DualTVL1OpticalFlow, to the bit on x86-64; farneback and dis are OpenCV's
    own. Not checked against what the authors of the three methods published.
    """
    one_of("flow", "method", method, METHODS)
    one_of("flow", "pairs", pairs, PAIRS)
    one_of("flow", "head_motion", head_motion, HEAD_MOTION)
    frames = needed(work, "flow", "frames", "load")
    chosen = _pairs(work, pairs)
    measure = METHODS[method]() if tvl1 is None else _tvl1(tvl1_settings(method, tvl1))
    grey = grey_frames(frames)
    measured = _inside(measure, work.valid)
    result = np.stack([[measured(level[start], level[end]) for start, end in chosen] for level in grey])
    if head_motion == "remove":
        result = result - nose_motion(result, nose_box(work))[:, :, None, None, :]
    result = cleared(result.astype(np.float32), work.valid, axis=-3)
    return replace(work, flow=result, quality={**work.quality, "motion": _largest(result, work.valid)})


def _largest(flows: np.ndarray, valid: np.ndarray | None) -> float:
    """Return the largest motion of the unmagnified face in any pair, in sides of the picture, but for a hundredth."""
    lengths = np.hypot(flows[0, ..., 0], flows[0, ..., 1])
    inside = lengths.reshape(len(lengths), -1) if valid is None or not valid.any() else lengths[:, valid]
    return float(np.percentile(inside, 99, axis=1).max()) / min(flows.shape[2:4])


def _inside(measure: FlowMethod, valid: np.ndarray | None) -> FlowMethod:
    """Return the method that sees valid pixels only.

    It gets the box of the valid pixels, whose sides it treats as it treats the border of any picture. Against the known
    motion of rendered crops this errs least: with borders around the box, mirrored or repeated, the errors of Farneback
    and DIS grow by a tenth to a third. In the corners of the box (where the face is turned) the picture's edge is
    repeated; the result is 0 there.
    """
    if valid is None:
        return measure

    def measured(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        box = box_of(valid, first.shape)
        result = np.zeros((*first.shape, 2), np.float32)
        result[box] = measure(np.ascontiguousarray(first[box]), np.ascontiguousarray(second[box]))
        return result

    return measured


def grey_frames(frames: np.ndarray) -> np.ndarray:
    """Return (L, T, H, W) uint8 grey from (L, T, H, W, C) frames of 0..255."""
    import cv2

    if frames.dtype != np.uint8:
        frames = np.clip(np.rint(frames), 0, 255).astype(np.uint8)
    if frames.shape[-1] == 1:
        return frames[..., 0]
    return np.stack([[cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in level] for level in frames])


def nose_box(work: Work) -> tuple[slice, slice]:
    """Return rows and columns of the nose (bridge to nostrils) in the loaded frames; UsageError without a face."""
    if work.transform is None:
        raise UsageError("Removing head motion needs the face: put the step face before load in the recipe.")
    assert work.frames is not None
    face = work.face or work.finder.find(work.clip)
    nose = transform_points(face.landmarks, work.transform)[27:36]
    height, width = work.frames.shape[2:4]
    left, top = np.floor(nose.min(axis=0)).astype(int)
    right, bottom = np.ceil(nose.max(axis=0)).astype(int)
    rows = slice(int(np.clip(top, 0, height - 2)), int(np.clip(bottom, 1, height - 1)) + 1)
    columns = slice(int(np.clip(left, 0, width - 2)), int(np.clip(right, 1, width - 1)) + 1)
    return rows, columns


def nose_motion(flows: np.ndarray, box: tuple[slice, slice]) -> np.ndarray:
    """Return the median flow of the nose, (L, P, 2), of (L, P, H, W, 2) flows."""
    return np.median(flows[:, :, box[0], box[1]], axis=(2, 3))


def _pairs(work: Work, pairs: str) -> list[tuple[int, int]]:
    assert work.frames is not None
    count = work.frames.shape[1]
    if pairs in KEY_PAIRS:
        roles = dict(work.key)
        if any(role not in roles for pair in KEY_PAIRS[pairs] for role in pair):
            raise UsageError(f"Step flow: the pair {pairs} needs both frames: choose frames that hold them in select.")
        return [(roles[start], roles[end]) for start, end in KEY_PAIRS[pairs]]
    if count < 2:
        raise UsageError(f"Step flow: pairs {pairs} need two frames; {count} is loaded.")
    return [(0 if pairs == "first_to_each" else index - 1, index) for index in range(1, count)]


def _tvl1(settings: Settings) -> FlowMethod:
    def measure(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return remembered_tvl1(first.shape, first.tobytes(), second.tobytes(), settings)

    return measure


@lru_cache(maxsize=16)
def remembered_tvl1(shape: tuple[int, int], first: bytes, second: bytes, settings: Settings = DEFAULT) -> np.ndarray:
    """Compute the flow of two pictures, or return it where it was computed not long ago.

    Features whose steps differ before this one often take the flow of the same two pictures.

    Parameters
    ----------
    shape : (H, W).
    first : the bytes of an (H, W) uint8 picture.
    second : the bytes of the other one.
    settings : of the flow.

    Returns
    -------
    (H, W, 2) float32 that cannot be written.
    """
    before, after = (np.frombuffer(one, np.uint8).reshape(shape) for one in (first, second))
    result = tvl1_flow(before, after, settings)
    result.setflags(write=False)
    return result


def _dis() -> FlowMethod:
    import cv2

    return _from_solver(cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM))  # type: ignore[attr-defined]


def _from_solver(solver: Any) -> FlowMethod:
    def measure(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        # No flow is handed in: each pair starts from rest, so that the order of pairs does not count.
        return solver.calc(np.ascontiguousarray(first), np.ascontiguousarray(second), None)

    return measure


def _farneback() -> FlowMethod:
    import cv2

    def measure(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        # Parameters of OpenCV's tutorial, which the public MER code uses: pyramid 0.5, 3 levels, window 15.
        result = np.zeros((*first.shape, 2), np.float32)
        return np.asarray(cv2.calcOpticalFlowFarneback(first, second, result, 0.5, 3, 15, 3, 5, 1.2, 0))

    return measure


METHODS: dict[str, Callable[[], FlowMethod]] = {
    **{name: partial(_tvl1, settings) for name, settings in PRESETS.items()},
    "farneback": _farneback,
    "dis": _dis,
}
