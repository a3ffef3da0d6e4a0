"""The studies that can be compared, benchmark by benchmark, and those that cannot."""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from preprocess.base.errors import UsageError
from results.scores.bootstrap import score_per_seed
from results.scores.caveats import People, class_subjects
from results.scores.counted import CountedPart, counting_of
from results.scores.counting import Counting
from results.scores.generations import generations
from results.scores.pooling import part_names
from results.scores.stored_study import StoredStudy
from results.store.chosen import benchmark_title
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard


@dataclass(frozen=True)
class LeftOut:
    """Studies that are not compared.

    Attributes
    ----------
    model : the label; of two models that are not compared with each other, both.
    benchmark : dataset, task, protocol, selection, in words, and the part where it is about one.
    seeds : those of the studies.
    reason : why, in words.
    """

    model: str
    benchmark: str
    seeds: list[int]
    reason: str


@dataclass(frozen=True)
class Entry:
    """What is kept of a model's studies on one benchmark: seed -> card and counts of each subject."""

    label: str
    cards: dict[int, StudyCard]
    counts: dict[int, np.ndarray]


@dataclass(frozen=True)
class Benchmark:
    """The models that were tested on the very same samples."""

    card: StudyCard
    part: str
    tested: CountedPart
    entries: dict[str, Entry]

    @property
    def counting(self) -> Counting:
        """How the predictions are counted and scored."""
        return counting_of(self.card)

    @property
    def title(self) -> str:
        return f"{benchmark_title(self.card)} · {self.part}"

    def scores(self, metric: str) -> dict[str, float]:
        """Return each model's score from pooled predictions, the mean over its seeds."""
        function = self.counting.metrics.get(metric)
        return {
            label: float(score_per_seed(np.stack(list(entry.counts.values())), function).mean())
            for label, entry in self.entries.items()
        }

    def people(self) -> People:
        """Return the people that all models were tested on."""
        counts = next(iter(next(iter(self.entries.values())).counts.values()))
        people = class_subjects(counts, self.counting, self.card.classes)
        return People(self.title, len(counts), people)


@dataclass(frozen=True)
class Gathered:
    """What a store holds of some studies.

    Attributes
    ----------
    benchmarks : the complete studies, by what they were tested on.
    left_out : those that have a stamp, or no score.
    hidden : number of studies that later runs with other data or code have replaced.
    shifted : number of studies that were tested on shifted clips: no rivals of the others, but these once more.
    """

    benchmarks: list[Benchmark]
    left_out: list[LeftOut]
    hidden: int
    shifted: int = 0

    def notes(self) -> list[str]:
        """Return how to read what is made of them."""
        titles: dict[str, list[Benchmark]] = defaultdict(list)
        for benchmark in self.benchmarks:
            titles[f"{benchmark.title}{', synthetic' if benchmark.card.synthetic else ''}"].append(benchmark)
        notes = []
        for title, groups in titles.items():
            if len(groups) > 1:
                sets = "; ".join(f"{one.tested.n_samples} samples: {', '.join(sorted(one.entries))}" for one in groups)
                notes.append(
                    f"{title}: not all models were tested on the same samples; those that were are compared ({sets})."
                )
        if self.hidden:
            replaced = "Later runs with other data or code replaced them."
            notes.append(f"Superseded studies not compared: {self.hidden}. {replaced}")
        if self.shifted:
            shown = "`merbench leaderboard` shows what the shift costs each model."
            notes.append(f"Studies of shifted key frames not compared: {self.shifted}. {shown}")
        return notes


def gather(
    store: OutcomeStore,
    cards: Sequence[StudyCard],
    parts: Sequence[str],
    cached: Mapping[str, StoredStudy] | None = None,
) -> Gathered:
    """Read some studies, and group the complete ones by the samples that they were tested on.

    Parameters
    ----------
    store : where the outcomes lie.
    cards : the studies.
    parts : names or shell patterns of the parts that are scored.
    cached : study key -> studies that the caller has read already.

    Raises
    ------
    HonestyError : a complete study's predictions contradict its card or each other.
    StoreError : the store cannot be read.
    UsageError : a part that none of the studies has.
    """
    _check_parts(cards, parts)
    everything = list({card.key: card for card in cards}.values())
    unique = [card for card in everything if not card.shift]
    left_out = [LeftOut(card.label, benchmark_title(card), [card.seed], card.stamp) for card in unique if card.stamp]
    current, replaced = generations(store, [card for card in unique if not card.stamp], cached or {})
    studies = [study for group in current for study in group]
    left_out += [_incomplete(study) for study in studies if not study.complete]
    benchmarks = _benchmarks([study for study in studies if study.complete], parts)
    return Gathered(benchmarks, left_out, sum(map(len, replaced)), len(everything) - len(unique))


def _check_parts(cards: Sequence[StudyCard], parts: Sequence[str]) -> None:
    known = sorted({name for card in cards for name in part_names(card)})
    for part in parts:
        if known and not fnmatch.filter(known, part):
            raise UsageError(f"No study has a part {part!r}. There are: {', '.join(known)}.")


def _incomplete(study: StoredStudy) -> LeftOut:
    failed = f", {study.failed} failed" if study.failed else ""
    reason = f"{study.done}/{len(study.card.folds)} folds are done{failed}: no score"
    card = study.card
    return LeftOut(card.label, benchmark_title(card), [card.seed], "; ".join([reason, *study.damage]))


def _benchmarks(studies: Sequence[StoredStudy], parts: Sequence[str]) -> list[Benchmark]:
    """Group the studies by the samples that they were tested on, and count what they predicted, part by part."""
    found: dict[tuple[Any, ...], Benchmark] = {}
    for study in studies:
        card = study.card
        for place, part in enumerate(part_names(card)):
            if not any(fnmatch.fnmatchcase(part, pattern) for pattern in parts):
                continue
            one = study.counted.parts[part]
            where = (card.synthetic, card.dataset, card.task, card.protocol, card.selection, place, part, one.samples)
            benchmark = found.setdefault(where, Benchmark(card, part, one, {}))
            entry = benchmark.entries.setdefault(card.label, Entry(card.label, {}, {}))
            entry.cards[card.seed] = card
            entry.counts[card.seed] = one.counts
    return [found[where] for where in sorted(found)]
