"""The key-frame error: what a score loses where onset and apex of the tested clips are not as they were annotated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from results.scores.bootstrap import difference_interval, generator_of, resampled_scores, score_per_seed
from results.scores.counted import counting_of
from results.scores.metrics import Metric
from results.scores.pooling import AVERAGE, FULL, part_names
from results.scores.stored_study import StoredStudy

METRICS = ("uf1", "uar")
"""What is told of each shift."""


@dataclass(frozen=True)
class Loss:
    """What one metric loses.

    Attributes
    ----------
    annotated : the score with the key frames as annotated, the mean over the seeds.
    shifted : the score with them moved, of the same weights.
    loss : annotated - shifted.
    low : lower end of the 95 % interval of the loss over subjects, the same for both scores; None for a single one.
    high : its upper end.
    """

    annotated: float
    shifted: float
    loss: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ShiftLoss:
    """What one model loses by one shift, on one part.

    Attributes
    ----------
    label : the model's.
    dataset : one dataset, or a composite's joined by ``+``.
    part : what was scored.
    task : the label scheme.
    protocol : the rule that made the folds.
    synthetic : the data was drawn by this program.
    multilabel : a sample may show any number of the classes.
    selection : the rule that picked the epoch, as annotated; the weights are the same.
    stamp : what keeps the score as annotated from being ranked; "" for nothing.
    shift : how far onset and apex were moved: frames (``2``), or a share of the clip (``5%``).
    seeds : those that both have.
    studies : the first 16 digits of the keys of the studies as annotated, in the order of ``seeds``.
    n_samples : number of tested samples.
    n_subjects : number of tested subjects.
    folds_done : number of shifted folds that have an outcome, over all seeds.
    folds_total : number of those that are needed.
    uf1 : what UF1 loses; None while folds are missing, of either.
    uar : the same of UAR.
    notes : how many clips had less room, and so on; on ``full`` only.
    """

    label: str
    dataset: str
    part: str
    task: str
    protocol: str
    synthetic: bool
    multilabel: bool
    selection: str
    stamp: str
    shift: str
    seeds: list[int]
    studies: list[str]
    n_samples: int
    n_subjects: int
    folds_done: int
    folds_total: int
    uf1: Loss | None
    uar: Loss | None
    notes: list[str]


def shift_losses(
    shifted: Sequence[Sequence[StoredStudy]], annotated: Mapping[str, StoredStudy], root_seed: int, resamples: int
) -> list[ShiftLoss]:
    """Return what is lost by each shift, the smallest shift of a model first.

    Parameters
    ----------
    shifted : studies of shifted clips, those that are equal in all but the seed together.
    annotated : key -> study with the key frames as annotated. Shifted studies without their counterpart are left out.
    root_seed : what the draws derive from, beside the names of the subjects.
    resamples : bootstrap draws an interval.
    """
    losses = []
    for group in shifted:
        pairs = [(one, annotated[key]) for one in group if (key := one.card.unshifted_key) in annotated]
        losses += [_loss(part, pairs, root_seed, resamples) for part in (part_names(pairs[0][0].card) if pairs else ())]
    return sorted(losses, key=_print_order)


def _print_order(loss: ShiftLoss) -> tuple[object, ...]:
    share = loss.shift.endswith("%")
    where = (loss.synthetic, loss.dataset, loss.task, loss.protocol, loss.part != FULL, loss.part)
    return *where, loss.label, loss.selection, share, float(loss.shift.rstrip("%"))


def _loss(part: str, pairs: Sequence[tuple[StoredStudy, StoredStudy]], root_seed: int, resamples: int) -> ShiftLoss:
    card, base = pairs[0][0].card, pairs[0][1].card
    whole = [pair for pair in pairs if all(study.complete for study in pair)]
    counted = FULL if part == AVERAGE else part
    found = _measured(part, whole, root_seed, resamples) if len(whole) == len(pairs) else {}
    return ShiftLoss(
        label=base.label,
        dataset=base.dataset,
        part=part,
        task=base.task,
        protocol=base.protocol,
        synthetic=base.synthetic,
        multilabel=base.multilabel,
        selection=base.selection,
        stamp=base.stamp,
        shift=card.shift,
        seeds=[one.card.seed for one, _ in pairs],
        studies=[one.card.key[:16] for _, one in pairs],
        n_samples=base.n_samples[counted],
        n_subjects=base.n_subjects[counted],
        folds_done=sum(one.done for one, _ in pairs),
        folds_total=sum(len(one.card.folds) for one, _ in pairs),
        uf1=found.get("uf1"),
        uar=found.get("uar"),
        notes=[note for note in card.notes if note not in base.notes] if part == FULL else [],
    )


def _measured(
    part: str, pairs: Sequence[tuple[StoredStudy, StoredStudy]], root_seed: int, resamples: int
) -> dict[str, Loss]:
    """Return what each metric loses, from the predictions of all folds pooled; the same people are drawn for both."""
    moved, true = (
        np.stack([one.counted.parts[part].counts for one in studies]) for studies in zip(*pairs, strict=True)
    )
    base = pairs[0][1]
    subjects, counting = base.counted.parts[part].subjects, counting_of(base.card)

    def loss(metric: Metric) -> Loss:
        annotated, shifted = (float(score_per_seed(counts, metric).mean()) for counts in (true, moved))
        low = high = None
        if len(subjects) > 1:
            drawn = []
            for counts in (true, moved):
                rng = generator_of(subjects, root_seed)
                drawn.append(resampled_scores(counts, metric, resamples, rng))
            low, high = difference_interval(drawn[0] - drawn[1], annotated - shifted, len(subjects))
        return Loss(annotated, shifted, annotated - shifted, low, high)

    return {name: loss(counting.metrics.get(name)) for name in METRICS}
