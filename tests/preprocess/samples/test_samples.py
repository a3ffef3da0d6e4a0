"""The samples table: what it accepts, what it refuses, and what its fingerprint depends on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from preprocess.base.errors import DataError
from preprocess.samples.table import COLUMNS, samples_fingerprint, samples_table


def row(name: str = "EP02_01f", **more: Any) -> dict[str, Any]:
    """A sound row for clip ``name`` of CASME II's subject 01; ``more`` adds or replaces values."""
    sound = {"sample_id": f"casme2/sub01/{name}", "dataset": "casme2", "subject": "casme2/sub01", "clip": name}
    return {**sound, **more}


def test_columns_types_and_order() -> None:
    table = samples_table([row("b", onset=46, fps=200), row("a", emotion="disgust", origin="sheet.xlsx, row 3")])
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == COLUMNS
    assert table["sample_id"].tolist() == ["casme2/sub01/a", "casme2/sub01/b"]
    assert table.index.tolist() == [0, 1]
    assert table["onset"].isna().tolist() == [True, False]
    assert table["onset"][1] == 46
    assert table["apex"].isna().all()


@pytest.mark.parametrize("missing", [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT])
def test_missing_values_become_null(missing: Any) -> None:
    table = samples_table([row(apex=missing, emotion=missing, fps=missing)])
    assert table[["apex", "emotion", "fps"]].isna().all(axis=None)


def test_numbers_as_a_spreadsheet_gives_them() -> None:
    table = samples_table(
        [row(onset=np.int64(1), apex=17_000_123.0, offset=np.float64(17_000_200), fps=np.float32(25))]
    )
    assert table[["onset", "apex", "offset", "fps"]].to_numpy().tolist()[0] == [1, 17_000_123, 17_000_200, 25.0]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"onset": 50, "apex": 40}, r"onset frame 50 lies after apex frame 40"),
        ({"apex": 50, "offset": 40}, r"apex frame 50 lies after offset frame 40"),
        ({"onset": 50, "offset": 40}, r"onset frame 50 lies after offset frame 40"),
        ({"onset": "46a"}, r"onset is '46a' \(str\); expected a whole number"),
        ({"onset": 46.5}, r"onset is 46.5 \(float\); expected a whole number"),
        ({"onset": True}, r"onset is True \(bool\)"),
        ({"onset": float("inf")}, r"onset is inf"),
        ({"fps": 0}, r"fps is 0.0; expected a positive number"),
        ({"emotion": 3}, r"emotion is 3 \(int\); expected text"),
        ({"subject": "casme2"}, r"subject is 'casme2'; expected 'casme2/<id>'"),
        ({"subject": "sub01"}, r"expected 'casme2/<id>'"),
        ({"subject": "casme2/sub/01"}, r"the id holds no '/'"),
        (
            {"sample_id": "casme2/sub02/EP02_01f"},
            r"sample_id is 'casme2/sub02/EP02_01f'; expected 'casme2/sub01/<clip>'",
        ),
        ({"sample_id": "casme2/sub01/a\udcff"}, r"expected 'casme2/sub01/<clip>'"),
        ({"sample_id": "casme2/sub01/a "}, r"expected 'casme2/sub01/<clip>'"),
        ({"clip": None}, r"clip is empty"),
        ({"dataset": "casme2+samm"}, r"dataset 'casme2\+samm' may hold letters"),
        ({"apx": 3}, r"no column 'apx'. Did you mean: apex\?"),
    ],
)
def test_bad_rows_are_named(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        samples_table([row("good"), row(**{"origin": "coding.xlsx, row 12", **bad})])
    assert "coding.xlsx, row 12" in str(caught.value)


def test_a_row_without_origin_is_told_by_its_number() -> None:
    with pytest.raises(DataError, match=r"row 2 \(casme2/sub01/b\): fps"):
        samples_table([row("a"), row("b", fps=-1)])


def test_the_same_sample_twice_names_both_places() -> None:
    rows = [row("a", origin="one.png"), row("b", origin="two.png"), row("a", origin="three.png")]
    with pytest.raises(DataError, match=r"Sample casme2/sub01/a is there twice: one\.png; and three\.png"):
        samples_table(rows)


def test_no_rows() -> None:
    with pytest.raises(DataError, match="without samples"):
        samples_table([])


def test_fingerprint_depends_on_content_only() -> None:
    rows = [row("a", onset=1, fps=200.0), row("b", emotion="fear")]
    fingerprint = samples_fingerprint(samples_table(rows))
    assert fingerprint == samples_fingerprint(samples_table(rows[::-1]))
    assert fingerprint == samples_fingerprint(samples_table(rows).iloc[::-1])
    assert fingerprint == samples_fingerprint(samples_table([{**entry, "origin": "/elsewhere"} for entry in rows]))
    assert fingerprint != samples_fingerprint(samples_table([rows[0], {**rows[1], "emotion": "anger"}]))
    assert fingerprint != samples_fingerprint(samples_table([{**rows[0], "onset": None}, rows[1]]))
