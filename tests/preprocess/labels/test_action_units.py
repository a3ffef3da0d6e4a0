"""Action units in the spellings of the real sheets, and as numbers."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.base.errors import DataError
from preprocess.labels.action_units import SHARED_UNITS, ActionUnit, multi_hot, parse, unreadable_cells
from preprocess.samples.table import samples_table

ALTERNATIVE_D = ActionUnit(0, None, None, True, descriptor="D")


def numbers(text: str | None) -> list[int]:
    return [unit.number for unit in parse(text)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", [ActionUnit(12)]),
        ("4+L10", [ActionUnit(4), ActionUnit(10, "L")]),
        ("R6A+R12", [ActionUnit(6, "R", "A"), ActionUnit(12, "R")]),
        ("1A+2B+L14C", [ActionUnit(1, None, "A"), ActionUnit(2, None, "B"), ActionUnit(14, "L", "C")]),
        ("A1B+A2C", [ActionUnit(1, "A", "B"), ActionUnit(2, "A", "C")]),
        ("A12+A7", [ActionUnit(12, "A"), ActionUnit(7, "A")]),
        ("T23", [ActionUnit(23, "T")]),
        ("B18+25", [ActionUnit(18, "B"), ActionUnit(25)]),
        ("4+13+T18+39", [ActionUnit(4), ActionUnit(13), ActionUnit(18, "T"), ActionUnit(39)]),
        ("A/L12", [ActionUnit(12, "A")]),
        ("10A/B", [ActionUnit(10, None, "A")]),
        ("L12 + 61", [ActionUnit(12, "L"), ActionUnit(61)]),
        ("12+15 ", [ActionUnit(12), ActionUnit(15)]),
        ("L12 or L14", [ActionUnit(12, "L", alternative=True), ActionUnit(14, "L", alternative=True)]),
        ("9/10", [ActionUnit(9, alternative=True), ActionUnit(10, alternative=True)]),
        (
            "(R6 or R12) + R15",
            [ActionUnit(6, "R", alternative=True), ActionUnit(12, "R", alternative=True), ActionUnit(15, "R")],
        ),
        ("R14A or 17A or 24A", [ActionUnit(n, s, "A", True) for n, s in ((14, "R"), (17, None), (24, None))]),
        ("R14+17+soft focus", [ActionUnit(14, "R"), ActionUnit(17)]),
        ("ref(7B)+43", [ActionUnit(7, None, "B", reference=True), ActionUnit(43)]),
        ("7B+ ref(43)", [ActionUnit(7, None, "B"), ActionUnit(43, reference=True)]),
        ("ref(5)+20C+25", [ActionUnit(5, reference=True), ActionUnit(20, None, "C"), ActionUnit(25)]),
        ("AU4(k)+L7", [ActionUnit(4, static=True), ActionUnit(7, "L")]),
        ("AUR2+12(k)+45", [ActionUnit(2, "R"), ActionUnit(12, static=True), ActionUnit(45)]),
        ("L12?", [ActionUnit(12, "L", doubtful=True)]),
        ("4，7", [ActionUnit(4), ActionUnit(7)]),
        ("1, 2;4 & 5", [ActionUnit(1), ActionUnit(2), ActionUnit(4), ActionUnit(5)]),
        ("r12b+l7", [ActionUnit(12, "R", "B"), ActionUnit(7, "L")]),
        ("4+7+", [ActionUnit(4), ActionUnit(7)]),
        ("1+2+5+M58", [ActionUnit(1), ActionUnit(2), ActionUnit(5), ActionUnit(58, descriptor="M")]),
        ("23+AD31", [ActionUnit(23), ActionUnit(31, descriptor="D")]),
        ("m68, 61; 55", [ActionUnit(68, descriptor="M"), ActionUnit(61), ActionUnit(55)]),
        ("12+M", [ActionUnit(12), ActionUnit(0, descriptor="M")]),
        ("4 + N / D", [ActionUnit(4), ActionUnit(0, None, None, True, descriptor="N"), ALTERNATIVE_D]),
        ("12L+4R", [ActionUnit(12, "L"), ActionUnit(4, "R")]),
        ("12LB", [ActionUnit(12, "L", "B")]),
        ("L12 B", [ActionUnit(12, "L", "B")]),
        ("12 B18", [ActionUnit(12), ActionUnit(18, "B")]),
        ("4 L10", [ActionUnit(4), ActionUnit(10, "L")]),
        ("12-B", [ActionUnit(12, None, "B")]),
        ("6x+12Z", [ActionUnit(6, None, "X"), ActionUnit(12, None, "Z")]),
        ("U12+LT23", [ActionUnit(12, "U"), ActionUnit(23, "L")]),
        ("AU 4, AU_07", [ActionUnit(4), ActionUnit(7)]),
        ("aus: 1 2 4", [ActionUnit(1), ActionUnit(2), ActionUnit(4)]),
        ("1.0+12.00", [ActionUnit(1), ActionUnit(12)]),
        ("R6or12", [ActionUnit(6, "R", alternative=True), ActionUnit(12, alternative=True)]),
        ("4\u30017 | 9.", [ActionUnit(4), ActionUnit(7), ActionUnit(9)]),
        ("4+\n7", [ActionUnit(4), ActionUnit(7)]),
        ("7(?)", [ActionUnit(7, doubtful=True)]),
        ("12(L)+6 (b)", [ActionUnit(12, "L"), ActionUnit(6, None, "B")]),
        ("AU1AU2B", [ActionUnit(1), ActionUnit(2, None, "B")]),
        ("6\\12", [ActionUnit(6), ActionUnit(12)]),
    ],
)
def test_spellings(text: str, expected: list[ActionUnit]) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text", [None, "", " ", "0", "0.0", "?", "/", "-", "None", "soft focus", "neutral", "AU0", "n.a.", "--"]
)
def test_no_unit(text: str | None) -> None:
    assert parse(text) == []


def test_a_number_that_a_spreadsheet_made_of_a_single_unit() -> None:
    assert numbers("12.0") == [12]


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("happy", "happy"),
        ("4++x", "x"),
        ("L", "L"),
        ("123", "123"),
        ("4+?+7 maybe", "?+7"),
        ("12 14 smile", "smile"),
        ("(4+7", "("),
        ("4+7)", ")"),
        ("4.7", ".7"),
        ("4B7C", "4B7C"),
        ("12+Q9", "Q9"),
        ("2004-07-12 00:00:00", "2004-07-12"),
    ],
)
def test_text_that_is_no_list_of_units_is_refused_with_its_place(text: str, token: str) -> None:
    with pytest.raises(DataError) as caught:
        parse(text, "samm/006/006_1_2")
    assert f"samm/006/006_1_2: the action units {text!r} cannot be read at {token!r}" in str(caught.value)


def test_multi_hot() -> None:
    person = {"dataset": "samm", "subject": "samm/p"}
    cells = ["1+2", "L12B or 14", "4(k)+7", "0", None, "43+ref(7)", "17+17", "1+2+5+M58", "M58", "14?+55+AD4", "smile"]
    samples = samples_table(
        [
            {**person, "sample_id": f"samm/p/{n:02d}", "clip": f"{n:02d}", "action_units": cell}
            for n, cell in enumerate(cells)
        ]
    )
    units = [1, 2, 4, 7, 12, 14, 17]
    result = multi_hot(samples, units)
    assert result.dtype == np.int64
    assert result.tolist() == [
        [1, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 1, 0],
        [0, 0, 0, 1, 0, 0, 0],
        [0] * 7,
        [-1] * 7,
        [0, 0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [1, 1, 0, 0, 0, 0, 0],
        [0] * 7,
        [0, 0, 0, 0, 0, 1, 0],
        [-1] * 7,
    ]
    assert multi_hot(samples.iloc[::-1], units).tolist() == result[::-1].tolist()


def test_a_bad_cell_costs_its_own_sample_and_is_named() -> None:
    row = {"dataset": "samm", "subject": "samm/p"}
    cells = {"8": "4+M57", "9": "1+smile", "10": None}
    table = samples_table(
        [{**row, "sample_id": f"samm/p/{clip}", "clip": clip, "action_units": cell} for clip, cell in cells.items()]
    )
    assert multi_hot(table, SHARED_UNITS).max(axis=1).tolist() == [-1, 1, -1]
    (told,) = unreadable_cells(table)
    assert told.startswith("samm/p/9: the action units '1+smile' cannot be read at 'smile'")


def test_the_cells_of_samm_with_an_or_are_settled_as_in_the_benchmark() -> None:
    row = {"sample_id": "samm/011/011_4_2", "dataset": "samm", "subject": "samm/011", "clip": "011_4_2"}
    samples = samples_table([{**row, "action_units": "L12 or L14"}])
    assert multi_hot(samples, [12, 14]).tolist() == [[0, 1]]
