"""The optimism gap: what choosing the epoch on the test subject adds to a score."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.scores.row import Row
from results.store.watched import OWN, TEST


@dataclass(frozen=True)
class Gap:
    """How much better a model looks when its epoch is chosen on the test subject.

    Attributes
    ----------
    label : the model's.
    dataset : one dataset, or a composite's joined by ``+``.
    part : what was scored.
    task : the label scheme.
    protocol : the rule that made the folds.
    synthetic : the data was drawn by this program.
    selection : the honest row's.
    oracle : the name of the selection that watches the test samples.
    seeds : those that both rows have; the scores are means over them.
    honest_uf1 : the honest row's score.
    oracle_uf1 : the other row's score.
    gap : oracle_uf1 - honest_uf1.
    """

    label: str
    dataset: str
    part: str
    task: str
    protocol: str
    synthetic: bool
    selection: str
    oracle: str
    seeds: list[int]
    honest_uf1: float
    oracle_uf1: float
    gap: float


def optimism_gaps(rows: Sequence[Row]) -> list[Gap]:
    """Return the gap of each pair of rows of one model on one benchmark, an honest one and one with a stamp."""
    honest: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if row.competes:
            honest[row.benchmark, row.label].append(row)
    oracles = [row for row in rows if row.watches == TEST and row.weights == OWN and not row.superseded]
    pairs = [(row, oracle) for oracle in oracles for row in honest[oracle.benchmark, oracle.label]]
    return [gap for row, oracle in pairs if (gap := _gap(row, oracle)) is not None]


def _gap(honest: Row, oracle: Row) -> Gap | None:
    """Return the gap over the seeds that both rows have, or None where a row has no score or they share no seed."""
    honest_uf1 = dict(zip(honest.seeds, honest.uf1_per_seed or [], strict=False))
    oracle_uf1 = dict(zip(oracle.seeds, oracle.uf1_per_seed or [], strict=False))
    seeds = sorted(set(honest_uf1) & set(oracle_uf1))
    if not seeds:
        return None
    honest_mean = float(np.mean([honest_uf1[seed] for seed in seeds]))
    oracle_mean = float(np.mean([oracle_uf1[seed] for seed in seeds]))
    return Gap(
        label=honest.label,
        dataset=honest.dataset,
        part=honest.part,
        task=honest.task,
        protocol=honest.protocol,
        synthetic=honest.synthetic,
        selection=honest.selection,
        oracle=oracle.selection,
        seeds=seeds,
        honest_uf1=honest_mean,
        oracle_uf1=oracle_mean,
        gap=oracle_mean - honest_mean,
    )
