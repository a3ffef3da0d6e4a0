"""``merbench claims`` names every printed score of a model, with what the store has beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from local_runs import LocalRuns


@pytest.mark.slow
def test_claims_of_the_models_of_a_store_or_of_those_named(merbench: LocalRuns, tree: Path, tmp_path: Path) -> None:
    results = str(tmp_path / "runs")
    options = ["--data", str(tree), "--results", results, "--protocols", "cde", "--tracking-uri", "off"]
    assert merbench("run", *options, "--models", "majority,ststnet", "--epochs", "1").status == 0
    said = merbench("claims", "--results", results)
    assert said.status == 0, said.err
    assert "MEGC2019 cde full" in said.out
    assert "macro precision" in said.out
    # Two of the three databases, and another number of epochs, are no row that the paper's number is held against.
    claims = json.loads(merbench("claims", "ststnet", "--results", results, "--format", "json").out)["claims"]
    assert {(one["model"], one["last"], one["gap"]) for one in claims} == {("ststnet", None, None)}
    assert "htnet" in merbench("claims", "htnet", "--results", results).out
    assert merbench("claims", "nosuch", "--results", results).status == 2
