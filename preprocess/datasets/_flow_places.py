"""Where the pictures of flow-image trees lie: below subjects and labels, or in any other way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preprocess.base.errors import DataError
from preprocess.datasets._flow_pictures import Picture, clip_name, database, named_picture, subject_id
from preprocess.datasets._folders import follow, is_folder, listing, scan

LABELS = ("0", "1", "2")


def holds_subjects(root: Path) -> bool:
    """Say whether a folder is a tree of subjects with ``u_test`` folders."""
    return any(_tests(root / name) is not None for name, leads_on in listing(root) if leads_on)


def holds_pictures(root: Path) -> bool:
    """Say whether pictures that are named like clips lie in a folder, or in folders of subjects or labels in it.

    Pictures of one person alone are no dataset, but a part of one.
    """
    people: set[tuple[str, str]] = set()
    for folder, _, _ in _loose_folders(root):
        for file in _pngs(folder):
            picture = named_picture(file)
            if picture is not None:
                people.add((picture.dataset, picture.subject))
            if len(people) > 1:
                return True
    return False


def tree_pictures(root: Path) -> Iterator[Picture]:
    """Yield the pictures of a tree of subjects: ``<subject>/u_test/<label>/<subject>_<clip>.png``.

    Raises
    ------
    DataError : a subject whose database is unclear, or without pictures; a label folder that is not 0, 1 or 2; a
        picture in the wrong place, or of another subject; a link that leads back to where it was followed from.
    """
    for folder, leads_on in _entries(root, root):
        tests = _tests(folder) if leads_on else None
        if not leads_on or (tests is None and database(folder.name) is None):
            continue
        dataset, subject = _who(folder)
        if tests is None:
            raise DataError(f"Subject folder {folder} has no u_test folder. Complete the copy, or remove the folder.")
        if tests.is_symlink():
            follow(tests, root)
        pictures = list(_pictures_of(tests, dataset, subject, root))
        if not pictures:
            raise DataError(f"Subject folder {tests} holds no PNG file. Complete the copy, or remove the subject.")
        yield from pictures


def loose_pictures(root: Path) -> tuple[list[Picture], list[Path]]:
    """Return the pictures that lie in a folder, or in folders of subjects or labels in it, and the other PNG files.

    Raises
    ------
    DataError : a picture lies in the folder of another subject, or a link leads back to where it was followed from.
    """
    pictures: list[Picture] = []
    others: list[Path] = []
    for folder, subject, label in _loose_folders(root):
        if folder != root and folder.is_symlink():
            follow(folder, root)
        for file in _pngs(folder):
            picture = named_picture(file, label)
            if picture is None:
                others.append(file)
            elif subject not in ("", picture.subject):
                raise DataError(
                    f"{file} is of subject {picture.subject}, and lies in the folder of {subject}. Move it."
                )
            else:
                pictures.append(picture)
    return pictures, others


def trees_beside(root: Path) -> Iterator[list[Path]]:
    """Yield the trees of subjects near a folder, the nearest first: beside it, then beside the one above or inside."""
    for above in (root.parent, root.parent.parent):
        folders = [above / name for name, leads_on in listing(above) if leads_on]
        yield [folder for folder in folders if holds_subjects(folder)]
    yield [
        folder / name
        for folder in folders
        for name, leads_on in listing(folder)
        if leads_on and holds_subjects(folder / name)
    ]


def _loose_folders(root: Path) -> Iterator[tuple[Path, str, int | None]]:
    """Yield the folders in which pictures may lie, each with the subject ("" for any) and label that it stands for."""
    yield root, "", None
    for name, leads_on in listing(root):
        if leads_on and name in LABELS:
            yield root / name, "", int(name)
        dataset = database(name)
        if leads_on and dataset is not None:
            subject = subject_id(dataset, name)
            yield root / name, subject, None
            for label, inner in listing(root / name):
                if inner and label in LABELS:
                    yield root / name / label, subject, int(label)


def _pngs(folder: Path) -> list[Path]:
    return [folder / name for name, leads_on in listing(folder) if not leads_on and _is_png(Path(name))]


def _tests(folder: Path) -> Path | None:
    """Return a subject's folder of pictures; None where there is none."""
    name = next((name for name, leads_on in listing(folder) if leads_on and name.lower() == "u_test"), None)
    return folder / name if name else None


def _entries(folder: Path, root: Path) -> list[tuple[Path, bool]]:
    """Return what lies in a folder, sorted by name, and of each whether it is a folder. Links are followed."""
    entries = sorted((folder / entry.name, is_folder(entry)) for entry in scan(folder))
    for path, leads_on in entries:
        if leads_on and path.is_symlink():
            follow(path, root)
    return entries


def _pictures_of(tests: Path, dataset: str, subject: str, root: Path) -> Iterator[Picture]:
    for folder, leads_on in _entries(tests, root):
        if not leads_on:
            if _is_png(folder):
                raise DataError(f"{folder} lies outside a label folder; expected u_test/<0, 1 or 2>/{folder.name}.")
            continue
        label = _label(folder)
        for path, leads_further in _entries(folder, root):
            if leads_further:
                raise DataError(
                    f"{path} is a folder inside a label folder, which may hold PNG files only. Move it away."
                )
            if _is_png(path):
                yield Picture(path, dataset, subject, clip_name(path, dataset, subject), label)


def _is_png(path: Path) -> bool:
    return path.suffix.lower() == ".png"


def _who(folder: Path) -> tuple[str, str]:
    dataset = database(folder.name)
    if dataset is None:
        raise DataError(
            f"Subject folder {folder}: its name does not tell its database. Expected a name such as sub01 "
            "(CASME II), 006 (SAMM) or s01 (SMIC). Rename or remove it."
        )
    return dataset, subject_id(dataset, folder.name)


def _label(folder: Path) -> int:
    if folder.name not in LABELS:
        raise DataError(
            f"Label folder {folder}: {folder.name!r} is not a label. "
            "Expected 0 (negative), 1 (positive) or 2 (surprise)."
        )
    return int(folder.name)
