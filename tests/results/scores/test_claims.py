"""Printed scores are held against the right rows of ours, and never against others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_studies import example_study

from results.scores.claims import Claim, Printed, claims
from results.scores.leaderboard import build_leaderboard
from results.scores.row import Row
from results.store.outcome_store import OutcomeStore
from results.store.watched import IMPORTED
from results.views.claims_text import FORMATS, render

PUBLISHED = {"as_published": True}
COMPOSITE = {"casme2": 5, "samm": 3}


@pytest.fixture
def store(tmp_path: Path) -> OutcomeStore:
    return OutcomeStore(tmp_path / "runs", create=True)


def put(store: OutcomeStore, hit_rate: float, **study: Any) -> None:
    made = example_study("htnet", COMPOSITE, **study)
    store.write_card(made.card)
    for outcome in made.outcomes(hit_rate):
        store.write_outcome(made.card, outcome)


def rows_of(store: OutcomeStore) -> list[Row]:
    return build_leaderboard(store, rng=np.random.default_rng(0)).rows


def printed(value: float, part: str = "full", **changes: Any) -> Printed:
    values = {"selection": "oracle", "metric": "uf1", "published": PUBLISHED, **changes}
    return Printed("htnet", "A composite", part, value=value, source="a table", fits=lambda row: True, **values)


def one(store: OutcomeStore, claimed: Printed) -> Claim:
    (found,) = claims([claimed], rows_of(store))
    return found


@pytest.fixture
def runs(store: OutcomeStore) -> OutcomeStore:
    """Return a store of all forms, and of what must not be taken for one of them."""
    put(store, 0.5)
    put(store, 0.55, selection="validation")
    put(store, 0.8, selection="oracle")
    put(store, 0.4, params=PUBLISHED)
    put(store, 0.95, params=PUBLISHED, selection="oracle")
    put(store, 1.0, params={"epochs": 2})
    put(store, 1.0, weights=IMPORTED, params={"predictions": "external"})
    return store


def score_of(store: OutcomeStore, selection: str, part: str = "full", **params: Any) -> Row:
    (found,) = (
        row
        for row in rows_of(store)
        if (row.selection, row.params, row.part, row.synthetic) == (selection, params, part, False)
    )
    return found


def test_a_claim_has_ours_as_published_with_oracle_and_the_honest_ones(runs: OutcomeStore) -> None:
    claim = one(runs, printed(0.9, "samm"))
    expected = [
        score_of(runs, "oracle", "samm", **PUBLISHED),
        score_of(runs, "last", "samm"),
        score_of(runs, "validation", "samm"),
    ]
    ours = [claim.reproduced, claim.last, claim.validation]
    assert [found and (found.value, found.low, found.high, found.studies) for found in ours] == [
        (row.uf1, row.uf1_low, row.uf1_high, row.studies) for row in expected
    ]
    last, oracle = expected[1].uf1, expected[0].uf1
    assert last is not None
    assert oracle is not None
    assert claim.gap == pytest.approx(0.9 - last)
    assert claim.optimism == pytest.approx(oracle - last)


@pytest.mark.slow
@pytest.mark.parametrize(("where", "inside"), [(0.0, "inside"), (1.0, "above"), (-1.0, "below")])
def test_whether_the_printed_number_lies_in_the_interval(runs: OutcomeStore, where: float, inside: str) -> None:
    row = score_of(runs, "last")
    assert row.uf1 is not None
    assert row.uf1_low is not None
    assert row.uf1_high is not None
    value = {0.0: row.uf1, 1.0: row.uf1_high + 1e-6, -1.0: row.uf1_low - 1e-6}[where]
    assert one(runs, printed(value)).inside_honest == inside


def test_a_number_chosen_on_validation_people_is_held_against_such(runs: OutcomeStore) -> None:
    claim = one(runs, printed(0.5, selection="validation"))
    assert claim.honest == claim.validation


def test_other_metrics_are_held_against_themselves(runs: OutcomeStore) -> None:
    row = score_of(runs, "last")
    uar, accuracy = (one(runs, printed(0.5, metric=metric)).last for metric in ("uar", "accuracy"))
    assert uar is not None
    assert accuracy is not None
    assert (uar.value, uar.low, accuracy.value, accuracy.low) == (row.uar, row.uar_low, row.accuracy, None)


def test_without_a_default_form_the_published_one_is_honest_too(store: OutcomeStore) -> None:
    put(store, 0.4, params=PUBLISHED)
    claim = one(store, printed(0.9))
    assert claim.last is not None
    assert claim.last.label == "htnet[as_published=True]"
    assert claim.reproduced is None
    assert "*" in render([claim], "table", 200)


@pytest.mark.parametrize("study", [{"synthetic": True}, {"params": {"epochs": 2}}, {"weights": IMPORTED}])
def test_a_claim_without_ours_says_so(store: OutcomeStore, study: dict[str, Any]) -> None:
    put(store, 1.0, **study)
    claim = one(store, printed(0.9))
    assert (claim.dataset, claim.last, claim.gap, claim.inside_honest) == ("", None, None, "")


@pytest.mark.slow
@pytest.mark.parametrize("format", list(FORMATS))
def test_every_format_has_the_number_and_its_source(runs: OutcomeStore, format: str) -> None:
    text = render(claims([printed(0.8765)], rows_of(runs)), format, 160)
    assert "8765" in text
    assert "a table" in text
