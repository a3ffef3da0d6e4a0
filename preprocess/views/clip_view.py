"""What a person looks at to judge a clip: its key frames, the aligned face, the flow between them and its strain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from preprocess.samples.clip import Clip, ClipError
from preprocess.steps import STEPS, Work

if TYPE_CHECKING:
    import numpy as np

    from preprocess.faces.face import Face, FaceFinder

SIZE = 128
"""Pixels of the aligned face on a contact sheet: what most features are made from."""

STRIP = 10
"""Frames in the strip of a whole clip."""


@dataclass(frozen=True)
class ClipView:
    """The pictures of one clip; every one is None where ``error`` tells why the clip cannot be used.

    onset, apex : (H, W, 3) uint8 frames of the recording. numbers : their frame numbers. face : in the recording.
    crop : (S, S, 3) uint8, the aligned onset; landmarks : (68, 2) float32 in it. flow : (S, S, 2) float32 pixels, onset
    to apex, less the motion of the head; strain : (S, S) float32. notes : of the steps.
    """

    clip: Clip
    error: str = ""
    onset: np.ndarray | None = None
    apex: np.ndarray | None = None
    numbers: tuple[int, ...] = ()
    face: Face | None = None
    crop: np.ndarray | None = None
    landmarks: np.ndarray | None = None
    flow: np.ndarray | None = None
    strain: np.ndarray | None = None
    notes: tuple[str, ...] = ()


def view_clip(clip: Clip, finder: FaceFinder, size: int = SIZE) -> ClipView:
    """Look at one clip, its face aligned to ``size`` pixels; what makes it unusable comes back as ``error``."""
    from preprocess.samples.frames import FrameReader

    try:
        work = _run(
            Work(clip=clip, finder=finder),
            ("face", {"size": [size, size]}),
            ("select", {"frames": "onset_apex"}),
            ("load", {"color": "rgb"}),
            ("landmarks", {"per": "clip"}),
            ("flow", {"method": "tvl1", "head_motion": "remove"}),
            ("strain", {}),
        )
        with FrameReader(clip, "rgb") as reader:
            onset, apex = (reader.read(number) for number in work.numbers)
    except ClipError as error:
        return ClipView(clip, error=str(error).removeprefix(f"{clip.sample_id}: "))
    assert work.frames is not None
    assert work.landmarks is not None
    assert work.flow is not None
    assert work.strain is not None
    return ClipView(
        clip,
        onset=onset,
        apex=apex,
        numbers=work.numbers,
        face=work.face,
        crop=work.frames[0, 0],
        landmarks=work.landmarks[0],
        flow=work.flow[0, 0],
        strain=work.strain[0, 0],
        notes=work.notes,
    )


def strip(clip: Clip, finder: FaceFinder, count: int = STRIP) -> tuple[list[int], list[np.ndarray]]:
    """Return the numbers and the aligned faces, (SIZE, SIZE, 3) uint8, of frames spread evenly over the clip."""
    work = _run(
        Work(clip=clip, finder=finder),
        ("face", {"size": [SIZE, SIZE]}),
        ("select", {"frames": "uniform", "count": count}),
        ("load", {"color": "rgb"}),
    )
    assert work.frames is not None
    return list(work.numbers), list(work.frames[0])


def spotting_curve(clip: Clip, finder: FaceFinder) -> tuple[str, list[int], np.ndarray]:
    """Return how the apex of a clip is spotted, its frame numbers and the curve whose highest frame is the apex.

    The curve is scaled to 0..1; NaN where no apex is looked for.
    """
    import numpy as np

    from preprocess.samples.frames import FrameReader
    from preprocess.steps._apex_spotting import CURVES

    spotter = STEPS.get("select").options({}, "clip view")["spot"]
    with FrameReader(clip) as reader:
        present = reader.numbers
    curve = CURVES[spotter](Work(clip=clip, finder=finder), present)
    low, high = np.nanmin(curve), np.nanmax(curve)
    return spotter, present, (curve - low) / max(high - low, 1e-12)


def flow_colours(flow: np.ndarray, largest: float | None = None) -> np.ndarray:
    """Return flow (H, W, 2) as (H, W, 3) uint8 RGB: the hue is the direction, the strength of colour the length.

    largest : the length in pixels that has full colour; None takes the 99th percentile. No motion is white.
    """
    import cv2
    import numpy as np

    length, angle = cv2.cartToPolar(flow[..., 0], flow[..., 1])
    full = largest if largest is not None else float(np.percentile(length, 99))
    hsv = np.empty((*flow.shape[:2], 3), np.uint8)
    hsv[..., 0] = (np.rint(np.degrees(angle) / 2) % 180).astype(np.uint8)
    hsv[..., 1] = np.clip(length / max(full, 1e-6) * 255, 0, 255).astype(np.uint8)
    hsv[..., 2] = 255
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def _run(work: Work, *chain: tuple[str, dict[str, Any]]) -> Work:
    for name, options in chain:
        step = STEPS.get(name)
        work = step.run(work, **step.options(options, "clip view"))
    return work
