"""What lies in a study's folder, and how it is called."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from results.store.study_card import StudyCard

FileKind = Literal["outcome", "failure", "weights"]
SUFFIXES: dict[FileKind, str] = {"outcome": ".outcome.parquet", "failure": ".failure.json", "weights": ".safetensors"}

COUNTS_FILE = "counts.json"
"""What the scores of a sealed study are made of."""

_STUDY_FILE = re.compile(r"(\d{6,})-[0-9a-f]{8}\.study\.parquet")


OUTCOMES, INNER = "outcomes", "inner"
"""The folders of studies: of those that stand on boards, and of those that only try configurations for tuned ones."""


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
    names = map(_path_word, (card.model, card.dataset, setting))
    return "/".join([INNER if card.inner else OUTCOMES, *names, card.key[:16]])


def fold_file(card: StudyCard, fold_key: str, kind: FileKind) -> str:
    """Return the name of one of a fold's files below the root. The writer and every check call this function."""
    return f"{study_folder(card)}/{_fold_file_name(fold_key, kind)}"


def folds_with(card: StudyCard, names: Collection[str], kind: FileKind) -> frozenset[str]:
    """Return the keys of the folds that have a file of their own of a kind. names : of what lies in the folder."""
    return frozenset(fold.key for fold in card.folds if _fold_file_name(fold.key, kind) in names)


def study_files(names: Collection[str]) -> list[str]:
    """Return which names are study files, the one that counts last.

    There are several where two drivers sealed a study at once, or one was stopped before it removed the earlier one.
    """
    return sorted(name for name in names if _STUDY_FILE.fullmatch(name))


def all_in_one(card: StudyCard, names: Collection[str]) -> bool:
    """Return whether a study's outcomes lie in one study file and nowhere else."""
    return len(study_files(names)) == 1 and not folds_with(card, names, "outcome")


def next_study_file(names: Collection[str]) -> str:
    """Return a name for a study file that comes after those that are there, and that nobody else will write.

    Whoever removes a study file has read it by its name. So he removes nothing that another driver has written since.
    """
    numbers = [int(match[1]) for name in names if (match := _STUDY_FILE.fullmatch(name))]
    return f"{max(numbers, default=0) + 1:06}-{secrets.token_hex(4)}.study.parquet"


def _path_word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]", "_", text).strip(".")[:120] or "_"


def _fold_file_name(fold_key: str, kind: FileKind) -> str:
    return f"{fold_key[:32]}{SUFFIXES[kind]}"
