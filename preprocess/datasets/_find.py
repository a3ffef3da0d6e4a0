"""Recognising a declared database at a folder: which tree lies there, and which sheets lie in it or beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from preprocess.datasets._adapter import Found
from preprocess.datasets._folders import listing, real
from preprocess.datasets._sheets import ENDINGS
from preprocess.datasets._spec import Database, Sheet, Tree
from preprocess.datasets._trees import names_like, recognised

# So many folders beside a tree are looked into for its sheet.
NEIGHBOURS = 50


def find(database: Database, path: Path) -> list[Found]:
    """Return what of a declared database lies exactly at a folder.

    A sheet without a tree is found as well, with the variant "", so that a person learns which half is missing.

    Returns
    -------
    One ``Found`` for each variant and version of the sheet, the preferred one first.
    """
    variants = [variant for variant in database.variants if trees_at(database, variant, path)]
    missing: tuple[str, ...] = ()
    if not variants:
        variants = [tree.variant for tree in database.trees if recognised(tree, path, frames=False)][:1]
        missing = (f"frames: clip folders are there, but no file in them is named as in {database.layout}",)
    if not variants:
        return [
            Found(database.name, path, "", sheet, version, (f"clips: expected {database.layout}",))
            for version, sheet in _named(database.sheets, path)[:1]
        ]
    sheets: list[tuple[str, Path | None]] = list(_first_part(database, path))
    if database.sheets and not sheets:
        if missing:
            # Folders alone are no evidence: many a collection has a sub01 with something in it.
            return []
        sheets = [("", None)]
        missing = (_no_sheet(database, path),)
    elif not database.sheets:
        sheets = [("", None)]
    return [
        Found(database.name, path, variant, sheet, version, missing)
        for variant in database.variants
        if variant in variants
        for version, sheet in sheets
    ]


def trees_at(database: Database, variant: str, path: Path) -> list[Tree]:
    """Return the trees of a variant that a folder holds.

    Folders of clips may all have names of their own where a sheet, which may name them, lies there.
    """
    trees = [tree for tree in database.trees if tree.variant == variant]
    if fitting := [tree for tree in trees if recognised(tree, path)]:
        return fitting
    free = [tree for tree in trees if database.sheets and recognised(tree, path, any_clip=True)]
    return free if free and _first_part(database, path) else []


def _first_part(database: Database, root: Path) -> list[tuple[str, Path]]:
    """Return (version, file) of the sheets of the first part that lies there; the other parts are read with it."""
    for part in dict.fromkeys(sheet.part for sheet in database.sheets):
        found = located(database, root, [sheet for sheet in database.sheets if sheet.part == part])
        if found:
            return found
    return []


def located(database: Database, root: Path, sheets: Sequence[Sheet]) -> list[tuple[str, Path]]:
    """Return the sheets that lie around a tree.

    They are looked for in the root, in folders of the root that hold no clips, in the folder above it, in the folders
    beside it, in the folder above those, and in the folders in that one. The nearest counts.

    Returns
    -------
    (version, file) pairs, the newest version first, one file a version.
    """
    found: dict[str, Path] = {}
    for folder in _around(database, root):
        for version, file in _named(sheets, folder):
            found.setdefault(version, file)
    return [(sheet.version, found[sheet.version]) for sheet in _first_of_version(sheets) if sheet.version in found]


def sheet_of(sheets: Sequence[Sheet], version: str, part: str = "") -> Sheet:
    """Return the declaration of a sheet's version (and part, where a database has parts)."""
    return next(sheet for sheet in sheets if sheet.version == version and part in ("", sheet.part))


def _around(database: Database, root: Path) -> Iterator[Path]:
    yield from _near(database, root)
    if real(root) != root.absolute():
        # Behind a link to the clips, the sheet may still lie where they do.
        yield from _near(database, real(root))


def _near(database: Database, root: Path) -> Iterator[Path]:
    first_levels = [names_like(tree.folders[0]) for tree in database.trees]

    def inside(folder: Path) -> list[Path]:
        names = [name for name, is_folder in listing(folder) if is_folder]
        others = [name for name in names if not any(level.fullmatch(name) for level in first_levels)]
        return [folder / name for name in others[:NEIGHBOURS]]

    yield root
    yield from inside(root)
    yield root.parent
    yield from (folder for folder in inside(root.parent) if folder != root)
    yield root.parent.parent
    for folder in inside(root.parent.parent):
        # A neighbour that holds a copy of the database itself keeps its sheet for that copy.
        if folder != root.parent and not _holds_copy(database, folder):
            yield folder


def _holds_copy(database: Database, folder: Path) -> bool:
    places = [folder, *(folder / name for name, is_folder in listing(folder)[:NEIGHBOURS] if is_folder)]
    return any(recognised(tree, place, frames=False) for tree in database.trees for place in places)


def _named(sheets: Sequence[Sheet], folder: Path) -> list[tuple[str, Path]]:
    """Return (version, file) of a folder's files that are named like a sheet; each file counts as its first match."""
    files = [Path(name) for name, is_folder in listing(folder) if not is_folder]
    files = sorted((file for file in files if file.suffix.lower() in ENDINGS), key=lambda file: (len(file.name), file))
    found: dict[str, Path] = {}
    for file in files:
        fitting = (sheet for sheet in sheets if re.fullmatch(sheet.files, file.stem, re.IGNORECASE))
        if (sheet := next(fitting, None)) is not None:
            found.setdefault(sheet.version, folder / file)
    return list(found.items())


def _first_of_version(sheets: Sequence[Sheet]) -> list[Sheet]:
    return list({sheet.version: sheet for sheet in reversed(sheets)}.values())[::-1]


def _no_sheet(database: Database, root: Path) -> str:
    versions = ", ".join(dict.fromkeys(f"{sheet.version} ({sheet.files})" for sheet in database.sheets))
    others = sorted(
        name for folder in (root, root.parent) for name, _ in listing(folder) if Path(name).suffix.lower() in ENDINGS
    )
    seen = f"; other sheets there: {', '.join(others[:5])}" if others else ""
    return f"sheet: none in {root} or beside it is named like a published one: {versions}{seen}"
