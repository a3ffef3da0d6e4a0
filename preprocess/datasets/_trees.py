"""Trees of clips: recognising them from names, finding clip folders, numbering frames. No file is opened or stat'ed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from preprocess.base.errors import DataError
from preprocess.datasets._spec import Tree

# Recognising a tree looks into this many folders of each level, and at this many entries of a folder.
PROBES = 6
PROBED_ENTRIES = 20_000

_remembered: dict[str, list[tuple[str, bool]]] | None = None


class Frames(Mapping[int, Path]):
    """The frames of a folder: number -> file. Holds names, not paths: a long recording has thousands."""

    def __init__(self, folder: Path, names: Mapping[int, str]) -> None:
        self._folder = folder
        self._names = names

    def __getitem__(self, number: int) -> Path:
        return self._folder / self._names[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, number: object) -> bool:
        return number in self._names


@dataclass(frozen=True)
class ClipPlace:
    """Where one clip lies: its folder (or video file) and what the names on the way to it say."""

    path: Path
    fields: Mapping[str, str]
    tree: Tree = field(repr=False)


@contextmanager
def remembered_listings() -> Iterator[None]:
    """While this is open a folder is listed once, however many adapters ask for it."""
    global _remembered
    before, _remembered = _remembered, {} if _remembered is None else _remembered
    try:
        yield
    finally:
        _remembered = before


def listing(folder: Path | str) -> list[tuple[str, bool]]:
    """Return what lies in a folder, sorted by name; hidden entries and lock files are left out.

    Returns
    -------
    (name, whether it is a folder) pairs, at most ``PROBED_ENTRIES``; [] for a folder that may not be read, which is no
    reason to refuse its neighbours.
    """
    key = os.fspath(folder)
    if _remembered is not None and key in _remembered:
        return _remembered[key]
    entries: list[tuple[str, bool]] = []
    try:
        with os.scandir(key) as found:
            for entry in found:
                if not entry.name.startswith((".", "~$")):
                    entries.append((entry.name, _is_folder(entry)))
                if len(entries) >= PROBED_ENTRIES:
                    break
    except OSError:
        entries = []
    entries.sort()
    if _remembered is not None:
        _remembered[key] = entries
    return entries


def recognised(tree: Tree, root: Path, frames: bool = True) -> bool:
    """Return whether a folder holds clips in the tree's layout; without ``frames``, whether its folders are there."""
    if tree.root and not re.search(rf"(?:^|/)(?:{tree.root})$", root.absolute().as_posix()):
        return False
    return _holds(tree, root, 0, frames)


def find_clips(tree: Tree, root: Path) -> tuple[list[ClipPlace], list[Path]]:
    """Return every clip of the tree, in the order of names, and the folders among them that have another name.

    Raises
    ------
    DataError : a folder cannot be read, or a link leads out of the root.
    """
    clips: list[ClipPlace] = []
    strays: list[Path] = []
    _descend(tree, root, 0, {}, root.resolve(), clips, strays)
    return clips, strays


def number_frames(place: ClipPlace, root: Path) -> tuple[Frames, list[str]]:
    """Return the frames of a clip by the number in their names, and notes on files that share one.

    Numbers are read, never written: one clip may have names with and without zeros. Files of other names (shortcuts,
    thumbnails) are no frames. Of two files with one number the shorter name is taken, then the first by name, and it is
    noted.

    Raises
    ------
    DataError : a folder cannot be read, or a link leads out of the root.
    """
    pattern = re.compile(place.tree.frames)
    names: dict[int, str] = {}
    notes = []
    for entry in _scan(place.path):
        match = pattern.fullmatch(entry.name)
        if match is None or entry.name.startswith("."):
            continue
        if entry.is_symlink():
            refuse_escape(Path(entry.path), root)
        number = int(match["n"])
        other = names.get(number)
        if other is not None:
            kept, left = sorted((other, entry.name), key=lambda name: (len(name), name))
            notes.append(f"{place.path}: {kept} and {left} are both frame {number}; {kept} was taken")
            names[number] = kept
        else:
            names[number] = entry.name
    return Frames(place.path, names), notes


def last_number(folder: Path | str, frames: str) -> str:
    """Return the number of a folder's last frame, "" where it has none.

    Parameters
    ----------
    folder : the folder.
    frames : what its files are called, as in ``Tree``.
    """
    matches = (re.fullmatch(frames, name) for name, is_folder in listing(folder) if not is_folder)
    return str(max((int(match["n"]) for match in matches if match), default=""))


def refuse_escape(path: Path, boundary: Path) -> None:
    """Refuse a path that leads out of a folder.

    Raises
    ------
    DataError : ``path`` leads out of the folder ``boundary``.
    """
    boundary = boundary.resolve()
    target = path.resolve()
    if not target.is_relative_to(boundary):
        raise DataError(
            f"{path} is a link to {target}, outside of {boundary}. Copy the data into the tree, or give the folder "
            "that holds both."
        )


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _holds(tree: Tree, folder: Path, level: int, frames: bool) -> bool:
    if level == len(tree.folders):
        if not frames:
            return True
        pattern = re.compile(tree.frames or tree.videos)
        return any(pattern.fullmatch(name) for name, is_folder in listing(folder) if not is_folder)
    pattern = re.compile(tree.folders[level])
    matches = [name for name, is_folder in listing(folder) if is_folder and pattern.fullmatch(name)]
    return any(_holds(tree, folder / name, level + 1, frames) for name in matches[:PROBES])


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError as error:
        raise DataError(f"Folder {folder} cannot be read: {error.strerror}. Check its permissions.") from error


def _descend(
    tree: Tree,
    folder: Path,
    level: int,
    fields: Mapping[str, str],
    boundary: Path,
    clips: list[ClipPlace],
    strays: list[Path],
) -> None:
    last = level == len(tree.folders)
    if last and not tree.videos:
        clips.append(ClipPlace(folder, {"clip": folder.name, **fields}, tree))
        return
    pattern = re.compile(tree.videos if last else tree.folders[level])
    for entry in sorted(_scan(folder), key=lambda entry: entry.name):
        if entry.name.startswith(".") or _is_folder(entry) == last:
            continue
        match = pattern.fullmatch(entry.name)
        path = folder / entry.name
        if match is None:
            # A stray file harms nobody, but a folder with an odd name may be a clip that gets lost. Beside a folder of
            # one fixed name lies other data, such as depth beside colour.
            if not last and not pattern.pattern.isidentifier():
                strays.append(path)
            continue
        if entry.is_symlink():
            refuse_escape(path, boundary)
        more = {**fields, **{name: value for name, value in match.groupdict().items() if value is not None}}
        if last:
            clips.append(ClipPlace(path, {"clip": path.stem, **more}, tree))
        else:
            _descend(tree, path, level + 1, more, boundary, clips, strays)
