"""Recognising a declared database at a folder: which tree lies there, and which sheets lie in it or beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from preprocess.base.errors import DataError
from preprocess.datasets._adapter import Found
from preprocess.datasets._folders import listing, real
from preprocess.datasets._given import NOTHING, Given
from preprocess.datasets._sheets import ENDINGS
from preprocess.datasets._spec import Database, Sheet, Tree
from preprocess.datasets._trees import names_like, recognised

# So many folders beside a tree are looked into for its sheet.
NEIGHBOURS = 50
WITH_CLIPS = "Give the folder that holds them, or rename their folders"


@dataclass(frozen=True)
class Lying:
    """A file that is named like a sheet.

    Attributes
    ----------
    version : which published sheet it is named like.
    file : the file.
    neighbour : whether it lies with another copy of the database, and so is that copy's.
    """

    version: str
    file: Path
    neighbour: bool


def find(database: Database, path: Path, given: Given = NOTHING) -> list[Found]:
    """Return what of a declared database lies exactly at a folder.

    A sheet without a tree is found as well, with the variant "", so that a person learns which half is missing.

    Parameters
    ----------
    database : its declaration.
    path : the folder.
    given : what a person gave for it; versions of sheets are known here.

    Returns
    -------
    One ``Found`` for each variant and version of the sheet, the preferred variant first, and the nearest sheet.
    """
    variants = [tree.variant for tree in database.trees if recognised(tree, path)]
    if not variants:
        variants = [one for one in database.variants if trees_at(database, one, path, bool(given.sheets))]
    missing: tuple[str, ...] = ()
    if not variants:
        variants = [tree.variant for tree in database.trees if recognised(tree, path, frames=False)][:1]
        missing = (
            f"frames: clip folders are there, but no file in them is named as in {database.layout}. Rename the files, "
            "or give a copy that has them",
        )
    if not variants:
        return [
            Found(
                database.name,
                path,
                "",
                one.file,
                one.version,
                (f"clips: expected {database.layout}. {WITH_CLIPS}",),
                given,
            )
            for one in _named(database.sheets, path, False)[:1]
        ]
    chosen, others = _sheets(database, path, given)
    sheets: list[tuple[str, Path | None]] = [*chosen] or [("", None)]
    if database.sheets and not chosen:
        if missing:
            # Folders alone are no evidence: many a collection has a sub01 with something in it.
            return []
        missing = (_no_sheet(database, path),)
    return [
        Found(database.name, path, variant, sheet, version, missing, given, others)
        for variant in database.variants
        if variant in variants
        for version, sheet in sheets
    ]


def trees_at(database: Database, variant: str, path: Path, sheet: bool) -> list[Tree]:
    """Return the trees of a variant that a folder holds.

    Folders of clips may all have names of their own where there is a sheet, which may name them.

    Parameters
    ----------
    database : its declaration.
    variant : the variant.
    path : the folder.
    sheet : whether a sheet was given; otherwise it must lie there.
    """
    trees = [tree for tree in database.trees if tree.variant == variant]
    if fitting := [tree for tree in trees if recognised(tree, path)]:
        return fitting
    free = [tree for tree in trees if database.sheets and recognised(tree, path, any_clip=True)]
    return free if free and (sheet or _first_part(database, path)) else []


def located(database: Database, root: Path, sheets: Sequence[Sheet]) -> list[Lying]:
    """Return the files around a tree that are named like one of some sheets.

    They are looked for in the root; in folders of the root and in the folder above it; in the folders beside it and in
    the folder above those; in the folders in that one.

    Returns
    -------
    The nearest first; of equally near ones the newest version.
    """
    order = {sheet.version: number for number, sheet in reversed(list(enumerate(sheets)))}
    found: dict[Path, tuple[bool, int, int, Lying]] = {}
    for steps, folder, neighbour in _around(database, root):
        for one in _named(sheets, folder, neighbour):
            rank = neighbour, steps, order[one.version], one
            # Links may lead to a file in several ways.
            found[real(one.file)] = min(found.get(real(one.file), rank), rank, key=lambda ranked: ranked[:3])
    return [one for *_, one in sorted(found.values(), key=lambda ranked: ranked[:3])]


def nearest(lying: Sequence[Lying]) -> dict[str, Path]:
    """Return version -> the nearest file of it, the nearest first, without those of a neighbour."""
    found: dict[str, Path] = {}
    for one in lying:
        if not one.neighbour:
            found.setdefault(one.version, one.file)
    return found


def not_read(sheet: Path, why: str, others: Sequence[Path]) -> str:
    """Return the note that one sheet is read, and that others which are named like it are not."""
    return f"sheet {sheet} is read, {why}; not read: {', '.join(map(str, others))}"


def sheet_of(sheets: Sequence[Sheet], version: str, part: str = "") -> Sheet:
    """Return the declaration of a sheet's version (and part, where a database has parts)."""
    return next(sheet for sheet in sheets if sheet.version == version and part in ("", sheet.part))


def parts_of(database: Database) -> list[str]:
    """Return the parts of a database that have sheets of their own, the main one first."""
    return list(dict.fromkeys(sheet.part for sheet in database.sheets))


def _sheets(database: Database, root: Path, given: Given) -> tuple[list[tuple[str, Path]], tuple[Path, ...]]:
    """Return (version, file) of the sheets to choose from, and the other files that are named like one."""
    lying = _first_part(database, root)
    for sheet in database.sheets:
        if sheet.version in given.sheets:
            return [(sheet.version, given.sheets[sheet.version])], tuple(one.file for one in lying)
    chosen = nearest(lying)
    return list(chosen.items()), tuple(one.file for one in lying if one.file not in chosen.values())


def _first_part(database: Database, root: Path) -> list[Lying]:
    """Return the sheets of the first part that has one there; the other parts are read with it."""
    for part in parts_of(database):
        lying = located(database, root, [sheet for sheet in database.sheets if sheet.part == part])
        if nearest(lying):
            return lying
    return []


def _around(database: Database, root: Path) -> Iterator[tuple[int, Path, bool]]:
    yield from _near(database, root)
    if real(root) != root.absolute():
        # Behind a link to the clips, the sheet may still lie where they do.
        yield from _near(database, real(root))


def _near(database: Database, root: Path) -> Iterator[tuple[int, Path, bool]]:
    """Yield (how many steps away, folder, whether it is another copy's) of the folders around a tree."""
    here = [tree for tree in database.trees if recognised(tree, root)]
    linked = {real(folder) for folder in _inside(root) if folder.is_symlink()}
    first_levels = [names_like(tree.folders[0]) for tree in database.trees]

    def of_clips(folder: Path) -> bool:
        return any(level.fullmatch(folder.name) for level in first_levels)

    yield 0, root, False
    yield from ((1, folder, False) for folder in sorted(_inside(root), key=of_clips)[:NEIGHBOURS])
    yield 1, root.parent, False
    for folder in _inside(root.parent)[:NEIGHBOURS]:
        if folder != root:
            # Another variant beside this one is of the same copy; the same variant is another copy.
            yield 2, folder, _holds(here, folder, True, linked)
    yield 2, root.parent.parent, False
    for folder in _inside(root.parent.parent)[:NEIGHBOURS]:
        if folder != root.parent:
            yield 3, folder, _holds(database.trees, folder, False, linked)


def _inside(folder: Path) -> list[Path]:
    return [folder / name for name, is_folder in listing(folder, beside=True) if is_folder]


def _holds(trees: Sequence[Tree], folder: Path, frames: bool, linked: set[Path]) -> bool:
    """Say whether a folder holds a copy of its own, and not the folders that the tree links to."""
    places = [folder, *_inside(folder)[:NEIGHBOURS]]
    try:
        copies = [place for place in places if any(recognised(tree, place, frames) for tree in trees)]
    except DataError:
        # A folder with a link that leads to itself is refused where it is data, and here it is somebody else's.
        return True
    return any(not linked or linked.isdisjoint(map(real, _inside(place))) for place in copies)


def _named(sheets: Sequence[Sheet], folder: Path, neighbour: bool) -> list[Lying]:
    """Return a folder's files that are named like a sheet; each file counts as its first match."""
    found = []
    for file in sorted(_spreadsheets(folder), key=lambda file: (len(file.name), file)):
        fitting = (sheet for sheet in sheets if re.fullmatch(sheet.files, file.stem, re.IGNORECASE))
        if (sheet := next(fitting, None)) is not None:
            found.append(Lying(sheet.version, file, neighbour))
    return found


def _spreadsheets(folder: Path) -> list[Path]:
    files = (Path(name) for name, is_folder in listing(folder, beside=True) if not is_folder)
    return [folder / file for file in files if file.suffix.lower() in ENDINGS]


def _no_sheet(database: Database, root: Path) -> str:
    names = list(dict.fromkeys(sheet.called for sheet in database.sheets if sheet.called))
    published = f" ({', '.join(names)})" if names else ""
    around = list(_around(database, root))
    kept = {one.file for one in located(database, root, database.sheets) if one.neighbour}
    others = dict.fromkeys(
        file for _, folder, neighbour in around if not neighbour for file in _spreadsheets(folder) if file not in kept
    )
    seen = f"; other sheets there: {', '.join(map(str, list(others)[:5]))}" if others else ""
    if kept:
        seen += f"; with another copy of the database: {', '.join(map(str, sorted(kept)))}"
    return (
        f"sheet: none in {root} or near it is named like a published one{published}{seen}. Rename it, or name it: "
        f"--sheet {database.name}=FILE reads a sheet by its columns, whatever it is called"
    )
