"""Protocols: the rules that split samples into folds. A new one is one function with one decorator."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from preprocess.base.docs import first_line
from preprocess.base.errors import DataError, HonestyError, Unfit, UsageError
from preprocess.base.registry import Registry
from preprocess.datasets import DATASETS

if TYPE_CHECKING:
    from bench.study.data import StudyData

FOLDS = 10
"""Folds of ``kfold-subject``."""

TRAIN, VALIDATION, TEST = "train", "validation", "test"
MACRO, MICRO = "macro", "micro"
SPOTTED = "spotted"
"""The split of clips that were spotted in long recordings, beside those of the same expressions as annotated."""


@dataclass(frozen=True)
class Split:
    """One fold of a protocol.

    The test rows of a study's folds have no sample in common. A row that no fold tests counts in no score.

    Attributes
    ----------
    name : what is held out.
    test : sorted row numbers that are tested.
    train : sorted row numbers that are trained on; None for all that are not tested.
    """

    name: str
    test: np.ndarray
    train: np.ndarray | None = None


Splitter = Callable[["StudyData"], list[Split]]
"""A function that cuts a study's data into folds.

It looks at subjects, datasets, splits and labels, and gives the same folds whatever the order of the rows, the seed and
the model. It raises Unfit where the data lacks what the protocol takes.
"""


@dataclass(frozen=True)
class Protocol:
    """A rule that splits samples into folds.

    Attributes
    ----------
    name : the protocol, as on the command line.
    split : the function that makes the folds.
    over : which datasets make a study: ``each`` by itself, all ``merged``, all ``pairs``, or the ``named`` ones.
    summary : one line for listings.
    reference : where the protocol is published.
    averaged : whether the mean of the tested datasets' scores is a score, too, besides the pooled one.
    datasets : the names, where ``over`` is ``named``.
    by_strength : whether macro- and micro-expressions are scored apart, too.
    spots : whether the study also holds expressions that were spotted in long recordings.
    """

    name: str
    split: Splitter
    over: Literal["each", "merged", "pairs", "named"]
    summary: str
    reference: str
    averaged: bool = False
    datasets: tuple[str, ...] = ()
    by_strength: bool = False
    spots: bool = False

    @property
    def by_dataset(self) -> bool:
        """Whether each tested dataset is scored by itself, too."""
        return self.over != "each"


PROTOCOLS: Registry[Protocol] = Registry("protocol")


def register_protocol(
    name: str,
    *,
    over: Literal["each", "merged", "pairs"],
    reference: str,
    averaged: bool = False,
    by_strength: bool = False,
    spots: bool = False,
) -> Callable[[Splitter], Splitter]:
    """Register a splitting function as a protocol; the first line of its docstring is the summary.

    Parameters
    ----------
    name, over, reference, averaged, by_strength, spots : as in ``Protocol``.

    Returns
    -------
    A decorator.

    Raises
    ------
    UsageError : another protocol has this name (both places are named), or the function has no docstring.
    """

    def decorate(split: Splitter) -> Splitter:
        origin = f"{split.__module__}.{split.__qualname__}"
        summary = first_line(split)
        if not summary:
            raise UsageError(
                f"Protocol {name} ({origin}) has no docstring; its first line is what `merbench list protocols` says."
            )
        protocol = Protocol(name, split, over, summary, reference, averaged, by_strength=by_strength, spots=spots)
        PROTOCOLS.add(name, protocol, origin=origin)
        return split

    return decorate


def select_protocols(names: Sequence[str]) -> list[Protocol]:
    """Return the protocols that names or shell patterns pick, in their order, none twice.

    A pattern does not pick ``transfer``, which has to be given its datasets.

    Raises
    ------
    UsageError : a name is unknown or incomplete.
    """
    chosen: dict[str, Protocol] = {}
    for name in names:
        alone = ":" in name or name in PROTOCOLS.names()
        for one in [name] if alone else PROTOCOLS.select([name]):
            if alone or PROTOCOLS.get(one).over != "named":
                chosen[one] = find_protocol(one)
    return list(chosen.values())


def find_protocol(name: str) -> Protocol:
    """Return a protocol by the name on a study's card: a registered one, or ``transfer:TRAIN:TEST``.

    Raises
    ------
    UsageError : the name is unknown or incomplete.
    """
    rule, *given = name.split(":")
    protocol = PROTOCOLS.get(rule)
    if protocol.over != "named":
        if given:
            raise UsageError(f"Protocol {name!r}: {rule} takes no datasets; choose them with --datasets.")
        return protocol
    sides = [tuple(part.split("+")) for part in given]
    if len(sides) != 2 or not all(dataset for side in sides for dataset in side):
        raise UsageError(
            f"Protocol {name!r}: expected {rule}:TRAIN:TEST, for example {rule}:samm:casme2 or {rule}:samm+smic:casme2."
        )
    if both := sorted(set(sides[0]) & set(sides[1])):
        raise UsageError(f"Protocol {name!r}: {both[0]} is to be trained and tested on; give it on one side.")
    split = partial(transfer, trained=sides[0], tested=sides[1])
    return dataclasses.replace(protocol, name=name, split=split, datasets=(*sides[0], *sides[1]))


def without_recordings(datasets: str) -> Unfit:
    """Return the error that datasets have no long recordings, with where there are some."""
    long = [name for name, one in DATASETS.items() if one.database and any(tree.long for tree in one.database.trees)]
    return Unfit(
        f"it takes long recordings, in which expressions are spotted, and {datasets} is not read from any. Raw copies "
        f"of {', '.join(long)} have them; of your own, clips.csv names onset and offset of each expression. Or use "
        "--protocols loso."
    )


def check_tested_once(protocol: str, splits: Sequence[Split]) -> None:
    """Assert that folds are known by their names and test every row at most once.

    Raises
    ------
    HonestyError : two folds have the same name or test the same row.
    """
    if len({split.name for split in splits}) < len(splits):
        raise HonestyError(f"Protocol {protocol} gives two folds the same name; a fold is known by what it holds out.")
    tested = np.concatenate([split.test for split in splits])
    if len(np.unique(tested)) < len(tested):
        raise HonestyError(f"Protocol {protocol} tests {len(tested) - len(np.unique(tested))} samples more than once.")


@register_protocol("loso", over="each", reference="SDE of MEGC2019: See et al., IEEE FG 2019")
def loso(data: StudyData) -> list[Split]:
    """Leave one subject out of one dataset, each subject once."""
    people = sorted(set(data.subjects.tolist()))
    if len(people) < 2:
        raise DataError(
            f"{_datasets_of(data)} has {len(people)} subject(s) in this task; leaving one out "
            "takes at least 2. Check the data, or leave the dataset out with --datasets."
        )
    return [Split(person, np.flatnonzero(data.subjects == person)) for person in people]


@register_protocol("cde", over="merged", reference="CDE of MEGC2019: See et al., IEEE FG 2019")
def cde(data: StudyData) -> list[Split]:
    """Leave one subject out of all datasets merged; scored on the whole and on each dataset from the same run."""
    _several(data)
    return loso(data)


@register_protocol(
    "hde", over="pairs", averaged=True, reference="HDE of MEGC2018: Yap et al., IEEE FG 2018 (UAR, and WAR = accuracy)"
)
def hde(data: StudyData) -> list[Split]:
    """Train on one dataset, test on the other, in both directions; one study for each pair of datasets."""
    return _by_dataset(data)


@register_protocol(
    "lodo", over="merged", averaged=True, reference="CD6ME: Varanka et al., IEEE TAFFC 2023, arXiv:2211.11425"
)
def lodo(data: StudyData) -> list[Split]:
    """Leave one dataset out of all, each dataset once."""
    return _by_dataset(data)


@register_protocol(
    "macro-micro",
    over="merged",
    by_strength=True,
    reference="public code of the unified framework shayhan-ameen/Unified_MaE_and_ME_Recognition, its mode that leaves "
    "one subject out of merged databases",
)
def macro_micro(data: StudyData) -> list[Split]:
    """Leave one subject out of macro- and micro-expressions merged; scored on the whole, on both and on each dataset.

    A person of two datasets (CAS(ME)^2 has both kinds) is left out of both. A dataset that has a test or validation
    part of its own keeps it: the rest of it is trained on only. So AFEW, which does not name its people, is tested on
    its validation set as one subject, and its training set is always trained on.
    """
    strengths = np.isin(data.datasets, sorted(data.macro))
    if strengths.all() or not strengths.any():
        raise Unfit(
            f"it takes macro- and micro-expressions, and {_datasets_of(data)} has {MACRO if strengths.any() else MICRO}"
            f"-expressions only. Add --data with {MICRO if strengths.any() else MACRO}-expressions, or use "
            "--protocols cde or loso."
        )
    tested = ~_trained_only(data)
    people = sorted(set(data.subjects[tested].tolist()))
    everyone = np.ones(len(data), dtype=bool)
    return [_tested_on(data, person, (data.subjects == person) & tested, everyone) for person in people]


@register_protocol(
    "spot",
    over="each",
    spots=True,
    reference="STRS: Liong, See and Chan, Spot-then-recognize, Signal Processing: Image Communication 2023; spotting "
    "as in MEGC 2019 and later",
)
def spot(data: StudyData) -> list[Split]:
    """Leave one subject out: train on annotated expressions, test on those spotted in long recordings of that subject.

    Whoever has no expression that was found is not tested, and counts in the score of spotting only.
    """
    found = data.splits == SPOTTED
    if not found.any():
        raise without_recordings(_datasets_of(data))
    people = sorted(set(data.subjects[found].tolist()))
    return [_tested_on(data, person, (data.subjects == person) & found, ~found) for person in people]


@register_protocol("kfold-subject", over="each", reference="10 subject-independent folds of DFME: Zhao et al., 2023")
def kfold_subject(data: StudyData) -> list[Split]:
    """Ten folds of whole subjects, of about equal size, the same whatever the seed."""
    people, sizes = np.unique(data.subjects, return_counts=True)
    if len(people) < FOLDS:
        raise DataError(
            f"{_datasets_of(data)} has {len(people)} subjects in this task; protocol kfold-subject takes at least "
            f"{FOLDS}. Use --protocols loso, or leave the dataset out with --datasets."
        )
    # Largest first into the emptiest fold; of equally large people the first in the alphabet.
    groups: list[list[str]] = [[] for _ in range(FOLDS)]
    filled = np.zeros((FOLDS, 2), dtype=np.int64)
    for place in np.lexsort((people, -sizes)):
        number = min(range(FOLDS), key=lambda fold: (*filled[fold], fold))
        groups[number].append(str(people[place]))
        filled[number] += (sizes[place], 1)
    return [
        Split(f"fold{number:02d}", np.flatnonzero(np.isin(data.subjects, group)))
        for number, group in enumerate(groups, start=1)
    ]


@register_protocol("official", over="each", reference="the database's own division (AFEW, DFME, 4DME)")
def official(data: StudyData) -> list[Split]:
    """The database's own division: train and test parts, or named folds of which each is tested once.

    With a test part that has labels, test on it and train on the train and validation parts; otherwise test on the
    validation part. Samples outside the division take no part.
    """
    names = sorted(set(data.splits.tolist()) - {""})
    where = _datasets_of(data)
    if not names:
        raise Unfit(f"{where} has no division of its own. Use --protocols loso or kfold-subject.")
    parts = {TRAIN, VALIDATION, TEST} & set(names)
    if parts and len(parts) < len(names):
        raise DataError(
            f"{where}: its own division has parts ({', '.join(sorted(parts))}) and folds "
            f"({', '.join(sorted(set(names) - parts))}); expected one or the other. Correct its split column."
        )
    if not parts:
        if len(names) < 2:
            raise Unfit(f"all samples of {where} are in one fold, {names[0]!r}. Use --protocols loso or kfold-subject.")
        return [_tested_on(data, name, data.splits == name, data.splits != "") for name in names]
    held_out = TEST if TEST in parts else VALIDATION
    trained = np.isin(data.splits, sorted(parts - {held_out}))
    if held_out not in parts or not trained.any():
        raise Unfit(
            f"the labelled samples of {where} are all in its {', '.join(sorted(parts))} part; "
            "expected one to train on and one to test on. Use --protocols loso or kfold-subject."
        )
    return [_tested_on(data, held_out, data.splits == held_out, trained)]


def transfer(data: StudyData, trained: Iterable[str], tested: Iterable[str]) -> list[Split]:
    """Train on some datasets, test on others: transfer:TRAIN:TEST, such as transfer:samm+smic:casme2."""
    tested = sorted(tested)
    rows = [np.isin(data.datasets, tested), np.isin(data.datasets, sorted(trained))]
    for side, names in zip(rows, (tested, trained), strict=True):
        if not side.any():
            raise Unfit(f"no sample of {'+'.join(sorted(names))} has a label in this task.")
    return [_tested_on(data, "+".join(tested), *rows)]


PROTOCOLS.add(
    "transfer",
    Protocol(
        name="transfer",
        split=partial(transfer, trained=(), tested=()),
        over="named",
        summary=first_line(transfer),
        reference="cross-database recognition, one direction of hde",
    ),
    origin=f"{__name__}.transfer",
)


def _by_dataset(data: StudyData) -> list[Split]:
    return [_tested_on(data, name, data.datasets == name, data.datasets != name) for name in _several(data)]


def _trained_only(data: StudyData) -> np.ndarray:
    """Return (n,) bool: the rows outside the held-out part of a dataset that divides itself into parts."""
    result = np.zeros(len(data), dtype=bool)
    for dataset in sorted(set(data.datasets.tolist())):
        own = data.datasets == dataset
        held_out = next((part for part in (TEST, VALIDATION) if (data.splits[own] == part).any()), None)
        if held_out and (data.splits[own] == TRAIN).any():
            result |= own & (data.splits != held_out)
    return result


def _tested_on(data: StudyData, name: str, test: np.ndarray, train: np.ndarray) -> Split:
    """Return the fold that tests on ``test`` and trains on the people of ``train`` who are not tested; (n,) bool."""
    people = np.isin(data.subjects, np.unique(data.subjects[test]))
    if not (train & ~people).any():
        raise Unfit(
            f"nobody is left to train on where {name} is held out of {_datasets_of(data)}: the others are the same "
            "people. Give a dataset of other people, or use --protocols loso."
        )
    return Split(name, np.flatnonzero(test), np.flatnonzero(train & ~people))


def _several(data: StudyData) -> list[str]:
    names = sorted(set(data.datasets.tolist()))
    if len(names) < 2:
        raise Unfit(
            f"it takes several datasets, and only {', '.join(names)} is given. "
            "Add --data for another one, or use --protocols loso."
        )
    return names


def _datasets_of(data: StudyData) -> str:
    return "+".join(sorted(set(data.datasets.tolist())))
