"""The step ``load``: read the chosen frames, drawn through the transform that aligns the face."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from preprocess.faces.alignment import pixels_inside, warp
from preprocess.motion.valid import box_of
from preprocess.samples.clip import ClipError
from preprocess.samples.frames import COLORS, FrameReader
from preprocess.samples.quality import MEASURES, blur_of
from preprocess.steps import Work, as_before, register_step
from preprocess.steps._options import one_of, refuse_merged


@register_step("load", version=3, pictures=as_before)
def load(work: Work, *, color: str = "grey") -> Work:
    """Read the chosen frames through the transform that aligns the face, one at a time.

    Without a step ``face`` before it the frames keep their size. A frame that cannot be read is replaced by the nearest
    readable one of the expression, which is noted.

    Parameters
    ----------
    color : "grey" or "rgb", whatever the files hold.

    Returns
    -------
    The work with these fields set:
    frames : (1, T, H, W, C) uint8.
    numbers : of the frames that were taken.
    valid : which pixels lie inside the recording.
    quality : share outside, and blur.

    Raises
    ------
    ClipError : two key frames end as the same frame, or frames have different sizes.
    """
    one_of("load", "color", color, COLORS)
    pictures: dict[int, np.ndarray] = {}
    taken: dict[int, int] = {}
    notes: list[str] = []
    with FrameReader(work.clip, color) as reader:
        shape: tuple[int, ...] | None = None
        for number in sorted(set(work.numbers)):
            taken[number], picture = _readable(reader, number, notes)
            if shape is not None and picture.shape != shape:
                raise ClipError(
                    f"{work.clip.sample_id}: frame {taken[number]} has {picture.shape[1]}x{picture.shape[0]} pixels, "
                    f"the ones before it {shape[1]}x{shape[0]}. A clip's frames must have one size."
                )
            shape = picture.shape
            transform = work.transform_of(taken[number])
            if transform is not None and work.size is not None:
                picture = warp(picture, transform, work.size)
            pictures[number] = picture
    wanted = {role: work.numbers[index] for role, index in work.key}
    refuse_merged(work, wanted, {role: taken[number] for role, number in wanted.items()})
    stack = np.stack([pictures[number] for number in work.numbers])
    frames = stack[None, ..., None] if stack.ndim == 3 else stack[None]
    numbers = tuple(taken[number] for number in work.numbers)
    valid = _valid(work, numbers, shape)
    quality = _quality(stack[0], valid)
    if quality["outside"] > MEASURES["outside"].usual:
        notes.append(f"{quality['outside']:.0%} of the face's square lies outside of the picture: no data there")
    return replace(
        work,
        frames=frames,
        numbers=numbers,
        valid=valid,
        quality={**work.quality, **quality},
        notes=(*work.notes, *notes),
    )


def _quality(picture: np.ndarray, valid: np.ndarray | None) -> dict[str, float]:
    """Return what the first picture tells of the clip's quality."""
    box = box_of(valid, picture.shape[:2])
    grey = picture[box] if picture.ndim == 2 else picture[box].mean(axis=2).astype(np.uint8)
    return {"outside": 0.0 if valid is None else 1 - float(valid.mean()), "blur": blur_of(grey)}


def _valid(work: Work, numbers: tuple[int, ...], shape: tuple[int, ...] | None) -> np.ndarray | None:
    """Return which pixels of the aligned picture the recording has in every frame; None where it has all of them."""
    if work.transform is None or work.size is None or shape is None:
        return None
    # Without a way of the head all frames have one transform.
    transforms = (
        [work.transform] if work.path is None else [work.path.transform(work.transform, n) for n in set(numbers)]
    )
    picture = shape[1], shape[0]
    valid = np.logical_and.reduce([pixels_inside(one, picture, work.size) for one in transforms])
    return None if valid.all() else valid


def _readable(reader: FrameReader, number: int, notes: list[str]) -> tuple[int, np.ndarray]:
    try:
        return number, reader.read(number)
    except ClipError as error:
        other, picture = reader.read_nearest(number, avoid=[number])
        reason = "missing" if reader.clip.video is None and number not in reader.clip.files else "damaged"
        notes.append(
            f"frame {number} is {reason}: {other} taken ({error})"
            if reason == "damaged"
            else f"frame {number} is missing: {other} taken"
        )
        return other, picture
