"""Fixtures of the results room's tests."""

from __future__ import annotations

import pytest

from results.views.columns import COLUMNS, FLAT_COLUMNS, ROW_COLUMNS, SPOT_COLUMNS


@pytest.fixture
def built_in_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables have the columns that they are laid out for; one that somebody added makes them wider."""
    known = {name: COLUMNS.get(name) for name in {*ROW_COLUMNS, *FLAT_COLUMNS, *SPOT_COLUMNS}}
    monkeypatch.setattr(COLUMNS, "_entries", known)
