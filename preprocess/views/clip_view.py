"""What a person looks at to judge a clip: its key frames, the aligned face, the flow between them and its strain."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from preprocess.motion.valid import cleared
from preprocess.samples.clip import Clip, ClipError
from preprocess.samples.quality import Quality
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
    """The pictures of one clip. All are None where the clip cannot be used.

    Attributes
    ----------
    clip : the clip.
    onset, apex : (H, W, 3) uint8, two frames of the recording.
    numbers : the frame numbers of onset and apex.
    face : the face in the recording.
    outlines : (2, 4, 2) float32, the corners of the aligned face in ``onset`` and ``apex``.
    crop : (S, S, 3) uint8, the aligned face of the onset; black outside of the recording.
    landmarks : (68, 2) float32, in ``crop``.
    flow : (S, S, 2) float32, the motion from onset to apex in pixels, without that of the head.
    strain : (S, S) float32, the strain of ``flow``.
    quality : what the steps measured of how far the clip can be trusted.
    notes : what the steps noted.
    error : why the clip cannot be used; "" where it can.
    """

    clip: Clip
    error: str = ""
    onset: np.ndarray | None = None
    apex: np.ndarray | None = None
    numbers: tuple[int, ...] = ()
    face: Face | None = None
    outlines: np.ndarray | None = None
    crop: np.ndarray | None = None
    landmarks: np.ndarray | None = None
    flow: np.ndarray | None = None
    strain: np.ndarray | None = None
    quality: Quality = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def view_clip(clip: Clip, finder: FaceFinder, size: int = SIZE) -> ClipView:
    """Return the pictures of one clip.

    Parameters
    ----------
    clip : the clip to look at.
    finder : finds its face.
    size : side of the aligned face in pixels.

    Returns
    -------
    The pictures; for a clip that cannot be used, the reason in ``error``.
    """
    import numpy as np

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
        outlines=np.stack([_outline(work, number) for number in work.numbers]),
        crop=cleared(work.frames[0, 0], work.valid, axis=-3),
        landmarks=work.landmarks[0],
        flow=work.flow[0, 0],
        strain=work.strain[0, 0],
        quality=work.quality,
        notes=work.notes,
    )


def _outline(work: Work, number: int) -> np.ndarray:
    """Return the corners (4, 2) of the aligned face in one frame of the recording."""
    import numpy as np

    from preprocess.faces.alignment import inverse, transform_points

    transform = work.transform_of(number)
    assert transform is not None
    assert work.size is not None
    right, bottom = (side - 0.5 for side in work.size)
    corners = np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]])
    return transform_points(corners, inverse(transform))


def strip(clip: Clip, finder: FaceFinder, count: int = STRIP) -> tuple[list[int], list[np.ndarray]]:
    """Return the numbers and the aligned faces, (SIZE, SIZE, 3) uint8, of frames spread evenly over the clip."""
    work = _run(
        Work(clip=clip, finder=finder),
        ("face", {"size": [SIZE, SIZE]}),
        ("select", {"frames": "uniform", "count": count}),
        ("load", {"color": "rgb"}),
    )
    assert work.frames is not None
    return list(work.numbers), list(cleared(work.frames[0], work.valid, axis=-3))


def spotting_curve(clip: Clip, finder: FaceFinder) -> tuple[str, list[int], np.ndarray]:
    """Return how the apex of a clip is found.

    Returns
    -------
    The name of the method, the frame numbers, and a curve over them, 0..1, whose highest frame is the apex. The curve
    is NaN for frames that are not looked at.
    """
    import numpy as np

    from preprocess.samples.frames import FrameReader
    from preprocess.steps._apex_spotting import CURVES

    spotter = STEPS.get("select").options({}, "clip view")["spot"]
    work = _run(Work(clip=clip, finder=finder), ("face", {"size": [SIZE, SIZE]}))
    with FrameReader(clip) as reader:
        present = work.seen(reader.numbers)
    curve = CURVES[spotter](work, present)
    low, high = np.nanmin(curve), np.nanmax(curve)
    return spotter, present, (curve - low) / max(high - low, 1e-12)


def flow_colours(flow: np.ndarray, largest: float | None = None) -> np.ndarray:
    """Return flow as a picture: the hue is the direction, the strength of the colour is the length, white is no motion.

    Parameters
    ----------
    flow : (H, W, 2).
    largest : the length in pixels that gets full colour; None takes the 99th percentile.

    Returns
    -------
    (H, W, 3) uint8, RGB.
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
