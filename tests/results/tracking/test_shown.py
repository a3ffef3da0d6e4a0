"""What decides whether MLflow shows a study already."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from example_studies import ExampleStudy, example_study

from results.scores.stored_study import read_study
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard
from results.tracking.shown import shown_study


@dataclasses.dataclass(frozen=True)
class LaterCard(StudyCard):
    """A card of a program to come."""

    later: str = ""


def test_a_field_that_cards_get_one_day_makes_no_run_anew(tmp_path: Path) -> None:
    store, study = OutcomeStore(tmp_path / "runs", create=True), example_study(datasets={"casme2": 2, "samm": 2})
    for outcome in study.outcomes():
        store.write_outcome(study.card, outcome)

    def content(card: StudyCard) -> str | None:
        return shown_study(store, dataclasses.replace(read_study(store, study.card), card=card)).content

    values = {one.name: getattr(study.card, one.name) for one in dataclasses.fields(study.card)}
    before = content(study.card)
    assert before is not None
    assert content(LaterCard(**values)) == before
    assert content(LaterCard(**values, later="something")) != before
    assert content(dataclasses.replace(study.card, notes=["a note"])) != before
    assert content(dataclasses.replace(study.card, seed=0, parts=("samm",))) != before


def test_sealing_a_study_changes_nothing_that_is_shown(tmp_path: Path) -> None:
    def content(study: ExampleStudy) -> str | None:
        return shown_study(store, read_study(store, study.card)).content

    store, study = OutcomeStore(tmp_path / "runs", create=True), example_study()
    for outcome in study.outcomes():
        store.write_outcome(study.card, outcome)
    before = content(study)
    store.seal(study.card)
    assert content(study) == before
