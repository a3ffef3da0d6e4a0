"""Spotting: where in a recording of any length a face shows an expression.

Windows slide over the recording, each half over the next one. A window finds the face in its first picture, follows it,
and holds it small and aligned: so memory depends on the window, not on the recording, and nothing drifts. In each, a
change that comes and goes is looked for; what stands out from the whole recording's usual changes is an expression.
"""

from __future__ import annotations

import dataclasses
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from preprocess.faces.detectors import Box
from preprocess.faces.face import FaceFinder
from preprocess.samples.clip import Clip
from preprocess.spotting.course import Peak, blinks, peak_at, strength_curve
from preprocess.spotting.follower import Follower, Looking, shrunk_picture
from preprocess.spotting.recordings import Recording, Span, frames_of
from preprocess.steps import STEPS, Work
from preprocess.steps._apex_spotting import eyes, freed_changes, inner_face, without_blur

VERSION = 1
"""Raised whenever the same recording gives other expressions, so that what was spotted before is not taken for them."""
RATE = 50.0
"""Pictures a second that are looked at, at most: of faster cameras, successive frames are averaged."""
SHORTEST, LONGEST, LONGEST_MACRO = 0.12, 0.8, 4.0
"""Seconds that a micro-expression lasts, and the most of a macro-expression."""
LENGTHS = 1.35
"""How much longer each duration that is looked for is than the one before."""
WINDOW = 6.0
"""Seconds of a window, at least; of longer expressions it holds four times the longest."""
LOOK_AGAIN = 0.5
"""Seconds until a face is looked for again where none was found."""
STILL = 0.05
"""Grey levels by which a face changes from one picture to the next (median over a window) where it does not move."""
OUTSTANDING, LEAST_STRENGTH = 1.8, 4.0
"""From how many times the recording's median on a strength is an expression, and from which at least."""
MOST_REST = 0.6
"""How much of a change may be left at its offset: more is a step, as a cut or a new key frame of a video makes."""
SAME_PLACE = 0.2
"""Share of two boxes' union that a clip's face must have in common with the one that was followed."""
APART = 0.2
"""Share of two spans' union that they may have in common."""


@dataclass
class Spotting:
    """What was spotted in a recording.

    Attributes
    ----------
    frames : how many could be read.
    size : (width, height) of a frame.
    spans : the expressions, in order.
    curve : (time in seconds, strength) of every picture that was looked at; NaN where no face is seen.
    threshold : the strength from which on there is an expression.
    seen : share of the pictures that show a face.
    boxes : frame number of an apex -> where the face is there, in pixels of the recording.
    reason : why nothing can be spotted; "" where it can.
    notes : what a person should know.
    """

    frames: int = 0
    size: tuple[int, int] = (0, 0)
    spans: list[Span] = field(default_factory=list)
    curve: tuple[np.ndarray, np.ndarray] = field(default_factory=lambda: (np.empty(0), np.empty(0)))
    threshold: float = 0.0
    seen: float = 0.0
    boxes: dict[int, Box] = field(default_factory=dict)
    reason: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Found:
    """A peak in frame numbers of the recording, and where the face is."""

    span: Span
    box: Box

    @property
    def strength(self) -> float:
        return self.span.strength or 0.0


def spot(recording: Recording, longest: float = LONGEST, progress: Callable[[int], None] | None = None) -> Spotting:
    """Find the expressions of a recording, which is read once, a frame at a time.

    Parameters
    ----------
    recording : the recording.
    longest : seconds that an expression may last.
    progress : called with the number of frames read so far, about once a window.

    Raises
    ------
    ClipError : nothing of it can be read.
    """
    result = Spotting()
    every = max(1, round(recording.fps / RATE))
    sliding = _Sliding(recording.fps / every, longest)
    numbers = array("q")
    curve: list[np.ndarray] = []
    candidates: list[_Found] = []
    for number, picture in _averaged(_counted(frames_of(recording, result.notes), result), every):
        numbers.append(number)
        for window in sliding.add(picture):
            curve.append(window.curve)
            candidates += _in_recording(window, numbers)
            if progress:
                progress(result.frames)
    for window in sliding.rest():
        curve.append(window.curve)
        candidates += _in_recording(window, numbers)
    scale = max(result.size) / max(1, max(sliding.size))
    _decide(result, recording, numbers, np.concatenate([*curve, np.empty(0)]), candidates, scale)
    _explain(result, recording, sliding, every)
    return result


def _decide(
    result: Spotting,
    recording: Recording,
    numbers: Sequence[int],
    strengths: np.ndarray,
    candidates: list[_Found],
    scale: float,
) -> None:
    """Take the candidates that stand out from all of the recording, of those that overlap the strongest."""
    times = np.array([recording.seconds(number) for number in numbers[: len(strengths)]])
    result.curve = times, strengths
    known = strengths[np.isfinite(strengths)]
    result.seen = len(known) / max(1, len(strengths))
    if not len(known):
        return
    result.threshold = max(LEAST_STRENGTH, OUTSTANDING * float(np.median(known)))
    kept: list[_Found] = []
    for one in sorted(candidates, key=lambda one: (-one.strength, one.span.onset)):
        if one.strength >= result.threshold and all(overlap(one.span, other.span) < APART for other in kept):
            kept.append(one)
    for one in kept:
        assert one.span.apex is not None
        left, top, right, bottom = (round(edge * scale) for edge in one.box)
        result.boxes[one.span.apex] = left, top, right, bottom
    result.spans = sorted((one.span for one in kept), key=lambda span: span.onset)


def _explain(result: Spotting, recording: Recording, sliding: _Sliding, every: int) -> None:
    """Say why nothing was spotted, and what a person should know."""
    looking = sliding.looking
    if result.frames < 2:
        result.reason = f"it holds {result.frames} frame: nothing can be seen to move"
    elif not result.seen:
        result.reason = (
            f"no face was found in {looking.looks} pictures of {result.frames} frames. A face must fill at least an "
            "eighth of the picture, seen from the front, with both eyes, nose and mouth in it"
        )
    elif not result.spans:
        most = float(np.nanmax(result.curve[1]))
        if sliding.still:
            result.reason = "the picture does not move"
        elif most < result.threshold:
            result.reason = f"no change of the face stands out: {most:.1f} at most, {result.threshold:.1f} would"
        else:
            result.reason = "the changes of the face that stand out are blinks, or do not go back"
    if looking.most > 1:
        result.notes.append(f"{looking.most} faces: the largest one is followed")
    if 0 < result.seen < 0.95:
        result.notes.append(f"the face is seen in {result.seen:.0%} of the recording only")
    if recording.fps < RATE:
        result.notes.append(
            f"{recording.fps:g} frames a second: expressions of less than {5 / recording.fps:.2f} s may be missed"
        )


def spotted_apex(clip: Clip, finder: FaceFinder) -> int:
    """Return the apex of a clip whose onset and offset are known, as features find it.

    Raises
    ------
    ClipError : the clip cannot be used.
    """
    work = Work(clip=clip, finder=finder)
    for name, options in (("face", {}), ("select", {"frames": "onset_apex"})):
        step = STEPS.get(name)
        work = step.run(work, **step.options(options, "spotting"))
    return work.numbers[dict(work.key)["apex"]]


def overlap(one: Span, other: Span) -> float:
    """Return the share of two spans' union that they have in common."""
    both = min(one.offset, other.offset) - max(one.onset, other.onset) + 1
    return max(0, both) / (one.offset - one.onset + other.offset - other.onset + 2 - max(0, both))


def _counted(frames: Iterable[tuple[int, np.ndarray]], result: Spotting) -> Iterator[tuple[int, np.ndarray]]:
    for number, picture in frames:
        result.frames += 1
        result.size = picture.shape[1], picture.shape[0]
        yield number, shrunk_picture(picture)


def _averaged(frames: Iterator[tuple[int, np.ndarray]], every: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the mean of every few successive pictures, with the number of the one in their middle."""
    if every == 1:
        yield from frames
        return
    total, numbers = None, []
    for number, picture in frames:
        if total is not None and total.shape != picture.shape:
            total, numbers = None, []
        total = picture.astype(np.uint16) if total is None else total + picture
        numbers.append(number)
        if len(numbers) == every:
            yield numbers[every // 2], np.round(total / every).astype(np.uint8)
            total, numbers = None, []
    if total is not None:
        yield numbers[len(numbers) // 2], np.round(total / len(numbers)).astype(np.uint8)


@dataclass(frozen=True)
class _Looked:
    """What one window found: the strengths of its own part, and peaks as places in the whole stream."""

    curve: np.ndarray
    peaks: list[tuple[Peak, Box]]


def _in_recording(window: _Looked, numbers: Sequence[int]) -> list[_Found]:
    return [
        _Found(Span(numbers[peak.onset], numbers[peak.apex], numbers[peak.offset], peak.strength), box)
        for peak, box in window.peaks
    ]


class _Sliding:
    """Windows that slide over a stream of pictures, each responsible for its middle part.

    Attributes
    ----------
    looking : looks for faces.
    still : whether no face moved so far.
    size : (width, height) of the pictures.
    """

    def __init__(self, rate: float, longest: float) -> None:
        self._durations = durations(rate, longest)
        self._context = math.ceil(1.5 * self._durations[-1])
        self._again = max(1, round(LOOK_AGAIN * rate))
        # Windows that look for a face look at the same pictures.
        wanted = max(2 * self._context, math.ceil(WINDOW * rate) - 2 * self._context)
        self._hop = math.ceil(wanted / self._again) * self._again
        self._length = self._hop + 2 * self._context
        self._open: list[_Window] = []
        self._count = 0
        self._near: Box | None = None
        self.looking = Looking()
        self.still = True
        self.size = (1, 1)

    def add(self, picture: np.ndarray) -> Iterator[_Looked]:
        """Show the next picture to the windows that are open, and yield what a full one found."""
        self.size = picture.shape[1], picture.shape[0]
        if self._count % self._hop == 0:
            self._open.append(_Window(self._count, self.looking, self._again, self._near))
        for window in self._open:
            window.add(picture)
        self._count += 1
        if self._count - self._open[0].start == self._length:
            yield self._close(self._open.pop(0), last=False)

    def rest(self) -> Iterator[_Looked]:
        """Yield what is left when the stream ends: the oldest window has seen all that younger ones have."""
        for window in self._open[:1]:
            yield self._close(window, last=True)
        self._open.clear()

    def _close(self, window: _Window, last: bool) -> _Looked:
        self._near = window.box or self._near
        own = slice(self._context if window.start else 0, window.count if last else self._length - self._context)
        found = window.look(self._durations, own)
        self.still = self.still and window.still
        return found


class _Window:
    """The face of some seconds, small and aligned.

    Attributes
    ----------
    start : place of its first picture in the stream.
    count : how many pictures it has been shown.
    box : where the face was seen last; None where none was.
    still : whether the face does not move.
    """

    def __init__(self, start: int, looking: Looking, again: int, near: Box | None) -> None:
        self.start, self.count = start, 0
        self.box: Box | None = None
        self.still = True
        self._looking, self._again, self._near = looking, again, near
        self._follower: Follower | None = None
        self._faces: list[np.ndarray] = []
        self._boxes: list[Box] = []
        self._places: list[int] = []

    def add(self, picture: np.ndarray) -> None:
        """Look at the next picture."""
        if self._follower is None:
            landmarks = self._looking.face(picture, self._near) if self.count % self._again == 0 else None
            if landmarks is not None:
                self._follower = Follower(picture, landmarks)
                self._keep(self._follower, self._follower.first())
        elif (face := self._follower.see(picture)) is not None:
            self._keep(self._follower, face)
        self.count += 1

    def _keep(self, follower: Follower, face: np.ndarray) -> None:
        self._faces.append(face)
        self._places.append(self.count)
        self.box = follower.box()
        self._boxes.append(self.box)

    def look(self, lengths: list[int], own: slice) -> _Looked:
        """Return the strengths of its own part, and the peaks there."""
        strengths = np.full(self.count, np.nan)
        if self._follower is None or len(self._faces) < 3:
            return _Looked(strengths[own], [])
        faces = self._filled()
        valid = without_blur(self._follower.valid)
        points = self._follower.points
        lids = eyes(points)
        both, whole = freed_changes(faces, points, valid, inner_face(points) | lids)
        changes, mask = both[:, ~lids[whole]], whole & ~lids
        self.still = float(np.median(np.sqrt(np.square(np.diff(changes, axis=0)).mean(axis=1)))) < STILL
        values, best = strength_curve(changes, mask, lengths)
        lost = self._lost(lengths[0])
        strengths = np.where(lost, np.nan, values)
        first, last, _ = own.indices(self.count)
        peaks = []
        for place in _maxima(np.where(lost, 0.0, values), lengths[0]):
            if not first <= place < last or values[place] < LEAST_STRENGTH:
                continue
            if blinks(changes, both[:, lids[whole]], place, int(best[place])):
                continue
            peak = peak_at(changes, mask, place, int(best[place]), float(values[place]))
            if peak.rest > MOST_REST:
                continue
            at = self.start
            moved = dataclasses.replace(peak, onset=at + peak.onset, apex=at + peak.apex, offset=at + peak.offset)
            nearest = int(np.abs(np.array(self._places) - peak.apex).argmin())
            peaks.append((moved, self._boxes[nearest]))
        return _Looked(strengths[own], peaks)

    def _filled(self) -> np.ndarray:
        """Return a face for every picture: where it is not seen, the last or the next one that is."""
        nearest = np.abs(np.arange(self.count)[:, None] - np.array(self._places)[None]).argmin(axis=1)
        return np.stack(self._faces)[nearest].astype(np.float64)

    def _lost(self, around: int) -> np.ndarray:
        """Return which pictures are too near to one without the face, (count,) bool."""
        from scipy.ndimage import binary_dilation

        lost = np.ones(self.count, bool)
        lost[self._places] = False
        return binary_dilation(lost, iterations=around) if lost.any() else lost


def durations(rate: float, longest: float) -> list[int]:
    """Return the lengths of expressions that are looked for, in pictures, each a third longer than the one before.

    Parameters
    ----------
    rate : pictures a second.
    longest : seconds.
    """
    count = math.ceil(math.log(longest / SHORTEST) / math.log(LENGTHS)) + 1
    seconds = np.geomspace(SHORTEST, longest, count)
    return sorted({max(3, round(rate * one)) for one in seconds})


def _maxima(curve: np.ndarray, around: int) -> list[int]:
    """Return where a curve is highest within some pictures on either side."""
    from scipy.ndimage import maximum_filter1d

    highest = maximum_filter1d(curve, 2 * around + 1, mode="nearest")
    return np.flatnonzero((curve == highest) & (curve > 0)).tolist()
