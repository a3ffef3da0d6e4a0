"""The step ``select``: which frames of the clip a feature is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.samples.clip import ClipError
from preprocess.samples.frames import FrameReader
from preprocess.steps import Work, as_before, register_step
from preprocess.steps._apex_spotting import SPOTTERS
from preprocess.steps._landmark_motion import equal_motion, most_motion
from preprocess.steps._options import one_of, positive, refuse_merged


@dataclass(frozen=True)
class Span:
    """The expression in frame numbers.

    Attributes
    ----------
    onset : as annotated; the first frame that is there, where nobody annotated it.
    apex : as annotated or spotted; the onset, where no apex is needed.
    offset : as annotated; the last frame that is there, where nobody annotated it.
    present : the frames that are there.
    """

    onset: int
    apex: int
    offset: int
    present: list[int]


@dataclass(frozen=True)
class Mode:
    """A way to choose frames.

    Attributes
    ----------
    choose : called with the work, its span and the count; returns the numbers of the wanted frames.
    apex : whether it needs an apex.
    count : whether it takes a count.
    still : whether a single frame is enough for it.
    """

    choose: Callable[[Work, Span, int], Iterable[int]]
    apex: bool = True
    count: bool = False
    still: bool = False


@register_step("select", version=4, pictures=as_before)
def select(work: Work, *, frames: str = "onset_apex", count: int | None = None, spot: str = "profile") -> Work:
    """Choose the frames that the feature is made of.

    A frame that is not there is replaced by the nearest, which is noted where it was a key frame. A clip shorter than
    ``count`` repeats frames.

    Parameters
    ----------
    frames : "apex", "onset_apex", "onset_apex_offset"; "near_onset_apex" (``count`` frames, an odd number, about the
        onset, then as many about the apex: see ``_near``); "clip" (onset to offset), "onset_to_apex"; "uniform"
        (``count`` frames, onset to offset, equally spaced), "uniform_to_apex" (onset to apex); "around_apex" (``count``
        consecutive frames, the apex in their middle); "onset_around_apex" (the onset, then ``count`` later frames about
        the apex: see ``_after_onset``); "landmark_motion_top" (the ``count`` frames that the landmarks moved to
        farthest since the frame before, onset to apex), "landmark_motion_steps" (``count`` frames, onset to apex,
        between which the landmarks move equally far); "unified_11" (nine from onset towards the apex in tenths of the
        way, the apex, the one after); "binary_9" (onset, 3, apex, 3, offset, equally spaced).
    count : how many frames, where ``frames`` takes a number.
    spot : how the apex is found where nobody annotated it: "profile" (the rise and fall that explain the face's change
        best), "roi_difference" (where the brow and mouth regions differ most from onset and offset) or "midpoint".

    Returns
    -------
    The work with these fields set:
    numbers : of the chosen frames.
    key : which of them are key frames.

    Checked
    -------
    unified_11: equal to shayhan-ameen/Unified_MaE_and_ME_Recognition@593fea0, process_dataset.py: dataset_process.
    landmark_motion_top: equal to landmark_motion_based_keyframe_selection there for one landmark. For 51 it ranks sums
    that grow landmark by landmark, whose places are no frames; nothing calls it, and up to which frame it was meant to
    look is not known: up to the apex, as the code beside it does, is our reading. Not checked: landmark_motion_steps.

    Raises
    ------
    ClipError : a single frame is there, and more than the apex is wanted: nothing can be seen to move.
    """
    one_of("select", "frames", frames, MODES)
    one_of("select", "spot", spot, SPOTTERS)
    mode = MODES[frames]
    if not mode.count and count is not None:
        raise UsageError(f"Step select: frames {frames} takes no count; remove it.")
    with FrameReader(work.clip) as reader:
        present = reader.numbers
    if len(present) == 1 and not mode.still:
        raise ClipError(
            f"{work.clip.sample_id}: frame {present[0]} is the only one from onset to offset, so no motion is left. "
            "Complete the copy of the database, or correct the annotation."
        )
    span, notes = _span(work, present, spot if mode.apex else None)
    wanted = list(mode.choose(work, span, positive("select", "count", count) if mode.count else 0))
    numbers = [min(present, key=lambda one: (abs(one - number), one)) for number in wanted]
    key = _key(span, wanted, apex=mode.apex)
    refuse_merged(work, {role: wanted[index] for role, index in key}, {role: numbers[index] for role, index in key})
    for role, index in key:
        if numbers[index] != wanted[index]:
            notes.append(f"{role} {wanted[index]} is missing: {numbers[index]} taken")
    return replace(work, numbers=tuple(numbers), key=key, notes=(*work.notes, *notes))


def _span(work: Work, present: list[int], spot: str | None) -> tuple[Span, list[str]]:
    """Return the clip's span; the apex is spotted only where ``spot`` says how and nobody annotated it."""
    clip = work.clip
    onset = present[0] if clip.onset is None else clip.onset
    offset = present[-1] if clip.offset is None else clip.offset
    notes = []
    apex = clip.apex
    if apex is None and spot is not None:
        # The onset is no apex: of two frames it is the second, also for the spotter that takes the middle.
        apex = max(SPOTTERS[spot](work, work.seen(present)), present[min(1, len(present) - 1)])
        notes.append(f"no apex is annotated: {apex} found by {spot}")
    return Span(onset, onset if apex is None else apex, offset, present), notes


def _key(span: Span, wanted: list[int], *, apex: bool) -> tuple[tuple[str, int], ...]:
    """Return where onset, apex and offset ended up among the wanted numbers."""
    roles = {"onset": span.onset, **({"apex": span.apex} if apex else {}), "offset": span.offset}
    # The first occurrence is the onset, the last one the offset, should frames repeat.
    places = {number: index for index, number in reversed(list(enumerate(wanted)))}
    last = {number: index for index, number in enumerate(wanted)}
    found = {role: (last if role == "offset" else places).get(number) for role, number in roles.items()}
    return tuple((role, index) for role, index in found.items() if index is not None)


def _rise(span: Span) -> list[int]:
    """Return the frames that are there, onset to apex."""
    return [one for one in span.present if one <= span.apex]


def _evenly(first: int, last: int, count: int) -> list[int]:
    """Return ``count`` whole numbers, equally spaced from first to last; halves go to the earlier frame."""
    return [math.ceil(value - 0.5) for value in np.linspace(first, last, count)]


def _near(span: Span, count: int) -> list[int]:
    """Return ``count`` moments about the onset, itself in their middle, then as many about the apex.

    They are equally spaced over a twentieth of the way from onset to apex either side, whatever the frame rate, but
    over one frame at least where the way has four, and rounded to frames; half of the way or more stays between the
    two. A moment that is not there, as those before the clip, is the key frame itself. The public code of MMNet draws
    an onset up to a twentieth of the way later and an apex up to 0.0375 of it earlier; that of CapsuleNet takes two
    frames either side of the apex, a twentieth of a way of 40.
    """
    if count < 3 or count % 2 == 0:
        raise UsageError(f"Step select: count is {count}; frames near_onset_apex takes an odd number of at least 3.")
    way = span.apex - span.onset
    reach = min(max(1, way / 20), way // 4)
    steps = [round(step) for step in np.linspace(-reach, reach, count)]
    there = set(span.present)
    return [key + step if key + step in there else key for key in (span.onset, span.apex) for step in steps]


def _around(span: Span, count: int) -> list[int]:
    """Return ``count`` frames with the apex in their middle, shifted where the clip ends before."""
    places = span.present
    middle = min(range(len(places)), key=lambda index: (abs(places[index] - span.apex), index))
    first = max(0, min(middle - count // 2, len(places) - count))
    return [places[min(first + index, len(places) - 1)] for index in range(count)]


def _after_onset(span: Span, count: int) -> list[int]:
    """Return the onset, then ``count`` consecutive frames with the apex in their middle, all after the onset.

    Where they would pass the offset, those up to it are spread evenly over ``count`` places, so that some repeat; the
    public code of SLSTT interpolates frames between them there.
    """
    first = min(max(span.apex - count // 2, span.onset + 1), span.offset)
    return [span.onset, *_evenly(first, min(first + count - 1, span.offset), count)]


def _unified(span: Span) -> list[int]:
    """Return the 11 frames of the unified macro- and micro-expression framework."""
    way = span.apex - span.onset
    return [*(span.onset + math.ceil(way * tenth / 10) for tenth in range(9)), span.apex, span.apex + 1]


MODES: dict[str, Mode] = {
    "apex": Mode(lambda work, span, count: [span.apex], still=True),
    "onset_apex": Mode(lambda work, span, count: [span.onset, span.apex]),
    "onset_apex_offset": Mode(lambda work, span, count: [span.onset, span.apex, span.offset]),
    "near_onset_apex": Mode(lambda work, span, count: _near(span, count), count=True),
    "clip": Mode(lambda work, span, count: span.present, apex=False),
    "onset_to_apex": Mode(lambda work, span, count: _rise(span)),
    "uniform": Mode(lambda work, span, count: _evenly(span.onset, span.offset, count), apex=False, count=True),
    "uniform_to_apex": Mode(lambda work, span, count: _evenly(span.onset, span.apex, count), count=True),
    "around_apex": Mode(lambda work, span, count: _around(span, count), count=True),
    "onset_around_apex": Mode(lambda work, span, count: _after_onset(span, count), count=True),
    "landmark_motion_top": Mode(lambda work, span, count: most_motion(work, _rise(span), count), count=True),
    "landmark_motion_steps": Mode(lambda work, span, count: equal_motion(work, _rise(span), count), count=True),
    "unified_11": Mode(lambda work, span, count: _unified(span)),
    "binary_9": Mode(
        lambda work, span, count: _evenly(span.onset, span.apex, 5)[:-1] + _evenly(span.apex, span.offset, 5)
    ),
}
