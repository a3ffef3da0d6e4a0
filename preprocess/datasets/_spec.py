"""How a database of recordings is declared: its trees, its sheets, their known mistakes and the published counts.

An adapter file builds one ``Database`` out of these and hands it to ``register``; everything else (finding, reading,
joining, repairing, counting) is done from the declaration.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from preprocess.labels.emotions import Annotation

# One record of a sheet: field -> text of the cell ("" where it is empty). ``origin`` says where it was read.
Record = dict[str, str]
# A workbook: tab -> rows of cells as text.
Workbook = dict[str, list[list[str]]]

# ``Tree.root`` of databases whose cropped copies are told by the name of their folder only.
CROPPED = r"[^/]*crop[^/]*"
UNCROPPED = r"(?![^/]*crop)[^/]*"
# ``Repair.wrong`` of a cell that is wrong whatever it holds other than the right value.
ANYTHING = "*"


@dataclass(frozen=True)
class Tree:
    """One form in which a database's frames lie on disk. All its patterns fit names in any case of letters.

    Attributes
    ----------
    variant : "raw", "cropped", ...; several trees may share one.
    folders : a regular expression for each level below the root, matched against the whole name of a folder. Its named
        groups become fields of the clip. ``clip`` is the last folder's name unless it is a group; ``subject`` may be
        left to the sheet where the names of clips are unique; ``emotion`` and ``split`` label clips of a database
        without a sheet.
    frames : what files of frames are called; the group ``n`` is the frame's number.
    videos : instead of ``frames``: what video files in the last folder are called, one clip each. Groups become fields.
    root : what the root is called, as the end of its path ("HS", "VL/Strong"); "" for any name.
    long : whether its folders hold long recordings, in which expressions can be spotted. Folders that no row names are
        recordings without an expression then.
    """

    variant: str
    folders: tuple[str, ...]
    frames: str = ""
    videos: str = ""
    root: str = ""
    long: bool = False


@dataclass(frozen=True)
class Sheet:
    """One published version of a database's annotation file (.xlsx, .xls or .csv).

    Records that ``edit`` or ``rows`` make may also hold ``dataset`` (another one than the database's own), ``folder``
    (names that the clip's folder may have, separated by ``|``, where it is not the clip's name) and ``repaired``.

    Attributes
    ----------
    version : as users call it ("2014").
    files : regular expression for the file's name without its ending, in any case.
    columns : fields that must be there, under any of their usual headings.
    optional : fields that are read where they are there.
    headings : field -> more headings of it, in this sheet; a field of any other name may be read too, for ``edit``.
    tab : name of the tab to read, in any case of letters; "" for the first one that has the columns.
    part : sheets of different parts ("train", "test") are read together, the newest of each; the part is the split.
    edit : returns what a record stands for: itself, changed; None to leave it out; several where a row holds several
        expressions.
    rows : reads a workbook that is no plain table, instead of ``columns``; returns the records.
    name : how the published file is called, for people; "" where ``files`` says it already.
    """

    version: str
    files: str
    columns: tuple[str, ...] = ("subject", "clip", "onset", "apex", "offset", "emotion")
    optional: tuple[str, ...] = ()
    headings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tab: str = ""
    part: str = ""
    edit: Callable[[Record], Record | list[Record] | None] | None = None
    rows: Callable[[Workbook], list[Record]] | None = None
    name: str = ""

    @property
    def called(self) -> str:
        """How the published file is called; "" where that is not known: a pattern is nothing for people."""
        return self.name or (f"{self.files}.xlsx" if re.fullmatch(r"[\w -]+", self.files) else "")


@dataclass(frozen=True)
class Repair:
    """A known mistake of a sheet. It is mended only where the cell still holds it.

    Attributes
    ----------
    clip : ``<subject>/<clip>`` as in the sample id; "" where only the row is published.
    cell : the field.
    wrong : the text that it holds. None where only the right value is published: then the cell is mended if the row's
        frames are out of order (not onset <= apex <= offset). ANYTHING where the database itself proves the right
        value.
    right : what it should hold.
    reason : why; written into ``repaired``.
    reference : who says so; written into ``repaired``.
    row : counted from 0 below the headings; None for any.
    version : of the sheet; "" for any.
    """

    clip: str
    cell: str
    wrong: str | None
    right: str
    reason: str
    reference: str
    row: int | None = None
    version: str = ""


@dataclass(frozen=True)
class Count:
    """Published numbers, which the samples that can be read are compared with.

    Attributes
    ----------
    samples : how many clips.
    subjects : how many people; None where it is not published.
    reference : who says so.
    version : of the sheet that they belong to; "" for any.
    dataset : which dataset they are of; "" for the one of the database's own name.
    task : how many of the clips have a class in this task; "" for all clips.
    """

    samples: int
    subjects: int | None
    reference: str
    version: str = ""
    dataset: str = ""
    task: str = ""


@dataclass(frozen=True)
class Database:
    """A database of recordings.

    Attributes
    ----------
    name : of the adapter and of its dataset.
    title : the database in a few words, for people.
    layout : its folders in one line.
    trees : the forms in which it lies on disk; where several are found, an earlier variant is preferred.
    sheets : its annotation files, the newest official one first; () where the tree itself is the annotation.
    joined : sheets whose fields are added to the record of the same clip.
    subject : how the id is written, from the groups of the tree, e.g. ``"sub{subject:0>2}"``. A number counts as the
        same subject however many zeros stand before it, in folder and sheet.
    clip : how the clip's name is written, from the same groups; every group of digits comes without zeros before it.
    fps : frames per second; None where the sheet says it, or nobody.
    people : the dataset whose people are shown, where it is another one.
    laboratory : who recorded it, where the people of their databases may be the same and nobody can tell
        (``preprocess.datasets._people``).
    annotations : dataset -> how it is annotated; without it no task of emotions takes the dataset.
    macro : which of its datasets hold macro-expressions; the others hold micro-expressions.
    registered : variants whose pictures are the face itself, cut out and registered by the database's authors.
    several : a clip holds several expressions, so that the onset is part of every sample id. Where this is not said,
        only clips that have several rows get it.
    repairs : the known mistakes of its sheets.
    counts : the published numbers of clips and people.
    label : returns the fields (emotion, split, onset, ...) of a clip of a database without a sheet, from its folder and
        its groups; None leaves the clip out. Without it the groups are the fields.
    example : writes a small copy into an empty folder, so that the tests of all databases try this one, too.
    """

    name: str
    title: str
    layout: str
    trees: tuple[Tree, ...]
    sheets: tuple[Sheet, ...] = ()
    joined: tuple[Sheet, ...] = ()
    subject: str = "{subject}"
    clip: str = "{clip}"
    fps: float | None = None
    people: str = ""
    laboratory: str = ""
    annotations: Mapping[str, Annotation] = field(default_factory=dict)
    macro: tuple[str, ...] = ()
    registered: tuple[str, ...] = ()
    several: bool = False
    repairs: tuple[Repair, ...] = ()
    counts: tuple[Count, ...] = ()
    label: Callable[[str, Mapping[str, str]], Record | None] | None = None
    example: Callable[[Path], object] | None = None

    @property
    def variants(self) -> tuple[str, ...]:
        """The trees' variants in order of preference."""
        return tuple(dict.fromkeys(tree.variant for tree in self.trees))
