"""What features a dataset offers: those that it brings ready-made and, where it has recordings, every recipe."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from preprocess.base.errors import DataError, UsageError, did_you_mean
from preprocess.base.hashing import digest
from preprocess.datasets import RawDataset, RawFeature
from preprocess.faces.face import FaceFinder
from preprocess.recipes import FEATURES, FeatureRecipe
from preprocess.samples.clip import Clip, ClipError
from preprocess.samples.layout import Layout
from preprocess.steps import Work


@dataclass(frozen=True)
class Feature:
    """One feature of one dataset, ready to be made.

    Attributes
    ----------
    name : the feature's name.
    recipe : how it is made, as JSON values.
    shape, dtype : of one sample's tensor.
    layout : what the tensor's axes and values mean.
    made_from : clip -> sha256 of the data that the tensor is made from.
    compute : makes the tensor of a clip, and uses what other features of the clip have made already. It raises
        ClipError for a clip that cannot be used.
    portable : True where another process can make it, from a recipe; False where an adapter holds it in memory.
    """

    name: str
    recipe: Mapping[str, Any]
    shape: tuple[int, ...]
    dtype: str
    layout: Layout
    made_from: Callable[[Clip], str]
    compute: Callable[[Clip, FaceFinder, dict[str, Work]], Work]
    portable: bool

    @property
    def recipe_hash(self) -> str:
        """The sha256 of the recipe, the shape and the dtype."""
        return digest([self.recipe, list(self.shape), self.dtype])


def feature_of(raw: RawDataset, name: str) -> Feature:
    """Return a feature of a dataset.

    Raises
    ------
    DataError : the dataset cannot have it; the message says what would bring it.
    """
    if name in raw.features:
        return _ready_made(raw.name, name, raw.features[name])
    if raw.clips and name in FEATURES.names():
        return _from_recipe(FEATURES.get(name))
    raise DataError(_why_not(raw, name))


def offered(raw: RawDataset) -> list[str]:
    """Return the names of all features that a dataset can have, sorted."""
    return sorted({*raw.features, *(FEATURES.names() if raw.clips else ())})


def choose(datasets: Sequence[RawDataset], patterns: Sequence[str]) -> dict[str, list[str]]:
    """Return which features the patterns choose for each dataset, in the order of the patterns.

    Parameters
    ----------
    datasets : the datasets to choose for.
    patterns : names and shell patterns. A pattern chooses from what each dataset offers; every dataset must have what a
        name without wildcards asks for.

    Returns
    -------
    Name of the dataset -> names of its features.

    Raises
    ------
    UsageError : a pattern fits no feature at all.
    DataError : a dataset cannot have a feature that was named.
    """
    known = sorted({name for raw in datasets for name in offered(raw)} | set(FEATURES.names()))
    chosen: dict[str, dict[str, None]] = {raw.name: {} for raw in datasets}
    for pattern in patterns:
        if not fnmatch.filter(known, pattern):
            raise UsageError(f"Unknown feature {pattern!r}. {did_you_mean(pattern, known)}")
        for raw in datasets:
            names = fnmatch.filter(offered(raw), pattern) if any(mark in pattern for mark in "*?[") else [pattern]
            for name in names:
                feature_of(raw, name)
            chosen[raw.name].update(dict.fromkeys(names))
    return {dataset: list(names) for dataset, names in chosen.items()}


def clips_of(raw: RawDataset) -> dict[str, Clip]:
    """Return the clip of every sample by sample id.

    A dataset without recordings gets clips that hold nothing but their sample id.

    Raises
    ------
    DataError : the adapter gave no clip for a sample.
    """
    sample_ids = raw.samples["sample_id"].tolist()
    if not raw.clips:
        return {sample_id: Clip(sample_id) for sample_id in sample_ids}
    without = [sample_id for sample_id in sample_ids if sample_id not in raw.clips]
    if without:
        raise DataError(f"Dataset {raw.name}: its adapter gives no clip for sample {without[0]}. Correct the adapter.")
    return {sample_id: raw.clips[sample_id] for sample_id in sample_ids}


def _from_recipe(recipe: FeatureRecipe) -> Feature:
    return Feature(
        recipe.name,
        recipe.as_json(),
        recipe.shape,
        recipe.dtype,
        recipe.layout,
        files_of,
        recipe.compute,
        portable=True,
    )


def files_of(clip: Clip) -> str:
    """Return the fingerprint of a clip's files, for ``Feature.made_from``; also where one of them has gone."""
    try:
        return clip.fingerprint()
    except ClipError:
        # A file that has gone since the adapter saw it: whoever makes the tensor will find and tell it.
        return digest([clip.sample_id, "a file is gone"])


def _ready_made(dataset: str, name: str, feature: RawFeature) -> Feature:
    if name in FEATURES.names() and FEATURES.get(name).axes != feature.axes:
        raise UsageError(
            f"Dataset {dataset} brings the feature {name} with the axes {feature.axes!r}; models take it with "
            f"{FEATURES.get(name).axes!r}, as the recipe of that name says. Bring it so, or give it another name."
        )

    def source(clip: Clip) -> str:
        return feature.source_fingerprint(clip.sample_id)

    def compute(clip: Clip, finder: FaceFinder, made: dict[str, Work]) -> Work:
        return Work(clip=clip, finder=finder, tensor=feature.compute(clip.sample_id))

    return Feature(name, feature.recipe, feature.shape, feature.dtype, feature.layout, source, compute, portable=False)


def _why_not(raw: RawDataset, name: str) -> str:
    text = f"Dataset {raw.name} has no feature {name!r}; it has: {', '.join(offered(raw)) or 'none'}."
    if name in FEATURES.names():
        return (
            f"{text} {name} is made from recordings, and this copy of {raw.name} brings none. Where you have the "
            f"database itself, `merbench prepare --data PATH --features {name}` makes it; or leave {raw.name} out with "
            "--datasets."
        )
    return text
