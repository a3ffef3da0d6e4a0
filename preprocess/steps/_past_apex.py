"""Moments from the onset over the apex to the offset, most of them before the apex."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from preprocess.samples.clip import Clip

# With more moments than this, one lies midway between apex and offset.
WITHOUT_MIDWAY = 5


@dataclass(frozen=True)
class Moments:
    """When frames are wanted, in the numbers of the clip's frames.

    Attributes
    ----------
    times : (count,) float64, in order.
    key : role ("onset", "apex", "offset") -> its time.
    notes : what a person should know of this clip.
    """

    times: np.ndarray
    key: Mapping[str, float]
    notes: tuple[str, ...]


def past_apex(clip: Clip, numbers: Sequence[int], count: int) -> Moments:
    """Spread moments over rise and fall as the public code of ``au_fusion`` does.

    All but two lie at equal steps from onset to apex, one midway between apex and offset, the last at the offset; of
    five or fewer all but one lie up to the apex. Without an apex between the first and the last frame they lie at equal
    steps from onset to offset.

    Parameters
    ----------
    clip : its onset, apex and offset count.
    numbers : of the frames that are there, in order.
    count : how many moments, at least 3.
    """
    first, last = numbers[0], numbers[-1]
    notes = _missing(clip, numbers)
    apex = clip.apex
    if apex is None or not first < apex < last:
        notes.append(f"{_without(apex, first)}: frames at equal steps from onset to offset")
        ends = {"onset": float(first), "offset": float(last)}
        return Moments(np.linspace(first, last, count), ends, tuple(notes))
    fall = [last] if count <= WITHOUT_MIDWAY else [apex + (last - apex) / 2, last]
    rise = np.linspace(first, apex, count - len(fall))
    key = {"onset": float(first), "apex": float(apex), "offset": float(last)}
    return Moments(np.concatenate([rise, fall]), key, tuple(notes))


def _without(apex: int | None, first: int) -> str:
    """Return why moments cannot be spread over rise and fall."""
    if apex is None:
        return "no apex is annotated"
    return f"no frame lies {'after' if first < apex else 'before'} the apex"


def _missing(clip: Clip, numbers: Sequence[int]) -> list[str]:
    """Return what is to be said of key frames that are not there."""
    notes = []
    if clip.offset is None:
        notes.append(f"no offset is annotated: the last frame, {numbers[-1]}, taken")
    for role, wanted, taken in (("onset", clip.onset, numbers[0]), ("offset", clip.offset, numbers[-1])):
        if wanted is not None and wanted != taken:
            notes.append(f"{role} {wanted} is missing: {taken} taken")
    if clip.apex is not None and clip.apex not in numbers and numbers[0] < clip.apex < numbers[-1]:
        notes.append(f"apex {clip.apex} is missing: interpolated")
    return notes
