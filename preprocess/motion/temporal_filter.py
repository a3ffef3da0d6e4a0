"""Temporal filters of signals that start at rest: band-pass in time, measured against the first frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from preprocess.base.errors import UsageError

if TYPE_CHECKING:
    from preprocess.samples.clip import Clip

FILTERS = ("butterworth", "ideal")


def band(clip: Clip, low: float | None, high: float | None) -> tuple[float | None, float | None]:
    """Turn the bounds of a frequency band from Hz into parts of the frame rate.

    Parameters
    ----------
    clip : whose frame rate counts.
    low : lower bound in Hz; None for no bound.
    high : upper bound in Hz; None for no bound.

    Returns
    -------
    The lower and the upper bound as parts of the frame rate; None where there is none, or where it is half the frame
    rate or more, so that there is nothing to cut off.

    Raises
    ------
    UsageError : a bound is not above 0, the lower one is not below the upper one, or the frame rate is not known.
    """
    if low is not None and high is not None and low >= high:
        raise UsageError(f"Step magnify: low is {low} Hz and high {high} Hz; expected low < high.")
    for name, bound in (("low", low), ("high", high)):
        if bound is not None and bound <= 0:
            raise UsageError(f"Step magnify: {name} is {bound} Hz; expected a number above 0, or null.")
    if low is None and high is None:
        return None, None
    if clip.fps is None:
        raise UsageError(
            f"Step magnify: low and high are in Hz, and the frame rate of {clip.sample_id} is not known. Set both to "
            "null for this dataset."
        )
    parts = [None if bound is None or bound >= clip.fps / 2 else bound / clip.fps for bound in (low, high)]
    return parts[0], parts[1]


def changes(signal: np.ndarray, kind: str, low: float | None, high: float | None) -> np.ndarray:
    """Return how a signal differs from its first frame, as far as the change lies inside a frequency band.

    Without a lower bound slow changes stay; an expression that fills the clip is one.

    Parameters
    ----------
    signal : (T, ...), time first.
    kind : "butterworth" (second order, run forwards and backwards, so that it delays nothing), or "ideal" (frequencies
        of the cosine transform are kept or dropped; the clip is continued by its mirror image, so that there is no jump
        from its end to its start).
    low : lower bound as a part of the frame rate; None for no bound.
    high : upper bound as a part of the frame rate; None for no bound.

    Returns
    -------
    Of the signal's shape, float32; 0 at the first frame.
    """
    moved = np.asarray(signal, dtype=np.float32) - signal[:1]
    if (low is None and high is None) or len(signal) < 3:
        return moved
    filtered = _ideal(moved, low, high) if kind == "ideal" else _butterworth(moved, low, high)
    return filtered - filtered[:1]


def _ideal(signal: np.ndarray, low: float | None, high: float | None) -> np.ndarray:
    from scipy.fft import dct, idct

    spectrum = dct(signal, axis=0, norm="ortho")
    # The k-th cosine of T frames has k half waves in them.
    frequency = np.arange(len(signal)) / (2 * len(signal))
    kept = (frequency >= (low or 0.0)) & (frequency <= (high or 0.5))
    spectrum[~kept] = 0
    return idct(spectrum, axis=0, norm="ortho").astype(np.float32)


def _butterworth(signal: np.ndarray, low: float | None, high: float | None) -> np.ndarray:
    from scipy.signal import butter, sosfiltfilt

    if low is not None and high is not None:
        sections = butter(1, [2 * low, 2 * high], "bandpass", output="sos")
    elif high is not None:
        sections = butter(2, 2 * high, "lowpass", output="sos")
    else:
        sections = butter(2, 2 * (low or 0.0), "highpass", output="sos")
    padding = min(3 * (2 * len(sections) + 1), len(signal) - 1)
    return sosfiltfilt(sections, signal, axis=0, padtype="even", padlen=padding).astype(np.float32)
