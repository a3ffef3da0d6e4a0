"""Datasets: what an adapter is, what it reads, and which adapter reads a given folder.

An adapter is one file of this package (or of a plug-in) that ends with ``DATASETS.add(name, Adapter(...), __name__)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.base.errors import DataError
from preprocess.base.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from preprocess.clips import Clip


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

    name : the dataset; ``synth_<name>`` where the tree was drawn by this program (``synthetic`` is then True).
    samples : the checked samples table (``preprocess.samples.samples_table``).
    features : tensors that the database itself brings (a flow-image tree has flow, and no faces to make others from).
    clips : sample id -> where its frames are, for every sample of a database of recordings; recipes start from these.
    notes : what a person should know: counts that differ from the published ones, rows and clips left out, each with
        its reason.
    """

    name: str
    samples: pd.DataFrame
    synthetic: bool
    features: dict[str, RawFeature] = field(default_factory=dict)
    clips: dict[str, Clip] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """A database that was recognised in a folder.

    adapter : its name. root : the folder that holds it. variant : which of the database's forms ("raw", "cropped",
        "hs", "flow"). sheet : the annotation file it would be read with, None where the database has none.
    version : which published version the sheet is ("2014", "v2"). missing : what is lacking to read it, one line each;
        empty where it can be read.
    """

    adapter: str
    root: Path
    variant: str = ""
    sheet: Path | None = None
    version: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Adapter:
    """A reader of one database.

    layout : the folder layout in one line, shown where nothing was recognised.
    find : gives what of this database lies exactly at a folder (not further below), from names alone; [] for nothing.
    read : reads one thing found; raises DataError, which names file and place, for bad input.
    """

    name: str
    description: str
    layout: str
    find: Callable[[Path], list[Found]]
    read: Callable[[Found], list[RawDataset]]


DATASETS: Registry[Adapter] = Registry("dataset", package="preprocess.datasets")


def detect(path: Path, adapter: str | None = None) -> list[Found]:
    """Return everything recognised at ``path``, sorted by adapter, root and variant.

    adapter : look for this one only.
    """
    names = [adapter] if adapter is not None else DATASETS.names()
    return [found for name in names for found in DATASETS.get(name).find(path)]


def read_source(path: Path | str, adapter: str | None = None) -> list[RawDataset]:
    """Read the datasets that lie at ``path``.

    adapter : the name of the adapter to use; None picks the one that recognises the folder.
    Raises DataError where the path is not a folder, where nothing or more than one layout is recognised, and for
    whatever the adapter finds wrong; UsageError for an unknown adapter.
    """
    path = Path(path)
    if adapter is not None:
        DATASETS.get(adapter)
    if not path.is_dir():
        state = "is a file" if path.exists() else "does not exist"
        raise DataError(f"Data path {path} {state}; expected a folder that holds a dataset.")
    found = _recognise(path, adapter)
    return DATASETS.get(found.adapter).read(found)


def _recognise(path: Path, adapter: str | None) -> Found:
    found = detect(path, adapter)
    if len(found) > 1:
        options = " or ".join(f"{one.adapter}={path}" for one in found)
        raise DataError(f"{path} fits more than one layout. Say which one is meant: {options}.")
    if not found:
        known = "\n".join(f"  {name}: {DATASETS.get(name).layout}" for name in DATASETS.names(adapter or "*"))
        raise DataError(
            f"No dataset was recognised in {path}. Looked for:\n{known}\n"
            "Give the folder that holds such a tree, or name the adapter: NAME=PATH."
        )
    return found[0]
