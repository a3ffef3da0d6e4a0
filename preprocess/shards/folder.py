"""One feature's folder of shards: judging which can be kept, taking in new ones, the manifest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from preprocess.base.errors import DataError, StoreError
from preprocess.base.hashing import digest
from preprocess.base.storage import Storage
from preprocess.shards.features import Feature
from preprocess.shards.file import Remarks, content_of, decode, tensor_hashes
from preprocess.shards.making import Entry, MadeShard, entry_of
from preprocess.shards.pace import write_pace

FORMAT = 2
MANIFEST = "manifest.json"
_PARTITION = "subject="
_SHARD = "part.parquet"


@dataclass
class Tally:
    """What was done to shards (see ``PreparedDataset``)."""

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
    """The shards of one feature of one dataset, in one folder.

    Where each look at a file is a request over a network, a shard of the manifest that is there is taken for whole:
    objects are put whole, and whoever reads a shard checks it.

    Call ``judge`` first: it names the subjects whose shards must be made. ``take`` writes each shard that was made.
    Call ``finish`` when all are there: it removes what is no longer needed and writes the manifest. A process that ends
    before ``finish`` loses nothing, since each shard also carries its own hashes.

    Attributes
    ----------
    title : ``dataset/feature``, for messages.
    feature : the feature.
    entries : subject -> the manifest's entry of its shard.
    tally : what was done so far.
    made_from : subject -> fingerprint of what its shard is made from.
    stale : subject -> why its shard must be made; filled by ``judge``.
    """

    def __init__(self, dataset: str, feature: Feature, sources: Mapping[str, str], storage: Storage) -> None:
        self.title = f"{dataset}/{feature.name}"
        self.feature = feature
        self.entries: dict[str, Entry] = {}
        self.tally = Tally()
        self.made_from = sources
        self.stale: dict[str, str] = {}
        self._storage = storage
        self._recipe_hash = feature.recipe_hash
        self._clips, self._seconds = 0, 0.0
        self._damages: dict[str, str] = {}
        self._changes: dict[str, list[str]] = {}

    def shard_name(self, subject: str) -> str:
        """Return the name of a subject's shard. Its id is percent-encoded, as in Hive-style partitions."""
        return f"{self.title}/{_partition(subject)}/{_SHARD}"

    def fingerprint(self) -> str:
        """Return the sha256 of all tensors by sample id."""
        return digest({subject: entry.content for subject, entry in self.entries.items()})

    def judge(self, overwrite: bool = False) -> list[str]:
        """Return the subjects whose shards must be made: missing, changed or damaged, or all with ``overwrite``."""
        recipe_hash, known = self._read_manifest()
        there = set(self._storage.find(self.title, _SHARD))
        for subject in self.made_from:
            is_there = self.shard_name(subject) in there
            verdict = _Verdict() if overwrite else self._judge(subject, known.get(subject), recipe_hash, is_there)
            if verdict.keep:
                self.entries[subject] = verdict.keep
                self.tally.reused += 1
                continue
            self.stale[subject] = verdict.damage or verdict.change or "not made yet"
            if verdict.damage:
                self._damages[subject] = verdict.damage
            if verdict.change:
                self._changes.setdefault(verdict.change, []).append(subject)
        return list(self.stale)

    def take(self, subject: str, made: MadeShard) -> None:
        """Write a shard that was made.

        Raises
        ------
        StoreError : it cannot be written; then nothing of it is left on disk.
        """
        name = self.shard_name(subject)
        self._storage.write(name, made.content)
        self.entries[subject] = made.entry
        self._clips += made.entry.rows + len(made.entry.remarks.skipped)
        self._seconds += made.seconds
        if subject in self._damages:
            self.tally.repaired += 1
            where = self._storage.where(name)
            self.tally.warnings.append(f"{where}: {self._damages[subject]}; made again from the source.")
        else:
            self.tally.made += 1

    def finish(self) -> None:
        """Remove shards of subjects that no longer exist, and write the manifest.

        Every subject must have its shard by now.

        Raises
        ------
        StoreError : the manifest cannot be written.
        """
        self.entries = {subject: self.entries[subject] for subject in self.made_from}
        for change, subjects in self._changes.items():
            self.tally.warnings.append(f"{self.title}: {change}; made again for: {', '.join(subjects)}.")
        self._remove_stale()
        self._write_manifest()
        if self._clips:
            write_pace(self._storage, self.title, self._recipe_hash, self._clips, self._seconds)

    def remarks(self) -> Remarks:
        """Return the remarks of all shards as one."""
        result = Remarks()
        for entry in self.entries.values():
            result.skipped.update(entry.remarks.skipped)
            result.notes.update(entry.remarks.notes)
            result.faces.update(entry.remarks.faces)
            result.quality.update(entry.remarks.quality)
        return result

    def tensors(self) -> dict[str, str]:
        """Return sample id -> hash of its tensor, of all shards; constant tensors are not among them."""
        return {name: tensor for entry in self.entries.values() for name, tensor in (entry.tensors or {}).items()}

    def _judge(self, subject: str, entry: Entry | None, recipe_hash: str | None, is_there: bool) -> _Verdict:
        change = self._change(subject, entry, recipe_hash) if entry else None
        if is_there and self._storage.remote and entry and not change and entry.tensors is not None:
            return _Verdict(keep=entry)
        try:
            content = self._storage.read(self.shard_name(subject)) if is_there else None
        except FileNotFoundError:
            content = None
        except StoreError as error:
            return _Verdict(damage=f"cannot be read ({error})")
        if content is None:
            return _Verdict(damage="is gone") if entry and not change else _Verdict(change=change)
        if entry and not change:
            if hashlib.sha256(content).hexdigest() != entry.sha256:
                return _Verdict(damage="its bytes do not match the manifest's checksum")
            if entry.tensors is not None:
                return _Verdict(keep=entry)
        return self._adopt(subject, content, change)

    def _change(self, subject: str, entry: Entry, recipe_hash: str | None) -> str | None:
        if recipe_hash != self._recipe_hash:
            return "the recipe changed"
        return "the source files changed" if entry.made_from != self.made_from[subject] else None

    def _adopt(self, subject: str, content: bytes, change: str | None) -> _Verdict:
        """Judge a shard that the manifest does not vouch for: an interrupted run left it, or it is older than a change.

        The hashes in the file itself tell which; so hours of interrupted work are not done twice.
        """
        try:
            shard = decode(content, self._storage.where(self.shard_name(subject)))
        except DataError:
            return _Verdict(damage="is not a readable shard")
        if (shard.recipe_hash, shard.made_from) != (self._recipe_hash, self.made_from[subject]):
            return _Verdict(change=change)
        hashes = tensor_hashes(shard.sample_ids, shard.tensors)
        if content_of(hashes) != shard.content:
            return _Verdict(damage="its tensors do not match the hash in the file")
        return _Verdict(keep=entry_of(shard, content, hashes, self.feature.layout))

    def _remove_stale(self) -> None:
        expected = {_partition(subject) for subject in self.made_from}
        there = sorted(name for name in self._storage.names(self.title) if name.startswith(_PARTITION))
        stale = [name for name in there if name not in expected]
        for name in stale:
            self._storage.delete_folder(f"{self.title}/{name}")
        if stale:
            names = ", ".join(name.removeprefix(_PARTITION) for name in stale)
            self.tally.warnings.append(
                f"{self.title}: removed the shards of subjects no longer in the source: {names}."
            )

    def _read_manifest(self) -> tuple[str | None, dict[str, Entry]]:
        """Return the recipe hash and the entries of the manifest; (None, {}) where there is none that can be used."""
        name = f"{self.title}/{MANIFEST}"
        try:
            value = json.loads(self._storage.read(name).decode("utf-8"))
            if value["format"] != FORMAT:
                raise ValueError(f"format {value['format']!r}, expected {FORMAT}")
            entries = {subject: _entry(subject_value) for subject, subject_value in value["subjects"].items()}
            return value["recipe_hash"], entries
        except FileNotFoundError:
            return None, {}
        except (StoreError, ValueError, KeyError, TypeError, AttributeError) as error:
            self.tally.warnings.append(
                f"{self._storage.where(name)}: cannot be used ({error!r}); every shard was checked by its own hashes."
            )
            return None, {}

    def _write_manifest(self) -> None:
        value = {
            "format": FORMAT,
            "feature": self.title,
            "recipe": self.feature.recipe,
            "recipe_hash": self._recipe_hash,
            "fingerprint": self.fingerprint(),
            "subjects": {subject: dataclasses.asdict(entry) for subject, entry in self.entries.items()},
        }
        content = (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()
        write_changed(self._storage, f"{self.title}/{MANIFEST}", content)


def write_changed(storage: Storage, name: str, content: bytes) -> None:
    """Write a file unless it holds the content already, so that its time tells when it changed.

    Raises
    ------
    StoreError : it cannot be written.
    """
    try:
        same = storage.read(name) == content
    except (FileNotFoundError, StoreError):
        same = False
    if not same:
        storage.write(name, content)


def _partition(subject: str) -> str:
    return f"{_PARTITION}{quote(subject, safe='')}"


def _entry(value: dict) -> Entry:
    """Read an entry of a manifest; one without remarks is of a version that had none."""
    return Entry(**{**value, "remarks": Remarks(**value.get("remarks", {}))})
