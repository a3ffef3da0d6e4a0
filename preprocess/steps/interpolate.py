"""The step ``interpolate``: a clip of any length brought to a fixed number of frames."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.motion.valid import within
from preprocess.steps import Work, as_before, register_step
from preprocess.steps._options import needed, one_of, positive
from preprocess.steps._past_apex import past_apex
from preprocess.steps._weights import load_pair_network
from preprocess.steps.flow import grey_frames

# Frames (T, H, W, C) and positions between 0 and T - 1 -> frames at these positions, float32 of 0..255.
Interpolator = Callable[[np.ndarray, np.ndarray], np.ndarray]


TIMES = ("equal", "past_apex")


@register_step("interpolate", version=2, pictures=as_before)
def interpolate(
    work: Work,
    *,
    count: int,
    method: str = "tim",
    weights: str | None = None,
    longer: str = "interpolate",
    times: str = "equal",
) -> Work:
    """Interpolate the loaded frames to ``count`` frames.

    Times are the frames' own numbers, so that a missing frame does not shift its neighbours.

    Parameters
    ----------
    count : how many frames to make.
    method : "tim", the temporal interpolation model of Zhou, Zhao and Pietikaeinen (2011); "flow", frames warped along
        optical flow (DIS) in both directions and blended; "weights", a network, called with two frames and the time
        between them (0..1).
    weights : path of the network's TorchScript file.
    longer : what is done with clips of more than ``count`` frames: "interpolate", or "cut", which takes their first
        ``count`` as they are.
    times : when the made frames are. "equal": at equal steps from the first loaded frame to the last. "past_apex", of
        frames from onset to offset (``select: {frames: clip}``): all but two at equal steps from the onset to the apex,
        one midway between apex and offset, and the offset (of five frames or fewer all but one up to the apex). Where
        no apex is annotated, or no frame is there after it, at equal steps from onset to offset; where no offset is
        annotated, or its frame is missing, the last frame is the offset. The clip's notes tell each of these.

    Returns
    -------
    The work with these fields set:
    frames : (L, count, H, W, C) float32.
    landmarks : interpolated linearly, where there are some.
    numbers : of the nearest frame.
    key : the nearest frame.

    Checked
    -------
    Method tim: equal to tvaranka/meb@f731b0a98168, meb/utils/traditional_methods.py: tim, which rounds to whole grey
    levels and does not end at 0 and 255. Not checked against the Matlab code of Zhou et al.
    Times past_apex: equal to
    ini17/Micro-expression-recognition-by-fusing-Action-Unit-detection-and-spatio-temporal-features@7dede55,
    PythonCodes/VideoInterpolation.py: video_interpolation, and for clips without an apex to VideoInterpolation_SMIC.py
    beside it. Not checked: method flow, which stands in the place of their network.
    """
    one_of("interpolate", "method", method, ("tim", "flow", "weights"))
    one_of("interpolate", "longer", longer, ("interpolate", "cut"))
    one_of("interpolate", "times", times, TIMES)
    needed(work, "interpolate", "frames", "load")
    positive("interpolate", "count", count)
    if times == "past_apex" and (count < 3 or longer == "cut"):
        raise UsageError(
            f"Step interpolate: times past_apex, count {count}, longer {longer!r}; expected a count of 3 or more, and "
            "longer 'interpolate'."
        )
    if longer == "cut" and len(work.numbers) >= count:
        return _cut(work, count)
    if times == "equal":
        return _at(work, _positions(work.numbers, count), dict(work.key), method, weights)
    moments = past_apex(work.clip, work.numbers, count)
    key = dict(zip(moments.key, _places(work.numbers, list(moments.key.values())), strict=True))
    made = _at(work, _places(work.numbers, moments.times), key, method, weights)
    return replace(made, notes=(*made.notes, *moments.notes))


def _at(work: Work, places: np.ndarray, key: Mapping[str, float], method: str, weights: str | None) -> Work:
    """Return the work interpolated at positions (n,) between 0 and T - 1.

    Parameters
    ----------
    work : with frames.
    places : the positions.
    key : role of each key frame -> its position.
    method, weights : as for ``interpolate``.
    """
    assert work.frames is not None
    if method == "weights":
        network = load_pair_network(weights, "interpolate", "a time")
        levels = [_between(level, places, network) for level in work.frames]
    else:
        run: Interpolator = temporal_interpolation if method == "tim" else flow_interpolation
        levels = [within(level, work.valid, lambda part: run(part, places)) for level in work.frames]
    points = work.landmarks
    if points is not None:
        points = _between(points[..., None], places, lambda a, b, time: (1 - time) * a + time * b)[..., 0]
    return replace(
        work,
        frames=np.stack(levels),
        numbers=tuple(work.numbers[index] for index in np.rint(places).astype(int)),
        key=tuple((role, int(np.abs(places - place).argmin())) for role, place in key.items()),
        landmarks=points,
    )


def _cut(work: Work, count: int) -> Work:
    """Return the work with its first ``count`` frames alone, float32 like interpolated ones."""
    assert work.frames is not None
    return replace(
        work,
        frames=work.frames[:, :count].astype(np.float32),
        numbers=work.numbers[:count],
        key=tuple((role, index) for role, index in work.key if index < count),
        landmarks=None if work.landmarks is None else work.landmarks[:count],
    )


def temporal_interpolation(frames: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Interpolate frames by the temporal interpolation model.

    The model embeds a clip as a path graph and runs smooth curves through the eigenvectors of its Laplacian, to which
    the frames are tied by least squares. Those eigenvectors are the cosines cos(pi k (t + 1/2) / T), and every clip of
    T frames is a sum of them. So the model is the cosine interpolation of each pixel, and exact at whole positions.

    Parameters
    ----------
    frames : (T, H, W, C), 0..255.
    places : (n,) positions between 0 and T - 1.

    Returns
    -------
    (n, H, W, C) float32, 0..255.
    """
    length = len(frames)
    waves = np.arange(length)
    basis = np.cos(np.pi * waves * (waves[:, None] + 0.5) / length)
    wanted = np.cos(np.pi * waves * (places[:, None] + 0.5) / length)
    # The cosines are orthogonal: their squares sum to T for the constant and to T / 2 for the others.
    power = np.where(waves == 0, 1.0, 2.0) / length
    # einsum rather than @: a matrix product's last bit may depend on the number of threads.
    mixing = np.einsum("pk,k,tk->pt", wanted, power, basis)
    mixed = np.einsum("pt,tx->px", mixing, frames.reshape(length, -1).astype(np.float64))
    return np.clip(mixed, 0, 255).astype(np.float32).reshape(len(places), *frames.shape[1:])


def flow_interpolation(frames: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Interpolate frames from both neighbours, along the flow between them.

    The flows from the time in between to both neighbours are blended from the two flows between the neighbours (Jiang
    et al. 2018, equation 4).

    Parameters
    ----------
    frames : (T, H, W, C), 0..255.
    places : (n,) positions between 0 and T - 1.

    Returns
    -------
    (n, H, W, C) float32, 0..255.
    """
    import cv2

    solver = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # type: ignore[attr-defined]
    grey = grey_frames(frames[None])[0]
    flows: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    result = []
    for place in places:
        index, time = _split(place)
        if time == 0:
            result.append(frames[index].astype(np.float32))
            continue
        if index not in flows:
            first, second = grey[index], grey[index + 1]
            flows[index] = solver.calc(first, second, None), solver.calc(second, first, None)
        there, back = flows[index]
        to_first = -(1 - time) * time * there + time**2 * back
        to_second = (1 - time) ** 2 * there - time * (1 - time) * back
        pair = (1 - time) * _drawn(frames[index], to_first) + time * _drawn(frames[index + 1], to_second)
        result.append(np.clip(pair, 0, 255).astype(np.float32))
    return np.stack(result)


def _between(frames: np.ndarray, places: np.ndarray, blend: Callable[..., np.ndarray]) -> np.ndarray:
    """Return ``blend(frame before, frame after, time between)`` at each position; whole positions give the frame."""
    result = []
    for place in places:
        index, time = _split(place)
        frame = frames[index] if time == 0 else blend(frames[index], frames[index + 1], time)
        result.append(frame.astype(np.float32))
    return np.stack(result)


def _positions(numbers: tuple[int, ...], count: int) -> np.ndarray:
    """Return ``count`` positions between 0 and T - 1 at equal steps of time."""
    length = len(numbers)
    if count == 1:
        return np.zeros(1)
    if any(later <= earlier for earlier, later in itertools.pairwise(numbers)):
        # Repeated frames have no times of their own.
        return np.linspace(0, length - 1, count)
    if count == length and numbers[-1] - numbers[0] == length - 1:
        return np.arange(length, dtype=np.float64)
    return _places(numbers, np.linspace(numbers[0], numbers[-1], count))


def _places(numbers: tuple[int, ...], times: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the positions of moments among frames with these numbers, in order; of a repeated one the last counts."""
    places: np.ndarray = np.interp(np.asarray(times), numbers, np.arange(len(numbers)))
    return places


def _split(place: float) -> tuple[int, float]:
    """Return the frame before a position and the way to the next one, 0 where the position is (nearly) whole."""
    whole = round(float(place))
    if abs(place - whole) < 1e-9:
        return whole, 0.0
    return int(place), float(place - int(place))


def _drawn(frame: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Return the frame (H, W, C) float32 as seen at each pixel plus its flow."""
    import cv2

    height, width = frame.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    map_x, map_y = (x + flow[..., 0]).astype(np.float32), (y + flow[..., 1]).astype(np.float32)
    drawn = cv2.remap(frame.astype(np.float32), map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return drawn.reshape(frame.shape)
