"""The way of a head as numbers: poses frame by frame, how far they lie apart, gaps filled, trembling smoothed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from preprocess.faces.alignment import compose, inverse

# The face that is followed, in pixels, and what is added around it in parts of it.
SIDE, MARGIN = 128, 0.1
# Frames over which the way is smoothed, by parabolas, and how far at most that takes the face from where it was seen,
# in standard errors: trembling goes, but no corner of a quick motion is cut.
SMOOTH, AT_MOST = 5, 3.0


@dataclass(frozen=True)
class HeadPath:
    """The way of a head through a clip.

    Attributes
    ----------
    numbers : the frames' numbers, in order.
    poses : (N, 2, 3) float64, where the points of the frame in which the face was found are in each frame.
    extent : how far the head goes, as a share of the side of the face's square.
    followed : whether that is too far for one transform; otherwise all poses are that of the first one.
    lost : first and last number of each span of frames in which the face is not seen.
    """

    numbers: tuple[int, ...]
    poses: np.ndarray = field(repr=False)
    extent: float
    followed: bool = True
    lost: tuple[tuple[int, int], ...] = ()

    def transform(self, transform: np.ndarray, number: int) -> np.ndarray:
        """Return the transform (2, 3) of one frame from that of the frame in which the face was found.

        Parameters
        ----------
        transform : (2, 3), from the frame in which the face was found to the aligned face.
        number : the frame's number; the nearest one counts where it is not of the path.
        """
        index = int(np.abs(np.asarray(self.numbers) - number).argmin())
        return compose(transform, inverse(self.poses[index]))

    def sees(self, number: int) -> bool:
        """Whether the face is seen in a frame."""
        return not any(first <= number <= last for first, last in self.lost)

    @property
    def quality(self) -> dict[str, float]:
        """How far the head goes and how much of it is not seen, as measures of ``preprocess.samples.quality``."""
        unseen = sum(last - first + 1 for first, last in self.lost)
        return {"head": self.extent, "lost": unseen / len(self.numbers)}

    @property
    def note(self) -> str:
        """What a person should know."""
        spans = [f"{first} to {last}" if last > first else f"{first}" for first, last in self.lost]
        moves = [f"the head moves by {self.extent:.2f} of the face: followed"] if self.followed else []
        return "; ".join([*moves, *([f"the face is lost in frames {', '.join(spans)}"] if spans else [])])


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return how far apart two transforms bring a face, on average over the corners of its square, in parts of a side.

    Parameters
    ----------
    first, second : (2, 3), from a frame to a face of SIDE x SIDE.
    """
    low, high = (SIDE - 1) * MARGIN / (1 + 2 * MARGIN), (SIDE - 1) * (1 + MARGIN) / (1 + 2 * MARGIN)
    corners = np.array([[low, low], [low, high], [high, low], [high, high]])
    moved = compose(second, inverse(first))
    apart = corners @ moved[:, :2].T + moved[:, 2] - corners
    return float(np.linalg.norm(apart, axis=1).mean()) / (high - low)


def amounts(motions: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Return what similarities do, as numbers that can be averaged and cut into parts.

    Parameters
    ----------
    motions : (N, 2, 3).
    middle : (2,), the point about which they turn and grow.

    Returns
    -------
    (N, 4) float64: the logarithm of the growth, the angle, and how far the middle goes, x and y.
    """
    turns = motions[:, 0, 0] + 1j * motions[:, 1, 0]
    goes = motions[:, :, :2] @ middle + motions[:, :, 2] - middle
    return np.column_stack([np.log(np.abs(turns)), np.unwrap(np.angle(turns)), goes])


def motions_of(amounts: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Return the similarities (N, 2, 3) of ``amounts``."""
    growth = np.exp(amounts[:, 0])
    cos, sin = growth * np.cos(amounts[:, 1]), growth * np.sin(amounts[:, 1])
    turns = np.stack([np.column_stack([cos, -sin]), np.column_stack([sin, cos])], axis=1)
    return np.concatenate([turns, (middle + amounts[:, 2:] - turns @ middle)[:, :, None]], axis=2)


def share_of(motion: np.ndarray, share: float, middle: np.ndarray) -> np.ndarray:
    """Return a part of a similarity (2, 3): nothing of it for 0, all of it for 1."""
    return motions_of(share * amounts(motion[None], middle), middle)[0]


def smooth(
    poses: Mapping[int, np.ndarray], errors: Mapping[int, float], middle: np.ndarray, side: float
) -> tuple[list[int], np.ndarray]:
    """Return the way at every number from the first to the last, gaps filled straight, freed of trembling.

    Parameters
    ----------
    poses : number -> (2, 3), in order of numbers.
    errors : number -> standard error of where the face is, in parts of the side of its square.
    middle : (2,), the middle of the face in the frame in which it was found.
    side : of the face's square there, in pixels.

    Returns
    -------
    The numbers, and the poses (N, 2, 3).
    """
    from scipy.signal import savgol_filter

    every = list(range(min(poses), max(poses) + 1))
    known = amounts(np.stack(list(poses.values())), middle)
    filled = np.column_stack([np.interp(every, list(poses), column) for column in known.T])
    if len(every) >= SMOOTH:
        change = savgol_filter(filled, SMOOTH, 2, axis=0) - filled
        # Corners lie 0.7 sides from the middle, about which the face grows and turns.
        goes = np.hypot(change[:, 2], change[:, 3]) / side + 0.7 * np.hypot(change[:, 0], change[:, 1])
        limit = AT_MOST * np.interp(every, list(poses), [errors[number] for number in poses])
        filled = filled + change * np.minimum(1, limit / np.maximum(goes, 1e-12))[:, None]
    return every, motions_of(filled, middle)


def spans(lost: Iterable[int], numbers: list[int]) -> tuple[tuple[int, int], ...]:
    """Return first and last of each run of frames that follow one another among ``numbers``."""
    places = {number: place for place, number in enumerate(numbers)}
    runs: list[tuple[int, int]] = []
    for number in sorted(lost):
        if runs and places[number] == places[runs[-1][1]] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return tuple(runs)
