"""What the board's page shows, as plain JSON values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from results.scores.claims import Claim
from results.scores.counted import CountedStudy, counting_of
from results.scores.leaderboard import Leaderboard, Row
from results.scores.pairs import Pair
from results.scores.pooling import FULL
from results.scores.spotting import SpotThenRecognise
from results.scores.stored_study import StoredStudy
from results.store.study_card import StudyCard
from results.views.board_study import curves_of, facts_of, right_by_person
from results.views.claims_text import cells
from results.views.columns import COLUMNS, class_counts, number_ranges
from results.views.shift_text import cells as shift_cells
from results.views.shift_text import headers

DETAILS_BYTES = 3_200_000
"""How much the details of studies may take, so that the page stays below 6 MB."""


@dataclass(frozen=True)
class Size:
    """How large a network is.

    Attributes
    ----------
    parameters : its numbers that are trained.
    gflops : of a forward pass of one sample, a multiplication with its addition counted as two; None where they were
        not counted.
    """

    parameters: int
    gflops: float | None


@dataclass
class BoardData:
    """Everything on the page.

    Attributes
    ----------
    boards : what studies must share to stand on one table, with their parts and classes.
    rows : a line of the leaderboard each, with the place of its board and of its study's details.
    studies : confusion matrices, people, curves, and how the numbers were made.
    people : the subjects of studies; those who tested the same people share an entry.
    pairs : which models differ.
    claims : printed scores beside ours.
    shifts : what moved key frames cost.
    notes : how to read all that.
    """

    boards: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    studies: list[dict[str, Any]] = field(default_factory=list)
    people: list[list[str]] = field(default_factory=list)
    pairs: list[dict[str, Any]] = field(default_factory=list)
    claims: list[dict[str, Any]] = field(default_factory=list)
    shifts: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dict(vars(self))


def board_data(
    leaderboard: Leaderboard,
    pairs: Sequence[Pair],
    studies: Iterable[StoredStudy],
    sizes: Mapping[str, Size],
    claims: Sequence[Claim],
) -> BoardData:
    """Put together what the page shows.

    Parameters
    ----------
    leaderboard : its rows.
    pairs : of models that were compared.
    studies : those of the rows, with their outcomes where they are complete.
    sizes : the first 16 digits of a study's key -> its network's size, where that is known.
    claims : printed scores beside ours; those without ours stand on no board.
    """
    data = BoardData(notes=list(leaderboard.notes))
    by_key = {study.card.key[:16]: study for study in studies}
    places = _boards(data, leaderboard.rows, by_key)
    gaps = {
        (gap.label, gap.dataset, gap.task, gap.protocol, gap.synthetic, gap.part, gap.selection): gap.gap
        for gap in leaderboard.gaps
    }
    details = _Details(data, by_key)
    for number, row in enumerate(leaderboard.rows):
        where = (row.label, row.dataset, row.task, row.protocol, row.synthetic, row.part, row.selection)
        place = details.add(row)
        own = _row(row, number, places[tuple(row.studies)], place, sizes.get(row.studies[0]))
        cost = details.cost[place]
        data.rows.append({**own, **cost, "gap": None if row.stamp or row.superseded else _rounded(gaps.get(where))})
    data.notes += details.notes()
    data.pairs = _pairs(pairs, leaderboard.rows, places)
    data.claims = [
        {"board": places[tuple(ours.studies)], "part": claim.part, "model": claim.model, "source": claim.source}
        | {"cells": cells(claim)[1:]}
        for claim in claims
        if (ours := claim.honest or claim.reproduced)
    ]
    board_of = {key: place for keys, place in places.items() for key in keys}
    data.shifts = [
        {
            "board": board_of[one.studies[0]],
            "part": one.part,
            "headers": [name for name, _ in headers(one.multilabel)],
            "cells": shift_cells(one),
            "notes": one.notes,
        }
        for one in leaderboard.shifts
    ]
    return data


def _boards(data: BoardData, rows: Sequence[Row], by_key: Mapping[str, StoredStudy]) -> dict[tuple[str, ...], int]:
    """Collect the boards, and return the studies of a row -> the place of its board."""
    found: dict[tuple[Any, ...], int] = {}
    places: dict[tuple[str, ...], int] = {}
    whole = {tuple(row.studies): row for row in rows if row.part == FULL}
    for row in rows:
        full = whole[tuple(row.studies)]
        if full.benchmark not in found:
            found[full.benchmark] = len(data.boards)
            card = by_key[row.studies[0]].card
            stamp = " (synthetic)" if row.synthetic else ""
            data.boards.append(
                {
                    "title": f"{row.dataset} · {row.task} · {row.protocol}{stamp}",
                    "clips": full.n_samples,
                    "multilabel": row.multilabel,
                    "synthetic": row.synthetic,
                    "classes": list(card.classes),
                    "unions": {name: list(datasets) for name, datasets in card.unions.items()},
                    "parts": [],
                }
            )
        place = places[tuple(row.studies)] = found[full.benchmark]
        parts = data.boards[place]["parts"]
        parts += [row.part] if row.part not in parts else []
    titles = [board["title"] for board in data.boards]
    for number, board in enumerate(data.boards):
        # Studies that left clips out are not compared with those that did not.
        if titles.count(titles[number]) > 1:
            board["title"] += f", {board['clips']} clips"
        while board["title"] in [other["title"] for other in data.boards[:number]]:
            board["title"] += ", other classes"
    return places


def _row(row: Row, number: int, board: int, study: int, size: Size | None) -> dict[str, Any]:
    names = ("uf1", "uf1_low", "uf1_high", "uar", "uar_low", "uar_high")
    return {
        "id": number,
        "board": board,
        "study": study,
        "part": row.part,
        "label": row.label,
        "selection": row.selection,
        "stamp": row.stamp,
        "weights": row.weights,
        "superseded": row.superseded,
        "seeds": number_ranges(row.seeds),
        "n_seeds": len(row.seeds),
        "keys": row.studies,
        "n": row.n_samples,
        "people": row.n_subjects,
        "classes": class_counts(row),
        "rank": row.rank,
        "rankText": COLUMNS.get("rank").text(row),
        **{name: _rounded(getattr(row, name)) for name in names},
        "acc": _rounded(row.accuracy),
        **_spotting(row.spotting),
        "f1": [_rounded(value) for value in row.f1_per_class.values()] if row.f1_per_class else None,
        "folds": f"{row.folds_done}/{row.folds_total}",
        "parameters": size.parameters if size else None,
        "gflops": _rounded(size.gflops, 6) if size else None,
        "notes": row.notes,
    }


def _spotting(one: SpotThenRecognise | None) -> dict[str, Any]:
    if one is None:
        return {}
    named: dict[str, float | None] = {"spotP": one.precision, "spotR": one.recall, "spotF1": one.f1}
    named |= {"strs": one.strs, "strs_low": one.strs_low, "strs_high": one.strs_high}
    return {name: _rounded(value) for name, value in named.items()}


class _Details:
    """The details of studies, each once, and within the room that there is."""

    def __init__(self, data: BoardData, by_key: Mapping[str, StoredStudy]) -> None:
        self._data, self._by_key = data, by_key
        self._places: dict[tuple[str, ...], int] = {}
        self._people: dict[tuple[str, ...], int] = {}
        self._left = DETAILS_BYTES
        self._dropped = 0
        self.cost: list[dict[str, Any]] = []

    def add(self, row: Row) -> int:
        """Return the place of the details of a row's studies."""
        keys = tuple(row.studies)
        if keys not in self._places:
            self._places[keys] = len(self._data.studies)
            studies = [self._by_key[key] for key in keys]
            # Not the predictions: those of many seeds would fill the memory.
            of_folds = [(outcome.provenance, outcome.curves) for study in studies for outcome in study.outcomes]
            told, curves = [one for one, _ in of_folds], [one for _, one in of_folds]
            detail = self._detail(studies, told, curves)
            size = len(json.dumps(detail))
            if size > self._left:
                self._dropped += 1
                detail = {"why": "Left out to keep this page small."}
            else:
                self._left -= size
            self._data.studies.append(detail)
            self.cost.append(_cost(studies[0].card, told))
        return self._places[keys]

    def notes(self) -> list[str]:
        """Return what was left out, in words."""
        if not self._dropped:
            return []
        return [
            f"Details of {self._dropped} studies are left out to keep this page small: `merbench report` shows them."
        ]

    def _detail(
        self,
        studies: Sequence[StoredStudy],
        told: Sequence[Mapping[str, Any]],
        curves: Sequence[Mapping[str, Sequence[float]]],
    ) -> dict[str, Any]:
        facts = facts_of([study.card for study in studies], told)
        if not all(study.complete for study in studies):
            return {"facts": facts, "why": "No score before all folds are done."}
        card = studies[0].card
        counted = [study.counted for study in studies]
        names, right = right_by_person(counting_of(card), [one.parts[FULL] for one in counted])
        place = self._people.setdefault(tuple(names), len(self._data.people))
        if place == len(self._data.people):
            self._data.people.append(names)
        return {
            "facts": facts,
            "counts": {part: _counts(counted, part) for part in (FULL, *card.parts)},
            "people": place,
            "right": [_rounded(value) for value in right],
            "curves": curves_of(curves),
        }


def _counts(counted: Sequence[CountedStudy], part: str) -> list[Any]:
    return np.sum([one.parts[part].counts.sum(axis=(0, 1)) for one in counted], axis=0).tolist()


def _cost(card: StudyCard, told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what training a fold took. told : the provenance of the folds' outcomes."""
    seconds = [float(facts["seconds"]) for facts in told if facts.get("seconds") is not None]
    epochs = card.hyperparameters.get("epochs")
    return {
        "seconds": _rounded(float(np.mean(seconds))) if seconds else None,
        "device": ", ".join(sorted({str(facts["device"]) for facts in told if facts.get("device")})),
        "epochs": epochs if isinstance(epochs, int) else None,
    }


def _pairs(pairs: Sequence[Pair], rows: Sequence[Row], places: Mapping[tuple[str, ...], int]) -> list[dict[str, Any]]:
    row_of = {(key, row.part): number for number, row in enumerate(rows) for key in row.studies}
    told = []
    for pair in pairs:
        half = len(pair.studies) // 2
        ends = [row_of.get((key, pair.part)) for key in (pair.studies[0], pair.studies[half])]
        if ends[0] is None or ends[1] is None:
            continue
        uf1 = pair.metrics["uf1"]
        told.append(
            {
                "board": places[tuple(rows[ends[0]].studies)],
                "part": pair.part,
                "group": f"{pair.selection} {pair.samples}",
                "selection": pair.selection,
                "first": pair.first,
                "second": pair.second,
                "firstRow": ends[0],
                "secondRow": ends[1],
                "difference": _rounded(uf1.difference),
                "low": _rounded(uf1.low),
                "high": _rounded(uf1.high),
                "p": _rounded(uf1.p_holm, 6),
            }
        )
    return told


def _rounded(value: float | None, digits: int = 5) -> float | None:
    return None if value is None else round(float(value), digits)
