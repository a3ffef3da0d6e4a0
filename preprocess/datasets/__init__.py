"""Datasets: what an adapter is, what it reads, and which adapter reads a given folder.

An adapter is one file of this package (or of a plug-in) that ends with ``DATASETS.add(name, Adapter(...), __name__)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.base.errors import DataError
from preprocess.base.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class RawFeature:
    """One named tensor per sample, not yet computed.

    recipe : how it is made, as JSON values (name, version, source, steps, channels, range). Two features with equal
        recipes and equal sources are equal, so everything that changes a tensor belongs here.
    shape, dtype : of one sample's tensor, such as ``(3, 28, 28)`` and ``"uint8"``.
    source_fingerprint : sample id -> sha256 of the bytes that the tensor is made from; paths do not count.
    compute : sample id -> the tensor; raises DataError, which names the file, where the source is bad.
    """

    recipe: dict[str, Any]
    shape: tuple[int, ...]
    dtype: str
    source_fingerprint: Callable[[str], str]
    compute: Callable[[str], np.ndarray]


@dataclass(frozen=True)
class RawDataset:
    """A database as an adapter found it on disk.

    samples : the checked samples table (``preprocess.samples.samples_table``).
    synthetic : True where the data was drawn by this program, not recorded from people.
    """

    name: str
    samples: pd.DataFrame
    synthetic: bool
    features: dict[str, RawFeature]


@dataclass(frozen=True)
class Adapter:
    """A reader of one layout on disk.

    layout : the folder layout in one line, shown where nothing was recognised.
    detect : tells, from folder names alone, whether a folder has this layout.
    read : gives the datasets that the folder holds; raises DataError, which names file and place, for bad input.
    """

    name: str
    description: str
    layout: str
    detect: Callable[[Path], bool]
    read: Callable[[Path], list[RawDataset]]


DATASETS: Registry[Adapter] = Registry("dataset", package="preprocess.datasets")


def detect(path: Path) -> list[str]:
    """Return the sorted names of the adapters that recognise the folder ``path``."""
    return [name for name, adapter in DATASETS.items() if adapter.detect(path)]


def read_source(path: Path | str, adapter: str | None = None) -> list[RawDataset]:
    """Read the datasets that lie at ``path``.

    adapter : the name of the adapter to use; None picks the one that recognises the folder.
    Raises DataError where the path is not a folder, where nothing or more than one layout is recognised, and for
    whatever the adapter finds wrong; UsageError for an unknown adapter.
    """
    path = Path(path)
    chosen = DATASETS.get(adapter) if adapter is not None else None
    if not path.is_dir():
        state = "is a file" if path.exists() else "does not exist"
        raise DataError(f"Data path {path} {state}; expected a folder that holds a dataset.")
    return (chosen or _recognise(path)).read(path)


def _recognise(path: Path) -> Adapter:
    found = detect(path)
    if len(found) > 1:
        options = " or ".join(f"{name}={path}" for name in found)
        raise DataError(f"{path} fits more than one layout. Say which one is meant: {options}.")
    if not found:
        known = "\n".join(f"  {name}: {adapter.layout}" for name, adapter in DATASETS.items())
        raise DataError(
            f"No dataset was recognised in {path}. Looked for:\n{known}\n"
            "Give the folder that holds such a tree, or name the adapter: NAME=PATH."
        )
    return DATASETS.get(found[0])
