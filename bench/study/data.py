"""The samples of a study as arrays: what every fold of it is cut from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from bench.study.feature_rows import FeatureRows, OpenBlock, Values
from preprocess.samples.layout import Layout


@dataclass(frozen=True)
class Copy:
    """Rows of a study that hold the same picture.

    Attributes
    ----------
    rows : two row numbers or more.
    names : of each, the sample and where its picture lies, or what of it is equal.
    """

    rows: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class StudyData:
    """Labelled samples of one dataset, or of several merged ones, in the order of their sample ids.

    Attributes
    ----------
    sample_ids : (n,) fixed-width unicode, so that Ray shares them without a copy.
    subjects : (n,) unicode, the person of each sample.
    datasets : (n,) unicode, the dataset of each sample.
    splits : (n,) unicode, the database's own division of its samples; empty text where it has none. Of clips that were
        spotted in long recordings, ``protocols.SPOTTED``.
    labels : (n,) int64 class indices; of a multi-label task (n, n_classes) int64, 1 where the sample shows the class.
    features : name -> (n, ...) values as stored (8-bit or float32), by reference until they are opened.
    layouts : name -> what the axes and values of that feature mean.
    classes : names of the classes; a label is an index into them.
    action_units : (n, 12) int8, 1 where a sample shows each of ``SHARED_UNITS``, 0 where not; a row of -1 where nobody
        annotated it. None where no model of the study asks for them.
    macro : names of the datasets that hold macro-expressions; the others hold micro-expressions.
    copies : rows that hold the same picture; no fold may train on one of them and test on another.
    shifted : shift -> name -> values of the same samples, whose clips have other key frames; only tested on.
    """

    sample_ids: np.ndarray
    subjects: np.ndarray
    datasets: np.ndarray
    splits: np.ndarray
    labels: np.ndarray
    features: Mapping[str, Values]
    layouts: dict[str, Layout]
    classes: tuple[str, ...]
    action_units: np.ndarray | None = None
    macro: frozenset[str] = frozenset()
    copies: tuple[Copy, ...] = ()
    shifted: Mapping[str, Mapping[str, Values]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.sample_ids)

    def opened(self, open_block: OpenBlock) -> StudyData:
        """Return the same samples with features that can be looked at.

        Parameters
        ----------
        open_block : returns a block's values.
        """
        return self.with_features(
            lambda values: values.opened(open_block) if isinstance(values, FeatureRows) else values
        )

    def with_features(self, change: Callable[[Values], Values]) -> StudyData:
        """Return the same samples with other values of all features, shifted ones too."""
        return replace(
            self,
            features={name: change(values) for name, values in self.features.items()},
            shifted={
                shift: {name: change(values) for name, values in features.items()}
                for shift, features in self.shifted.items()
            },
        )

    @property
    def all_features(self) -> list[Values]:
        """The values of all features, shifted ones too."""
        return [*self.features.values(), *(one for features in self.shifted.values() for one in features.values())]

    def read(self) -> StudyData:
        """Return the same samples with features read into memory."""
        return self.opened(lambda block: block.read())

    @property
    def multilabel(self) -> bool:
        """Whether a sample may show any number of the classes."""
        return self.labels.ndim == 2
