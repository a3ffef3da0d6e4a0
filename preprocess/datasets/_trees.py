"""Trees of clips: recognising them from names, finding clip folders, numbering frames. No file is opened or stat'ed."""

from __future__ import annotations

import functools
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from preprocess.datasets._folders import follow, is_folder, listing, names_in, real, scan
from preprocess.datasets._spec import Tree
from preprocess.samples.clip import Frames
from preprocess.samples.frames import IMAGE_ENDINGS, VIDEO_ENDINGS

# Recognising a tree looks into this many folders of each level.
PROBES = 6
# ``(?P<name>one|other)`` in a pattern: the group's words, which come out as they stand there.
_CHOICE = re.compile(r"\(\?P<(\w+)>([\w|]+)\)")


@dataclass(frozen=True)
class ClipPlace:
    """Where one clip lies.

    Attributes
    ----------
    path : its folder, or its video file.
    fields : what the names on the way to it say.
    tree : the layout in which it was found.
    odd : the first folder on the way, from the root down, that is not named as in the layout; None where all are. That
        such a folder holds clips only a sheet can tell.
    """

    path: Path
    fields: Mapping[str, str]
    tree: Tree = field(repr=False)
    odd: Path | None = None


@dataclass
class Search:
    """What was found in a tree.

    Attributes
    ----------
    clips : every clip, in the order of names.
    strays : the topmost folders among them that have another name.
    skipped : files that would be clips, had they another ending.
    links : folders that are links, which were followed.
    """

    clips: list[ClipPlace] = field(default_factory=list)
    strays: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Numbered:
    """The frames of a clip by the number in their names.

    Attributes
    ----------
    frames : number -> file.
    doubles : a line for each file whose number another one has.
    skipped : ending -> how many files would be frames, had they another one.
    """

    frames: Frames
    doubles: list[str]
    skipped: Mapping[str, int]


@functools.cache
def names_like(pattern: str) -> re.Pattern[str]:
    """Return the pattern of a tree's names, which fits them in any case of letters."""
    return re.compile(pattern, re.IGNORECASE)


def recognised(tree: Tree, root: Path, frames: bool = True, any_clip: bool = False) -> bool:
    """Return whether a folder holds clips in the tree's layout.

    Parameters
    ----------
    tree : the layout.
    root : the folder.
    frames : whether frames must be there; otherwise the folders are enough.
    any_clip : whether folders of clips may have any name, as those may that a sheet names. The folders above them must
        tell the subject then, so that something is left to recognise.
    """
    free = any_clip and _subject_level(tree) < _clip_level(tree)
    return (not tree.root or _called(tree.root, root)) and _holds(tree, root, 0, frames, free)


def find_clips(tree: Tree, root: Path, any_name: bool = False) -> Search:
    """Find every clip of the tree. Links are followed, wherever they lead.

    Parameters
    ----------
    tree : the layout.
    root : the folder that holds it.
    any_name : also find the folders at the depth of a clip on whose way a name does not fit (``ClipPlace.odd``): a
        sheet may name them. Folders of fixed names, such as ``color``, stay what they are.

    Raises
    ------
    DataError : a folder cannot be read, or following a link would never end.
    """
    search = Search()
    _descend(ClipPlace(root, {}, tree), root, 0, any_name, search)
    return search


def number_frames(place: ClipPlace) -> Numbered:
    """Return the frames of a clip by the number in their names.

    Numbers are read, never written: one clip may have names with and without zeros. Files of other names (shortcuts,
    thumbnails) are no frames. Of two files with one number the shorter name is taken, then the first by name.

    Raises
    ------
    DataError : the folder cannot be read.
    """
    pattern = names_like(place.tree.frames)
    match, group = pattern.fullmatch, pattern.groupindex["n"]
    names: dict[int, str] = {}
    doubles: list[str] = []
    skipped: Counter[str] = Counter()
    # A long recording has thousands of frames: nothing is asked of a file but its name.
    for name in names_in(place.path):
        found = match(name)
        if found is None:
            if _but_for_its_ending(pattern, name, IMAGE_ENDINGS):
                skipped[_ending(name)] += 1
            continue
        number = int(found[group])
        if number in names:
            kept, left = sorted((names[number], name), key=lambda name: (len(name), name))
            doubles.append(f"{place.path}: {kept} and {left} are both frame {number}; {kept} was taken")
            name = kept
        names[number] = name
    return Numbered(Frames(place.path, names), doubles, dict(sorted(skipped.items())))


def last_number(folder: Path | str, frames: str) -> str:
    """Return the number of a folder's last frame, "" where it has none.

    Parameters
    ----------
    folder : the folder.
    frames : what its files are called, as in ``Tree``.
    """
    matches = (names_like(frames).fullmatch(name) for name, is_folder in listing(folder) if not is_folder)
    return str(max((int(match["n"]) for match in matches if match), default=""))


def _called(pattern: str, root: Path) -> bool:
    """Say whether a root has the name that a tree is to have.

    A link has two names, its own and that of the folder; where one of them says that it is a cropped copy, that counts.
    """
    names = (root.absolute().as_posix(), real(root).as_posix())
    cropped = [name for name in names if "crop" in "/".join(name.split("/")[-2:]).lower()]
    ends = names_like(rf"(?:^|/)(?:{pattern})$")
    return any(ends.search(name) for name in cropped or names)


def _clip_level(tree: Tree) -> int:
    """Return the level of the folders that clips are called after; that of video files lies below all folders."""
    named = (level for level, pattern in enumerate(tree.folders) if "(?P<clip>" in pattern)
    return next(named, len(tree.folders) if tree.videos else len(tree.folders) - 1)


def _subject_level(tree: Tree) -> int:
    named = (level for level, pattern in enumerate(tree.folders) if "(?P<subject>" in pattern)
    return next(named, len(tree.folders))


def _varies(pattern: str) -> bool:
    """Say whether the folders of a level have names of their own; otherwise it is one fixed name, such as ``color``."""
    return re.search(r"\(\?P<|[\\\[.]", pattern) is not None


def _holds(tree: Tree, folder: Path | str, level: int, frames: bool, any_clip: bool) -> bool:
    if level == len(tree.folders):
        if not frames:
            return True
        pattern = names_like(tree.frames or tree.videos)
        return any(pattern.fullmatch(name) for name, is_folder in listing(folder) if not is_folder)
    pattern = names_like(tree.folders[level])
    free = any_clip and level == _clip_level(tree)
    matches = [name for name, is_folder in listing(folder) if is_folder and (free or pattern.fullmatch(name))]
    return any(_holds(tree, os.path.join(folder, name), level + 1, frames, any_clip) for name in matches[:PROBES])


def _descend(above: ClipPlace, root: Path, level: int, any_name: bool, search: Search) -> None:
    tree, folder, last = above.tree, above.path, level == len(above.tree.folders)
    if last and not tree.videos:
        search.clips.append(replace(above, fields={"clip": folder.name, **above.fields}))
        return
    pattern = names_like(tree.videos if last else tree.folders[level])
    for entry in sorted(scan(folder), key=lambda entry: entry.name):
        path, leads_on = folder / entry.name, is_folder(entry)
        if leads_on and entry.is_symlink():
            follow(path, root)
        if leads_on == last:
            continue
        match = pattern.fullmatch(entry.name)
        if match is None:
            # Of stray files only these may be lost clips. A folder with an odd name may be one, too; but beside a
            # folder of one fixed name lies other data, such as depth beside colour.
            if last and _but_for_its_ending(pattern, entry.name, VIDEO_ENDINGS):
                search.skipped.append(path)
            if last or not _varies(pattern.pattern):
                continue
            if above.odd is None:
                search.strays.append(path)
            if not any_name:
                continue
            more = _odd_fields(tree, level, entry.name)
        else:
            more = _spelled(pattern.pattern, match)
        here = ClipPlace(path, {**above.fields, **more}, tree, above.odd or (path if match is None else None))
        if last:
            search.clips.append(replace(here, fields={"clip": path.stem, **here.fields}))
            continue
        if entry.is_symlink():
            search.links.append(path)
        _descend(here, root, level + 1, any_name, search)


def _odd_fields(tree: Tree, level: int, name: str) -> dict[str, str]:
    """Return what a folder's name is taken for where it does not fit: the name of its clip, or of its subject."""
    if level == _clip_level(tree):
        return {"clip": name}
    return {"subject": name} if level == _subject_level(tree) else {}


def _spelled(pattern: str, match: re.Match[str]) -> dict[str, str]:
    """Return the groups of a match; a word that the pattern lists comes as it is written there, not as on the disk."""
    found = {name: value for name, value in match.groupdict().items() if value is not None}
    for name, words in _CHOICE.findall(pattern):
        if name in found:
            found[name] = next(word for word in words.split("|") if word.lower() == found[name].lower())
    return found


def _but_for_its_ending(pattern: re.Pattern[str], name: str, endings: Sequence[str]) -> bool:
    stem, dot, _ = name.rpartition(".")
    return bool(dot) and any(pattern.fullmatch(f"{stem}.{ending}") for ending in endings)


def _ending(name: str) -> str:
    return "." + name.rpartition(".")[2].lower()
