"""Tables say where intervals hold the true score less often than they say: few people, or a class that few show."""

from __future__ import annotations

import numpy as np

from results.scores.caveats import People, class_subjects, interval_caveats
from results.scores.counting import MULTI_LABEL, SINGLE_LABEL

ENOUGH = {"negative": 9, "surprise": 4}


def test_enough_people_of_each_class_have_no_caveat() -> None:
    assert interval_caveats([People("casme2", 8, ENOUGH), People("samm", 28, ENOUGH)]) == []


def test_few_people_and_rare_classes_are_named_once_with_their_number() -> None:
    few, rare = People("a · full", 7, ENOUGH), People("b · full", 20, {"negative": 20, "surprise": 3, "disgust": 0})
    notes = interval_caveats([few, rare, few])
    assert len(notes) == 2
    assert notes[0].startswith("Fewer than 8 people: a · full (7). ")
    # What nobody shows lowers the score itself and has a note of its own.
    assert notes[1].startswith("A class that fewer than 4 people show: b · full (surprise: 3). ")


def test_of_many_places_only_some_are_named() -> None:
    (note,) = interval_caveats(People(f"set{number}", 5, ENOUGH) for number in range(9))
    assert "set3 (5); and 5 more." in note
    assert "set4" not in note


def test_a_single_person_has_no_interval_to_warn_of() -> None:
    assert interval_caveats([People("alone", 1, {"surprise": 1})]) == []


def test_people_count_once_and_an_average_takes_the_dataset_where_they_are_fewest() -> None:
    counts = np.zeros((3, 2, 2, 2), dtype=np.int64)
    counts[:, 0] = np.diag([4, 2])
    counts[0, 1] = [[0, 5], [0, 0]]
    assert class_subjects(counts[:, :1], SINGLE_LABEL, ("no", "yes")) == {"no": 3, "yes": 3}
    assert class_subjects(counts, SINGLE_LABEL, ("no", "yes")) == {"no": 1, "yes": 0}
    labels = np.zeros((2, 1, 2, 2, 2), dtype=np.int64)
    labels[0, 0, 1, 1, 0] = 3
    assert class_subjects(labels, MULTI_LABEL, ("AU1", "AU4")) == {"AU1": 0, "AU4": 1}
