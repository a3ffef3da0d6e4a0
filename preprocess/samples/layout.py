"""What the axes and the values of a sample's tensor mean, so that it is scaled and augmented rightly."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from preprocess.base.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

AXES = {
    "l": "magnification levels",
    "t": "times, or pairs of frames",
    "m": "moments near a time; the axis t then has onset and apex, and each stands in the middle of its moments",
    "c": "channels",
    "d": "components (u, v) of a vector",
    "v": "landmarks",
    "h": "rows of a picture or patch",
    "w": "columns of a picture or patch",
    "x": "coordinates (x, y)",
    "f": "numbers of a descriptor",
}
"""The letters of axes."""


@dataclass(frozen=True)
class Content:
    """What pictures or a tensor show: what augmentation has to know besides the axes.

    Attributes
    ----------
    whole : True where the axes h and w are those of a whole picture of the face, not of patches or tiles.
    photo : True where the axis c holds the grey, or the red, green and blue, of frames, 0..255.
    u : the place of horizontal flow along the axis c or d; None where there is none.
    u_range : how horizontal flow is stored. "": as it is, 0 is no motion. "sample" or "pair": scaled so that its least
        and greatest value, over a magnification level of the sample or over a pair of frames, are the ends of a range.
    points : what the order of the landmarks (axis v) becomes when the face is mirrored; empty where there are none.
    width : of the pictures in pixels, in which coordinates are given.
    no_mirror : why the values of the mirrored face cannot be worked out from these; "" where they can.
    unknown : who should say all this and does not, with what to do; "" where it is said.
    """

    whole: bool = False
    photo: bool = False
    u: int | None = None
    u_range: str = ""
    points: tuple[int, ...] = ()
    width: float = 0.0
    no_mirror: str = ""
    unknown: str = ""


NO_MIRROR_OF_DIRECTIONS = "its colours are directions of scaled flow"
"""Why the mirror image of a map of directions cannot be worked out: its zero is not that of the flow."""


@dataclass(frozen=True)
class Layout:
    """How a feature's tensor is laid out.

    Attributes
    ----------
    axes : a letter of ``AXES`` for each axis of a sample.
    shape : the lengths of the axes.
    content : what the tensor shows.
    """

    axes: str
    shape: tuple[int, ...]
    content: Content

    @property
    def channel_axis(self) -> int:
        """The axis of (n, ...) tensors along which channels, components or coordinates stand; 1 where none does."""
        return next((self.axes.index(letter) + 1 for letter in "cdx" if letter in self.axes), 1)

    @property
    def channels(self) -> int:
        """How many channels there are; 0 without an axis c."""
        return self.shape[self.axes.index("c")] if "c" in self.axes else 0

    @property
    def time_axis(self) -> int | None:
        """The axis of (n, ...) tensors along which time goes; None where there is no time."""
        return self.axes.index("t") + 1 if "t" in self.axes else None

    def constant(self, tensor: np.ndarray) -> bool:
        """Say whether each picture of a tensor (its axes h and w) holds one value; without pictures, whether all does.

        Such a tensor tells nothing of its clip.
        """
        rows_and_columns = tuple(self.axes.index(letter) for letter in "hw" if letter in self.axes)
        pixels = math.prod(tensor.shape[axis] for axis in rows_and_columns)
        within = rows_and_columns if pixels > 1 else tuple(range(tensor.ndim))
        return tensor.size > 1 and bool((tensor.max(axis=within) == tensor.min(axis=within)).all())

    def as_json(self) -> dict[str, Any]:
        """Return all that decides how the feature is scaled and augmented, as JSON values, for hashing."""
        content = dataclasses.asdict(self.content) | {"points": list(self.content.points)}
        unknown = content.pop("unknown")
        return {"axes": self.axes, "content": None if unknown else content}


def check_axes(axes: str, shape: tuple[int, ...], place: str) -> None:
    """Check that axes name the axes of a shape.

    Parameters
    ----------
    axes : what was given.
    shape : of one sample's tensor.
    place : what the axes were given for, for the message.

    Raises
    ------
    UsageError : for an unknown letter, another number of letters than of axes, a letter given twice, and c beside d.
    """
    unknown = [letter for letter in axes if letter not in AXES]
    if unknown:
        fault = f"{unknown[0]!r} is no axis"
    elif len(axes) != len(shape):
        fault = f"that is {len(axes)} for the {len(shape)} axes of shape {list(shape)}"
    elif len(set(axes)) != len(axes):
        fault = "a letter stands there twice"
    elif {"c", "d"} <= set(axes):
        fault = "c and d are two words for the channels; only one of them can be there"
    else:
        return
    letters = "; ".join(f"{letter} {meaning}" for letter, meaning in AXES.items())
    raise UsageError(f"{place}: axes is {axes!r}: {fault}. Expected a letter for each axis of the shape: {letters}.")
