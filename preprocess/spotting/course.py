"""How a face's changes go up and down: a bank of courses over the frames of a window, and the one that fits best."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from preprocess.steps._apex_spotting import SIZE

PATCH = 8
"""Pixels of a side of the patches into which the face is divided."""
LEAST = 12
"""Pixels of a patch that must show the inner face, so that it counts."""
STRONGEST = 3
"""Patches whose mean change counts: an expression moves a part of the face."""
QUIET = 0.3
"""Quantile of a patch's changes over a window that is taken for its noise."""
FLOOR = 0.05
"""Least noise, in grey levels: what rounding leaves of a smoothed picture. A repeated picture has less."""


BLINK = 8.0
"""How many times as much as the rest of the face the eyes change when lids shut: 14 to 27 times where rendered people
blink, one to four times in their expressions."""


@dataclass(frozen=True)
class Peak:
    """An expression that may be in a window, in frames of the window.

    Attributes
    ----------
    onset, apex, offset : of the courses that fit best.
    strength : how many times the patches' noise the change is.
    rest : how much of the change is left at the offset: 0 where all goes back, 1 for a step.
    """

    onset: int
    apex: int
    offset: int
    strength: float
    rest: float = 0.0


def strength_curve(changes: np.ndarray, mask: np.ndarray, durations: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return how strongly the face goes somewhere and back, about every frame of a window.

    For each duration, the course of every pixel is held against a hump of that length. The energy of what fits is
    taken patch by patch, in units of what the patch shows in its quieter moments, and the strongest patches count.

    Parameters
    ----------
    changes : (T, pixels), grey levels less their mean, freed of head motion and light.
    mask : (SIZE, SIZE) bool, where the pixels are.
    durations : lengths of humps in frames.

    Returns
    -------
    (T,) the strength of the best duration, in multiples of the noise, and (T,) that duration.
    """
    patches = _patches(mask)
    if not len(patches):
        return np.zeros(len(changes)), np.full(len(changes), durations[0])
    found = np.stack([_strength(responses(changes, length), patches) for length in durations])
    best = found.argmax(axis=0)
    return found.max(axis=0), np.array(durations)[best]


def responses(changes: np.ndarray, length: int) -> np.ndarray:
    """Return (T, pixels): how much of a hump of some length is in each pixel's course about every frame."""
    from scipy.ndimage import correlate1d

    return correlate1d(changes, hump(length), axis=0, mode="nearest")


@cache
def hump(length: int) -> np.ndarray:
    """Return weights of length 1: a hump of so many frames, freed of what is constant or grows steadily around it."""
    times = np.arange(-length, length + 1)
    course = np.where(np.abs(times) <= length / 2, 0.5 + 0.5 * np.cos(2 * np.pi * times / length), 0.0)
    course -= course.mean()
    weights: np.ndarray = course / np.linalg.norm(course)
    return weights


def peak_at(changes: np.ndarray, mask: np.ndarray, frame: int, length: int, strength: float) -> Peak:
    """Return onset, apex and offset of the change about a frame.

    All pixels are weighed by how they change there, which leaves one course over time; a rise and a fall are fitted to
    it, and what does not go back.

    Parameters
    ----------
    changes, mask : as for ``strength_curve``.
    frame : the frame with the greatest strength.
    length : the duration of the hump that fits best.
    strength : the strength.
    """
    weights = responses(changes[max(0, frame - length) : frame + length + 1], length)[frame - max(0, frame - length)]
    energies = np.stack([np.square(weights[patch]).mean() for patch in _patches(mask)])
    inside = np.concatenate([_patches(mask)[place] for place in np.argsort(-energies)[: 2 * STRONGEST]])
    pattern = weights[inside]
    course = changes[:, inside] @ pattern / max(float(pattern @ pattern), 1e-12)
    first, last = max(0, round(frame - 1.25 * length)), min(len(course) - 1, round(frame + 1.25 * length))
    seen = course[first : last + 1]
    onset, apex, offset = _rise_and_fall(seen, frame - first)
    rest = _rest(seen, onset, apex, offset)
    return Peak(first + onset, first + apex, first + offset, strength, rest)


def blinks(changes: np.ndarray, lids: np.ndarray, frame: int, length: int) -> bool:
    """Tell whether the change about a frame is that of a blink: the eyes change far more than the rest of the face.

    Parameters
    ----------
    changes : as for ``strength_curve``.
    lids : (T, pixels), the same of the eyes.
    frame, length : of the hump.
    """
    if not lids.shape[1]:
        return False
    first = max(0, frame - length)
    rest, eyes = (
        float(np.sqrt(np.square(responses(one[first : frame + length + 1], length)[frame - first]).mean()))
        for one in (changes, lids)
    )
    return eyes > BLINK * rest


def _strength(response: np.ndarray, patches: list[np.ndarray]) -> np.ndarray:
    energy = np.stack([np.square(response[:, patch]).mean(axis=1) for patch in patches], axis=1)
    noise = np.maximum(np.quantile(energy, QUIET, axis=0), FLOOR**2)
    ratio = np.sqrt(energy / noise)
    strongest = np.sort(ratio, axis=1)[:, -STRONGEST:]
    result: np.ndarray = strongest.mean(axis=1)
    return result


def _patches(mask: np.ndarray) -> list[np.ndarray]:
    """Return the places of each patch's pixels among those of the mask."""
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(int(mask.sum()))
    squares = number.reshape(SIZE // PATCH, PATCH, SIZE // PATCH, PATCH).swapaxes(1, 2).reshape(-1, PATCH * PATCH)
    inside = [square[square >= 0] for square in squares]
    return [places for places in inside if len(places) >= LEAST]


def _rise_and_fall(course: np.ndarray, middle: int) -> tuple[int, int, int]:
    """Return the frames of onset, apex and offset whose rise and fall fit a course best (least squares)."""
    count = len(course)
    if count < 4:
        return 0, min(middle, count - 1), count - 1
    step = max(1, count // 24)
    best = min(_tried(course, range(0, middle + 1, step), range(1, count - 1, step), range(middle, count, step)))
    while step > 1:
        step = max(1, step // 3)
        _, *around = best
        near = [range(max(0, at - 3 * step), min(count - 1, at + 3 * step) + 1, step) for at in around]
        best = min([best, *_tried(course, *near)])
    return best[1], best[2], best[3]


def _rest(course: np.ndarray, onset: int, apex: int, offset: int) -> float:
    """Return the level at the offset as a share of that at the apex; infinite where nothing rises."""
    if not onset < apex < offset:
        return np.inf
    (basis,) = _basis(len(course), *(np.array([[frame]]) for frame in (onset, apex, offset)))
    _, top, end = np.linalg.lstsq(basis.T, course, rcond=None)[0]
    return float(end / top) if top > 0 else np.inf


def _basis(count: int, onset: np.ndarray, apex: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Return the courses of each choice, (n, 3, count): always there, a rise and a fall, what does not go back."""
    times = np.arange(count)[None]
    rise = 0.5 - 0.5 * np.cos(np.pi * np.clip((times - onset) / (apex - onset), 0, 1))
    fall = 0.5 + 0.5 * np.cos(np.pi * np.clip((times - apex) / (offset - apex), 0, 1))
    after = times > apex
    return np.stack([np.ones_like(rise), np.where(after, fall, rise), np.where(after, 1 - fall, 0.0)], axis=1)


def _tried(course: np.ndarray, onsets: range, apexes: range, offsets: range) -> list[tuple[float, int, int, int]]:
    """Return the squared error of every choice that is in order, with the choice."""
    chosen = [(on, apex, off) for on in onsets for apex in apexes for off in offsets if on < apex < off]
    if not chosen:
        return [(np.inf, 0, len(course) // 2, len(course) - 1)]
    onset, apex, offset = (np.array(one)[:, None] for one in zip(*chosen, strict=True))
    basis = _basis(len(course), onset, apex, offset)
    gram = np.einsum("nat,nbt->nab", basis, basis) + 1e-9 * np.eye(3)
    seen = basis @ course
    explained = np.einsum("na,na->n", seen, np.linalg.solve(gram, seen[..., None])[..., 0])
    errors = float(course @ course) - explained
    return [(float(error), *one) for error, one in zip(errors, chosen, strict=True)]
