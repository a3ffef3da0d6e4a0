"""Phase-based video magnification (Wadhwa et al. 2013) with a complex steerable pyramid in the frequency domain."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

TemporalFilter = Callable[[np.ndarray], np.ndarray]

ORIENTATIONS = 4
# Phases are averaged over this many pixels (sigma) at the finest octave, weighted by amplitude.
SMOOTH = 1.0


def magnify_phase(clip: np.ndarray, factors: Sequence[float], changes: TemporalFilter) -> list[np.ndarray]:
    """Multiply the motion in a clip.

    The phases of each band of a complex steerable pyramid (octaves, ORIENTATIONS orientations) stand for local
    position. Their change is filtered in time, averaged over near pixels weighted by amplitude, and multiplied by
    factor - 1. The picture is mirrored at its edges. Colours are magnified channel by channel.

    Parameters
    ----------
    clip : (T, H, W, C) float32.
    factors : how many times as far things move; 1 leaves the clip as it is.
    changes : takes a signal (T, ...) and returns how it differs from its first frame, filtered in time.

    Returns
    -------
    A clip (T, H, W, C) float32 for each factor.
    """
    levels = [np.empty_like(clip) for _ in factors]
    for channel in range(clip.shape[-1]):
        for level, result in zip(levels, _magnified(clip[..., channel], factors, changes), strict=True):
            level[..., channel] = result
    return levels


def _magnified(clip: np.ndarray, factors: Sequence[float], changes: TemporalFilter) -> list[np.ndarray]:
    from scipy.fft import fft2, ifft2

    height, width = clip.shape[1:]
    edge = 16
    padded = np.pad(clip, ((0, 0), (edge, edge), (edge, edge)), mode="reflect" if min(height, width) > edge else "edge")
    # float32 in gives complex64 throughout: far finer than a grey level, and twice as fast.
    spectrum = fft2(padded.astype(np.float32), axes=(1, 2))
    sums = [spectrum.copy() for _ in factors]
    for whole, blur in steerable_bands(*padded.shape[1:]):
        # A band of low frequencies is held on a coarser grid, as in any pyramid.
        rows, columns = (_block(np.asarray(whole.any(axis=axis))) for axis in (1, 0))
        kernel = whole[rows[:, None], columns]
        bands = ifft2(spectrum[:, rows[:, None], columns] * kernel, axes=(1, 2))
        shift = _phase_change(bands, changes, blur * len(rows) / len(whole))
        moved = np.empty_like(bands)
        for total, factor in zip(sums, factors, strict=True):
            angle = np.float32(factor - 1) * shift
            # numpy's cos and sin are vectorised, its complex exp is not.
            moved.real, moved.imag = np.cos(angle), np.sin(angle)
            moved *= bands
            moved -= bands
            # Half of the plane twice: the real part at the end is the picture.
            total[:, rows[:, None], columns] += fft2(moved, axes=(1, 2)) * (2 * kernel)
    inner = slice(edge, edge + height), slice(edge, edge + width)
    return [ifft2(total, axes=(1, 2)).real[:, inner[0], inner[1]].astype(np.float32) for total in sums]


def steerable_bands(height: int, width: int) -> Iterator[tuple[np.ndarray, float]]:
    """Make the bands of a complex steerable pyramid (Portilla and Simoncelli 2000).

    The squares of all kernels and of their mirror images sum to 1 for wavelengths from 3 pixels to half the picture.

    Parameters
    ----------
    height : of the picture in pixels.
    width : of the picture in pixels.

    Yields
    ------
    kernel : (height, width) float32 over the frequencies of ``fft2``. It is 0 on one half of the plane, so that the
        filtered picture is complex and has a phase.
    blur : over how many pixels (sigma) the phases of the band may be averaged.
    """
    y, x = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    octave = np.log2(np.where(radius == 0, 1e-9, radius))
    power = ORIENTATIONS - 1
    gain = math.sqrt(4.0**power * math.factorial(power) ** 2 / (ORIENTATIONS * math.factorial(2 * power)))
    centre, blur = -1.5, SMOOTH
    while 2.0**centre > 2 / min(height, width):
        ring = np.where(np.abs(octave - centre) < 1, np.cos(np.pi / 2 * (octave - centre)), 0.0)
        for index in range(ORIENTATIONS):
            towards = np.cos(angle - np.pi * index / ORIENTATIONS)
            yield (ring * gain * np.maximum(towards, 0.0) ** power).astype(np.float32), blur
        centre, blur = centre - 1, 2 * blur


def _block(used: np.ndarray) -> np.ndarray:
    """Return the places of the lowest frequencies of an axis, in the order of ``fft2``, that hold all used ones."""
    from scipy.fft import next_fast_len

    count = len(used)
    reach = int(np.abs(np.rint(np.fft.fftfreq(count) * count))[used].max())
    size = min(count, next_fast_len(2 * reach + 1))
    return np.r_[0 : (size + 1) // 2, count - size // 2 : count]


def _phase_change(bands: np.ndarray, changes: TemporalFilter, blur: float) -> np.ndarray:
    """Return what changes in the phases of a band (T, H, W), averaged over near pixels, weighted by amplitude."""
    import cv2

    # The steps from frame to frame, each within half a turn, are those that unwrapping would take.
    phases = np.zeros(bands.shape, np.float32)
    np.cumsum(np.angle(bands[1:] * np.conj(bands[:-1])), axis=0, out=phases[1:])
    change = changes(phases)
    weights = np.abs(bands).astype(np.float32) + np.float32(1e-6)
    smoothed = [
        cv2.GaussianBlur(weight * one, (0, 0), blur) / cv2.GaussianBlur(weight, (0, 0), blur)
        for weight, one in zip(weights, change, strict=True)
    ]
    return np.stack(smoothed)
