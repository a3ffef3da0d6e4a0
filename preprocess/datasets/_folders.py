"""What lies in a folder: what computers leave there of themselves is passed over, links are followed, loops refused."""

from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from preprocess.base.errors import DataError

# So many entries of a folder are looked at.
PROBED_ENTRIES = 20_000

# Names, in lower case, that systems and programs leave in folders; besides, whatever begins with one of the marks.
_JUNK_FILES = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r")
_JUNK_FOLDERS = ("__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found")
_JUNK = frozenset((*_JUNK_FILES, *_JUNK_FOLDERS))
_JUNK_MARKS = (".", "~$")

_remembered: dict[tuple[str, bool], list[tuple[str, bool]]] | None = None
_led_to: dict[str, Path] = {}
"""Path -> where it leads, kept for as long as listings are."""


def is_junk(name: str) -> bool:
    """Say whether a name is that of something nobody put there: ``.DS_Store``, ``._x.png``, ``~$x.xlsx``."""
    return name.startswith(_JUNK_MARKS) or name.lower() in _JUNK


@contextmanager
def remembered_listings() -> Iterator[None]:
    """While this is open a folder is listed once, and a path followed once, however many adapters ask for it."""
    global _remembered
    before, _remembered = _remembered, {} if _remembered is None else _remembered
    try:
        yield
    finally:
        _remembered = before
        if _remembered is None:
            _led_to.clear()


def listing(folder: Path | str, beside: bool = False) -> list[tuple[str, bool]]:
    """Return what lies in a folder, sorted by name, without junk.

    Parameters
    ----------
    folder : the folder.
    beside : whether it lies beside the data, not in it: a link there that leads to itself harms nobody, and is no
        folder.

    Returns
    -------
    (name, whether it is a folder, or a link to one) pairs, at most ``PROBED_ENTRIES``; [] for a folder that may not be
    read, which is no reason to refuse its neighbours.

    Raises
    ------
    DataError : a link leads to itself.
    """
    path, key = os.fspath(folder), (os.fspath(folder), beside)
    if _remembered is not None and key in _remembered:
        return _remembered[key]
    entries: list[tuple[str, bool]] = []
    try:
        with os.scandir(path) as found:
            for entry in found:
                if not is_junk(entry.name):
                    entries.append((entry.name, is_folder(entry, beside)))
                if len(entries) >= PROBED_ENTRIES:
                    break
    except OSError:
        entries = []
    entries.sort()
    if _remembered is not None:
        _remembered[key] = entries
    return entries


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder, in any order, without those that begin like junk.

    Raises
    ------
    DataError : the folder cannot be read.
    """
    try:
        return [name for name in os.listdir(folder) if not name.startswith(_JUNK_MARKS)]
    except OSError as error:
        raise DataError(f"Folder {folder} cannot be read: {error.strerror}. Check its permissions.") from error


def scan(folder: Path) -> list[os.DirEntry[str]]:
    """Return every entry of a folder without junk, in any order.

    Raises
    ------
    DataError : the folder cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            return [entry for entry in found if not is_junk(entry.name)]
    except OSError as error:
        raise DataError(f"Folder {folder} cannot be read: {error.strerror}. Check its permissions.") from error


def is_folder(entry: os.DirEntry[str], beside: bool = False) -> bool:
    """Say whether an entry is a folder, or a link to one.

    Parameters
    ----------
    entry : the entry.
    beside : whether it lies beside the data, not in it.

    Raises
    ------
    DataError : it is a link that leads to itself, in the data.
    """
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP and not beside:
            raise DataError(f"{entry.path} is a link that leads back to itself. Remove the link.") from error
        return False


def follow(link: Path, top: Path) -> Path:
    """Return where a link to a folder leads.

    Parameters
    ----------
    link : the link.
    top : the folder, above the link, that the search began at.

    Raises
    ------
    DataError : it leads to a folder that the way to the link goes through, so that following it would never end.
    """
    target = real(link)
    way = link.parent
    while True:
        if real(way).is_relative_to(target):
            raise DataError(f"{link} is a link to {target}, in which it lies itself: a loop. Remove the link.")
        if way == top or way == way.parent:
            return target
        way = way.parent


def real(path: Path) -> Path:
    """Return where a path leads once all links on it are followed."""
    if _remembered is None:
        return Path(os.path.realpath(path))
    if (name := os.fspath(path)) not in _led_to:
        _led_to[name] = Path(os.path.realpath(path))
    return _led_to[name]


def links_on(top: Path, folder: Path) -> list[str]:
    """Return a line for each link that was followed on the way from one folder down to another."""
    lines = []
    while folder not in (top, folder.parent):
        if folder.is_symlink():
            lines.append(f"{folder} is a link to {real(folder)}, and was followed")
        folder = folder.parent
    return lines[::-1]


def below(folder: Path, *names: str) -> Path | None:
    """Return what is called so below a folder, whatever the case of letters and the form of accents; None if nothing.

    Where several are called alike, the one of exactly this name is meant, else the first by name.
    """
    for name in names:
        if not os.path.lexists(folder / name):
            wanted = plain(name)
            alike = [there for there, _ in listing(folder, beside=True) if plain(there) == wanted]
            if not alike:
                return None
            name = alike[0]
        folder = folder / name
    return folder


def plain(name: str) -> str:
    """Return what two spellings of one name share: no case, and one form of accented letters."""
    return unicodedata.normalize("NFC", name).casefold()
