"""Datasets whose clips have their onset and apex elsewhere: what a study is tested on besides, to see what is lost."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.study.feature_rows import FeatureRows, rows_of
from preprocess.base.errors import UsageError
from preprocess.base.storage import below
from preprocess.datasets import RawDataset
from preprocess.samples.clip import Clip, ClipError
from preprocess.samples.shift import Shift, moved, parse_shift
from preprocess.shards.prepared import PreparedDataset

FOLDER = "_shifted"
"""Holds the shards of shifted clips, below those of true ones; no dataset can have such a name."""


@dataclass(frozen=True)
class ShiftedDataset:
    """A dataset with shifted clips.

    Attributes
    ----------
    prepared : its features; what it lacks is that which no clip is made into.
    clamped : ids of the samples that had less room than they were to be moved.
    spotted : ids of those without an annotated apex.
    """

    prepared: PreparedDataset
    clamped: frozenset[str]
    spotted: frozenset[str]


Shifted = Mapping[str, Mapping[str, ShiftedDataset]]
"""Shift -> name of the dataset -> that dataset, shifted."""


def shifted_datasets(
    raw: Sequence[RawDataset],
    shifts: Sequence[str],
    shards: str,
    prepare: Callable[[Sequence[RawDataset], str], Sequence[PreparedDataset]],
) -> Shifted:
    """Return the datasets with every shift; those that bring no frames are left out.

    Parameters
    ----------
    raw : the datasets as they were read.
    shifts : how far their key frames are moved.
    shards : path or address of the shards of true clips.
    prepare : brings the features of datasets up to date, below another path or address.

    Raises
    ------
    UsageError : no dataset brings frames.
    """
    movable = [dataset for dataset in raw if dataset.clips]
    if shifts and not movable:
        raise UsageError(
            f"--shift-keyframes: {', '.join(dataset.name for dataset in raw)} bring no frames that key frames could be "
            "moved among (flow images are of one onset and apex). Give the recordings as --data, or leave it out."
        )
    found = {}
    for name in shifts:
        changed = [_shifted(dataset, parse_shift(name)) for dataset in movable]
        made = prepare([one.raw for one in changed], below(shards, f"{FOLDER}/{name.replace('%', 'pct')}"))
        found[name] = {
            one.raw.name: ShiftedDataset(prepared, one.clamped, one.spotted)
            for one, prepared in zip(changed, made, strict=True)
        }
    return found


def shifted_rows(
    prepared: Sequence[PreparedDataset],
    shifted: Sequence[PreparedDataset],
    feature: str,
    sample_ids: Sequence[str],
    part: np.ndarray,
) -> FeatureRows:
    """Return a feature of a study's samples, of shifted clips where these can be used, else of the true ones.

    Parameters
    ----------
    prepared : the study's datasets.
    shifted : the same, with shifted clips.
    feature : its name.
    sample_ids : n ids.
    part : (n,), the dataset of each.
    """
    blocks = [dataset.block(feature) for dataset in (*shifted, *prepared)]
    there = [set(block.sample_ids) for block in blocks[: len(shifted)]]
    lost = [sample_id not in there[number] for sample_id, number in zip(sample_ids, part.tolist(), strict=True)]
    return rows_of(blocks, sample_ids, part + len(shifted) * np.array(lost, dtype=np.int64))


def shift_notes(name: str, shifted: Sequence[ShiftedDataset], features: Sequence[str], tested: set[str]) -> list[str]:
    """Return what a reader of shifted scores should know.

    Parameters
    ----------
    name : the shift.
    shifted : the study's datasets.
    features : those of the model.
    tested : ids of the samples that the study tests.
    """
    unusable = {
        sample_id
        for one in shifted
        for feature in features
        for sample_id in one.prepared.features[feature].remarks.skipped
    }
    counts = {
        "had less room and moved as far as it went": {sample_id for one in shifted for sample_id in one.clamped},
        "have no annotated apex: it was found anew, from the moved onset": {s for one in shifted for s in one.spotted},
        "could not be used so, and were scored as annotated": unusable,
    }
    told = [f"{len(ids & tested)} {what}" for what, ids in counts.items() if ids & tested]
    where = f"onset and apex moved by {parse_shift(name).words} in {len(tested)} tested clips"
    return ["; ".join([where, *told])]


def described_shifts(shifted: Shifted) -> list[str]:
    """Return what became of shifted clips, one line a shift and dataset."""
    lines = []
    for shift, datasets in shifted.items():
        for name, one in datasets.items():
            prepared = one.prepared
            facts = [f"{len(one.clamped)} of {len(prepared.samples)} clips have less room"]
            facts += [f"{len(one.spotted)} have no annotated apex, which is found anew"] if one.spotted else []
            if todo := sum(outstanding.clips for outstanding in prepared.outstanding):
                facts.append(f"{todo} clips are to be made, of all features")
            elif not prepared.lacking:
                facts.append(f"{prepared.made} shards made, {prepared.reused} kept")
            lines.append(f"{name}, key frames moved by {parse_shift(shift).words}: {'; '.join(facts)}")
    return lines


@dataclass(frozen=True)
class _Changed:
    raw: RawDataset
    clamped: frozenset[str]
    spotted: frozenset[str]


def _shifted(raw: RawDataset, shift: Shift) -> _Changed:
    """Return a dataset with moved clips, and with no feature that is not made from clips."""
    import pandas as pd

    clips: dict[str, Clip] = {}
    clamped = set()
    for sample_id, clip in raw.clips.items():
        try:
            one = moved(clip, shift)
        except ClipError:
            # Whoever makes its features tells why it cannot be read.
            clips[sample_id] = clip
            continue
        clips[sample_id] = one.clip
        clamped |= {sample_id} if one.clamped else set()
    own = [clips[sample_id] for sample_id in raw.samples["sample_id"]]
    columns = {name: pd.array([getattr(clip, name) for clip in own], dtype="Int64") for name in ("onset", "apex")}
    spotted = frozenset(sample_id for sample_id, clip in clips.items() if clip.apex is None)
    changed = dataclasses.replace(raw, samples=raw.samples.assign(**columns), clips=clips, features={})
    return _Changed(changed, frozenset(clamped), spotted)
