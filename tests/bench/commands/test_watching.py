"""``merbench status --watch``: renewed while folds are done, over when none is left to run."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from example_studies import example_study
from local_runs import LocalRuns
from rich.console import Console

from bench.commands.watching import watch_status
from results.store.outcome_store import OutcomeStore

LATER = "2026-02-01T00:00:00+00:00"


def watched(root: Path | str, *steps: Callable[[], None], terminal: bool = False) -> tuple[int, str]:
    """Watch; something happens between each two looks, and more or fewer looks than that are a fault."""
    printed, left = io.StringIO(), list(steps)

    def step(seconds: float) -> None:
        assert left, "it should have ended by now"
        left.pop(0)()

    with mock.patch("bench.commands.watching.time.sleep", step):
        status = watch_status(str(root), Console(file=printed, force_terminal=terminal, width=160))
    assert not left, "it ended too early"
    return status, printed.getvalue()


def test_it_waits_for_a_run_and_ends_with_the_last_fold(tmp_path: Path) -> None:
    study = example_study()
    outcomes = study.outcomes()
    stores: list[OutcomeStore] = []

    def begin() -> None:
        stores.append(OutcomeStore(tmp_path / "runs", create=True))

    def plan() -> None:
        stores[0].write_card(study.card)

    def train(place: int) -> Callable[[], None]:
        return lambda: stores[0].write_outcome(study.card, outcomes[place])

    folds = len(outcomes)
    status, said = watched(tmp_path / "runs", begin, plan, lambda: None, *map(train, range(folds)))

    assert status == 0
    told = re.findall(r"no results yet|no study yet|\d+ of \d+ folds done, \d+ failed, \d+ missing", said)
    assert told == ["no results yet", "no study yet"] + [
        f"{done} of {folds} folds done, 0 failed, {folds - done} missing" for done in range(folds + 1)
    ], "each state once, although it was looked at twice"


def test_a_failed_fold_is_no_fold_to_wait_for(store: OutcomeStore) -> None:
    study = example_study()
    store.write_card(study.card)
    for outcome in study.outcomes()[1:]:
        store.write_outcome(study.card, outcome)

    status, said = watched(store.root, lambda: store.write_failure(study.card, study.failure(0)))

    assert status == 1
    assert f"{len(study.folds) - 1} of {len(study.folds)} folds done, 1 failed, 0 missing" in said


@pytest.mark.parametrize("newer_has_begun", [False, True])
def test_what_older_code_has_left_undone_is_waited_for_until_newer_code_has_done_it(
    store: OutcomeStore, newer_has_begun: bool
) -> None:
    old, new = example_study(code="v1"), example_study(code="v2")
    for study in (old, new):
        store.write_card(study.card)
    store.write_outcome(old.card, old.outcomes()[0])
    outcomes = new.outcomes(finished_at=LATER)
    if newer_has_begun:
        store.write_outcome(new.card, outcomes.pop())

    status, said = watched(store.root, *(lambda o=o: store.write_outcome(new.card, o) for o in outcomes))  # type: ignore[misc]

    assert status == 0
    assert re.findall(r"(\d+) missing\n", said)[-1] == str(len(old.folds) - 1)


def test_on_a_terminal_the_table_is_renewed_in_its_place(store: OutcomeStore) -> None:
    study = example_study()
    store.write_card(study.card)
    outcomes = study.outcomes()

    def finish() -> None:
        for outcome in outcomes:
            store.write_outcome(study.card, outcome)

    status, said = watched(store.root, finish, terminal=True)

    assert status == 0
    assert "\x1b[1A" in said, "the cursor goes up, over the table before"


def test_ctrl_c_ends_it_without_a_word(
    merbench: LocalRuns, store: OutcomeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write_card(example_study().card)

    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.commands.watching.time.sleep", stop)

    said = merbench("status", "--watch", "--results", store.root)

    assert (said.status, said.err) == (130, "")
