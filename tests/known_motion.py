"""What tests and benchmarks of motion share: rendered clips read from disk, beside their true motion."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from preprocess.datasets import read_source
from preprocess.faces.face import FaceFinder
from preprocess.samples.clip import Clip
from preprocess.steps import STEPS, Work
from preprocess.synth.databases import ClipPlan, Options, plan
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
    import cv2

    work = Work(clip=dataclasses.replace(clip, apex=apex), finder=finder)
    for name, options in (
        ("face", {"size": [128, 128]}),
        ("select", {"frames": "onset_apex"}),
        ("load", {"color": "grey"}),
        ("flow", {"method": method}),
    ):
        work = STEPS.get(name).run(work, **options)
    assert work.flow is not None
    assert work.transform is not None
    assert clip.onset is not None
    true = film.true_flow(apex - clip.onset)
    inside = cv2.warpAffine(true, work.transform, (128, 128), flags=cv2.INTER_LINEAR)
    return work.flow[0, 0], (inside @ work.transform[:, :2].T).astype(np.float32)


def without_apex(clip: Clip) -> Clip:
    """Return the clip as if nobody had annotated its apex."""
    return dataclasses.replace(clip, apex=None)
