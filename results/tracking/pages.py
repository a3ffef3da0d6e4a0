"""What people see when they open an experiment in MLflow: its runs, the best first, below a leaderboard."""

from __future__ import annotations

import json
from collections.abc import Sequence

from results.scores.leaderboard import Leaderboard, Row
from results.scores.pooling import FULL
from results.tracking.client import KIND, KIND_TAG, Experiment
from results.tracking.runs import NOTE_TAG, RANKED_TAG, metric_name
from results.views.columns import COLUMNS, MISSING, class_counts, interval, number

VIEW_KEY = "merbench"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW_KEY}"

# MLflow's pages guess a kind where none is chosen, and keep the guess with this ending.
_GUESSED = ("inferred", "inferred_type")
# An experiment's tag has room for 20,000 characters on a server of today, for 5,000 on one of before.
_NOTE_CHARACTERS = 5000
_CELL_CHARACTERS = 120
# What pages of MLflow 2 take for granted in a shared view; those of 3.17 have their defaults.
_TAKEN_FOR_GRANTED: dict[str, object] = {
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "datasetsFilter": [],
    "modelVersionFilter": "All Runs",
    "runsExpanded": {},
    "runsPinned": [],
    "runsHidden": [],
    "runsVisibilityMap": {},
}
_OWN_NOTE = "*merbench keeps this text up to date. Delete this line, and it leaves the text alone.*"
_NOTE_COLUMNS = ("rank", "model", "selection", "seeds", "uf1", "uf1_interval", "uar", "uar_interval", "folds")


def view_path(known: Experiment) -> str:
    """Return where the experiment's runs stand with the best first, behind a server's address.

    MLflow 3.17 asks the browser, not the experiment's kind, whether it shows an experiment of training: GenAI unless
    somebody pressed "Model training", or the address says so.
    """
    return f"#/experiments/{known.id}/runs?viewStateShareKey={VIEW_KEY}&workflowType=machine_learning"


def page_tags(known: Experiment, leaderboard: Leaderboard, root: str) -> dict[str, str]:
    """Return the tags that make an experiment's page: its kind, its description and its view.

    A kind that a person has chosen, and a description or a view that a person has changed, are left as they are.

    Parameters
    ----------
    known : the experiment as it is.
    leaderboard : its rows; none where no study has folds.
    root : of the store, for people.
    """
    kind = known.tags.get(KIND_TAG, "")
    tags = {KIND_TAG: KIND} if not kind or kind.endswith(_GUESSED) else {}
    note = known.tags.get(NOTE_TAG, "")
    if not note.strip() or _OWN_NOTE in note:
        tags[NOTE_TAG] = _description(known, leaderboard, root)
    if not _changed_by_hand(known.tags.get(VIEW_TAG)):
        tags[VIEW_TAG] = _view(known, leaderboard.rows)
    return tags


def _changed_by_hand(view: str | None) -> bool:
    """Tell whether the view was saved anew in the browser, which notes when."""
    try:
        saved = json.loads(view or "{}")
        return bool(saved.get("updatedAt") != saved.get("createdAt"))
    except (ValueError, AttributeError):
        return False


def _view(known: Experiment, rows: Sequence[Row]) -> str:
    """Return a saved view of the runs' table, in the form of MLflow's own pages: of 3.17, and (tried: 2.22) of before.

    Its columns carry the names of ``selectedColumns``; what its address may say (filter and order) stands beside. Pages
    of today look for all of it in ``state``, those of before at the top.
    """
    parts = [part for part in dict.fromkeys(row.part for row in rows) if part != FULL]
    columns = [
        "metrics.`uf1`",
        "tags.`uf1_interval`",
        "metrics.`uar`",
        "tags.`uar_interval`",
        "tags.`folds`",
        *(f"metrics.`{metric_name(part, name)}`" for part in parts for name in ("uf1", "uar")),
        "attributes.`Dataset`",
        "attributes.`Source`",
        "attributes.`Version`",
    ]
    state = {
        "searchFilter": f"tags.`kind` = 'study' and tags.`{RANKED_TAG}` = 'true'",
        "orderByKey": "metrics.`uf1`",
        "orderByAsc": False,
        "selectedColumns": columns,
    }
    saved = {"name": "merbench: best first", "createdAt": known.made, "updatedAt": known.made}
    return json.dumps({**_TAKEN_FOR_GRANTED, **state, **saved, "state": json.dumps({**state, "columnOrder": columns})})


def _description(known: Experiment, leaderboard: Leaderboard, root: str) -> str:
    """Return the leaderboard as Markdown: a row a model, with the UF1 of each part behind it."""
    rows = [row for row in leaderboard.rows if row.part == FULL]
    if not any(row.uf1 is not None for row in rows):
        return f"No study is complete yet, so that there is no score.\n\n{_OWN_NOTE}"
    first = rows[0]
    columns = [COLUMNS.get(name) for name in _NOTE_COLUMNS]
    score = COLUMNS.get("uf1")
    parts = [part for part in dict.fromkeys(row.part for row in leaderboard.rows) if part != FULL]
    of_part = {(tuple(row.studies), row.part): row for row in leaderboard.rows}
    counts = f"{first.n_samples} samples, {first.n_subjects} subjects ({class_counts(first)})"
    # All that shows of a folded description is its first line.
    lines = [f"{_leader(rows, score.title(first.multilabel))}**[Runs, the best first]({view_path(known)})**", ""]
    if first.synthetic:
        lines += ["SYNTHETIC DATA: these scores say nothing about real faces.", ""]
    lines += [f"{counts} · results in `{root}`", ""]
    headers = [column.title(first.multilabel) for column in columns]
    lines.append(_line([*headers, *(f"{part} {score.title(first.multilabel)}" for part in parts)]))
    right = [*(column.justify == "right" for column in columns), *(True for _ in parts)]
    lines.append(_line(["--:" if side else "---" for side in right]))
    ends = [f"\\* {row.selection}: {row.stamp}" for row in rows if row.stamp]
    ends = ["", *dict.fromkeys(ends), "", _OWN_NOTE]
    body = []
    for row in rows:
        scored = [of_part.get((tuple(row.studies), part)) for part in parts]
        body.append(
            _line([*(c.text(row) for c in columns), *(MISSING if p is None else score.text(p) for p in scored)])
        )
    return _fitted(lines, body, ends)


def _leader(rows: Sequence[Row], score: str) -> str:
    """Return who has the highest score of the ranked rows; nothing where none is ranked."""
    ranked = [row for row in rows if row.rank is not None and row.uf1 is not None]
    if not ranked:
        return ""
    best = max(ranked, key=lambda row: row.uf1 or 0.0)
    others = sum(row.tied for row in rows) - 1
    tied = f", and {others} more that cannot be told from it" if others > 0 else ""
    told = f"Highest {score}: {_cut(best.label)} {number(best.uf1)} {interval(best.uf1_low, best.uf1_high)}{tied}"
    return f"{told}{' (SYNTHETIC DATA)' if best.synthetic else ''} · "


def _fitted(head: list[str], body: list[str], ends: list[str]) -> str:
    """Join the lines; what is too much for a tag is left out at whole rows, and counted."""
    room = _NOTE_CHARACTERS - len("\n".join([*head, *ends])) - 120
    for kept, line in enumerate(body):
        room -= len(line) + 1
        if room < 0:
            left = f"{len(body) - kept} more rows: artifact leaderboard.md of the run `leaderboard`."
            return "\n".join([*head, *body[:kept], "", left, *ends])
    return "\n".join([*head, *body, *ends])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_cut(cell).replace("|", "\\|").replace("*", "\\*") for cell in cells) + " |"


def _cut(text: str) -> str:
    return text if len(text) <= _CELL_CHARACTERS else text[: _CELL_CHARACTERS - 4] + " ..."
