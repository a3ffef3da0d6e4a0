"""Who may be whom: subjects of one name, and people of the databases of one laboratory."""

from __future__ import annotations

import pytest

from preprocess.datasets import DATASETS, met_before

CHINESE = ("casme", "casme2", "casme_sq", "casme3", "casme3_c")


@pytest.mark.parametrize("first", CHINESE)
@pytest.mark.parametrize("second", CHINESE)
def test_nobody_can_tell_the_people_of_one_laboratory_apart(first: str, second: str) -> None:
    met = met_before([f"{first}/sub01"], [f"{second}/sub09", f"{second}/sub10"])
    if first == second:
        assert met == {}, "within a database, ids tell people apart"
    else:
        why = met[f"{first}/sub01"]
        assert why.startswith(f"{second}/sub09 may be the same person: the Institute of Psychology")


@pytest.mark.parametrize(
    "other", ["samm", "smic", "mmew", "dfme", "ckplus", "oulu_casia", "afew", "somebodys", "synth_casme2"]
)
def test_people_of_other_laboratories_are_others(other: str) -> None:
    assert met_before(["casme2/sub01"], [f"{other}/sub01"]) == {}
    assert met_before([f"{other}/sub01"], ["casme2/sub01"]) == {}


def test_one_name_is_one_person_whichever_dataset_shows_it() -> None:
    """The micro- and macro-expressions of CAS(ME)^2, the cameras of SMIC: a subject's name begins with the people's."""
    met = met_before(["casme_sq/s15", "casme_sq/s16", "smic/s01"], ["casme_sq/s15", "smic/s01"])
    assert met == {"casme_sq/s15": "casme_sq/s15 is one of them", "smic/s01": "smic/s01 is one of them"}


def test_rendered_people_are_those_of_their_names() -> None:
    assert met_before(["synth_casme2/sub01"], ["synth_casme/sub01", "synth_casme2/sub02"]) == {}
    assert met_before(["synth_casme2/sub01"], ["synth_casme2/sub01"])


def test_a_laboratory_has_several_databases() -> None:
    """One that no other database names would do nothing."""
    laboratories = [one.database.laboratory for _, one in DATASETS.items() if one.database and one.database.laboratory]
    assert all(laboratories.count(name) > 1 for name in laboratories)
    assert len(laboratories) == len(CHINESE)
