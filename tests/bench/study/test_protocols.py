"""Protocols: what every registered one promises, and what each of them takes and refuses."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
from registered import every, passes
from small_runs import folds_of, study_data

from bench.checks.check import Check
from bench.study.data import StudyData
from bench.study.protocols import FOLDS, PROTOCOLS, Protocol, Split, find_protocol, register_protocol, select_protocols
from bench.study.splitting import make_folds
from preprocess.base.errors import DataError, HonestyError, Unfit, UsageError


def with_split(data: StudyData, splits: dict[str, str], default: str = "") -> StudyData:
    """Return the data with an official division. splits : subject or sample id -> its part."""
    pairs = zip(data.sample_ids.tolist(), data.subjects.tolist(), strict=True)
    parts = [splits.get(sample, splits.get(person, default)) for sample, person in pairs]
    return dataclasses.replace(data, splits=np.array(parts))


def sharing(data: StudyData, *people: str) -> StudyData:
    """Return the data of datasets ``one`` and ``two`` in which some people of ``two`` are those of ``one``."""
    subjects = np.array([f"one/{p[4:]}" if p in people else p for p in data.subjects.tolist()])
    return dataclasses.replace(data, subjects=subjects)


def rows_of(data: StudyData, rows: np.ndarray) -> set[str]:
    return set(data.sample_ids[rows].tolist())


def split(name: str, data: StudyData) -> list[Split]:
    return find_protocol(name).split(data)


def with_macro(data: StudyData, *datasets: str) -> StudyData:
    """Return the data with these datasets declared macro-expressions."""
    return dataclasses.replace(data, macro=frozenset(datasets))


TWO = with_macro(study_data(subjects=12, clips=3, datasets=("one", "two")), "two")
DIVIDED = with_split(TWO, {f"{d}/p{n:02d}": "test" for d in ("one", "two") for n in range(4)}, default="train")
# What is spotted is no part of an ordinary study (tests/bench/test_spot.py).
NAMES = [name if name != "transfer" else "transfer:one:two" for name, one in PROTOCOLS.items() if not one.spots]


@pytest.fixture(params=NAMES)
def protocol(request: pytest.FixtureRequest) -> Protocol:
    return find_protocol(request.param)


@pytest.mark.slow
@pytest.mark.parametrize("check", every("protocol"))
def test_every_protocol_passes_its_checks(check: Check) -> None:
    passes(check)


@pytest.mark.parametrize("name", ["loso", "cde", "hde", "lodo", "kfold-subject", "macro-micro"])
def test_every_sample_is_tested(name: str) -> None:
    rows = np.concatenate([part.test for part in split(name, TWO)])
    assert sorted(rows.tolist()) == list(range(len(TWO)))


@pytest.mark.parametrize("data", [DIVIDED, sharing(DIVIDED, "two/p00", "two/p07")], ids=["apart", "sharing people"])
def test_nobody_is_trained_and_tested_on_in_one_fold(protocol: Protocol, data: StudyData) -> None:
    for validate in (False, True):
        for fold in make_folds(protocol, "tiny", validate, 0, data):
            people = [set(data.subjects[rows].tolist()) for rows in (fold.train, fold.validation, fold.test)]
            assert people[0].isdisjoint(people[2])
            assert people[1].isdisjoint(people[2])
            assert people[0].isdisjoint(people[1])
            assert bool(people[1]) == validate
            rows = np.concatenate([fold.train, fold.validation, fold.test])
            assert len(set(rows.tolist())) == len(rows)


def test_the_seed_moves_no_test_sample(protocol: Protocol) -> None:
    first, other = (make_folds(protocol, "tiny", True, seed, DIVIDED) for seed in (0, 1))
    assert [fold.test.tolist() for fold in first] == [fold.test.tolist() for fold in other]


# loso and cde


@pytest.mark.parametrize(("name", "folds"), [("loso", 12), ("cde", 24)])
def test_a_fold_holds_out_one_subject(name: str, folds: int) -> None:
    data = TWO if name == "cde" else study_data(subjects=12, clips=3)
    parts = split(name, data)
    assert len(parts) == folds
    for part in parts:
        assert set(data.subjects[part.test].tolist()) == {part.name}


def test_the_views_of_one_person_are_held_out_together() -> None:
    """SMIC films a person with up to three cameras: the clips differ, the subject is one, also in two datasets."""
    parts = split("cde", sharing(TWO, "two/p05"))
    (person,) = (part for part in parts if part.name == "one/p05")
    assert Counter(TWO.datasets[person.test].tolist()) == {"one": 3, "two": 3}


def test_equal_ids_in_two_datasets_are_two_people() -> None:
    parts = {part.name: part.test for part in split("cde", TWO)}
    assert {"one/p00", "two/p00"} <= parts.keys()
    assert len(parts["one/p00"]) == 3


def test_a_single_subject_cannot_be_left_out() -> None:
    alone = study_data(subjects=1)
    with pytest.raises(DataError, match=r"^one has 1 subject\(s\).*at least 2"):
        folds_of(alone)


@pytest.mark.parametrize("name", ["cde", "hde", "lodo"])
def test_several_datasets_are_wanted(name: str) -> None:
    with pytest.raises(Unfit, match=r"takes several datasets, and only one is given.*--protocols loso"):
        make_folds(find_protocol(name), "tiny", False, 0, study_data())


# hde, lodo and transfer


def test_hde_trains_on_one_dataset_and_tests_on_the_other_in_both_directions() -> None:
    forth, back = make_folds(find_protocol("hde"), "tiny", False, 0, TWO)
    assert (forth.name, back.name) == ("one", "two")
    for fold, other in ((forth, "two"), (back, "one")):
        assert set(TWO.datasets[fold.test].tolist()) == {fold.name}
        assert set(TWO.datasets[fold.train].tolist()) == {other}
        assert len(fold.train) == len(fold.test) == len(TWO) // 2


def test_lodo_trains_on_all_other_datasets() -> None:
    three = study_data(subjects=3, datasets=("a", "b", "c"))
    folds = make_folds(find_protocol("lodo"), "tiny", False, 0, three)
    for fold, others in zip(folds, ("bc", "ac", "ab"), strict=True):
        assert set(three.datasets[fold.test].tolist()) == {fold.name}
        assert set(three.datasets[fold.train].tolist()) == set(others)


@pytest.mark.parametrize("name", ["hde", "lodo", "transfer:one:two", "transfer:two:one"])
def test_people_that_two_datasets_share_are_not_trained_on(name: str) -> None:
    data = sharing(TWO, "two/p00", "two/p07")
    for fold in make_folds(find_protocol(name), "tiny", False, 0, data):
        assert {"one/p00", "one/p07"} <= set(data.subjects[fold.test].tolist())
        assert {"one/p00", "one/p07"}.isdisjoint(data.subjects[fold.train].tolist())
        assert len(fold.train) == 10 * 3


@pytest.mark.parametrize("name", ["hde", "lodo", "transfer:one:two"])
def test_datasets_of_the_same_people_cannot_be_told_apart(name: str) -> None:
    same = sharing(TWO, *(f"two/p{number:02d}" for number in range(12)))
    with pytest.raises(Unfit, match=r"nobody is left to train on where .* is held out of one\+two"):
        make_folds(find_protocol(name), "tiny", False, 0, same)


def test_transfer_goes_one_way() -> None:
    three = study_data(subjects=3, datasets=("a", "b", "c"))
    for name, trained, tested in (
        ("transfer:a:c", {"a"}, {"c"}),
        ("transfer:c:a", {"c"}, {"a"}),
        ("transfer:a+c:b", {"a", "c"}, {"b"}),
        ("transfer:a:b+c", {"a"}, {"b", "c"}),
    ):
        (fold,) = make_folds(find_protocol(name), "tiny", False, 0, three)
        assert fold.name == name.rpartition(":")[2]
        assert set(three.datasets[fold.train].tolist()) == trained
        assert set(three.datasets[fold.test].tolist()) == tested


@pytest.mark.parametrize("name", ["transfer", "transfer:a", "transfer::a", "transfer:a:b:c", "transfer:a+:b"])
def test_transfer_wants_both_sides(name: str) -> None:
    with pytest.raises(UsageError, match=r"expected transfer:TRAIN:TEST, for example transfer:samm:casme2"):
        select_protocols([name])


def test_transfer_refuses_a_dataset_on_both_sides() -> None:
    with pytest.raises(UsageError, match="b is to be trained and tested on"):
        select_protocols(["transfer:a+b:b"])


# macro-micro


def test_a_person_of_micro_and_macro_clips_is_left_out_of_both() -> None:
    data = sharing(TWO, "two/p05")
    folds = {fold.name: fold for fold in make_folds(find_protocol("macro-micro"), "tiny", False, 0, data)}
    assert len(folds) == 23
    assert Counter(data.datasets[folds["one/p05"].test].tolist()) == {"one": 3, "two": 3}
    for fold in folds.values():
        assert set(data.subjects[fold.test].tolist()) == {fold.name}
        assert len(fold.train) + len(fold.test) == len(data), "it trains on everybody else, macro and micro"


@pytest.mark.parametrize(
    ("parts", "tested", "trained_only"),
    [
        ({"two/p00": "train", "two/p01": "validation"}, "two/p01", "two/p00"),
        ({"two/p00": "validation", "two/p01": "test", "two/p02": "train"}, "two/p01", "two/p02"),
    ],
)
def test_a_dataset_that_divides_itself_keeps_its_division(
    parts: dict[str, str], tested: str, trained_only: str
) -> None:
    """AFEW names nobody: its two sets stand for a subject each, and its training set must not be tested."""
    few = with_macro(study_data(subjects=len(parts), clips=3, datasets=("one", "two")), "two")
    data = with_split(few, parts)
    folds = make_folds(find_protocol("macro-micro"), "tiny", False, 0, data)
    assert [fold.name for fold in folds] == sorted([*(f"one/p{n:02d}" for n in range(len(parts))), tested])
    for fold in folds:
        assert trained_only in data.subjects[fold.train]


def test_a_division_that_leaves_nothing_to_train_on_is_none() -> None:
    """DFME's test sets have no labels: its labelled people are all of its training part, and are left out in turn."""
    for part in ("train", "test", "f1"):
        data = with_split(TWO, {f"two/p{n:02d}": part for n in range(12)})
        assert len(split("macro-micro", data)) == 24


@pytest.mark.parametrize(
    ("macro", "has", "lacks"), [(("one", "two"), "macro", "micro"), ((), "micro", "macro"), (("x",), "micro", "macro")]
)
def test_macro_and_micro_expressions_are_wanted(macro: tuple[str, ...], has: str, lacks: str) -> None:
    message = rf"takes macro- and micro-expressions, and one\+two has {has}-expressions only\. Add --data with {lacks}-"
    with pytest.raises(Unfit, match=message):
        split("macro-micro", with_macro(TWO, *macro))


# kfold-subject


def test_kfold_cuts_ten_folds_of_whole_people_of_about_equal_size() -> None:
    rng = np.random.default_rng(0)
    people = [f"one/p{number:03d}" for number in range(83) for _ in range(int(rng.integers(1, 30)))]
    data = dataclasses.replace(
        study_data(subjects=1, clips=len(people)), subjects=np.array(people), datasets=np.array(["one"] * len(people))
    )
    parts = split("kfold-subject", data)
    assert [part.name for part in parts] == [f"fold{number:02d}" for number in range(1, FOLDS + 1)]
    groups = [set(data.subjects[part.test].tolist()) for part in parts]
    assert sum(map(len, groups)) == len(set(people)), "nobody is in two folds"
    sizes = [len(part.test) for part in parts]
    assert max(sizes) - min(sizes) <= 2


def test_kfold_of_equal_people_has_equal_folds() -> None:
    parts = split("kfold-subject", study_data(subjects=23, clips=2))
    assert sorted(len(part.test) // 2 for part in parts) == [2] * 7 + [3] * 3


def test_kfold_wants_a_person_a_fold() -> None:
    assert len(split("kfold-subject", study_data(subjects=10))) == 10
    with pytest.raises(DataError, match=r"one has 9 subjects.*kfold-subject takes at least 10.*--protocols loso"):
        split("kfold-subject", study_data(subjects=9))


# official

FIVE = study_data(subjects=5, clips=3)


@pytest.mark.parametrize(
    ("parts", "name", "tested", "trained"),
    [
        (["train", "train", "test", "", "train"], "test", [2], [0, 1, 4]),
        (["train", "validation", "train", "validation", ""], "validation", [1, 3], [0, 2]),
        (["train", "validation", "test", "test", ""], "test", [2, 3], [0, 1]),
    ],
)
def test_official_tests_on_the_test_or_the_validation_part(
    parts: list[str], name: str, tested: list[int], trained: list[int]
) -> None:
    data = with_split(FIVE, {f"one/p{number:02d}": part for number, part in enumerate(parts)})
    (fold,) = make_folds(find_protocol("official"), "tiny", False, 0, data)
    assert fold.name == name
    assert sorted(set(data.subjects[fold.test].tolist())) == [f"one/p{number:02d}" for number in tested]
    assert sorted(set(data.subjects[fold.train].tolist())) == [f"one/p{number:02d}" for number in trained]


def test_official_folds_are_each_tested_once() -> None:
    data = with_split(FIVE, {"one/p00": "f1", "one/p01": "f1", "one/p02": "f2", "one/p03": "f3"})
    folds = make_folds(find_protocol("official"), "tiny", False, 0, data)
    assert [(fold.name, len(fold.test), len(fold.train)) for fold in folds] == [
        ("f1", 6, 6),
        ("f2", 3, 9),
        ("f3", 3, 9),
    ]
    assert all("one/p04" not in data.subjects[fold.train] for fold in folds), "outside the division: no part in it"


def test_a_person_on_both_sides_of_an_official_division_is_tested_only() -> None:
    data = with_split(FIVE, {"one/p01/c00": "test", "one/p02": "test"}, default="train")
    (fold,) = make_folds(find_protocol("official"), "tiny", False, 0, data)
    assert rows_of(data, fold.test) == {"one/p01/c00", "one/p02/c00", "one/p02/c01", "one/p02/c02"}
    assert sorted(set(data.subjects[fold.train].tolist())) == ["one/p00", "one/p03", "one/p04"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (FIVE, "one has no division of its own"),
        (with_split(FIVE, {}, default="train"), "samples of one are all in its train part"),
        (with_split(FIVE, {"one/p00": "test"}), "samples of one are all in its test part"),
        (with_split(FIVE, {}, default="f1"), "all samples of one are in one fold, 'f1'"),
        (with_split(FIVE, {}, default="test"), "all in its test part"),
    ],
)
def test_a_dataset_without_two_sides_has_no_official_split(data: StudyData, message: str) -> None:
    with pytest.raises(Unfit, match=f"{message}.*--protocols loso"):
        split("official", data)


def test_parts_and_folds_in_one_division_contradict_each_other() -> None:
    data = with_split(FIVE, {"one/p00": "f1", "one/p01": "f2"}, default="train")
    with pytest.raises(DataError, match=r"parts \(train\) and folds \(f1, f2\)"):
        split("official", data)


# Names and plug-ins


def test_an_unknown_protocol_names_near_ones() -> None:
    with pytest.raises(UsageError, match=r"Unknown protocol 'lsoo'. Did you mean: loso"):
        select_protocols(["lsoo"])
    with pytest.raises(UsageError, match=r"Unknown protocol 'tranfser'. Did you mean: transfer\?"):
        select_protocols(["tranfser:a:b"])


def test_only_transfer_takes_datasets() -> None:
    with pytest.raises(UsageError, match="hde takes no datasets; choose them with --datasets"):
        select_protocols(["hde:samm:casme2"])


def test_patterns_pick_protocols_that_need_no_datasets() -> None:
    chosen = select_protocols(["l*", "loso", "*", "transfer:a:b"])
    assert [one.name for one in chosen][:2] == ["lodo", "loso"]
    assert sorted(one.name for one in chosen) == sorted({*PROTOCOLS.names(), "transfer:a:b"} - {"transfer"})


def test_a_new_protocol_is_one_function(registries: None) -> None:
    @register_protocol("halves", over="each", reference="this test")
    def halves(data: StudyData) -> list[Split]:
        """Two groups of people, each held out once."""
        first = np.isin(data.subjects, sorted(set(data.subjects.tolist()))[::2])
        return [Split("even", np.flatnonzero(first)), Split("odd", np.flatnonzero(~first))]

    assert PROTOCOLS.get("halves").summary == "Two groups of people, each held out once."
    folds = make_folds(find_protocol("halves"), "tiny", False, 0, TWO)
    assert [fold.name for fold in folds] == ["even", "odd"]
    for fold in folds:
        fold.check(TWO.subjects)
        assert len(fold.train) + len(fold.test) == len(TWO), "it trains on everybody else"


def test_a_protocol_without_a_docstring_is_refused() -> None:
    def halves(data: StudyData) -> list[Split]:
        return []

    with pytest.raises(UsageError, match=r"Protocol halves \(.*halves\) has no docstring; its first line is what"):
        register_protocol("halves", over="each", reference="A test.")(halves)
    assert "halves" not in PROTOCOLS.names()


@pytest.mark.parametrize(
    ("names", "rows", "message"),
    [
        (("a", "a"), ([0], [1]), "two folds the same name"),
        (("a", "b"), ([0, 1], [1, 2]), "tests 1 samples more than once"),
    ],
)
def test_a_protocol_that_counts_a_sample_twice_is_refused(
    registries: None, names: tuple[str, str], rows: tuple[list[int], list[int]], message: str
) -> None:
    @register_protocol("twice", over="each", reference="this test")
    def twice(data: StudyData) -> list[Split]:
        """Folds that overlap."""
        return [Split(name, np.array(test)) for name, test in zip(names, rows, strict=True)]

    with pytest.raises(HonestyError, match=message):
        make_folds(find_protocol("twice"), "tiny", False, 0, TWO)
