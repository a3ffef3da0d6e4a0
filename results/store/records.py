"""The JSON files of the store: study cards, failure records, and the store's own version."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from preprocess.base.errors import StoreError
from preprocess.base.hashing import digest
from results.store.outcome import Failure
from results.store.study_card import StudyCard

SCHEMA_VERSION = 1

_REMOVE_FAILURE = "Remove the file and run the same command again: only this fold is computed anew."
_REMOVE_CARD = "Remove the file and run the same command again: it is written anew, the outcomes beside it are kept."


def card_to_bytes(card: StudyCard) -> bytes:
    """Write a study's card, with the sha256 of what it says."""
    value = card.to_json()
    return json_bytes({"schema_version": SCHEMA_VERSION, "sha256": digest(value), "card": value})


def card_from_bytes(content: bytes, where: str) -> StudyCard:
    """Read what ``card_to_bytes`` wrote. where : the file's address, for messages.

    Raises
    ------
    StoreError : the file is damaged, or no study card.
    """
    found = json_object(content, where, _REMOVE_CARD)
    try:
        value = found["card"]
        intact = found["sha256"] == digest(value)
        card = StudyCard.from_json(value)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{where} is no study card: {error!r}. {_REMOVE_CARD}") from error
    if not intact:
        raise damaged_card(where)
    return card


def damaged_card(where: str) -> StoreError:
    """Return the error of a card that is not what was written to its place."""
    return StoreError(f"{where} is damaged: it is not the card that was written here. {_REMOVE_CARD}")


def failure_to_bytes(failure: Failure) -> bytes:
    """Write the record of a fold that failed."""
    return json_bytes({"schema_version": SCHEMA_VERSION, **dataclasses.asdict(failure)})


def failure_from_bytes(content: bytes, where: str) -> Failure:
    """Read what ``failure_to_bytes`` wrote. where : the file's address, for messages.

    Raises
    ------
    StoreError : the file is damaged, or no failure record.
    """
    found = json_object(content, where, _REMOVE_FAILURE)
    try:
        return Failure(**{name: value for name, value in found.items() if name != "schema_version"})
    except TypeError as error:
        raise StoreError(f"{where} is no failure record: {error}. {_REMOVE_FAILURE}") from error


def json_bytes(value: dict[str, Any]) -> bytes:
    """Return a JSON object as a small text file for people, too."""
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def json_object(content: bytes, where: str, remedy: str) -> dict[str, Any]:
    """Read a JSON object.

    Parameters
    ----------
    content : the file's bytes.
    where : its address, for messages.
    remedy : what to do about a file that is none.

    Raises
    ------
    StoreError : it is none.
    """
    try:
        value = json.loads(content)
    except ValueError as error:
        raise StoreError(f"{where} is not JSON: {error}. {remedy}") from error
    if not isinstance(value, dict):
        raise StoreError(f"{where} holds a JSON {type(value).__name__}, expected an object. {remedy}")
    return value
