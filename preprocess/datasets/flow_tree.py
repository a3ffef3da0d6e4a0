"""Adapter for flow-image trees: the 28x28 PNGs that the public code of STSTNet, HTNet and CausalNet reads.

``<root>/<subject>/u_test/<label>/<subject>_<clip>.png``: onset-to-apex optical flow u in the red channel, v in the
green one, optical strain in the blue one, each scaled to 0..255 over the image. A clip may have more pictures
(``X_1.png`` and so on, see ``_flow_pictures``); each is a feature. Copies differ in details that are absorbed here: a
space before ``.png``; ``s1`` or ``s01`` for one SMIC subject; a ``u_train`` folder that repeats every other subject's
files and is not read. The pictures may also lie in one folder, or in folders of labels or subjects; what no folder
tells, a table of the clips tells, or a tree with label folders beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.base.errors import DataError
from preprocess.base.hashing import digest_bytes
from preprocess.datasets._adapter import DATASETS, Adapter, Found, RawDataset, RawFeature
from preprocess.datasets._counts import Annotated, count_notes
from preprocess.datasets._flow_labels import EMOTIONS, find_labels
from preprocess.datasets._flow_pictures import KINDS, SUBJECTS, Clip, Kind, Picture, clips_of, keys_of
from preprocess.datasets._flow_places import (
    holds_pictures,
    holds_subjects,
    loose_pictures,
    tree_pictures,
)
from preprocess.datasets._folders import links_on
from preprocess.samples.layout import NO_MIRROR_OF_DIRECTIONS, Content
from preprocess.samples.table import samples_table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

NAME = "flow_tree"
LAYOUT = (
    "<root>/<subject>/u_test/<label 0, 1 or 2>/<subject>_<clip>.png, 28x28 RGB; or such files in one folder, with a "
    "table of their labels (.csv with sub, filename_o, label) in it or above it"
)
SIZE = 28
# The task whose published clips such trees hold.
TASK = "megc3"
# A tree with label folders, and pictures that lie in any other way.
TREE, FLAT = "flow", "flat"
# So many clips are named in a note.
NAMED = 20
# What the pictures show; the recipes of the same names make the same of recordings.
FLOW = Content(whole=True, u=0, u_range="sample")
DIRECTIONS = Content(whole=True, no_mirror=NO_MIRROR_OF_DIRECTIONS)


def find(path: Path) -> list[Found]:
    """Recognise flow images: ``path`` holds subjects' ``u_test`` folders, or pictures that are named like clips."""
    if holds_subjects(path):
        return [Found(NAME, path, variant=TREE)]
    if not holds_pictures(path):
        return []
    unlabelled = _without_folder(loose_pictures(path)[0])
    labels = find_labels(path, unlabelled) if unlabelled else None
    missing: tuple[str, ...] = ()
    if unlabelled and labels is None:
        missing = (
            "labels: no table (.csv with the columns sub, filename_o, label) in it or above it names the clips, and no "
            "tree with label folders lies beside it",
        )
    return [Found(NAME, path, FLAT, labels.path if labels else None, missing=missing)]


def read(found: Found) -> list[RawDataset]:
    """Read every clip into one dataset per database.

    All images are read and checked here: they are small, and a bad one must be found before anything is written.

    Raises
    ------
    DataError : a subject whose database is unclear, or without clips; a label that is not 0, 1 or 2; an image in the
        wrong place, unreadable, or of the wrong size or type; the same clip twice; a number of pictures a clip that
        fits nothing known; a link that leads back to where it was followed from. The message names the file or folder.
    """
    notes: list[str] = []
    clips = clips_of(tree_pictures(found.root)) if found.variant == TREE else _labelled(found.root, notes)
    folders = dict.fromkeys(path.parent for clip in clips for path in clip.files.values())
    notes += dict.fromkeys(line for folder in folders for line in links_on(found.root, folder))
    present = {clip.dataset for clip in clips}
    return [
        _dataset(name, [clip for clip in clips if clip.dataset == name], notes) for name in SUBJECTS if name in present
    ]


def _without_folder(pictures: Iterable[Picture]) -> set[tuple[str, str]]:
    """Return the keys of the clips of which no folder tells the label."""
    return keys_of([one for one in pictures if one.label is None])


def _labelled(root: Path, notes: list[str]) -> list[Clip]:
    """Return the clips of pictures that lie in no tree, each with its label, and note what has none."""
    pictures, others = loose_pictures(root)
    if others:
        notes.append(_note("files are not named like the picture of a clip and are left out", map(str, others)))
    keys = _without_folder(pictures)
    labels = find_labels(root, keys) if keys else None
    known = labels.labels if labels else {}
    if labels is not None:
        notes.append(f"the labels are those of {labels.path}")
        if labels.others:
            notes.append(_note(f"clips of {labels.path.name} have no picture and are left out", labels.others))
    clips = [
        clip if clip.label is not None else replace(clip, label=known.get(clip.key)) for clip in clips_of(pictures)
    ]
    if without := [clip.sample_id for clip in clips if clip.label is None]:
        notes.append(_note("clips have no label and are left out", without))
    if len(without) == len(clips):
        raise DataError(
            f"No picture in {root} has a label. Expected a table (.csv with the columns sub, filename_o, label) of the "
            "clips in it or above it, or a tree of flow images with label folders beside it."
        )
    return [clip for clip in clips if clip.label is not None]


def _note(what: str, names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{len(names)} {what}: {', '.join(names[:NAMED])}{more}"


def _dataset(name: str, clips: Sequence[Clip], notes: Sequence[str]) -> RawDataset:
    samples = samples_table(
        [
            {
                "sample_id": clip.sample_id,
                "dataset": name,
                "subject": f"{name}/{clip.subject}",
                "clip": clip.name,
                "emotion": None if clip.label is None else EMOTIONS[clip.label],
                "origin": clip.files[""],
            }
            for clip in clips
        ]
    )
    features = {kind.feature: _feature(kind, clips) for kind in KINDS if kind.suffix in clips[0].files}
    pictures = {clip.sample_id: tuple(clip.files.values()) for clip in clips}
    told = (*notes, *_counted(name, samples))
    return RawDataset(name, samples, synthetic=False, features=features, notes=told, pictures=pictures)


def _counted(name: str, samples: pd.DataFrame) -> list[str]:
    """Return a note where the pictures are not as many as the clips of the composite that such trees are made of."""
    database = DATASETS.get(name).database
    assert database is not None
    counts = [count for count in database.counts if count.task == TASK]
    return count_notes(name, samples, Annotated(len(samples), samples["subject"].nunique()), counts)


def _feature(kind: Kind, clips: Sequence[Clip]) -> RawFeature:
    """Return the feature that the pictures of one kind are."""
    fingerprints: dict[str, str] = {}
    tensors: dict[str, np.ndarray] = {}
    for clip in clips:
        content = _content(clip.files[kind.suffix])
        fingerprints[clip.sample_id] = digest_bytes(content)
        tensors[clip.sample_id] = _tensor(content, clip.files[kind.suffix])
    return RawFeature(
        recipe=_recipe(kind),
        shape=(3, SIZE, SIZE),
        dtype="uint8",
        source_fingerprint=fingerprints.__getitem__,
        compute=tensors.__getitem__,
        axes="chw",
        content=FLOW if kind.flow else DIRECTIONS,
    )


def _recipe(kind: Kind) -> dict[str, Any]:
    channels = ["u", "v", "strain"] if kind.flow else ["red", "green", "blue"]
    return {
        "name": kind.feature,
        "version": 1,
        "source": "flow_image",
        "steps": ["read_png", "rgb_is_u_v_strain" if kind.flow else "rgb", "channels_first"],
        "channels": channels,
        "range": "8bit",
        "dtype": "uint8",
        "shape": [3, SIZE, SIZE],
    }


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Restore the file from the original copy.") from error


def _tensor(content: bytes, path: Path) -> np.ndarray:
    """Decode a PNG into (3, 28, 28) uint8, channels red, green, blue."""
    import cv2
    import numpy as np

    # cv2 raises on an empty buffer and returns None for any other content that it cannot decode.
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None
    if image is None:
        raise DataError(f"{path} is not a readable PNG ({len(content)} bytes). Restore it from the original copy.")
    if image.shape != (SIZE, SIZE, 3) or image.dtype != np.uint8:
        channels = image.shape[2] if image.ndim == 3 else 1
        raise DataError(
            f"{path} is {image.shape[1]}x{image.shape[0]} pixels with {channels} channel(s) of {image.dtype}; "
            f"expected {SIZE}x{SIZE} with 3 channels of uint8 (u, v, strain)."
        )
    return np.ascontiguousarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB).transpose(2, 0, 1))


DATASETS.add(
    NAME,
    Adapter(
        name=NAME,
        description="28x28 flow images of CASME II, SAMM and SMIC, as STSTNet, HTNet and CausalNet read them",
        layout=LAYOUT,
        find=find,
        read=read,
        variants=(TREE, FLAT),
    ),
    origin=__name__,
)
