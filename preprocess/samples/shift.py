"""Key frames that are not where they were annotated: onset and apex of a clip, moved as annotators err."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from preprocess.base.errors import UsageError
from preprocess.base.hashing import digest
from preprocess.samples.clip import Clip
from preprocess.samples.frames import FrameReader

MOST_PERCENT = 50.0
"""The largest share of a clip: beyond it, onset and apex would change places."""


@dataclass(frozen=True)
class Shift:
    """How far onset and apex are moved.

    Attributes
    ----------
    amount : frames, or per cent of the way from onset to offset.
    share : whether the amount is in per cent.
    """

    amount: float
    share: bool = False

    @property
    def name(self) -> str:
        """As it is written: ``2``, ``5%``."""
        return f"{self.amount:g}{'%' if self.share else ''}"

    @property
    def words(self) -> str:
        """The same for people: ``2 frames``, ``5% of the clip``."""
        if self.share:
            return f"{self.name} of the clip"
        return f"{self.name} frame{'' if self.amount == 1 else 's'}"

    def frames(self, length: int) -> int:
        """Return the number of frames; of a share at least one. length : of the clip, onset to offset."""
        return max(1, int(length * self.amount / 100 + 0.5)) if self.share else int(self.amount)


def parse_shift(text: str) -> Shift:
    """Return the shift that a text names: frames (``2``), or a share of the clip (``5%``).

    Raises
    ------
    UsageError : it names none.
    """
    match = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)\s*%", text.strip())
    if match is not None:
        shift = Shift(float(match[1] or match[2]), share=match[1] is None)
        if 0 < shift.amount <= (MOST_PERCENT if shift.share else 10**6):
            return shift
    raise UsageError(
        f"given {text!r}, expected a number of frames from 1, such as 2, or a share of the clip up to "
        f"{MOST_PERCENT:.0f}%, such as 5%"
    )


@dataclass(frozen=True)
class Moved:
    """A clip with other key frames.

    Attributes
    ----------
    clip : the clip.
    clamped : whether a key frame had less room than it was to be moved.
    """

    clip: Clip
    clamped: bool


def moved(clip: Clip, shift: Shift) -> Moved:
    """Return a clip whose onset and apex lie elsewhere.

    Each of the two goes earlier or later, as is drawn from the sample's id and from nothing else: so every model, seed
    and shift meets the same errors. The onset stays within the frames that there are, the apex before the offset, and
    the onset before the apex: where they would pass each other, each comes as near to its place as the other one. An
    apex that nobody annotated is left to be found, in the clip that begins at the moved onset.

    Parameters
    ----------
    clip : a clip with frames.
    shift : how far.

    Raises
    ------
    ClipError : a video whose end has to be known cannot be read.
    """
    low, high = _room(clip)
    onset = low if clip.onset is None else clip.onset
    way = shift.frames(high - onset)
    onset_at = min(max(onset + _side(clip, "onset") * way, low), high)
    if clip.apex is None:
        # The spotted apex must have a frame after the onset.
        onset_at = min(onset_at, max(onset, high - 1))
        return Moved(dataclasses.replace(clip, onset=onset_at), abs(onset_at - onset) < way)
    apex = clip.apex
    apex_at = min(max(apex + _side(clip, "apex") * way, low), max(high, apex))
    while apex_at - onset_at < min(1, apex - onset):
        # The one that has gone farther comes back by a frame.
        if abs(apex_at - apex) >= abs(onset_at - onset):
            apex_at += 1 if apex_at < apex else -1
        else:
            onset_at += 1 if onset_at < onset else -1
    short = min(abs(onset_at - onset), abs(apex_at - apex)) < way
    return Moved(dataclasses.replace(clip, onset=onset_at, apex=apex_at), short)


def _room(clip: Clip) -> tuple[int, int]:
    """Return the first frame that there is, and the last one of the expression."""
    if clip.video is None:
        low, last = clip.ends
        return low, last if clip.offset is None else min(last, clip.offset)
    if clip.offset is not None:
        return 0, clip.offset
    with FrameReader(clip) as reader:
        return 0, reader.numbers[-1]


def _side(clip: Clip, role: str) -> int:
    """Return whether a key frame is moved to later frames (1) or to earlier ones (-1)."""
    return 1 if int(digest(["shifted key frame", role, clip.sample_id])[:8], 16) % 2 else -1
