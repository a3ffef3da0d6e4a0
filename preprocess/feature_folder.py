"""One feature's folder of shards: which of them can be kept, and making the others."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from preprocess.base.errors import DataError, StoreError
from preprocess.base.files import write_atomic
from preprocess.base.hashing import digest
from preprocess.datasets import RawDataset
from preprocess.shard_file import Shard, content_hash, decode, encode

FORMAT = 1


@dataclass(frozen=True)
class Entry:
    """One shard in the manifest: its file's sha256, its tensors' content hash, its source's fingerprint, its rows."""

    sha256: str
    content: str
    source: str
    rows: int


@dataclass
class Tally:
    """What was done to the shards of a dataset (see ``PreparedDataset``)."""

    made: int = 0
    reused: int = 0
    repaired: int = 0
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Verdict:
    """What is found out about a shard: the entry to keep, or why it is made again; nothing set: make it."""

    keep: Entry | None = None
    damage: str | None = None
    change: str | None = None


class FeatureFolder:
    """The shards of one feature of one dataset, in ``path``."""

    def __init__(self, raw: RawDataset, name: str, path: Path) -> None:
        self.title = f"{raw.name}/{name}"
        self._raw = raw
        self._feature = raw.features[name]
        self._path = path
        self.recipe_hash = digest([self._feature.recipe, list(self._feature.shape), self._feature.dtype])
        self._samples = _by_subject(raw)
        self._sources = {
            subject: digest([[sample_id, self._feature.source_fingerprint(sample_id)] for sample_id in sample_ids])
            for subject, sample_ids in self._samples.items()
        }

    def shard_path(self, subject: str) -> Path:
        """Return where a subject's shard lies; the id is percent-encoded as Hive-style partitions are."""
        return self._path / f"subject={quote(subject, safe='')}" / "part.parquet"

    def fingerprint(self, entries: dict[str, Entry]) -> str:
        """Return the sha256 of all tensors by sample id."""
        return digest({subject: entry.content for subject, entry in entries.items()})

    def update(self, tally: Tally, progress: Callable[[str, int, int], None] | None) -> dict[str, Entry]:
        """Make what is missing, changed or damaged, remove what is stale, write the manifest; return its entries."""
        recipe_hash, known = self._read_manifest(tally)
        entries: dict[str, Entry] = {}
        changes: dict[str, list[str]] = {}
        for done, subject in enumerate(self._samples, start=1):
            verdict = self._judge(subject, known.get(subject), recipe_hash)
            if verdict.keep:
                entries[subject] = verdict.keep
                tally.reused += 1
            else:
                entries[subject] = self._make(subject)
                if verdict.damage:
                    tally.repaired += 1
                    tally.warnings.append(f"{self.shard_path(subject)}: {verdict.damage}; made again from the source.")
                else:
                    tally.made += 1
            if verdict.change:
                changes.setdefault(verdict.change, []).append(subject)
            if progress:
                progress(self.title, done, len(self._samples))
        for change, subjects in changes.items():
            tally.warnings.append(f"{self.title}: {change}; made again for: {', '.join(subjects)}.")
        self._remove_stale(tally)
        self._write_manifest(entries)
        return entries

    def _judge(self, subject: str, entry: Entry | None, recipe_hash: str | None) -> _Verdict:
        path = self.shard_path(subject)
        change = self._change(subject, entry, recipe_hash) if entry else None
        if not path.exists():
            return _Verdict(damage="is gone") if entry and not change else _Verdict(change=change)
        try:
            content = path.read_bytes()
        except OSError as error:
            return _Verdict(damage=f"cannot be read ({error.strerror})")
        if entry and not change:
            whole = hashlib.sha256(content).hexdigest() == entry.sha256
            return _Verdict(keep=entry) if whole else _Verdict(damage="its bytes do not match the manifest's checksum")
        return self._adopt(subject, content, change)

    def _change(self, subject: str, entry: Entry, recipe_hash: str | None) -> str | None:
        if recipe_hash != self.recipe_hash:
            return "the recipe changed"
        return "the source files changed" if entry.source != self._sources[subject] else None

    def _adopt(self, subject: str, content: bytes, change: str | None) -> _Verdict:
        """Judge a shard that the manifest does not vouch for: an interrupted run left it, or it is older than a change.

        The hashes in the file itself tell which; so hours of interrupted work are not done twice.
        """
        try:
            shard = decode(content, str(self.shard_path(subject)))
        except DataError:
            return _Verdict(damage="is not a readable shard")
        if (shard.recipe_hash, shard.source) != (self.recipe_hash, self._sources[subject]):
            return _Verdict(change=change)
        if content_hash(shard.sample_ids, shard.tensors) != shard.content:
            return _Verdict(damage="its tensors do not match the hash in the file")
        return _Verdict(keep=_entry(shard, content))

    def _make(self, subject: str) -> Entry:
        import numpy as np

        sample_ids = self._samples[subject]
        tensors = np.stack([self._compute(sample_id) for sample_id in sample_ids])
        shard = Shard(
            sample_ids=tuple(sample_ids),
            tensors=tensors,
            recipe_hash=self.recipe_hash,
            source=self._sources[subject],
            content=content_hash(sample_ids, tensors),
        )
        content = encode(shard, self._feature.recipe)
        path = self.shard_path(subject)
        with storing(path):
            write_atomic(path, content)
        return _entry(shard, content)

    def _compute(self, sample_id: str) -> Any:
        import numpy as np

        tensor = self._feature.compute(sample_id)
        if tensor.shape != self._feature.shape or tensor.dtype != np.dtype(self._feature.dtype):
            raise DataError(
                f"Feature {self.title} of sample {sample_id} is {tensor.dtype} {tensor.shape}; its adapter promised "
                f"{self._feature.dtype} {self._feature.shape}. Correct the adapter."
            )
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise DataError(
                f"Feature {self.title} of sample {sample_id} holds NaN or infinite values. Check its source."
            )
        return tensor

    def _remove_stale(self, tally: Tally) -> None:
        expected = {self.shard_path(subject).parent.name for subject in self._samples}
        stale = [folder for folder in sorted(self._path.glob("subject=*")) if folder.name not in expected]
        for folder in stale:
            with storing(folder):
                shutil.rmtree(folder)
        if stale:
            names = ", ".join(folder.name.removeprefix("subject=") for folder in stale)
            tally.warnings.append(f"{self.title}: removed the shards of subjects no longer in the source: {names}.")

    def _read_manifest(self, tally: Tally) -> tuple[str | None, dict[str, Entry]]:
        """Return the recipe hash and the entries of the manifest; (None, {}) where there is none that can be used."""
        path = self._path / "manifest.json"
        if not path.exists():
            return None, {}
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            if value["format"] != FORMAT:
                raise ValueError(f"format {value['format']!r}, expected {FORMAT}")
            return value["recipe_hash"], {subject: Entry(**entry) for subject, entry in value["subjects"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            tally.warnings.append(f"{path}: cannot be used ({error!r}); every shard was checked by its own hashes.")
            return None, {}

    def _write_manifest(self, entries: dict[str, Entry]) -> None:
        value = {
            "format": FORMAT,
            "feature": self.title,
            "recipe": self._feature.recipe,
            "recipe_hash": self.recipe_hash,
            "fingerprint": self.fingerprint(entries),
            "subjects": {subject: dataclasses.asdict(entry) for subject, entry in entries.items()},
        }
        content = (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()
        path = self._path / "manifest.json"
        with storing(path):
            if not path.is_file() or path.read_bytes() != content:
                write_atomic(path, content)


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn an operating-system error of the block into a StoreError that names ``path``."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(
            f"{path} cannot be written: {reason}. Expected a folder that can be written, with room on its disk. "
            "Free some space or choose another folder, and run again: what is whole is kept."
        ) from error


def _entry(shard: Shard, content: bytes) -> Entry:
    return Entry(hashlib.sha256(content).hexdigest(), shard.content, shard.source, len(shard.sample_ids))


def _by_subject(raw: RawDataset) -> dict[str, list[str]]:
    """Return subject id (without the dataset's name) -> its sample ids, both sorted."""
    groups: dict[str, list[str]] = {}
    for subject, sample_id in sorted(zip(raw.samples["subject"], raw.samples["sample_id"], strict=True)):
        groups.setdefault(subject.partition("/")[2], []).append(sample_id)
    return groups
