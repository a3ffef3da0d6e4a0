"""Provenance: what is kept beside an outcome, and never counts in a key or a comparison."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from bench.workers.provenance import git_state, package_versions, provenance


def test_it_tells_where_when_and_with_what() -> None:
    facts = provenance("cpu", 1.234567)
    assert {"host", "platform", "python", "packages", "device", "git", "seconds", "finished_at"} <= facts.keys()
    assert (facts["device"], facts["seconds"]) == ("cpu", 1.2346)
    assert facts["packages"]["torch"]
    assert datetime.fromisoformat(facts["finished_at"]).tzinfo is not None
    assert json.loads(json.dumps(facts)) == facts


def test_a_fold_that_failed_took_no_known_time() -> None:
    assert provenance("cpu", None)["seconds"] is None


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert package_versions(("no-such-package-anywhere",)) == {"no-such-package-anywhere": None}


@pytest.mark.parametrize(("given", "told"), [("abc123+dirty", "abc123+dirty"), ("", None)])
def test_workers_are_told_the_drivers_commit(monkeypatch: pytest.MonkeyPatch, given: str, told: str | None) -> None:
    """Their copy of the code has no .git folder."""
    monkeypatch.setenv("MERBENCH_GIT_STATE", given)
    git_state.cache_clear()
    try:
        assert git_state() == told
    finally:
        git_state.cache_clear()
