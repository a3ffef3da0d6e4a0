"""The plan as text."""

from __future__ import annotations

from collections.abc import Sequence

from bench.plan.cards import unmade_features
from bench.plan.planned import Plan
from results.store.study_card import StudyCard
from results.views.text import Header, table


def plan_table(plan: Plan, tuning: Sequence[str] = ()) -> str:
    """Return the plan as text: a line a study with its folds, what is done and failed, and what will be trained.

    tuning : lines about what tuned studies take besides.
    """
    rows = []
    asked = [planned for planned in plan.trainings if not planned.inner]
    for planned in asked:
        for study in planned.studies:
            card = study.card
            setting = [card.label, card.dataset, card.task, card.protocol, card.selection, str(card.seed)]
            done, failed, todo = (str(len(part)) for part in (study.done, study.failed, planned.todo))
            why = study.reason
            if study.unknown:
                done, failed, todo, why = "?", "?", f"0-{todo}", _lacking(card)
            rows.append([*setting, str(len(card.folds)), done, failed, todo, why])
    names = ["model", "dataset", "task", "protocol", "selection", "seed", "folds", "done", "failed", "to train", "why"]
    headers: list[Header] = [(name, "right" if name in names[5:10] else "left") for name in names]
    lines = table(headers, rows)
    total = sum(len(planned.todo) * len(planned.studies) for planned in asked)
    unknown = sum(study.unknown for study in plan.studies)
    ending = f"{len(rows)} studies, {total} folds to train"
    if unknown:
        ending = f"{len(rows)} studies, at most {total} folds to train: what is done of {unknown} is not known yet"
    before = [f"First, {one.label} is pretrained on {one.untrained().described}." for one in plan.pretrainings.values()]
    return "\n".join([*lines, "", ending, *before, *tuning, *plan.notes])


def _lacking(card: StudyCard) -> str:
    """Return what a study's keys wait for."""
    unmade = ", ".join(unmade_features(card))
    return f"{unmade} not made yet" if unmade else "its pretraining is not done yet"
