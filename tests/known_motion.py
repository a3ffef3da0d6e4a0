"""What tests and benchmarks of motion share: rendered clips read from disk, beside their true motion."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from preprocess.datasets import read_source
from preprocess.faces.alignment import inverse, pixels_inside
from preprocess.faces.face import FaceFinder
from preprocess.samples.clip import Clip
from preprocess.steps import STEPS, Work
from preprocess.synth.databases import ClipPlan, Options, crop_box, plan
from preprocess.synth.film import Film
from preprocess.synth.trees import render, rendered_film


def rendered_clips(options: Options, root: Path) -> Iterator[tuple[Clip, Film, ClipPlan]]:
    """Render a database into ``root`` and yield each clip as its adapter finds it, its film and its plan."""
    render(options, root)
    (dataset,) = read_source(root)
    place = {(clip.onset, clip.offset): clip for clip in plan(options)}
    for sample_id in dataset.samples["sample_id"]:
        clip = dataset.clips[sample_id]
        assert clip.onset is not None
        assert clip.offset is not None
        found = place[clip.onset, clip.offset]
        yield clip, rendered_film(root, found.name)[0], found


def measured_and_true_flow(
    clip: Clip, film: Film, finder: FaceFinder, method: str, apex: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the flow of the aligned face, onset to apex, as the step ``flow`` measures it and as it is.

    Both (128, 128, 2) float32, in pixels of the aligned face.
    """
    work = flow_work(clip, finder, method, apex)
    assert work.flow is not None
    return work.flow[0, 0], true_flow_of(work, film, apex)


def flow_work(clip: Clip, finder: FaceFinder, method: str, apex: int, crops: str = "align") -> Work:
    """Return the work of a clip up to its flow from onset to apex, of a face of 128 x 128 pixels."""
    work = Work(clip=dataclasses.replace(clip, apex=apex), finder=finder)
    for name, options in (
        ("face", {"size": [128, 128], "crops": crops}),
        ("select", {"frames": "onset_apex"}),
        ("load", {"color": "grey"}),
        ("flow", {"method": method}),
    ):
        work = STEPS.get(name).run(work, **options)
    return work


def true_flow_of(work: Work, film: Film, apex: int, cropped: bool = False) -> np.ndarray:
    """Return the true flow from onset to apex in the pixels of the work's face, (128, 128, 2) float32.

    Parameters
    ----------
    work : of a clip of the film.
    film : the clip's film.
    apex : frame number.
    cropped : whether the clip's frames are those of the cropped variant.
    """
    assert work.clip.onset is not None
    true = film.true_flow(apex - work.clip.onset)
    return flow_shown(work, true[crop_box(film)] if cropped else true)


def flow_shown(work: Work, true: np.ndarray) -> np.ndarray:
    """Return what flow of the recording, from the first to the last loaded frame, looks like in their aligned faces.

    Parameters
    ----------
    work : its transforms, numbers and size count.
    true : (height, width, 2), in pixels of the recording.

    Returns
    -------
    (H, W, 2) float32, in pixels of the aligned faces.
    """
    import cv2

    first, last = (work.transform_of(number) for number in (work.numbers[0], work.numbers[-1]))
    assert first is not None
    assert last is not None
    assert work.size is not None
    inside = cv2.warpAffine(true, first, work.size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    here = np.stack(np.meshgrid(*(np.arange(side, dtype=np.float64) for side in work.size)), axis=-1)
    there = here @ inverse(first)[:, :2].T + inverse(first)[:, 2] + inside
    return (there @ last[:, :2].T + last[:, 2] - here).astype(np.float32)


def in_the_crop(work: Work, film: Film) -> np.ndarray:
    """Return which pixels of a raw clip's aligned face the cropped variant shows, too: (128, 128) bool."""
    assert work.transform is not None
    rows, columns = crop_box(film)
    corner = work.transform[:, :2] @ (columns.start, rows.start) + work.transform[:, 2]
    from_crop = np.column_stack([work.transform[:, :2], corner])
    return pixels_inside(from_crop, (columns.stop - columns.start, rows.stop - rows.start), (128, 128))


def without_apex(clip: Clip) -> Clip:
    """Return the clip as if nobody had annotated its apex."""
    return dataclasses.replace(clip, apex=None)
