"""Printed scores beside ours: as published with the epoch chosen on the test person, and honest."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from results.scores.row import Row
from results.store.watched import OWN, TEST, VALIDATION

Inside = Literal["", "inside", "above", "below"]
"""Where a printed score lies of an interval; "" where there is none."""

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Printed:
    """A score that is printed elsewhere.

    Attributes
    ----------
    model : its name in the registry.
    benchmark : in the words of the source.
    part : ``full``, or a dataset of a composite.
    metric : ``uf1``, ``uar`` or ``accuracy``.
    value : in 0..1.
    selection : which epoch was scored: ``last``, ``validation``, ``oracle`` or ``unknown``.
    source : where it was read.
    fits : whether a row of ours is of the same databases, protocol and classes.
    published : the hyper-parameters that make our model what was published, where that is not the default.
    """

    model: str
    benchmark: str
    part: str
    metric: str
    value: float
    selection: str
    source: str
    fits: Callable[[Row], bool]
    published: dict[str, Any]


@dataclass(frozen=True)
class Ours:
    """A score of ours.

    Attributes
    ----------
    label : the model's form.
    value : the mean over the seeds.
    low : lower end of the 95 % interval; None where there is none.
    high : its upper end.
    studies : the first 16 digits of the studies' keys.
    """

    label: str
    value: float
    low: float | None
    high: float | None
    studies: list[str]


@dataclass(frozen=True)
class Claim:
    """A printed score and ours.

    Attributes
    ----------
    model : its name in the registry.
    benchmark : in the words of the source.
    dataset : of our rows, as are the next three; empty where we have none.
    task : the label scheme.
    protocol : the rule that made the folds.
    part : ``full``, or a dataset of a composite.
    n_samples : tested samples of ours; None where we have none.
    metric : ``uf1``, ``uar`` or ``accuracy``.
    printed : the printed score.
    selection : how its epoch was chosen.
    source : where it was read.
    reproduced : ours as published, the epoch chosen on the test person.
    last : ours by default, the last epoch; of a model with no row by default, as published.
    validation : the same with the epoch chosen on training people.
    gap : printed less honest: ``validation`` where the printed one was chosen so, else ``last``, else what there is.
    optimism : reproduced less honest.
    inside_reproduced : where the printed score lies of the reproduced one's interval.
    inside_honest : where it lies of the honest one's.
    """

    model: str
    benchmark: str
    dataset: str
    task: str
    protocol: str
    part: str
    n_samples: int | None
    metric: str
    printed: float
    selection: str
    source: str
    reproduced: Ours | None = None
    last: Ours | None = None
    validation: Ours | None = None
    gap: float | None = None
    optimism: float | None = None
    inside_reproduced: Inside = ""
    inside_honest: Inside = ""

    @property
    def honest(self) -> Ours | None:
        """Ours that the printed score is held against."""
        first, second = (self.validation, self.last) if self.selection == "validation" else (self.last, self.validation)
        return first or second


def claims(printed: Iterable[Printed], rows: Sequence[Row]) -> list[Claim]:
    """Hold printed scores against ours.

    A printed score has a line for each task of ours that fits it, and one without ours where none does. Rows of
    synthetic data, of weights or predictions of others, superseded and incomplete ones are left out, and so are forms
    with other hyper-parameters than the default or the published ones.

    Parameters
    ----------
    printed : scores that are printed elsewhere.
    rows : of the leaderboard.
    """
    ours: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if not row.synthetic and not row.superseded and row.weights == OWN and row.uf1 is not None:
            ours[row.model].append(row)
    return [claim for one in printed for claim in _claims_of(one, ours[one.model])]


def to_json(found: Sequence[Claim]) -> dict[str, Any]:
    """Return plain JSON values: ``{"schema_version": 1, "claims": [...]}``."""
    return {"schema_version": SCHEMA_VERSION, "claims": [dataclasses.asdict(one) for one in found]}


def _claims_of(printed: Printed, rows: Sequence[Row]) -> list[Claim]:
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if row.part == printed.part and row.params in ({}, printed.published) and printed.fits(row):
            groups[row.benchmark].append(row)
    return [_claim(printed, group) for group in groups.values()] or [_claim(printed, [])]


def _claim(printed: Printed, rows: Sequence[Row]) -> Claim:
    first = rows[0] if rows else None
    claim = Claim(
        model=printed.model,
        benchmark=printed.benchmark,
        dataset=first.dataset if first else "",
        task=first.task if first else "",
        protocol=first.protocol if first else "",
        part=printed.part,
        n_samples=first.n_samples if first else None,
        metric=printed.metric,
        printed=printed.value,
        selection=printed.selection,
        source=printed.source,
        reproduced=_ours(rows, printed, [printed.published], lambda row: row.watches == TEST),
        last=_ours(rows, printed, [{}, printed.published], lambda row: row.selection == "last"),
        validation=_ours(rows, printed, [{}, printed.published], lambda row: row.watches == VALIDATION),
    )
    honest, reproduced = claim.honest, claim.reproduced
    return dataclasses.replace(
        claim,
        gap=printed.value - honest.value if honest else None,
        optimism=reproduced.value - honest.value if reproduced and honest else None,
        inside_reproduced=_inside(printed.value, reproduced),
        inside_honest=_inside(printed.value, honest),
    )


def _ours(
    rows: Sequence[Row], printed: Printed, forms: Sequence[dict[str, Any]], wanted: Callable[[Row], bool]
) -> Ours | None:
    """Return the score of the first of some forms that there is."""
    for form in forms:
        for row in rows:
            if row.params == form and wanted(row):
                value = {"uf1": row.uf1, "uar": row.uar, "accuracy": row.accuracy}[printed.metric]
                ends = {"uf1": (row.uf1_low, row.uf1_high), "uar": (row.uar_low, row.uar_high)}
                low, high = ends.get(printed.metric, (None, None))
                assert value is not None
                return Ours(row.label, value, low, high, row.studies)
    return None


def _inside(value: float, ours: Ours | None) -> Inside:
    if ours is None or ours.low is None or ours.high is None:
        return ""
    return "below" if value < ours.low else "above" if value > ours.high else "inside"
