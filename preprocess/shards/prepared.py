"""Prepared datasets: what a study reads of the shards, each checked against its checksum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from preprocess.base.errors import DataError
from preprocess.base.hashing import digest
from preprocess.samples.copies import Copies
from preprocess.samples.layout import Layout
from preprocess.samples.quality import merged
from preprocess.shards.block import Block
from preprocess.shards.file import Remarks
from preprocess.shards.pace import Pace

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class FeatureInfo:
    """A prepared feature.

    Attributes
    ----------
    recipe : how it is made.
    recipe_hash : sha256 of the recipe, the shape and the dtype.
    fingerprint : sha256 of all tensors by sample id; empty where some are still to be made.
    shape, dtype : of one sample's tensor.
    layout : what its axes and values mean.
    remarks : which clips were skipped and why, what the steps noted, how faces were found.
    tensors : sample id -> hash of its tensor, of those that are made and not constant.
    """

    recipe: Mapping[str, Any]
    recipe_hash: str
    fingerprint: str
    shape: tuple[int, ...]
    dtype: str
    layout: Layout
    remarks: Remarks = field(default_factory=Remarks, repr=False)
    tensors: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Outstanding:
    """What is still to be made of one feature.

    Attributes
    ----------
    feature : its name.
    reasons : reason -> number of clips that it concerns.
    pace : how long a clip took before; None where that is not known.
    """

    feature: str
    reasons: dict[str, int]
    pace: Pace | None

    @property
    def clips(self) -> int:
        """How many clips it is to be made of."""
        return sum(self.reasons.values())


@dataclass(frozen=True)
class PreparedDataset:
    """A dataset whose shards are complete, or one that a plan looks at, with what is still to be made.

    Attributes
    ----------
    name : the dataset's name.
    synthetic : True for rendered or drawn data.
    samples : the samples table, sorted by sample id.
    fingerprint : sha256 of the samples table's content.
    features : its features by name.
    made, reused, repaired : how many shards were new or changed, were found whole, and were damaged and made again.
    warnings : what was changed, damaged or removed, one line each.
    lacking : features that were asked for and that the dataset cannot have, each with what would bring it.
    clips_made : number of clips of which anything was made.
    seconds : what that took, summed over all processes.
    root : path or address of all shards.
    contents : feature -> name of a shard file below it -> hash of its tensors; ``load`` checks the files against it.
    macro : True for macro-expressions, False for micro-expressions.
    outstanding : what is still to be made; empty once the dataset is prepared.
    copies : pictures that lie under several samples, of this dataset or of it and another one.
    """

    name: str
    synthetic: bool
    samples: pd.DataFrame
    fingerprint: str
    features: dict[str, FeatureInfo]
    made: int
    reused: int
    repaired: int
    warnings: list[str]
    root: str
    contents: dict[str, dict[str, str]] = field(repr=False)
    lacking: Mapping[str, str] = field(default_factory=dict)
    clips_made: int = 0
    seconds: float = 0.0
    macro: bool = False
    outstanding: tuple[Outstanding, ...] = ()
    copies: tuple[Copies, ...] = ()

    @property
    def skipped(self) -> dict[str, dict[str, str]]:
        """Feature -> sample id -> why that clip cannot be used. The feature's shards have no row for it."""
        return {name: info.remarks.skipped for name, info in self.features.items()}

    @property
    def quality(self) -> dict[str, dict[str, float]]:
        """Sample id -> what was measured of how far the clip can be trusted, the worst of its features."""
        return merged(info.remarks.quality for info in self.features.values())

    def usable(self, features: Sequence[str]) -> np.ndarray:
        """Return (n,) bool: which samples have all of these features."""
        import numpy as np

        skipped = {sample_id for name in features for sample_id in self._info(name).remarks.skipped}
        return np.array([sample_id not in skipped for sample_id in self.samples["sample_id"]], dtype=bool)

    def load(self, feature: str, keep: np.ndarray | None = None) -> np.ndarray:
        """Return a feature of the samples.

        Parameters
        ----------
        feature : its name.
        keep : (n_samples,) bool, True for the rows that are wanted; None for all.

        Returns
        -------
        (n, *shape), C-contiguous; row i belongs to the i-th wanted row of ``samples``.

        Raises
        ------
        DataError : an unknown feature, a wanted sample that was skipped, or a shard that changed since it was prepared.
        """
        import numpy as np

        info = self._info(feature)
        ids = self.samples["sample_id"].to_numpy(dtype=object)
        wanted = np.ones(len(ids), dtype=bool) if keep is None else keep
        for sample_id in ids[wanted]:
            if sample_id in info.remarks.skipped:
                reason = info.remarks.skipped[sample_id]
                raise DataError(f"Sample {sample_id} has no {feature}: {reason} Leave it out.")
        values = self.block(feature).read()
        return values if keep is None else values[wanted[self.usable([feature])]]

    def block(self, feature: str) -> Block:
        """Return a feature of all samples that have it, by reference."""
        info = self._info(feature)
        ids = tuple(self.samples["sample_id"][self.usable([feature])].tolist())
        title = f"{self.name}/{feature}"
        key = digest([title, info.fingerprint, ids])[:32]
        return Block(title, key, ids, info.shape, info.dtype, self.root, self.contents[feature])

    def _info(self, feature: str) -> FeatureInfo:
        if feature not in self.features:
            known = ", ".join(sorted(self.features)) or "none"
            raise DataError(f"Dataset {self.name} has no feature {feature!r} prepared; it has: {known}.")
        return self.features[feature]
