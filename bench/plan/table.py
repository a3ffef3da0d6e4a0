"""The plan as text."""

from __future__ import annotations

from bench.plan.plan import Plan
from results.views.text import Header, table


def plan_table(plan: Plan) -> str:
    """Return the plan as text: a line a study with its folds, what is done and failed, and what will be trained."""
    rows = []
    for planned in plan.trainings:
        for study in planned.studies:
            card = study.card
            setting = [card.label, card.dataset, card.task, card.protocol, card.selection, str(card.seed)]
            counts = map(len, (card.folds, study.done, study.failed, planned.todo))
            rows.append([*setting, *map(str, counts), study.reason])
    names = ["model", "dataset", "task", "protocol", "selection", "seed", "folds", "done", "failed", "to train", "why"]
    headers: list[Header] = [(name, "right" if name in names[5:10] else "left") for name in names]
    lines = table(headers, rows)
    total = sum(len(planned.todo) * len(planned.studies) for planned in plan.trainings)
    return "\n".join([*lines, "", f"{len(rows)} studies, {total} folds to train", *plan.notes])
