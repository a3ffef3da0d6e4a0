"""What a leaderboard relies on of a protocol: nobody is trained and tested on, and the folds are always the same."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from bench.checks.check import expect
from bench.study.data import StudyData
from bench.study.protocols import SPOTTED, Protocol, Split, check_tested_once, find_protocol
from bench.study.spotted import MARK
from preprocess.base.errors import Unfit

COLUMNS = ("sample_ids", "subjects", "datasets", "splits", "labels")
CLASSES = 3


@dataclasses.dataclass(frozen=True)
class ProtocolCase:
    """A protocol, and the drawn studies that it takes.

    Attributes
    ----------
    protocol : what is checked.
    """

    protocol: Protocol

    @functools.cached_property
    def splits(self) -> list[tuple[str, StudyData, list[Split]]]:
        """What the study is, its data and the folds, of each study that fits the protocol."""
        found = []
        for name, data in drawn_studies(self.protocol.over != "each").items():
            try:
                found.append((name, data, self.protocol.split(data)))
            except Unfit:
                continue
        return found


def case_of(name: str, protocol: Protocol) -> ProtocolCase:
    """Return the case of a registered protocol; one that must be told its datasets is told the drawn ones."""
    return ProtocolCase(find_protocol(f"{name}:one:two") if protocol.over == "named" else protocol)


def drawn_study(subjects: int, clips: int, datasets: tuple[str, ...], seed: int = 0) -> StudyData:
    """Return a study without features: people who show all classes; some of the first dataset's clips are missing."""
    rng = np.random.default_rng(seed)
    names = [
        (name, f"{name}/p{person:02d}", clip)
        for name in datasets
        for person in range(subjects)
        for clip in range(clips)
    ]
    kept = [row for row in names if row[2] < 2 or rng.random() < 0.8]
    people = [person for _, person, _ in kept]
    return StudyData(
        sample_ids=np.array([f"{person}/c{clip:02d}" for _, person, clip in kept]),
        subjects=np.array(people),
        datasets=np.array([name for name, _, _ in kept]),
        splits=np.full(len(kept), "", dtype="U16"),
        labels=rng.permutation(np.arange(len(kept), dtype=np.int64) % CLASSES),
        features={},
        layouts={},
        classes=tuple(f"class{number}" for number in range(CLASSES)),
        macro=frozenset(datasets[1:]),
    )


def drawn_studies(several: bool) -> dict[str, StudyData]:
    """Return studies by what is special about each of them.

    Parameters
    ----------
    several : whether they are of two datasets.
    """
    datasets = ("one", "two") if several else ("one",)
    whole = drawn_study(12, 4, datasets)
    studies = {"of 12 people a dataset": whole, "of other clips": drawn_study(14, 6, datasets, seed=1)}
    studies["with a division of its own"] = _divided(whole, lambda person: "test" if person[-1] in "0123" else "train")
    studies["with folds of its own"] = _divided(whole, lambda person: f"fold{int(person[-2:]) % 3}")
    studies["with spotted expressions"] = _spotted(whole)
    if several:
        shared = [f"one/{person[4:]}" if person in ("two/p00", "two/p07") else person for person in whole.subjects]
        studies["whose datasets share people"] = dataclasses.replace(whole, subjects=np.array(shared))
    return studies


def check_fits(case: ProtocolCase) -> None:
    """It splits an ordinary study into folds."""
    expect(
        case.splits, "It refuses every drawn study with Unfit: 12 people or more, one or two datasets, own divisions."
    )
    for name, _, splits in case.splits:
        expect(
            splits and all(len(one.test) for one in splits),
            f"Of a study {name} it gives {len(splits)} folds, or an empty one.",
        )


def check_people(case: ProtocolCase) -> None:
    """Nobody is trained and tested on in one fold."""
    for name, data, splits in case.splits:
        for one in splits:
            train = np.setdiff1d(np.arange(len(data)), one.test) if one.train is None else one.train
            both = sorted(set(data.subjects[train].tolist()) & set(data.subjects[one.test].tolist()))[:1]
            expect(
                not both,
                f"Fold {one.name!r} of a study {name} has {''.join(both)} in train and in test. Hold out whole people.",
            )
            expect(len(train), f"Fold {one.name!r} of a study {name} has nobody to train on; raise Unfit instead.")


def check_tested(case: ProtocolCase) -> None:
    """No sample is tested twice, and folds have different names."""
    for _, _, splits in case.splits:
        check_tested_once(case.protocol.name, splits)


def check_rows(case: ProtocolCase) -> None:
    """Rows are row numbers of the study, sorted, none twice."""
    for name, data, splits in case.splits:
        for one in splits:
            for rows in (one.test, one.train):
                if rows is None:
                    continue
                whole = np.issubdtype(rows.dtype, np.integer) and (
                    rows.size == 0 or 0 <= rows.min() <= rows.max() < len(data)
                )
                expect(
                    whole,
                    f"Fold {one.name!r} of a study {name} has {rows.dtype} rows; expected row numbers.",
                )
                expect(
                    (np.diff(rows) > 0).all(),
                    f"Fold {one.name!r} of a study {name}: its rows are not sorted (np.sort).",
                )


def check_order(case: ProtocolCase) -> None:
    """The order of the samples does not count."""
    for name, data, splits in case.splits:
        order = np.random.default_rng(3).permutation(len(data))
        mixed = dataclasses.replace(data, **{column: getattr(data, column)[order] for column in COLUMNS})
        same = _ids(mixed, case.protocol.split(mixed)) == _ids(data, splits)
        expect(
            same,
            f"Of a study {name} in another order of its rows it makes other folds. Go by ids, sorted, not by rows.",
        )


def check_repeats(case: ProtocolCase) -> None:
    """The same samples are split alike again: nothing is drawn."""
    for name, data, splits in case.splits:
        same = _ids(data, case.protocol.split(data)) == _ids(data, splits)
        expect(same, f"Of the same study {name} it makes other folds the second time. Seed every draw with a constant.")


def check_documented(case: ProtocolCase) -> None:
    """It says what it does, in one sentence, and where it comes from."""
    expect(
        case.protocol.summary.endswith("."),
        "The first line of its docstring is not a sentence that ends with a full stop.",
    )
    expect(case.protocol.reference.strip(), "Its reference is empty. Say which paper or public code splits like this.")


def _divided(data: StudyData, part: object) -> StudyData:
    assert callable(part)
    return dataclasses.replace(data, splits=np.array([part(person) for person in data.subjects.tolist()]))


def _spotted(data: StudyData) -> StudyData:
    """Return the study with every second clip once more, as it was spotted."""
    again = np.concatenate([np.arange(len(data)), np.arange(0, len(data), 2)])
    found = [f"{name}{MARK}" for name in data.sample_ids[::2].tolist()]
    return dataclasses.replace(
        data,
        sample_ids=np.array([*data.sample_ids.tolist(), *found]),
        subjects=data.subjects[again],
        datasets=data.datasets[again],
        labels=data.labels[again],
        splits=np.array([*data.splits.tolist(), *[SPOTTED] * len(found)]),
    )


def _ids(data: StudyData, splits: list[Split]) -> list[tuple[str, set[str], set[str] | None]]:
    def ids(rows: np.ndarray) -> set[str]:
        return set(data.sample_ids[rows].tolist())

    return [(one.name, ids(one.test), None if one.train is None else ids(one.train)) for one in splits]
