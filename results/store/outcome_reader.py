"""Reading a study's outcomes, wherever they lie, while other drivers move them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from preprocess.base.errors import StoreError
from preprocess.base.sealed_parquet import checked_seal
from preprocess.base.storage import Storage
from results.store.outcome import Outcome
from results.store.outcome_file import DamagedOutcome, outcome_from_bytes
from results.store.study_card import StudyCard
from results.store.study_file import outcomes_from_bytes, whole_outcomes
from results.store.study_folder import fold_file, folds_with, study_files, study_folder

REMOVE_AND_RERUN = "Remove the file and run the same command again: only this fold is computed anew."
_RERUN = "Run the same command again: only these are computed anew, and the file is written anew."

_REQUESTS_AT_ONCE = 16
_TRIES = 5

T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True)
class ReadOutcomes:
    """What was read of a study.

    Attributes
    ----------
    outcomes : those that are whole, in the card's fold order.
    damage : a message for each file that is damaged.
    seals : key of a fold that has a whole file of its own -> the sha256 that the file carries of itself.
    """

    outcomes: list[Outcome]
    damage: list[str]
    seals: dict[str, str]


class OutcomeReader:
    """Reads what lies in the folders of studies.

    Parameters
    ----------
    storage : the store's.
    listing : of the folders of studies, the names of the files in them; None to list each when it is read.
    """

    def __init__(self, storage: Storage, listing: Mapping[str, Collection[str]] | None = None) -> None:
        self._storage, self._listing = storage, listing

    def names(self, card: StudyCard) -> set[str]:
        """Return what lies in the study's folder."""
        folder, listing = study_folder(card), self._listing
        names = set(self._storage.names(folder) if listing is None else listing.get(folder, ()))
        if names and not study_files(names) and len(folds_with(card, names, "outcome")) < len(card.folds):
            # While folds' files go, a listing may lack some of them and the study file, which came before they went. A
            # later listing has it.
            again = set(self._storage.names(folder))
            names = again if study_files(again) else names
        return names

    def outcomes(self, card: StudyCard, names: Collection[str]) -> ReadOutcomes:
        """Read all outcomes of a study. names : of what lies in its folder."""
        single = folds_with(card, names, "outcome")
        found: dict[str, Outcome] = {}
        damage: list[str] = []
        if study_files(names) and len(single) < len(card.folds):
            whole, message = self.in_study_file(card, names)
            found = {outcome.key: outcome for outcome in whole}
            damage = [message] if message else []
        keys = [fold.key for fold in card.folds if fold.key in single]
        read = dict(zip(keys, self.map(lambda key: self._whole_or_message(card, key), keys), strict=True))
        # A fold's own file counts, also where it is damaged.
        found = {key: outcome for key, outcome in found.items() if key not in read}
        own = {key: one for key, one in read.items() if not isinstance(one, str)}
        found |= {key: outcome for key, (outcome, _) in own.items()}
        return ReadOutcomes(
            [found[fold.key] for fold in card.folds if fold.key in found],
            [*(one for one in read.values() if isinstance(one, str)), *damage],
            {key: seal for key, (_, seal) in own.items()},
        )

    def single(self, card: StudyCard, fold_key: str) -> Outcome:
        """Read a fold's own file."""
        return self._whole(card, fold_key)[0]

    def seal_of_single(self, card: StudyCard, fold_key: str) -> str:
        """Return the sha256 that a fold's own file carries of itself, without reading its rows; BrokenSeal for none."""
        return checked_seal(self._storage.read(fold_file(card, fold_key, "outcome")))

    def _whole(self, card: StudyCard, fold_key: str) -> tuple[Outcome, str]:
        """Return the outcome of a fold's own file, and the file's seal."""
        name = fold_file(card, fold_key, "outcome")
        where, data = self._storage.where(name), self._storage.read(name)
        try:
            outcome = outcome_from_bytes(data, where)
        except DamagedOutcome as damage:
            raise DamagedOutcome(f"{damage} {REMOVE_AND_RERUN}") from damage
        if (outcome.key, outcome.study_key) != (fold_key, card.key):
            raise DamagedOutcome(
                f"{where} holds fold {outcome.fold} of study {outcome.study_key[:16]}, not the fold it is named for. "
                f"{REMOVE_AND_RERUN}"
            )
        return outcome, checked_seal(data)

    def in_study_file(self, card: StudyCard, names: Collection[str]) -> tuple[list[Outcome], str]:
        """Read the study file that counts.

        Returns
        -------
        Its outcomes that are whole, and what is wrong with it; "" for nothing.
        """
        name = f"{study_folder(card)}/{study_files(names)[-1]}"
        where, data = self._storage.where(name), self._storage.read(name)
        try:
            outcomes, wrong = outcomes_from_bytes(data, card.key, where), ""
        except DamagedOutcome as damage:
            outcomes, wrong = whole_outcomes(data, card.key), str(damage)
        found = {one.key for one in outcomes}
        lost = [fold.name for fold in card.folds if fold.key not in found]
        if lost and not wrong:
            wrong = f"{where} holds other folds than those of the study."
        if not wrong:
            return outcomes, ""
        told = f"lost: {', '.join(lost[:5])}{' ...' if len(lost) > 5 else ''}" if lost else "none is lost"
        return outcomes, f"{wrong} Of its {len(card.folds)} folds {len(lost)} are damaged ({told}). {_RERUN}"

    def steady(self, read: Callable[[], T], missing: str) -> T:
        """Call ``read``, and again where a file went that it was about to read: what it held lies elsewhere now."""
        for _ in range(_TRIES):
            with suppress(FileNotFoundError):
                return read()
            self._listing = None
        raise StoreError(missing)

    def went(self, card: StudyCard) -> str:
        return (
            f"{self._storage.where(study_folder(card))} lists files that are not there. Another run may be at work on "
            "it: run the same command again."
        )

    def map(self, call: Callable[[S], T], values: Iterable[S]) -> list[T]:
        """Return what ``call`` makes of each value; where the store is reached over a network, many at a time."""
        if not self._storage.remote:
            return [call(value) for value in values]
        with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
            return list(pool.map(call, values))

    def _whole_or_message(self, card: StudyCard, fold_key: str) -> tuple[Outcome, str] | str:
        try:
            return self._whole(card, fold_key)
        except DamagedOutcome as damage:
            return str(damage)
