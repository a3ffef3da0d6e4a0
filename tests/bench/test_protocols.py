"""Protocols: what every registered one promises, and what loso and cde refuse."""

from __future__ import annotations

import numpy as np
import pytest
from small_runs import folds_of, study_data

from bench.protocols import PROTOCOLS, Protocol, register_protocol
from bench.training import make_folds
from preprocess.base.errors import DataError, UsageError

TWO = study_data(subjects=4, clips=3, datasets=("one", "two"))


@pytest.fixture(params=PROTOCOLS.names())
def protocol(request: pytest.FixtureRequest) -> Protocol:
    return PROTOCOLS.get(request.param)


def split(protocol: Protocol, subjects: np.ndarray, datasets: np.ndarray) -> list[tuple[str, np.ndarray]]:
    return protocol.split(subjects, datasets)


def test_every_sample_is_tested_exactly_once(protocol: Protocol) -> None:
    rows = np.concatenate([test for _, test in split(protocol, TWO.subjects, TWO.datasets)])
    assert sorted(rows.tolist()) == list(range(len(TWO)))


def test_rows_are_sorted_and_names_unique(protocol: Protocol) -> None:
    parts = split(protocol, TWO.subjects, TWO.datasets)
    assert all((np.diff(test) > 0).all() for _, test in parts)
    assert len({name for name, _ in parts}) == len(parts)


def test_nobody_is_trained_and_tested_on_in_one_fold(protocol: Protocol) -> None:
    for validate in (False, True):
        for fold in make_folds(protocol.name, "tiny", validate, 0, TWO):
            people = [set(TWO.subjects[rows].tolist()) for rows in (fold.train, fold.validation, fold.test)]
            assert people[0].isdisjoint(people[2])
            assert people[1].isdisjoint(people[2])
            assert people[0].isdisjoint(people[1])
            rows = np.concatenate([fold.train, fold.validation, fold.test])
            assert sorted(rows.tolist()) == list(range(len(TWO))), "every sample has a role in every fold"


def test_the_order_of_the_samples_does_not_count(protocol: Protocol) -> None:
    order = np.random.default_rng(3).permutation(len(TWO))
    plain = {name: {TWO.sample_ids[row] for row in test} for name, test in split(protocol, TWO.subjects, TWO.datasets)}
    mixed = split(protocol, TWO.subjects[order], TWO.datasets[order])
    assert {name: {TWO.sample_ids[order[row]] for row in test} for name, test in mixed} == plain
    assert [name for name, _ in mixed] == list(plain), "nor for the order of the folds"


def test_what_it_is_and_where_it_comes_from_is_told(protocol: Protocol) -> None:
    assert protocol.summary.endswith(".")
    assert protocol.source


@pytest.mark.parametrize(("name", "folds"), [("loso", 4), ("cde", 8)])
def test_a_fold_holds_out_one_subject(name: str, folds: int) -> None:
    data = TWO if name == "cde" else study_data(subjects=4, clips=3)
    parts = split(PROTOCOLS.get(name), data.subjects, data.datasets)
    assert len(parts) == folds
    for held_out, test in parts:
        assert set(data.subjects[test].tolist()) == {held_out}


def test_the_views_of_one_person_are_held_out_together() -> None:
    """SMIC films a person with up to three cameras: the clips differ, the subject is one."""
    clips = [f"smic/s{person:02d}/s{person:02d}_{view}_01" for person in (1, 2) for view in ("hs", "nir", "vis")]
    subjects = np.array([clip.rpartition("/")[0] for clip in clips])
    parts = split(PROTOCOLS.get("loso"), subjects, np.array(["smic"] * len(clips)))
    assert [(name, [clips[row] for row in test]) for name, test in parts] == [
        ("smic/s01", clips[:3]),
        ("smic/s02", clips[3:]),
    ]


def test_equal_ids_in_two_datasets_are_two_people() -> None:
    parts = dict(split(PROTOCOLS.get("cde"), TWO.subjects, TWO.datasets))
    assert {"one/p00", "two/p00"} <= parts.keys()
    assert len(parts["one/p00"]) == 3


def test_a_single_subject_cannot_be_left_out() -> None:
    alone = study_data(subjects=1)
    with pytest.raises(DataError, match=r"^one has 1 subject\(s\).*at least 2"):
        folds_of(alone)


def test_cde_wants_two_datasets() -> None:
    with pytest.raises(DataError, match=r"given \['one'\], it needs at least 2.*--protocols loso"):
        make_folds("cde", "tiny", False, 0, study_data())


def test_an_unknown_protocol_names_near_ones() -> None:
    with pytest.raises(UsageError, match=r"Unknown protocol 'lsoo'. Did you mean: loso\?"):
        PROTOCOLS.get("lsoo")


def test_a_new_protocol_is_one_function(registries: None) -> None:
    @register_protocol("halves", composite=False, source="this test")
    def halves(subjects: np.ndarray, datasets: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """Two groups of people, each held out once."""
        first = np.isin(subjects, sorted(set(subjects.tolist()))[::2])
        return [("even", np.flatnonzero(first)), ("odd", np.flatnonzero(~first))]

    assert PROTOCOLS.get("halves").summary == "Two groups of people, each held out once."
    folds = make_folds("halves", "tiny", False, 0, TWO)
    assert [fold.name for fold in folds] == ["even", "odd"]
    for fold in folds:
        fold.check(TWO.subjects)
