"""Datasets: what an adapter is, what it reads, and which adapter reads a given folder.

An adapter is one file of this package (or of a plug-in) that ends with ``DATASETS.add(name, Adapter(...), __name__)``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.base.errors import DataError, UsageError
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
    macro : its clips are macro-expressions, as the adapter declares it; micro-expressions otherwise.
    """

    name: str
    samples: pd.DataFrame
    synthetic: bool
    features: dict[str, RawFeature] = field(default_factory=dict)
    clips: dict[str, Clip] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    macro: bool = False


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
    variants : the forms in which the database is known, the preferred one first.
    """

    name: str
    description: str
    layout: str
    find: Callable[[Path], list[Found]]
    read: Callable[[Found], list[RawDataset]]
    variants: tuple[str, ...] = ()


DATASETS: Registry[Adapter] = Registry("dataset", package="preprocess.datasets")


# A database hides this many levels below the folder that a person gives, and among this many folders.
DEPTH = 6
FOLDERS = 20_000


def detect(path: Path, adapter: str | None = None) -> list[Found]:
    """Return every database recognised at ``path`` or below it, sorted by adapter, root, variant and sheet.

    adapter : look for this one only. A database that is found is not searched for others; links are not followed.
    A sheet without its clips is told only where the database is found nowhere else.
    """
    from preprocess.datasets._trees import remembered_listings

    names = [adapter] if adapter is not None else DATASETS.names()
    everything: list[Found] = []
    with remembered_listings():
        for folder, descend in _folders(path):
            here = [found for name in names for found in DATASETS.get(name).find(folder)]
            # Two databases may have folders of one layout; frames and sheet tell which it is.
            lacking = min((len(found.missing) for found in here), default=0)
            here = [found for found in here if len(found.missing) == lacking]
            everything += here
            descend(not any(found.variant or not found.missing for found in here))
    complete = {found.adapter for found in everything if found.variant or not found.missing}
    kept = [found for found in everything if found.variant or not found.missing or found.adapter not in complete]
    return sorted(kept, key=lambda found: (found.adapter, str(found.root)))


def read_source(path: Path | str, adapter: str | None = None, variant: str | None = None) -> list[RawDataset]:
    """Read the datasets that lie at ``path`` or below it.

    adapter : the name of the adapter to use; None reads every database that is recognised.
    variant : which form to read: a variant ("raw", "cropped"), a version of the sheet ("2014"), or both with a comma.
        None reads the preferred variant with the newest official sheet, and notes what else lies there.
    Raises DataError where the path is not a folder, where nothing is recognised, where a folder fits several adapters
    or a database lies there twice, where half of one is missing, and for whatever the adapter finds wrong; UsageError
    for an unknown adapter, or a variant that is not there.
    """
    path = Path(path)
    if adapter is not None:
        DATASETS.get(adapter)
    if not path.is_dir():
        state = "is a file" if path.exists() else "does not exist"
        raise DataError(f"Data path {path} {state}; expected a folder that holds a dataset.")
    found = detect(path, adapter)
    if not found:
        raise DataError(_nothing(path, adapter))
    _one_adapter_a_folder(found)
    by_adapter: dict[str, list[Found]] = defaultdict(list)
    for one in _of_variant(found, variant, path):
        by_adapter[one.adapter].append(one)
    datasets: dict[str, tuple[RawDataset, Found]] = {}
    for several in by_adapter.values():
        chosen, notes = _preferred(several)
        for dataset in DATASETS.get(chosen.adapter).read(chosen):
            if dataset.name in datasets:
                other = datasets[dataset.name][1]
                raise DataError(
                    f"Dataset {dataset.name} lies in {path} twice: {other.root} ({other.adapter}) and {chosen.root} "
                    f"({chosen.adapter}). Say which one is meant: {other.adapter}={other.root} or "
                    f"{chosen.adapter}={chosen.root}."
                )
            datasets[dataset.name] = (replace(dataset, notes=(*notes, *dataset.notes)), chosen)
    return [dataset for dataset, _ in datasets.values()]


def _folders(path: Path) -> Iterator[tuple[Path, Callable[[bool], None]]]:
    """Yield ``path`` and the folders below it, level by level; the caller says of each whether to look below it."""
    from preprocess.datasets._trees import listing

    level = [path]
    seen = 0
    for _ in range(DEPTH + 1):
        below: list[Path] = []
        for folder in level:
            seen += 1
            if seen > FOLDERS:
                raise DataError(
                    f"{path} holds more than {FOLDERS} folders besides the databases recognised. Give a folder nearer "
                    "to the data."
                )
            answers: list[bool] = []
            yield folder, answers.append
            if all(answers):
                children = (folder / name for name, is_folder in listing(folder) if is_folder)
                below += [child for child in children if not child.is_symlink()]
        level = below


def _one_adapter_a_folder(found: Sequence[Found]) -> None:
    at: dict[Path, set[str]] = defaultdict(set)
    for one in found:
        if not one.missing:
            at[one.root].add(one.adapter)
    for root, names in at.items():
        if len(names) > 1:
            options = " or ".join(f"{name}={root}" for name in sorted(names))
            raise DataError(f"{root} fits more than one layout. Say which one is meant: {options}.")


def _of_variant(found: Sequence[Found], variant: str | None, path: Path) -> list[Found]:
    words = [word.strip() for word in (variant or "").split(",") if word.strip()]
    fitting = [one for one in found if all(word in (one.variant, one.version) for word in words)]
    if fitting:
        return fitting
    there = "; ".join(sorted({describe(one) for one in found}))
    raise UsageError(f"Nothing in {path} is of variant {variant!r}. Found: {there}.")


def _preferred(found: Sequence[Found]) -> tuple[Found, list[str]]:
    """Return the form of one database to read, and notes on the others. DataError where none or two can be."""
    whole = [one for one in found if not one.missing]
    if not whole:
        lacking = "\n".join(f"  {one.root}: missing {what}" for one in found for what in one.missing)
        raise DataError(f"{found[0].adapter} was recognised but cannot be read:\n{lacking}\nComplete the copy.")
    order = DATASETS.get(whole[0].adapter).variants
    best = min((order.index(one.variant) for one in whole if one.variant in order), default=0)
    same = [one for one in whole if not order or one.variant == order[best]]
    roots = sorted({one.root for one in same})
    if len(roots) > 1:
        raise DataError(
            f"{same[0].adapter} lies there twice ({same[0].variant}): {' and '.join(map(str, roots))}. "
            "Give the folder of the one that is meant."
        )
    chosen = same[0]
    notes = [f"{describe(chosen)} is read; {describe(one)} in {one.root} is not" for one in whole if one is not chosen]
    notes += [f"{one.root} is not read: missing {what}" for one in found for what in one.missing]
    return chosen, notes


def describe(found: Found) -> str:
    """Return adapter, variant and sheet version of what was found, as ``--data`` takes them: ``casme2:raw,2014``."""
    words = ",".join(word for word in (found.variant, found.version) if word)
    return found.adapter + (f":{words}" if words else "")


def _nothing(path: Path, adapter: str | None) -> str:
    known = "\n".join(f"  {name}: {DATASETS.get(name).layout}" for name in DATASETS.names(adapter or "*"))
    return (
        f"No dataset was recognised in {path}, down to {DEPTH} levels (links to folders are not followed). "
        f"Looked for:\n{known}\nGive a folder that holds such a tree, or name the adapter: NAME=PATH."
    )
