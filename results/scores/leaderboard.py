"""The leaderboard: complete studies, averaged over seeds, ranked; incomplete ones shown without a score."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.scores.bootstrap import subject_bootstrap
from results.scores.caveats import People, class_subjects, interval_caveats
from results.scores.counted import CountedPart, counting_of
from results.scores.counting import Counting
from results.scores.gaps import Gap, optimism_gaps
from results.scores.generations import generations
from results.scores.metrics import Metric
from results.scores.pooling import AVERAGE, FULL, part_names, score_of_counts
from results.scores.ranking import Evidence, Scored, ranked
from results.scores.row import Row
from results.scores.shifts import ShiftLoss, shift_losses
from results.scores.spotting import spotted_and_recognised, spotted_by
from results.scores.stored_study import StoredStudy
from results.scores.tuned import tuning_note
from results.store.outcome import Outcome
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard
from results.store.watched import INNER

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Leaderboard:
    """The board.

    Attributes
    ----------
    rows : in print order: by benchmark, ranked ones first, those with a stamp last.
    gaps : the optimism gaps.
    notes : what is not shown, and how to read what is.
    shifts : what is lost where the key frames of tested clips are moved. Such studies have no row.
    """

    rows: list[Row]
    gaps: list[Gap]
    notes: list[str]
    shifts: list[ShiftLoss] = dataclasses.field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values: ``schema_version``, which is 1, ``rows``, ``gaps``, ``notes`` and ``shifts``."""
        plain = dataclasses.asdict(self)
        plain["rows"] = [row.to_json() for row in self.rows]
        return {"schema_version": SCHEMA_VERSION, **plain}


def build_leaderboard(
    store: OutcomeStore,
    cards: Sequence[StudyCard] | None = None,
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
    include_superseded: bool = False,
    cached: Mapping[str, StoredStudy] | None = None,
) -> Leaderboard:
    """Score and rank the store's studies, or some of them.

    A damaged outcome file counts as a missing fold and is named in the row's notes.

    Parameters
    ----------
    store : where the outcomes lie.
    cards : the studies; None for all of the store.
    rng : gives one number. A row's draws derive from it and from the names of its subjects. So an interval does not
        depend on the other rows, and rows of the same subjects are resampled alike.
    resamples : bootstrap draws an interval.
    include_superseded : show also the studies that a later run with other data or code has replaced.
    cached : study key -> studies that the caller has read already.

    Raises
    ------
    HonestyError : a complete study's predictions contradict its card or each other.
    StoreError : the store cannot be read.
    """
    root_seed = int(rng.integers(2**63))
    chosen = store.cards() if cards is None else cards
    everything = list({card.key: card for card in chosen}.values())
    unique = [card for card in everything if not card.shift]
    current, replaced = generations(store, unique, cached or {})
    moved, _ = generations(store, [card for card in everything if card.shift], cached or {})
    scored = [row for group in current for row in _rows(group, root_seed, resamples, superseded=False)]
    if include_superseded:
        scored += [row for group in replaced for row in _rows(group, root_seed, resamples, superseded=True)]
    order = {(card.dataset, part): place for card in unique for place, part in enumerate(part_names(card))}
    rows = sorted(ranked(scored, root_seed), key=lambda row: _print_order(row, order[row.dataset, row.part]))
    annotated = {study.card.key: study for group in current for study in group}
    shifts = shift_losses(moved, annotated, root_seed, resamples)
    hidden = 0 if include_superseded else sum(len(group) for group in replaced)
    return Leaderboard(rows, optimism_gaps(rows), _notes(rows, hidden), shifts)


def study_rows(
    card: StudyCard, outcomes: Sequence[Outcome], rng: np.random.Generator, resamples: int = 1000
) -> list[Row]:
    """Return the rows of one study, one a part, with the scores that it has on a leaderboard by itself.

    Parameters
    ----------
    card : the study's.
    outcomes : those that are there; the rows of an incomplete study have no score.
    rng : as in ``build_leaderboard``.
    resamples : bootstrap draws an interval.

    Raises
    ------
    HonestyError : outcomes contradict the card.
    """
    study = StoredStudy(card, len(outcomes), 0, list(outcomes))
    return [scored.row for scored in _rows([study], int(rng.integers(2**63)), resamples, superseded=False)]


def _rows(group: list[StoredStudy], root_seed: int, resamples: int, superseded: bool) -> list[Scored]:
    parts = part_names(group[0].card)
    if not all(study.complete for study in group):
        return [Scored(_bare_row(group, part, superseded), None) for part in parts]
    counted = [study.counted for study in group]
    counting = counting_of(group[0].card)
    rows = [
        _scored(
            _bare_row(group, part, superseded), [one.parts[part] for one in counted], counting, root_seed, resamples
        )
        for part in parts
    ]
    if people := group[0].card.spotting:
        whole = [one.parts[FULL] for one in counted]
        both = spotted_and_recognised(people, whole, counting.metrics.get("uf1"), root_seed, resamples)
        rows[0] = dataclasses.replace(rows[0], row=dataclasses.replace(rows[0].row, spotting=both))
    return rows


def _bare_row(group: list[StoredStudy], part: str, superseded: bool) -> Row:
    """Return the row without its score. What concerns all parts is noted on ``full`` only."""
    card = group[0].card
    notes = list(dict.fromkeys(note for study in group for note in _study_notes(study))) if part == FULL else []
    counted = FULL if part == AVERAGE else part
    return Row(
        model=card.model,
        label=card.label,
        params=card.params,
        dataset=card.dataset,
        part=part,
        task=card.task,
        protocol=card.protocol,
        selection=card.selection,
        watches=card.watches,
        seeds=[study.card.seed for study in group],
        studies=[study.card.key[:16] for study in group],
        n_samples=card.n_samples[counted],
        n_subjects=card.n_subjects[counted],
        class_counts=dict(zip(card.classes, card.class_counts[counted], strict=True)),
        folds_done=sum(study.done for study in group),
        folds_total=sum(len(study.card.folds) for study in group),
        folds_failed=sum(study.failed for study in group),
        synthetic=card.synthetic,
        multilabel=card.multilabel,
        superseded=superseded,
        notes=notes,
        weights=card.weights,
        spotting=spotted_by(card.spotting) if part == FULL else None,
    )


def _study_notes(study: StoredStudy) -> list[str]:
    """Return what a study's training lacked and what keeps it from a score, in words."""
    notes = [*study.card.notes, *study.damage]
    if study.card.watches == INNER and study.complete:
        notes += filter(None, [tuning_note(study.outcomes)])
    if not study.failed:
        return notes
    return [*notes, f"failed folds: {study.failed}; `merbench report {study.card.key[:16]}` tells why"]


def _scored(row: Row, counted: list[CountedPart], counting: Counting, root_seed: int, resamples: int) -> Scored:
    """Return the row with the scores of its part, and what they are made of. counted : a seed each."""
    classes = list(row.class_counts)
    seeds = [score_of_counts(row.part, classes, counting, one.n_samples, one.counts) for one in counted]
    counts = np.stack([one.counts for one in counted])
    metrics = counting.metrics
    evidence = Evidence(counted[0].samples, counted[0].subjects, counts, metrics.get("uf1"))

    def interval(metric: Metric) -> tuple[float | None, float | None]:
        low, high = subject_bootstrap(counts, metric, resamples, evidence.generator(root_seed))
        return (None, None) if math.isnan(low) else (low, high)

    means = {name: float(np.mean([one.metrics[name] for one in seeds])) for name in metrics.names()}
    uf1_low, uf1_high = interval(metrics.get("uf1"))
    uar_low, uar_high = interval(metrics.get("uar"))
    notes = seeds[0].notes()
    if row.n_subjects < 2:
        notes.append("a single subject: no interval")
    elif uf1_low == uf1_high:
        notes.append("every resample of the people scores the same: the interval has no width, and says nothing")
    row = dataclasses.replace(
        row,
        uf1=means.pop("uf1"),
        uar=means.pop("uar"),
        accuracy=means.pop("accuracy"),
        weighted_f1=means.pop("weighted_f1"),
        other_metrics=means,
        uf1_low=uf1_low,
        uf1_high=uf1_high,
        uar_low=uar_low,
        uar_high=uar_high,
        uf1_per_seed=[one.metrics["uf1"] for one in seeds],
        f1_per_class=_mean_by_class([one.f1_per_class for one in seeds]),
        recall_per_class=_mean_by_class([one.recall_per_class for one in seeds]),
        class_subjects=class_subjects(counts[0], counting, row.class_counts),
        notes=row.notes + notes,
    )
    return Scored(row, evidence)


def _mean_by_class(seeds: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([one[name] for one in seeds])) for name in seeds[0]}


def _print_order(row: Row, part_place: int) -> tuple[Any, ...]:
    board = (row.synthetic, row.dataset, row.task, row.protocol, part_place, row.benchmark)
    uf1 = row.uf1 if row.uf1 is not None else -math.inf
    apart = (True, row.weights) if row.stamp else (False, "")
    return *board, *apart, row.superseded, row.rank is None, -uf1, row.label, row.selection, row.studies


def _notes(rows: list[Row], hidden: int) -> list[str]:
    notes = interval_caveats(
        People(f"{row.dataset} · {row.task} · {row.protocol} · {row.part}", row.n_subjects, row.class_subjects)
        for row in rows
        if row.class_subjects is not None
    )
    incomplete = sum(row.part == FULL and row.uf1 is None for row in rows)
    if incomplete:
        notes.append(f"Incomplete rows: {incomplete}. No score before all folds are done; run the same command again.")
    if hidden:
        notes.append(f"Superseded studies not shown: {hidden}. Later runs with other data or code replaced them.")
    if any(row.tied for row in rows):
        notes.append(
            "1 = : these rows cannot be told from the best one of their benchmark, by swaps of whole people between "
            "the two. `merbench compare` tests every pair."
        )
    if any(row.multilabel for row in rows):
        notes.append(
            "Multi-label tasks: F1 (in a table of both kinds under UF1) is the mean over the classes of the F1 of "
            '"present", recall (under UAR) likewise; acc is the share of right answers over all classes.'
        )
    if any(row.part == AVERAGE for row in rows):
        notes.append("Part average: the mean of the tested datasets' scores; full: the score of their pooled samples.")
    if any(row.spotting for row in rows):
        notes.append(
            "Spotting: an expression counts as found where the spotted and the annotated frames have half of their "
            "union in common; spot P, R and F1 are precision, recall and F1 of all recordings pooled. UF1, UAR and acc "
            "are of the found ones alone. STRS: F1 of spotting times UF1, with its 95 % interval over people."
        )
    if any(row.synthetic for row in rows):
        notes.append("Synthetic data is drawn by this program: its scores say nothing about real faces.")
    return notes
