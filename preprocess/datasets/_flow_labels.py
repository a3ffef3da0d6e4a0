"""The labels of flow images that lie in no label folder: from a table of the clips, or a tree with label folders."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from preprocess.base.errors import DataError
from preprocess.datasets._flow_pictures import SUBJECTS, clips_of
from preprocess.datasets._flow_places import tree_pictures, trees_beside
from preprocess.datasets._folders import listing
from preprocess.datasets._records import clip_key
from preprocess.datasets._sheets import read_workbook

EMOTIONS = ("negative", "positive", "surprise")
# Headings as the public tables have them; a table without headings has its columns in these places.
_HEADINGS = {"subject": ("sub", "subject"), "clip": ("filename_o", "filename", "clip"), "label": ("label",)}
_PLACES = {"subject": 1, "clip": 2, "label": 3}

Key = tuple[str, str]


@dataclass(frozen=True)
class Labels:
    """What a table, or a tree with label folders, tells of clips that lie elsewhere.

    Attributes
    ----------
    path : the file or folder.
    labels : clip's key -> label, of the clips that are there.
    names : clip's key -> how it is written: "sub01/EP02_01f".
    others : the clips that it names and that are not there, as it writes them.
    """

    path: Path
    labels: dict[Key, int]
    names: dict[Key, str]
    others: tuple[str, ...] = ()


def find_labels(root: Path, keys: Collection[Key]) -> Labels | None:
    """Return the nearest labels of the clips of a folder.

    A table (.csv) counts that names some of the clips, in the folder itself or in the two above it; without any, a tree
    with label folders beside the folder, then one beside the folder above or inside of its neighbours.

    Parameters
    ----------
    root : the folder of the pictures.
    keys : of the clips that are there.

    Raises
    ------
    DataError : a label of a clip is none, or two rows, two tables or two trees give a clip two labels.
    """
    tables = ([_of_table(path, keys) for path in _tables(folder)] for folder in (root, root.parent, root.parent.parent))
    trees = ([_of_tree(tree, keys) for tree in near] for near in trees_beside(root))
    for near in itertools.chain(tables, trees):
        found = [labels for labels in near if labels is not None]
        for other in found[1:]:
            _check_agreement(found[0], other)
        if found:
            return max(found, key=lambda labels: len(labels.labels))
    return None


def label_of(text: str, place: str) -> int:
    """Return a label, 0, 1 or 2, from its number or its emotion.

    Raises
    ------
    DataError : it is none; the message says where.
    """
    plain = text.strip().lower().removesuffix(".0")
    if plain in EMOTIONS:
        return EMOTIONS.index(plain)
    if plain not in ("0", "1", "2"):
        raise DataError(f"{place}: {text!r} is not a label. Expected 0 (negative), 1 (positive) or 2 (surprise).")
    return int(plain)


def _tables(folder: Path) -> list[Path]:
    names = [name for name, is_folder in listing(folder) if not is_folder and name.lower().endswith(".csv")]
    return [folder / name for name in names]


def _of_tree(tree: Path, keys: Collection[Key]) -> Labels | None:
    clips = [clip for clip in clips_of(tree_pictures(tree)) if clip.key in keys]
    labels = {clip.key: clip.label for clip in clips if clip.label is not None}
    return Labels(tree, labels, {clip.key: clip.sample_id for clip in clips}) if labels else None


def _of_table(path: Path, keys: Collection[Key]) -> Labels | None:
    """Return the labels that a file gives; None where it is no table of these clips."""
    found = Labels(path, {}, {})
    others = []
    for number, subject, clip, label in _rows(path):
        key = (clip_key(subject), clip_key(clip))
        if key not in keys:
            others.append(f"{subject}/{clip}")
            continue
        value = label_of(label, f"{path}, row {number}")
        if found.labels.setdefault(key, value) != value:
            raise DataError(f"{path}, row {number}: {subject} {clip} has another label further up. Correct the table.")
        found.names[key] = f"{subject}/{clip}"
    return replace(found, others=tuple(others)) if found.labels else None


def _rows(path: Path) -> list[tuple[int, str, str, str]]:
    """Return row, subject, clip and label as the table writes them; [] where the file is no such table."""
    if not path.stat().st_size:
        return []
    rows = next(iter(read_workbook(path).values()))
    plain = [cell.strip().lower() for cell in rows[0]]
    places = {
        field: next((plain.index(name) for name in names if name in plain), -1) for field, names in _HEADINGS.items()
    }
    first = 1
    if min(places.values()) < 0:
        if len(plain) < 4 or plain[0] not in SUBJECTS:
            return []
        places, first = _PLACES, 0
    cells = [[row[place].strip() if place < len(row) else "" for place in places.values()] for row in rows[first:]]
    return [(number, *_three(row)) for number, row in enumerate(cells, start=first + 1) if row[1]]


def _three(cells: Sequence[str]) -> tuple[str, str, str]:
    subject, clip, label = cells
    return subject, clip, label


def _check_agreement(first: Labels, second: Labels) -> None:
    for key in sorted(first.labels.keys() & second.labels.keys()):
        if first.labels[key] != second.labels[key]:
            raise DataError(
                f"{first.path} calls {first.names[key]} {EMOTIONS[first.labels[key]]}, and {second.path} calls it "
                f"{EMOTIONS[second.labels[key]]}. Leave only the one that holds for these pictures near them."
            )
