"""Apex spotting: the frame of the strongest expression in a clip whose onset and offset are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from preprocess.faces.alignment import face_transform, pixels_inside, transform_points, warp
from preprocess.motion.valid import shrunk
from preprocess.samples.frames import FrameReader
from preprocess.steps._heads import face_and_path

if TYPE_CHECKING:
    from preprocess.steps import Work

# The aligned face that is looked at, and the blur (sigma) that lets motions of a pixel or two change grey levels
# linearly and takes the sensor's noise away.
SIZE = 64
BLUR = 1.25
# The apex is looked for between these shares of the clip's length.
EARLIEST, LATEST = 0.15, 0.9


def midpoint(work: Work, present: list[int]) -> int:
    """Return the frame in the middle of the clip, as several public preprocessings of SMIC do.

    Parameters
    ----------
    work : not looked at.
    present : the clip's frame numbers.
    """
    return present[(len(present) - 1) // 2]


def roi_difference(work: Work, present: list[int]) -> int:
    """Return the frame whose brow and mouth regions differ most from those of onset and offset together.

    Differences are means of absolute differences of grey levels, of smoothed frames from which the motion of the head
    and changes of light are removed. The sum of both differences is smoothed over time.

    Parameters
    ----------
    work : whose clip it is.
    present : the clip's frame numbers.
    """
    return present[int(difference_curve(work, present).argmax())]


def difference_curve(work: Work, present: list[int]) -> np.ndarray:
    """Return the curve whose highest frame ``roi_difference`` takes: (T,) float64, in grey levels.

    Parameters
    ----------
    work : whose clip it is.
    present : the clip's frame numbers.
    """
    from scipy.ndimage import gaussian_filter1d

    changes = _changes(work, present, _brows_and_mouth)
    smooth = gaussian_filter1d(changes, max(0.7, len(present) / 15), axis=0, mode="nearest")
    ends = max(1, len(present) // 20)
    first, last = changes[:ends].mean(axis=0), changes[-ends:].mean(axis=0)
    return np.abs(smooth - first).mean(axis=1) + np.abs(smooth - last).mean(axis=1)


def profile(work: Work, present: list[int]) -> int:
    """Return the frame at which a rise and a fall explain best how the face changes.

    For each frame that may be the apex, the grey levels of the inner face are fitted by least squares with two courses
    of time: a half cosine that rises from 0 at the onset to 1 at the apex and falls to 0 at the offset, and one that
    rises from the apex to the offset, for what does not go back. The frame is taken whose courses explain most of the
    change of all pixels. As every frame counts in the fit, noise and a blink matter little.

    Parameters
    ----------
    work : whose clip it is.
    present : the clip's frame numbers. The middle one is returned where there are fewer than four.
    """
    curve = profile_curve(work, present)
    return midpoint(work, present) if np.isnan(curve).all() else present[int(np.nanargmax(curve))]


def profile_curve(work: Work, present: list[int]) -> np.ndarray:
    """Return the curve whose highest frame ``profile`` takes.

    Parameters
    ----------
    work : whose clip it is.
    present : the clip's frame numbers.

    Returns
    -------
    (T,) float64, how much of the change each frame explains as the apex; NaN where the apex is not looked for.
    """
    curve = np.full(len(present), np.nan)
    times = np.asarray(present, dtype=np.float64)
    times = (times - times[0]) / max(times[-1] - times[0], 1.0)
    candidates = [index for index, time in enumerate(times) if EARLIEST <= time <= LATEST]
    if len(present) < 4 or not candidates:
        return curve
    changes = _changes(work, present, inner_face)
    # All pixels share their courses of time, so the frames' products among each other say everything.
    products = np.einsum("ip,jp->ij", changes, changes)
    curve[candidates] = [_explained(products, times, times[index]) for index in candidates]
    return curve


SPOTTERS: dict[str, Callable[[Work, list[int]], int]] = {
    "profile": profile,
    "roi_difference": roi_difference,
    "midpoint": midpoint,
}
CURVES: dict[str, Callable[[Work, list[int]], np.ndarray]] = {
    "profile": profile_curve,
    "roi_difference": difference_curve,
}
"""The curves whose highest frame a spotter gives."""


def _explained(products: np.ndarray, times: np.ndarray, apex: float) -> float:
    """Return how much of the change the two courses of an apex explain (the sum of squares of their best fit)."""
    rise = 0.5 - 0.5 * np.cos(np.pi * np.clip(times / apex, 0, 1))
    fall = 0.5 + 0.5 * np.cos(np.pi * np.clip((times - apex) / (1 - apex), 0, 1))
    after = times > apex
    courses = np.stack([np.where(after, fall, rise), np.where(after, 1 - fall, 0.0)])
    courses -= courses.mean(axis=1, keepdims=True)
    gram = np.einsum("at,bt->ab", courses, courses)
    seen = np.einsum("at,ts,bs->ab", courses, products, courses)
    return float(np.trace(np.linalg.solve(gram, seen)))


def _changes(work: Work, present: list[int], regions: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the grey levels of a face's regions less their mean over time, (T, pixels) float64.

    Freed of head motion and light: shift, turn, scale, gain and offset of each frame are fitted, to first order, on the
    back of the nose and the cheeks beside it, and taken from the whole face. What is outside of the recording does not
    count.
    """
    face, path = face_and_path(work)
    transform = face_transform(face.landmarks, (SIZE, SIZE))
    points = transform_points(face.landmarks, transform)
    faces, valid = _faces(
        work, present, lambda number: transform if path is None else path.transform(transform, number)
    )
    return freed_changes(faces, points, valid, regions(points) & ~eyes(points))[0]


def freed_changes(
    faces: np.ndarray, points: np.ndarray, valid: np.ndarray, region: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the grey levels of a part of a face less their mean over time, freed of head motion and light.

    Parameters
    ----------
    faces : (T, SIZE, SIZE), aligned and smoothed.
    points : (68, 2), their landmarks.
    valid : (SIZE, SIZE) bool, the pixels that all frames have.
    region : (SIZE, SIZE) bool, the part.

    Returns
    -------
    (T, pixels) float64, and the mask (SIZE, SIZE) of those pixels: of the part, those that are valid.
    """
    mean = faces.mean(axis=0)
    down, right = np.gradient(mean)
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    causes = np.stack([right, down, right * x + down * y, down * x - right * y, mean, np.ones_like(mean)], axis=-1)
    still, moving = _where(_nose(points) & ~eyes(points), valid), _where(region, valid)
    known = causes[still]
    square = np.einsum("pa,pb->ab", known, known)
    # A hair's breadth of ridge, for a picture without any structure.
    square += 1e-6 * np.trace(square) * np.eye(len(square)) + 1e-9 * np.eye(len(square))
    amounts = np.linalg.solve(square, np.einsum("pa,tp->at", known, faces[:, still] - mean[still]))
    return faces[:, moving] - mean[moving] - np.einsum("pa,at->tp", causes[moving], amounts), moving


def _where(region: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return the part of a region that all frames have; the region where they have nothing of it."""
    inside = region & valid
    return inside if inside.any() else region


def _faces(work: Work, present: list[int], transform_of: Callable[[int], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return every frame as an aligned, smoothed grey face, and the pixels that all recordings have, blur included.

    (T, SIZE, SIZE) float64 and (SIZE, SIZE) bool. A frame that cannot be read is replaced by a neighbour.
    """
    import cv2

    result, valid = np.empty((len(present), SIZE, SIZE)), np.ones((SIZE, SIZE), bool)
    with FrameReader(work.clip) as reader:
        for index, number in enumerate(present):
            read, picture = reader.read_nearest(number)
            transform = transform_of(read)
            aligned = warp(picture, transform, (SIZE, SIZE))
            result[index] = cv2.GaussianBlur(aligned.astype(np.float64), (0, 0), BLUR)
            valid &= pixels_inside(transform, (picture.shape[1], picture.shape[0]), (SIZE, SIZE))
    return result, without_blur(valid)


def without_blur(valid: np.ndarray) -> np.ndarray:
    """Return the valid pixels, (SIZE, SIZE) bool, into which the blur brings nothing from outside."""
    inner = shrunk(valid, round(2 * BLUR))
    assert inner is not None
    return inner


def _brows_and_mouth(points: np.ndarray) -> np.ndarray:
    parts = (points[17:22], points[22:27], points[48:68])
    return np.logical_or.reduce([_box(part, (3, 3, 3, 3)) for part in parts])


def inner_face(points: np.ndarray) -> np.ndarray:
    """Return the mask of the face from the forehead above the brows to inside the jaw."""
    import cv2

    outline = np.concatenate([points[:17], points[17:27] - [0, 5]])
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(outline).astype(np.int32)), 1)
    return cv2.erode(mask, np.ones((3, 3), np.uint8)).astype(bool)


def _nose(points: np.ndarray) -> np.ndarray:
    """Return the mask of the nose's back and the cheeks beside it, as wide as the eyes; no expression moves it much."""
    return _box(np.stack([points[36], points[45], points[27], points[33]]), (4, 0, 4, 1))


def eyes(points: np.ndarray) -> np.ndarray:
    """Return the mask of both eyes and their lids, which blink."""
    return _box(points[36:42], (3, 3, 3, 3)) | _box(points[42:48], (3, 3, 3, 3))


def _box(points: np.ndarray, more: tuple[int, int, int, int]) -> np.ndarray:
    """Return the mask of the points' bounding box, with ``more`` pixels on its left, top, right and bottom."""
    left, top = np.floor(points.min(axis=0)).astype(int) - more[:2]
    right, bottom = np.ceil(points.max(axis=0)).astype(int) + more[2:]
    mask = np.zeros((SIZE, SIZE), bool)
    mask[max(top, 0) : max(bottom, 0) + 1, max(left, 0) : max(right, 0) + 1] = True
    return mask
