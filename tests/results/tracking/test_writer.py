"""The tracking writer: studies are shown while others train, and trouble with MLflow never reaches a fold."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from example_studies import example_study

from preprocess.base.errors import StoreError, UsageError
from results.store.outcome_store import OutcomeStore
from results.tracking.writer import TrackingWriter

CARDS = [example_study(datasets={name: 2}).card for name in ("synth_a", "synth_b")]


class Mlflow:
    """Stands where MLflow is: notes what is synced; ``answers`` are taken one a sync (None: it is reached)."""

    def __init__(self) -> None:
        self.synced: list[tuple[list[str], bool]] = []
        self.answers: list[str | Exception | None] = []
        self.opened: list[str] = []

    def sync(
        self,
        store: OutcomeStore,
        cards: list[Any],
        uri: str,
        rng: Any,
        say: Any,
        leaderboards: bool,
        before: Any,
        page: Any,
    ) -> Any:
        self.synced.append(([card.dataset for card in cards], leaderboards))
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(unreachable=answer, done={})


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Mlflow:
    stand_in = Mlflow()
    monkeypatch.setattr("results.tracking.sync.sync", stand_in.sync)
    monkeypatch.setattr("results.tracking.sync.open_tracking", lambda uri, root: stand_in.opened.append(uri))
    return stand_in


@pytest.fixture
def store(tmp_path: Path) -> OutcomeStore:
    return OutcomeStore(tmp_path / "runs", create=True)


@pytest.fixture
def said() -> list[str]:
    return []


def writer(store: OutcomeStore, said: list[str], uri: str | None = None) -> TrackingWriter:
    return TrackingWriter(store, uri, said.append)


def test_studies_are_shown_as_they_end_and_leaderboards_at_the_end(
    mlflow: Mlflow, said: list[str], store: OutcomeStore
) -> None:
    first, second = CARDS
    tracking = writer(store, said)
    assert tracking.where == f"sqlite:///{store.root}/mlflow.db"
    tracking.add([first])
    tracking.add([second])
    tracking.finish([first, second])
    assert mlflow.synced == [(["synth_a"], False), (["synth_b"], False), (["synth_a", "synth_b"], True)]
    assert mlflow.opened == [tracking.where], "once, however many studies there are"


@pytest.mark.slow
def test_what_was_logged_while_others_trained_is_told_as_logged(said: list[str], store: OutcomeStore) -> None:
    for _ in range(2):
        tracking = writer(store, said)
        for place in range(2):
            study = example_study(datasets={"synth_a": 2}, seed=place)
            store.write_card(study.card)
            for outcome in study.outcomes():
                store.write_outcome(study.card, outcome)
            tracking.add([study.card])
        tracking.finish([*store.cards()])
    told = [line.rpartition(": ")[2] for line in said if line.startswith("MLflow at")]
    assert told == ["2 runs logged.", "2 runs unchanged."]


def test_off_is_off(mlflow: Mlflow, said: list[str], store: OutcomeStore) -> None:
    cards = CARDS
    tracking = writer(store, said, "off")
    tracking.add(cards)
    tracking.finish(cards)
    assert (tracking.where, mlflow.synced, said) == (None, [], [])


@pytest.mark.parametrize("trouble", ["the server is down", StoreError("the database is damaged")])
def test_after_trouble_the_rest_waits_for_the_end(
    mlflow: Mlflow, said: list[str], store: OutcomeStore, trouble: str | Exception
) -> None:
    first, second = CARDS
    mlflow.answers = [trouble]
    tracking = writer(store, said)
    tracking.add([first])
    tracking.add([second])
    tracking.finish([first, second])
    assert mlflow.synced == [(["synth_a"], False), (["synth_a", "synth_b"], True)]
    assert said == []


def test_trouble_at_the_end_is_said_and_ends_nothing(mlflow: Mlflow, said: list[str], store: OutcomeStore) -> None:
    mlflow.answers = [StoreError("the database is damaged")]
    writer(store, said).finish(CARDS)
    assert said == ["MLflow is not up to date: the database is damaged"]


def test_an_interrupted_run_leaves_the_rest_to_the_next_one(
    mlflow: Mlflow, said: list[str], store: OutcomeStore
) -> None:
    tracking = writer(store, said)
    tracking.abandon()
    tracking.add(CARDS)
    assert mlflow.synced == []


def test_an_address_that_mlflow_does_not_take_is_refused_before_training(
    mlflow: Mlflow, said: list[str], store: OutcomeStore
) -> None:
    with pytest.raises(UsageError, match="--tracking-uri"):
        writer(store, said, "./mlruns")
