"""The outcome store: the one truth about what is done, failed and missing."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from preprocess.base.errors import StoreError
from preprocess.base.hashing import digest
from preprocess.base.storage import open_storage
from results.store.outcome import Failure, Outcome
from results.store.outcome_file import DamagedOutcome, outcome_from_bytes, outcome_to_bytes
from results.store.study_card import StudyCard

SCHEMA_VERSION = 1

# What else may lie in a folder that becomes a store: the shards and the tracking data of the same runs.
_NEIGHBOURS = re.compile(r"\..*|shards|mlartifacts|mlruns|mlflow\.db.*")
FileKind = Literal["outcome", "failure", "weights"]
_SUFFIXES: dict[FileKind, str] = {"outcome": ".outcome.parquet", "failure": ".failure.json", "weights": ".safetensors"}
_REQUESTS_AT_ONCE = 16

T = TypeVar("T")


@dataclass(frozen=True)
class StudyState:
    """What is there of a study's folds, as the folds' full keys.

    Attributes
    ----------
    done : folds that have an outcome.
    failed : folds that ended with an error and have no outcome.
    weights : folds whose weights are kept.
    """

    done: frozenset[str]
    failed: frozenset[str]
    weights: frozenset[str] = frozenset()


def study_folder(card: StudyCard) -> str:
    """Return the study's folder below the store's root.

    It holds names for people to read, and a piece of the study's key so that no two studies share it.
    """
    setting = f"{card.task}-{card.protocol}-{card.selection}-seed{card.seed}"
    return "/".join(["outcomes", *map(_path_word, (card.model, card.dataset, setting)), card.key[:16]])


def fold_file(card: StudyCard, fold_key: str, kind: FileKind) -> str:
    """Return the name of one of a fold's files below the root. The writer and every check call this function."""
    return f"{study_folder(card)}/{_fold_file_name(fold_key, kind)}"


class MissingStore(StoreError):
    """There is no store at the place from which one was to be read."""


class OutcomeStore:
    """Outcomes, failures and weights of studies: one file each, written whole or not at all.

    Parameters
    ----------
    root : a local folder, or an address that pyarrow.fs understands (``file://``, ``s3://``, ``gs://``).
    create : make the store where there is none yet; without it a missing store is an error.

    Attributes
    ----------
    root : opens the same store from any process: an absolute path, or the address.

    Raises
    ------
    MissingStore : there is no store, and ``create`` is not set.
    StoreError : the place holds something else, cannot be reached or written, or is of another schema version.
    """

    def __init__(self, root: str | Path, create: bool = False) -> None:
        self._storage = open_storage(root)
        self.root = self._storage.root
        known = self._check_version()
        if not known and not create:
            where = self._storage.where()
            raise MissingStore(f"No results at {where}; run `merbench run --results {shlex.quote(where)}` first.")
        if not known:
            self._check_unused()
        if create:
            # Written again where it is there already: a store that cannot be written is told now, not after training.
            self._storage.write("store.json", _json_bytes({"schema_version": SCHEMA_VERSION}))

    def __reduce__(self) -> tuple[type[OutcomeStore], tuple[str]]:
        return OutcomeStore, (self.root,)

    def write_card(self, card: StudyCard) -> None:
        """Write the study's card. Writing it again changes nothing."""
        value = card.to_json()
        content = {"schema_version": SCHEMA_VERSION, "sha256": digest(value), "card": value}
        self._storage.write(f"{study_folder(card)}/study.json", _json_bytes(content))

    def cards(self) -> list[StudyCard]:
        """Read the cards of all studies.

        Returns
        -------
        Sorted by model label, dataset, task, protocol, selection, seed and key.

        Raises
        ------
        StoreError : a ``study.json`` is damaged.
        """
        cards = self._map(self._read_card, self._storage.find("outcomes", "study.json"))
        return sorted(cards, key=lambda c: (c.label, c.dataset, c.task, c.protocol, c.selection, c.seed, c.key))

    def holds_studies(self) -> bool:
        """Return whether there is any study, from one listing."""
        return bool(self._storage.names("outcomes"))

    def state(self, card: StudyCard) -> StudyState:
        """Return which folds are done, failed, and have weights, from one listing of the study's folder."""
        names = set(self._storage.names(study_folder(card)))

        def holding(kind: FileKind) -> frozenset[str]:
            return frozenset(fold.key for fold in card.folds if _fold_file_name(fold.key, kind) in names)

        done = holding("outcome")
        return StudyState(done, holding("failure") - done, holding("weights"))

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
        name = fold_file(card, fold_key, "outcome")
        where = self._storage.where(name)
        try:
            outcome = outcome_from_bytes(self._read(name, "No outcome of this fold"), where)
        except DamagedOutcome as damage:
            raise DamagedOutcome(f"{damage} {_REMOVE_AND_RERUN}") from damage
        if (outcome.key, outcome.study_key) != (fold_key, card.key):
            raise DamagedOutcome(
                f"{where} holds fold {outcome.fold} of study {outcome.study_key[:16]}, not the fold it is named for. "
                f"{_REMOVE_AND_RERUN}"
            )
        return outcome

    def read_outcomes(self, card: StudyCard) -> tuple[list[Outcome], list[str]]:
        """Read all outcomes of a study that can be read.

        Returns
        -------
        The outcomes, in the card's fold order.
        A message for each file that is damaged.
        """
        done = self.state(card).done
        found = self._map(lambda key: self._outcome_or_message(card, key), [f.key for f in card.folds if f.key in done])
        outcomes = [item for item in found if isinstance(item, Outcome)]
        return outcomes, [item for item in found if isinstance(item, str)]

    def write_failure(self, card: StudyCard, failure: Failure) -> None:
        """Record that a fold ended with an error.

        Raises
        ------
        StoreError : the fold is another study's, or the file cannot be written.
        """
        self._check_owner(card, failure)
        content = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(failure)}
        self._storage.write(fold_file(card, failure.key, "failure"), _json_bytes(content))

    def failures(self, card: StudyCard) -> list[Failure]:
        """Return the records of the failed folds, in the card's fold order.

        Raises
        ------
        StoreError : a record is damaged.
        """
        failed = self.state(card).failed
        return self._map(lambda key: self._read_failure(card, key), [f.key for f in card.folds if f.key in failed])

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
            where = self._storage.where(name)
            raise StoreError(f"{where} is no whole safetensors file: {error}. {_REMOVE_AND_RERUN}") from error

    def discard(self, card: StudyCard, fold_key: str) -> None:
        """Remove a fold's outcome, failure record and weights, so that it counts as never computed."""
        for kind in _SUFFIXES:
            self._storage.delete(fold_file(card, fold_key, kind))

    def _check_version(self) -> bool:
        """Return whether there is a store; StoreError where it is not ours to read."""
        try:
            content = self._storage.read("store.json")
        except FileNotFoundError:
            return False
        where = self._storage.where("store.json")
        version = _json_object(content, where, "Restore it, or name another folder with --results.").get(
            "schema_version"
        )
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"{where} has store schema version {version!r}, this program reads version {SCHEMA_VERSION}. "
                "Use the merbench version that wrote it, or name another folder with --results."
            )
        return True

    def _check_unused(self) -> None:
        foreign = sorted(name for name in self._storage.names("") if not _NEIGHBOURS.fullmatch(name))
        if foreign:
            shown = ", ".join(foreign[:5]) + (" ..." if len(foreign) > 5 else "")
            raise StoreError(
                f"{self._storage.where()} is no results store (it has no store.json) but holds other files: {shown}. "
                "Name a new or empty folder with --results."
            )

    def _check_owner(self, card: StudyCard, record: Outcome | Failure) -> None:
        if record.study_key != card.key:
            raise StoreError(
                f"Fold {record.fold} belongs to study {record.study_key[:16]}, not to {card.key[:16]} ({card.title})."
            )

    def _read_card(self, name: str) -> StudyCard:
        where = self._storage.where(name)
        remedy = "Remove the file and run the same command again: it is written anew, the outcomes beside it are kept."
        content = _json_object(self._read(name, "No study"), where, remedy)
        try:
            value = content["card"]
            intact = content["sha256"] == digest(value)
            card = StudyCard.from_json(value)
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"{where} is no study card: {error!r}. {remedy}") from error
        if not intact or name != f"{study_folder(card)}/study.json":
            raise StoreError(f"{where} is damaged: it is not the card that was written here. {remedy}")
        return card

    def _read_failure(self, card: StudyCard, fold_key: str) -> Failure:
        name = fold_file(card, fold_key, "failure")
        where = self._storage.where(name)
        content = _json_object(self._read(name, "No failure record of this fold"), where, _REMOVE_AND_RERUN)
        try:
            return Failure(**{name: value for name, value in content.items() if name != "schema_version"})
        except TypeError as error:
            raise StoreError(f"{where} is no failure record: {error}. {_REMOVE_AND_RERUN}") from error

    def _outcome_or_message(self, card: StudyCard, fold_key: str) -> Outcome | str:
        try:
            return self.read_outcome(card, fold_key)
        except DamagedOutcome as damage:
            return str(damage)

    def _read(self, name: str, missing: str) -> bytes:
        try:
            return self._storage.read(name)
        except FileNotFoundError:
            raise StoreError(f"{missing}: {self._storage.where(name)} does not exist.") from None

    def _map(self, read: Callable[[str], T], names: Iterable[str]) -> list[T]:
        if not self._storage.remote:
            return [read(name) for name in names]
        with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
            return list(pool.map(read, names))


_REMOVE_AND_RERUN = "Remove the file and run the same command again: only this fold is computed anew."


def _path_word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]", "_", text).strip(".")[:120] or "_"


def _fold_file_name(fold_key: str, kind: FileKind) -> str:
    return f"{fold_key[:32]}{_SUFFIXES[kind]}"


def _json_bytes(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def _json_object(content: bytes, where: str, remedy: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise StoreError(f"{where} is not JSON: {error}. {remedy}") from error
    if not isinstance(value, dict):
        raise StoreError(f"{where} holds a JSON {type(value).__name__}, expected an object. {remedy}")
    return value
