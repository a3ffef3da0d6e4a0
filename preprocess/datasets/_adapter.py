"""What an adapter is: it finds one database in a folder, and reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.base.registry import Registry
from preprocess.datasets._given import NOTHING, Given
from preprocess.samples.copies import Copies, compared, find_copies
from preprocess.samples.layout import Content, Layout, check_axes

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from preprocess.datasets._spec import Database
    from preprocess.samples.clip import Clip


UNSAID = Content(unknown="its dataset does not say what it shows; declare it: RawFeature(content=...)")


@dataclass(frozen=True)
class RawFeature:
    """One named tensor per sample, not yet computed.

    Attributes
    ----------
    recipe : how it is made, as JSON values (name, version, source, steps, channels, range). Two features with equal
        recipes and equal sources are equal, so everything that changes a tensor belongs here.
    shape : of one sample's tensor, such as ``(3, 28, 28)``.
    dtype : of the tensor, such as ``"uint8"``.
    source_fingerprint : sample id -> sha256 of the bytes that the tensor is made from; paths do not count.
    compute : sample id -> the tensor; raises DataError, which names the file, where the source is bad.
    axes : a letter of ``preprocess.samples.layout.AXES`` for each axis of the tensor, such as ``"chw"``.
    content : what the tensor shows. Without it the feature can be scaled, but not augmented.
    """

    recipe: dict[str, Any]
    shape: tuple[int, ...]
    dtype: str
    source_fingerprint: Callable[[str], str]
    compute: Callable[[str], np.ndarray]
    axes: str
    content: Content = UNSAID

    @property
    def layout(self) -> Layout:
        """What the axes and values of the tensor mean."""
        return Layout(self.axes, self.shape, self.content)


@dataclass(frozen=True)
class LongRecording:
    """A recording that goes on around the expressions in it: something to spot them in.

    Attributes
    ----------
    name : ``<dataset>/<subject>/<recording>``.
    subject : the person, as in the samples table.
    clip : all of its frames, without key frames.
    sample_ids : the samples of the dataset that are expressions of it; none where it shows none.
    unclear : a line for each of its expressions whose onset or offset nobody told.
    """

    name: str
    subject: str
    clip: Clip
    sample_ids: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()


@dataclass(frozen=True)
class RawDataset:
    """A database as an adapter found it on disk.

    Attributes
    ----------
    name : the dataset; ``synth_<name>`` where this program rendered it.
    samples : the checked samples table (``preprocess.samples.table.samples_table``).
    synthetic : whether this program rendered it.
    features : tensors that the database itself brings. A tree of flow images has flow, and no frames to make others
        from.
    clips : sample id -> where its frames are, for every sample of a database of recordings. Recipes start from these.
    notes : what a person should know: counts that differ from the published ones; rows and clips left out, with the
        reason.
    macro : whether its clips are macro-expressions; otherwise they are micro-expressions.
    sheets : the files that its annotation was read from.
    pictures : sample id -> the files that the features of a database without recordings are made from, so that a
        picture that lies there twice is found.
    recordings : returns the long recordings that its expressions lie in, and those of the same people that show none;
        it lists their folders only then.
    """

    name: str
    samples: pd.DataFrame
    synthetic: bool
    features: dict[str, RawFeature] = field(default_factory=dict)
    clips: dict[str, Clip] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    macro: bool = False
    sheets: tuple[Path, ...] = ()
    pictures: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    recordings: Callable[[], tuple[LongRecording, ...]] = tuple

    def __post_init__(self) -> None:
        for name, feature in self.features.items():
            check_axes(feature.axes, feature.shape, f"Dataset {self.name}, feature {name}")


def copies_in(datasets: Iterable[RawDataset]) -> dict[str, list[Copies]]:
    """Return dataset -> the pictures that lie under several samples, of which it has one at least."""
    datasets = list(datasets)
    clips = {sample_id: clip for dataset in datasets for sample_id, clip in dataset.clips.items()}
    pictures = {sample_id: files for dataset in datasets for sample_id, files in dataset.pictures.items()}
    copies = find_copies({**pictures, **compared(clips)})
    return {
        dataset.name: [one for one in copies if any(name.startswith(f"{dataset.name}/") for name in one.sample_ids)]
        for dataset in datasets
    }


@dataclass(frozen=True)
class Found:
    """A database that was recognised in a folder.

    Attributes
    ----------
    adapter : the adapter's name.
    root : the folder that holds the database.
    variant : which of the database's forms it is ("raw", "cropped", "hs", "flow").
    sheet : the annotation file that it would be read with; None where the database has none.
    version : which published version the sheet is ("2014", "v2").
    missing : what is lacking to read it, one line each, with what to do; empty where it can be read.
    given : what a person gave for it besides its folder.
    others : further files that are named like its sheet, and that are not read.
    words : versions of joined sheets that a person asked for by name.
    """

    adapter: str
    root: Path
    variant: str = ""
    sheet: Path | None = None
    version: str = ""
    missing: tuple[str, ...] = ()
    given: Given = NOTHING
    others: tuple[Path, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Adapter:
    """A reader of one database.

    Attributes
    ----------
    name : as ``--data NAME=PATH`` takes it.
    description : the database in a few words, for ``merbench list datasets``.
    layout : the layout of its folders in one line, shown where nothing was recognised.
    find : returns what of this database lies exactly at a folder, not below it, judging by names alone.
    read : reads one thing found; raises DataError, which names file and place, for bad input.
    variants : the forms in which the database is known, the preferred one first.
    database : the declaration that the adapter was made from; None for one that was written by hand.
    apart : what lies in two folders is two databases; otherwise it is two copies, or two forms, of one.
    """

    name: str
    description: str
    layout: str
    find: Callable[[Path], list[Found]]
    read: Callable[[Found], list[RawDataset]]
    variants: tuple[str, ...] = ()
    database: Database | None = None
    apart: bool = False


DATASETS: Registry[Adapter] = Registry("dataset", package="preprocess.datasets")


def describe(found: Found) -> str:
    """Return adapter, variant and sheet version of what was found, as ``--data`` takes them: ``casme2:raw,2014``."""
    words = ",".join(word for word in (found.variant, found.version) if word)
    return found.adapter + (f":{words}" if words else "")
