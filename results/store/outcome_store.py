"""The outcome store: the one truth about what is done, failed and missing."""

from __future__ import annotations

import copy
import re
import shlex
from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from preprocess.base.errors import StoreError
from preprocess.base.storage import open_storage
from results.store.outcome import Failure, Outcome
from results.store.outcome_file import DamagedOutcome, outcome_to_bytes
from results.store.outcome_reader import REMOVE_AND_RERUN, OutcomeReader
from results.store.records import (
    SCHEMA_VERSION,
    card_from_bytes,
    card_to_bytes,
    damaged_card,
    failure_from_bytes,
    failure_to_bytes,
    json_bytes,
    json_object,
)
from results.store.sealing import seal, unseal
from results.store.study_card import StudyCard
from results.store.study_file import SealedStudy, seal_of
from results.store.study_folder import (
    COUNTS_FILE,
    INNER,
    OUTCOMES,
    SUFFIXES,
    StudyState,
    all_in_one,
    fold_file,
    folds_with,
    study_files,
    study_folder,
)

# A store says so once it has a study file: a program that knows none would take its folds for missing.
_SEALED_VERSION = 2

# What else may lie in a folder that becomes a store: the shards, the pretrained networks and the tracking data of the
# same runs.
_NEIGHBOURS = re.compile(r"\..*|shards|pretrained|mlartifacts|mlruns|mlflow\.db.*")


_FEW = 16

T = TypeVar("T")
S = TypeVar("S")


class MissingStore(StoreError):
    """There is no store at the place from which one was to be read."""


class OutcomeStore:
    """Outcomes, failures and weights of studies: one file each, written whole or not at all.

    The outcomes of a complete study may be put into one file (``seal``). A fold's own file beside it is newer, and
    counts instead.

    Parameters
    ----------
    root : a local folder, or an address that pyarrow.fs understands (``file://``, ``s3://``, ``gs://``).
    create : make the store where there is none yet; without it a missing store is an error.

    Attributes
    ----------
    root : opens the same store from any process: an absolute path, or the address. It may hold a password.

    Raises
    ------
    MissingStore : there is no store, and ``create`` is not set.
    StoreError : the place holds something else, cannot be reached or written, or is of another schema version.
    """

    def __init__(self, root: str | Path, create: bool = False) -> None:
        self._storage = open_storage(root)
        self._reader = OutcomeReader(self._storage)
        self.root = self._storage.root
        version = self._version()
        if version is None and not create:
            where = self.where()
            raise MissingStore(f"No results at {where}; run `merbench run --results {shlex.quote(where)}` first.")
        if version is None:
            self._check_unused()
        self._schema = version or SCHEMA_VERSION
        if create:
            # Written again where it is there already: a store that cannot be written is told now, not after training.
            self._storage.write("store.json", json_bytes({"schema_version": self._schema}))

    def __reduce__(self) -> tuple[type[OutcomeStore], tuple[str]]:
        return OutcomeStore, (self.root,)

    def where(self, name: str = "") -> str:
        """Return the store's full path or address, or that of one of its files, for people: without a password."""
        return self._storage.where(name)

    def write_card(self, card: StudyCard) -> None:
        """Write the study's card. Writing it again changes nothing."""
        self._storage.write(f"{study_folder(card)}/study.json", card_to_bytes(card))

    def cards(self, inner: bool = False) -> list[StudyCard]:
        """Read the cards of all studies.

        Parameters
        ----------
        inner : the studies that try configurations for tuned ones, in place of those that stand on boards.

        Returns
        -------
        Sorted by model label, dataset, task, protocol, selection, seed and key.

        Raises
        ------
        StoreError : a ``study.json`` is damaged.
        """
        cards = self.map(self._read_card, self._storage.find(INNER if inner else OUTCOMES, "study.json"))
        return sorted(cards, key=lambda c: (c.label, c.dataset, c.task, c.protocol, c.selection, c.seed, c.key))

    def for_many(self, cards: Collection[StudyCard]) -> OutcomeStore:
        """Return the store to read some studies from, at once: at an address, one listing takes the place of many.

        A study that changes meanwhile is read as it was, or as it is.

        Parameters
        ----------
        cards : the studies; few are listed one by one, for the whole store may be large.
        """
        if not self._storage.remote or len(cards) <= _FEW:
            return self
        folders = {study_folder(card).partition("/")[0] for card in cards}
        listing = {place: names for folder in folders for place, names in self._storage.tree(folder).items()}
        store = copy.copy(self)
        store._reader = OutcomeReader(self._storage, listing)
        return store

    def holds_studies(self) -> bool:
        """Return whether there is any study, from one listing."""
        return bool(self._storage.names(OUTCOMES))

    def state(self, card: StudyCard) -> StudyState:
        """Return which folds are done, failed, and have weights, from a listing of the study's folder."""
        names = self._reader.names(card)
        done = folds_with(card, names, "outcome")
        if study_files(names):
            done = frozenset(fold.key for fold in card.folds)
        return StudyState(done, folds_with(card, names, "failure") - done, folds_with(card, names, "weights"))

    def write_outcome(self, card: StudyCard, outcome: Outcome) -> None:
        """Write a finished fold and remove an earlier failure record of it.

        Raises
        ------
        StoreError : the fold is another study's, or the file cannot be written.
        """
        self._check_owner(card, outcome)
        self._storage.write(fold_file(card, outcome.key, "outcome"), outcome_to_bytes(outcome))
        self._storage.delete(fold_file(card, outcome.key, "failure"))

    def read_outcome(self, card: StudyCard, fold_key: str) -> Outcome:
        """Read a fold's outcome.

        Raises
        ------
        DamagedOutcome : the file is damaged; the message names it and says what to do.
        StoreError : there is no such file.
        """

        def read() -> Outcome:
            names = self._reader.names(card)
            if fold_key in folds_with(card, names, "outcome") or not study_files(names):
                return self._reader.single(card, fold_key)
            outcomes, wrong = self._reader.in_study_file(card, names)
            for outcome in outcomes:
                if outcome.key == fold_key:
                    return outcome
            raise DamagedOutcome(wrong)

        where = self.where(fold_file(card, fold_key, "outcome"))
        return self._reader.steady(read, f"No outcome of this fold: {where} does not exist.")

    def read_outcomes(self, card: StudyCard) -> tuple[list[Outcome], list[str]]:
        """Read all outcomes of a study that can be read.

        Returns
        -------
        The outcomes, in the card's fold order.
        A message for each file that is damaged.
        """
        read = self._reader.steady(
            lambda: self._reader.outcomes(card, self._reader.names(card)), self._reader.went(card)
        )
        return read.outcomes, read.damage

    def read_sealed(self, card: StudyCard) -> SealedStudy | None:
        """Return the study's one file, where all its outcomes lie in it and no byte of it has changed; else None."""

        def read() -> SealedStudy | None:
            names = self._reader.names(card)
            if not all_in_one(card, names):
                return None
            name = f"{study_folder(card)}/{study_files(names)[-1]}"
            data = self._storage.read(name)
            seal = seal_of(data)
            if seal is None:
                return None
            counts = self._storage.read(f"{study_folder(card)}/{COUNTS_FILE}") if COUNTS_FILE in names else None
            weights = len(folds_with(card, names, "weights"))
            # Only what takes a network to be read again is kept: the bytes of all studies would fill the memory.
            again = partial(bytes, data) if self._storage.remote else partial(self._again, card, seal)
            return SealedStudy(card.key, self.where(name), again, seal, counts, weights)

        return self._reader.steady(read, self._reader.went(card))

    def _again(self, card: StudyCard, seal: str) -> bytes:
        """Return the bytes of a study file that was read before; another driver may have given it another name."""

        def read() -> bytes:
            names = self._reader.names(card)
            for name in study_files(names):
                data = self._storage.read(f"{study_folder(card)}/{name}")
                if seal_of(data) == seal:
                    return data
            raise StoreError(
                f"{card.title}: its outcomes were changed after they had been read, in "
                f"{self.where(study_folder(card))}. Another run may be at work on it: run the same command "
                "again."
            )

        return self._reader.steady(read, self._reader.went(card))

    def seal(self, card: StudyCard) -> None:
        """Put a study's outcomes into one file, and remove the files that held them; of a complete, whole study only.

        Nothing is removed before the new file was written. Stopped at any point, it leaves some outcomes in two files;
        they are read once, and the next call removes the earlier ones.

        Raises
        ------
        StoreError : the store cannot be written.
        """

        def put_together() -> None:
            names = self._reader.names(card)
            there = len(folds_with(card, names, "outcome"))
            if all_in_one(card, names) or (there < len(card.folds) and not study_files(names)):
                return
            read = self._reader.outcomes(card, names)
            if read.damage or len(read.outcomes) < len(card.folds):
                return
            if self._schema < _SEALED_VERSION:
                self._storage.write("store.json", json_bytes({"schema_version": _SEALED_VERSION}))
                self._schema = _SEALED_VERSION
            seal(self._storage, self._reader, card, read, names)

        self._reader.steady(put_together, self._reader.went(card))

    def map(self, call: Callable[[S], T], values: Iterable[S]) -> list[T]:
        """Return what ``call``, which reads from the store, makes of each value; over a network, many at a time."""
        return self._reader.map(call, values)

    def keep_counts(self, card: StudyCard, content: bytes) -> None:
        """Keep what the scores of a sealed study are made of, for ``read_sealed`` to hand out."""
        self._storage.write(f"{study_folder(card)}/{COUNTS_FILE}", content)

    def write_failure(self, card: StudyCard, failure: Failure) -> None:
        """Record that a fold ended with an error.

        Raises
        ------
        StoreError : the fold is another study's, or the file cannot be written.
        """
        self._check_owner(card, failure)
        self._storage.write(fold_file(card, failure.key, "failure"), failure_to_bytes(failure))

    def failures(self, card: StudyCard) -> list[Failure]:
        """Return the records of the failed folds, in the card's fold order.

        Raises
        ------
        StoreError : a record is damaged.
        """
        failed = self.state(card).failed
        return self.map(lambda key: self._read_failure(card, key), [f.key for f in card.folds if f.key in failed])

    def write_weights(self, card: StudyCard, fold_key: str, weights: dict[str, np.ndarray]) -> None:
        """Write a fold's trained weights as a safetensors file.

        Parameters
        ----------
        card : the study's.
        fold_key : the fold's key.
        weights : name -> array of any shape and a numeric dtype.
        """
        from safetensors.numpy import save

        # safetensors writes the memory as it lies, so a transposed view would come back scrambled.
        plain = {name: np.asarray(array, order="C") for name, array in weights.items()}
        self._storage.write(fold_file(card, fold_key, "weights"), save(plain))

    def read_weights(self, card: StudyCard, fold_key: str) -> dict[str, np.ndarray]:
        """Read what ``write_weights`` wrote.

        Raises
        ------
        StoreError : there is no such file, or it is damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        name = fold_file(card, fold_key, "weights")
        data = self._read(name, "No weights of this fold (they are kept only by `merbench run --keep-weights`)")
        try:
            return load(data)
        except SafetensorError as error:
            where = self.where(name)
            raise StoreError(f"{where} is no whole safetensors file: {error}. {REMOVE_AND_RERUN}") from error

    def discard(self, card: StudyCard, *fold_keys: str) -> None:
        """Remove folds' outcomes, failure records and weights, so that they count as never computed."""

        def take_apart() -> None:
            names = self._reader.names(card)
            if study_files(names):
                unseal(self._storage, self._reader, card, names, fold_keys)

        self._reader.steady(take_apart, self._reader.went(card))
        for fold_key in fold_keys:
            for kind in SUFFIXES:
                self._storage.delete(fold_file(card, fold_key, kind))

    def _version(self) -> int | None:
        """Return the store's schema version; None where there is no store, StoreError where it is not ours to read."""
        try:
            content = self._storage.read("store.json")
        except FileNotFoundError:
            return None
        where = self.where("store.json")
        version = json_object(content, where, "Restore it, or name another folder with --results.").get(
            "schema_version"
        )
        if version not in (SCHEMA_VERSION, _SEALED_VERSION):
            raise StoreError(
                f"{where} has store schema version {version!r}, this program reads version {SCHEMA_VERSION} or "
                f"{_SEALED_VERSION}. Use the merbench version that wrote it, or name another folder with --results."
            )
        return int(version)

    def _check_unused(self) -> None:
        foreign = sorted(name for name in self._storage.names("") if not _NEIGHBOURS.fullmatch(name))
        if foreign:
            shown = ", ".join(foreign[:5]) + (" ..." if len(foreign) > 5 else "")
            raise StoreError(
                f"{self.where()} is no results store (it has no store.json) but holds other files: {shown}. "
                "Name a new or empty folder with --results."
            )

    def _check_owner(self, card: StudyCard, record: Outcome | Failure) -> None:
        if record.study_key != card.key:
            raise StoreError(
                f"Fold {record.fold} belongs to study {record.study_key[:16]}, not to {card.key[:16]} ({card.title})."
            )

    def _read_card(self, name: str) -> StudyCard:
        card = card_from_bytes(self._read(name, "No study"), self.where(name))
        if name != f"{study_folder(card)}/study.json":
            raise damaged_card(self.where(name))
        return card

    def _read_failure(self, card: StudyCard, fold_key: str) -> Failure:
        name = fold_file(card, fold_key, "failure")
        return failure_from_bytes(self._read(name, "No failure record of this fold"), self.where(name))

    def _read(self, name: str, missing: str) -> bytes:
        try:
            return self._storage.read(name)
        except FileNotFoundError:
            raise StoreError(f"{missing}: {self.where(name)} does not exist.") from None
