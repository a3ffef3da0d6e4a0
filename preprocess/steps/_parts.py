"""What descriptors take from a clip's work: checked arrays, and blocks over a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from preprocess.base.errors import UsageError, did_you_mean
from preprocess.faces.landmark_sets import landmark_set, mirrored
from preprocess.samples.layout import Content
from preprocess.steps import Work
from preprocess.steps._options import needed


def one_level(work: Work, step: str, field: str) -> np.ndarray:
    """Return an array of the work without its axis of magnification levels.

    Parameters
    ----------
    work : what the steps have made so far.
    step : the name of the step that needs it, for the message.
    field : the name of the array in the work.

    Raises
    ------
    UsageError : the array is not there, or has several levels.
    """
    array = needed(work, step, field, {"frames": "load"}.get(field, field))
    if len(array) != 1:
        raise UsageError(f"Step {step} takes one magnification level; the steps before it made {len(array)}.")
    return array[0]


def grey_clip(work: Work, step: str) -> np.ndarray:
    """Return the frames (T, H, W) of a grey clip of one magnification level; UsageError for any other clip."""
    frames = one_level(work, step, "frames")
    if frames.shape[-1] != 1:
        raise UsageError(f"Step {step} takes grey frames; these have {frames.shape[-1]} channels. Load them as grey.")
    return frames[..., 0]


def first_face(work: Work, step: str) -> np.ndarray:
    """Return the landmarks (68, 2) of the first frame."""
    return needed(work, step, "landmarks", "landmarks")[0]


def key_index(work: Work, step: str, role: str) -> int:
    """Return the place of a key frame among the chosen frames.

    Parameters
    ----------
    work : what the steps have made so far.
    step : the name of the step that needs it, for the message.
    role : "onset", "apex" or "offset".

    Raises
    ------
    UsageError : the key frame was not chosen.
    """
    key = dict(work.key)
    if role not in key:
        raise UsageError(f"Step {step} needs the frame {role!r}; select frames that hold it. {did_you_mean(role, key)}")
    return key[role]


def inner_frames(work: Work, start: int, end: int) -> Work:
    """Return the work as that of the frames from ``start`` up to, not including, ``end``.

    Numbers, key frames and landmarks are cut; frames, flow and strain stay as they are.
    """
    landmarks = None if work.landmarks is None else work.landmarks[start:end]
    key = tuple((role, place - start) for role, place in work.key if start <= place < end)
    return replace(work, landmarks=landmarks, numbers=work.numbers[start:end], key=key)


def at_landmarks(shown: Content, points: str) -> Content:
    """Return what a tensor with an axis of landmarks shows.

    Parameters
    ----------
    shown : what is known of it besides.
    points : a name of ``preprocess.faces.landmark_sets``. A set without a mirror image cannot be mirrored.

    Raises
    ------
    UsageError : for an unknown set.
    """
    chosen = landmark_set(points)
    try:
        return replace(shown, points=mirrored(chosen))
    except UsageError:
        return replace(shown, no_mirror=f"the landmarks {points} have no mirror image")


def number(step: str, option: str, value: float, low: float, high: float = math.inf) -> float:
    """Return the value of an option that must be a number from ``low`` to ``high``; UsageError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        expected = f"a number of {low:g} to {high:g}" if high < math.inf else f"a number of at least {low:g}"
        raise UsageError(f"Step {step}: {option} is {value!r}; expected {expected}.")
    return value


def counts(step: str, option: str, value: Sequence[int], names: str) -> tuple[int, ...]:
    """Return the value of an option that is a list of whole numbers above 0.

    Parameters
    ----------
    step : the name of the step, for the message.
    option : the name of the option, for the message.
    value : what was given.
    names : what the numbers are, "rows, columns": as many must be given.

    Raises
    ------
    UsageError : for another number of values, and for values that are not whole or not above 0.
    """
    wanted = len(names.split(", "))
    whole = isinstance(value, list | tuple) and all(isinstance(one, int) and one > 0 for one in value)
    if not whole or len(value) != wanted:
        raise UsageError(f"Step {step}: {option} is {value!r}; expected whole numbers above 0, [{names}].")
    return tuple(value)


RESTS = ("spread", "last", "drop")


def tiles(length: int, count: int, step: str, rest: str = "spread") -> list[tuple[int, int]]:
    """Cut a length into spans that follow one another without a gap.

    Parameters
    ----------
    length : in pixels or frames.
    count : how many spans.
    step : the name of the step, for the message.
    rest : what becomes of the pixels or frames that equal spans leave over: "spread", so that spans differ in length by
        one at most; "last", into the last span; "drop", into none.

    Returns
    -------
    (start, end) of each span.

    Raises
    ------
    UsageError : a span would be empty.
    """
    if not 1 <= count <= length:
        raise UsageError(f"Step {step}: {length} pixels or frames cannot be cut into {count} blocks. Take fewer.")
    if rest == "spread":
        return [(i * length // count, (i + 1) * length // count) for i in range(count)]
    side = length // count
    spans = [(i * side, (i + 1) * side) for i in range(count)]
    return spans if rest == "drop" else [*spans[:-1], (spans[-1][0], length)]


def directions(u: np.ndarray, v: np.ndarray, bins: int) -> np.ndarray:
    """Sort vectors into directions.

    Parameters
    ----------
    u : motion to the right.
    v : motion down, of the same shape.
    bins : how many directions. Number 0 is centred on the right; the numbers grow towards down.

    Returns
    -------
    The direction of each vector, 0..bins-1, int64.
    """
    turn = np.arctan2(v, u) / (2 * np.pi) * bins
    return np.rint(turn).astype(np.int64) % bins
