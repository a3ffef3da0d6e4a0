"""Small copies of every database, each made and read once for all tests."""

from __future__ import annotations

import shutil
from pathlib import Path

from trees import TREES

from preprocess.datasets import DATASETS, read_source
from preprocess.samples.table import samples_fingerprint

Contents = dict[str, tuple[str, dict[str, list[int]], dict[str, str]]]


def all_of(root: Path) -> Contents:
    """Return what counts of every dataset there: its table, the frames of its clips, and what they are made from."""
    return {
        dataset.name: (
            samples_fingerprint(dataset.samples),
            {name: clip.numbers for name, clip in dataset.clips.items()},
            {name: clip.fingerprint() for name, clip in dataset.clips.items()}
            | {
                id_: one.source_fingerprint(id_)
                for one in dataset.features.values()
                for id_ in dataset.samples.sample_id
            },
        )
        for dataset in read_source(root)
    }


class Copies:
    """Small copies of the databases; each is made once, and copied for every test that may change it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, Contents] = {}

    def _made(self, name: str) -> Path:
        root = self._folder / name / "alone" / "data"
        database = DATASETS.get(name).database
        if not root.exists():
            root.mkdir(parents=True)
            if database and database.example:
                database.example(root)
            else:
                TREES[name](root)
        return root

    def write(self, name: str, root: Path) -> None:
        """Write a small copy of a database."""
        shutil.copytree(self._made(name), root, symlinks=True)

    def contents(self, name: str) -> Contents:
        """Return what ``all_of`` reads in a copy that nobody changed."""
        if name not in self._read:
            self._read[name] = all_of(self._made(name))
        return self._read[name]
