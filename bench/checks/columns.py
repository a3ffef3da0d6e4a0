"""What tables rely on of a leaderboard column: a text for every kind of row."""

from __future__ import annotations

import dataclasses
from typing import Any

from bench.checks.check import expect
from preprocess.base.docs import first_line
from results.scores.leaderboard import Row
from results.scores.spotting import SpotThenRecognise
from results.store.watched import EXTERNAL, NOTHING, TEST
from results.views.columns import Column

WHOLE: dict[str, Any] = {
    "uf1": 0.71,
    "uar": 0.7,
    "accuracy": 0.74,
    "weighted_f1": 0.73,
    "uf1_low": 0.6,
    "uf1_high": 0.8,
    "uar_low": 0.61,
    "uar_high": 0.79,
    "uf1_per_seed": [0.7, 0.72],
    "f1_per_class": {"negative": 0.8, "positive": 0.7, "surprise": 0.63},
    "recall_per_class": {"negative": 0.8, "positive": 0.6, "surprise": 0.7},
    "folds_done": 8,
    "rank": 1,
}
"""What a row has whose folds are all done."""


def example_board() -> dict[str, Row]:
    """Return a row of each kind that a leaderboard may hold, by what it is."""
    counts = {"negative": 8, "positive": 4, "surprise": 4}
    bare = Row(
        model="example",
        label="example[lr=0.01]",
        params={"lr": 0.01},
        dataset="casme2",
        part="full",
        task="megc3",
        protocol="loso",
        selection="last",
        watches=NOTHING,
        seeds=[0, 1],
        studies=["0123456789abcdef", "fedcba9876543210"],
        n_samples=sum(counts.values()),
        n_subjects=4,
        class_counts=counts,
        folds_done=0,
        folds_total=8,
        folds_failed=0,
    )
    whole = dataclasses.replace(bare, **WHOLE)
    alone: dict[str, Any] = {"n_subjects": 1, "uf1_low": None, "uf1_high": None, "uar_low": None, "uar_high": None}
    units: dict[str, Any] = {"task": "au12", "multilabel": True, "class_counts": {"AU1": 5, "AU2": 0, "AU12": 9}}
    per_unit: dict[str, Any] = {
        name: {"AU1": 0.5, "AU2": 0.0, "AU12": 1.0} for name in ("f1_per_class", "recall_per_class")
    }
    spotted = SpotThenRecognise(16, 3, 5, 0.842, 0.762, 0.8, strs=0.57, strs_low=0.44, strs_high=0.68)
    return {
        "a complete study": whole,
        "a study without any fold done": bare,
        "a study with failed folds": dataclasses.replace(bare, folds_done=5, folds_failed=3),
        "a row whose epoch was chosen on the test subject": dataclasses.replace(
            whole, selection="oracle", watches=TEST, rank=None
        ),
        "a row of given weights": dataclasses.replace(
            whole, selection="external", watches=TEST, weights=EXTERNAL, rank=None
        ),
        "a superseded row": dataclasses.replace(whole, superseded=True, rank=None),
        "a single subject": dataclasses.replace(whole, **alone),
        "a synthetic dataset with a note": dataclasses.replace(whole, synthetic=True, notes=["one class is absent"]),
        "the average of a composite's datasets": dataclasses.replace(whole, dataset="casme2+samm", part="average"),
        "a study of spotted clips": dataclasses.replace(whole, spotting=spotted),
        "a study of spotted clips without any fold done": dataclasses.replace(
            bare, spotting=dataclasses.replace(spotted, strs=None, strs_low=None, strs_high=None)
        ),
        "a multi-label task": dataclasses.replace(whole, **units, **per_unit),
    }


def check_text(column: Column) -> None:
    """It gives one line of text for every kind of row."""
    for name, row in example_board().items():
        text = column.text(row)
        expect(
            isinstance(text, str), f"Of {name} it gives {text!r}; expected a text (results.views.columns.number helps)."
        )
        expect("\n" not in text, f"Of {name} it gives more than one line: {text!r}.")


def check_repeats(column: Column) -> None:
    """The same row has the same text again."""
    for name, row in example_board().items():
        expect(column.text(row) == column.text(row), f"Of {name} it gives another text the second time.")


def check_header(column: Column) -> None:
    """It has a header of one line, and is aligned to a side."""
    for header in (column.title(False), column.title(True)):
        expect(header.strip() and "\n" not in header, f"Its header is {header!r}; expected a short text.")
    expect(column.justify in ("left", "right"), f"It is aligned to {column.justify!r}; expected left or right.")


def check_documented(column: Column) -> None:
    """Its docstring says in one sentence what it shows."""
    expect(first_line(column.text), "It has no docstring; one sentence tells a reader what it shows.")
    expect(first_line(column.text).endswith("."), "The first line of its docstring is no sentence.")
