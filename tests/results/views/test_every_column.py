"""What tables rely on, of every column: a new one is covered without an edit here."""

from __future__ import annotations

import pytest
from registered import every, passes

from bench.checks.check import Check


@pytest.mark.slow
@pytest.mark.parametrize("check", every("column"))
def test_every_column_passes_its_checks(check: Check) -> None:
    passes(check)
