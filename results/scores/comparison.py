"""Every pair of models that were tested on the same people: how much they differ, and how sure that is."""

from __future__ import annotations

import dataclasses
import fnmatch
import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.base.hashing import digest
from results.scores.bootstrap import difference_interval, resampled_scores, score_per_seed
from results.scores.caveats import Tested, class_subjects, interval_caveats
from results.scores.counting import Counting
from results.scores.generations import generations
from results.scores.paired import detectable, holm, swap_test
from results.scores.pairs import COMPARED, LEVEL, Difference, Pair
from results.scores.pooling import FULL, Pooled, averaged_datasets, part_names, pool_complete
from results.store.chosen import benchmark_title
from results.store.outcome_store import OutcomeStore
from results.store.stored_study import StoredStudy
from results.store.study_card import StudyCard

SCHEMA_VERSION = 1


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
class Comparison:
    """All pairs.

    Attributes
    ----------
    pairs : benchmark by benchmark, those of the best models first.
    left_out : the studies that are not compared.
    notes : how to read the rest.
    """

    pairs: list[Pair]
    left_out: list[LeftOut]
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values: ``{"schema_version": 1, "pairs": [...], "left_out": [...], "notes": [...]}``."""
        return {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}


@dataclass(frozen=True)
class _Entry:
    """What is kept of a model's studies on one benchmark: seed -> card and counts of each subject."""

    label: str
    cards: dict[int, StudyCard]
    counts: dict[int, np.ndarray]


@dataclass(frozen=True)
class _Benchmark:
    """The models that were tested on the very same samples."""

    card: StudyCard
    part: str
    samples: str
    pooled: Pooled
    entries: dict[str, _Entry]

    @property
    def title(self) -> str:
        return f"{benchmark_title(self.card)} · {self.part}"

    def tested(self) -> Tested:
        """Return the people that all models were tested on."""
        counts = next(iter(next(iter(self.entries.values())).counts.values()))
        people = class_subjects(counts, self.pooled.counting, self.pooled.classes)
        return Tested(self.title, len(counts), people)


def compare(
    store: OutcomeStore,
    cards: Sequence[StudyCard],
    *,
    rng: np.random.Generator,
    parts: Sequence[str] = (FULL,),
    resamples: int = 1000,
    draws: int = 9999,
) -> Comparison:
    """Compare every pair of models that were tested on the same samples of the same people.

    Compared are complete studies of one dataset, task, protocol, selection and part, over the seeds that both models
    have. Left out, and named, are studies that may not be ranked, incomplete ones, and those without a counterpart.

    Parameters
    ----------
    store : where the outcomes lie.
    cards : the studies.
    rng : gives one number; draws derive from it and from the names of the subjects, as those of a leaderboard do.
    parts : names or shell patterns of the parts that are compared.
    resamples : bootstrap draws an interval.
    draws : swaps that are drawn a pair, where there are more.

    Raises
    ------
    HonestyError : a complete study's predictions contradict its card or each other.
    StoreError : the store cannot be read.
    UsageError : a part that none of the studies has.
    """
    root_seed = int(rng.integers(2**63))
    _check_parts(cards, parts)
    unique = list({card.key: card for card in cards}.values())
    left_out = [LeftOut(card.label, benchmark_title(card), [card.seed], card.stamp) for card in unique if card.stamp]
    current, replaced = generations(store, [card for card in unique if not card.stamp], {})
    studies = [study for group in current for study in group]
    left_out += [_incomplete(study) for study in studies if not study.complete]
    benchmarks = _benchmarks([study for study in studies if study.complete], parts)
    pairs: list[Pair] = []
    for benchmark in benchmarks:
        found, alone = _pairs_of(benchmark, root_seed, resamples, draws)
        pairs += found
        left_out += alone
    return Comparison(pairs, left_out, _notes(pairs, benchmarks, sum(map(len, replaced)), draws))


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


def _benchmarks(studies: Sequence[StoredStudy], parts: Sequence[str]) -> list[_Benchmark]:
    """Group the studies by the samples that they were tested on, and count what they predicted, part by part."""
    found: dict[tuple[Any, ...], _Benchmark] = {}
    for study in studies:
        card = study.card
        pooled = pool_complete(card, study.outcomes)
        for place, part in enumerate(part_names(card)):
            if not any(fnmatch.fnmatchcase(part, pattern) for pattern in parts):
                continue
            one = pooled.part(part)
            samples = one.samples
            where = (card.synthetic, card.dataset, card.task, card.protocol, card.selection, place, part, samples)
            benchmark = found.setdefault(where, _Benchmark(card, part, samples, one, {}))
            entry = benchmark.entries.setdefault(card.label, _Entry(card.label, {}, {}))
            entry.cards[card.seed] = card
            entry.counts[card.seed] = one.counts_by_subject(averaged_datasets(card, part))[1]
    return [found[where] for where in sorted(found)]


def _pairs_of(benchmark: _Benchmark, root_seed: int, resamples: int, draws: int) -> tuple[list[Pair], list[LeftOut]]:
    metrics = benchmark.pooled.counting.metrics
    means = {
        label: float(score_per_seed(np.stack(list(entry.counts.values())), metrics.get(COMPARED[0])).mean())
        for label, entry in benchmark.entries.items()
    }
    entries = [benchmark.entries[label] for label in sorted(means, key=lambda label: (-means[label], label))]
    tests = _Tests(benchmark, root_seed, resamples, draws)
    pairs = [tests.pair(one, other) for one, other in itertools.combinations(entries, 2) if _shared(one, other)]
    if len(entries) == 1:
        alone = entries[0]
        return [], [LeftOut(alone.label, benchmark.title, sorted(alone.counts), "no other model of the same samples")]
    apart = [
        LeftOut(
            f"{one.label} against {other.label}",
            benchmark.title,
            sorted([*one.counts, *other.counts]),
            "they have no seed in common",
        )
        for one, other in itertools.combinations(entries, 2)
        if not _shared(one, other)
    ]
    return _corrected(pairs, draws), apart


def _shared(one: _Entry, other: _Entry) -> list[int]:
    return sorted(set(one.counts) & set(other.counts))


class _Tests:
    """The tests of one benchmark's pairs; everybody meets the same resamples and the same swaps."""

    def __init__(self, benchmark: _Benchmark, root_seed: int, resamples: int, draws: int) -> None:
        self._benchmark, self._resamples, self._draws = benchmark, resamples, draws
        self._counting: Counting = benchmark.pooled.counting
        self._subjects = sorted(set(benchmark.pooled.subjects))
        self._generator = [root_seed, int(digest(self._subjects)[:16], 16)]
        self._resampled: dict[tuple[str, tuple[int, ...], str], np.ndarray] = {}

    def pair(self, one: _Entry, other: _Entry) -> Pair:
        """Return how two models differ, not yet corrected for the number of pairs."""
        seeds = _shared(one, other)
        uf1 = self._counting.metrics.get(COMPARED[0])
        scores = [float(score_per_seed(self._stacked(entry, seeds), uf1).mean()) for entry in (one, other)]
        # Over the seeds that both have, the order may be another than over all.
        first, second = (one, other) if scores[0] >= scores[1] else (other, one)
        metrics = {name: self._counting.metrics.get(name) for name in COMPARED}
        counts = self._stacked(first, seeds), self._stacked(second, seeds)
        p = swap_test(*counts, metrics, self._draws, np.random.default_rng(self._generator))
        card = self._benchmark.card
        return Pair(
            first=first.label,
            second=second.label,
            dataset=card.dataset,
            part=self._benchmark.part,
            task=card.task,
            protocol=card.protocol,
            selection=card.selection,
            synthetic=card.synthetic,
            multilabel=card.multilabel,
            n_samples=len(self._benchmark.pooled.sample_ids),
            n_subjects=len(self._subjects),
            samples=self._benchmark.samples[:16],
            seeds=seeds,
            studies=[entry.cards[seed].key[:16] for entry in (first, second) for seed in seeds],
            metrics={name: self._difference(name, first, second, seeds, p[name]) for name in COMPARED},
        )

    def _difference(self, name: str, first: _Entry, second: _Entry, seeds: list[int], p: float) -> Difference:
        metric = self._counting.metrics.get(name)
        one, other = (score_per_seed(self._stacked(entry, seeds), metric) for entry in (first, second))
        low = high = spread = None
        if len(self._subjects) > 1:
            resampled = self._scores(first, seeds, name) - self._scores(second, seeds, name)
            low, high = difference_interval(resampled, float((one - other).mean()), len(self._subjects))
            spread = float(resampled.std(ddof=1))
        return Difference(
            first=float(one.mean()),
            second=float(other.mean()),
            difference=float((one - other).mean()),
            low=low,
            high=high,
            p=p,
            p_holm=p,
            per_seed=(one - other).tolist(),
            spread_people=spread,
            spread_seeds=float((one - other).std(ddof=1)) if len(seeds) > 1 else None,
        )

    def _scores(self, entry: _Entry, seeds: list[int], name: str) -> np.ndarray:
        key = (entry.label, tuple(seeds), name)
        if key not in self._resampled:
            rng = np.random.default_rng(self._generator)
            metric = self._counting.metrics.get(name)
            self._resampled[key] = resampled_scores(self._stacked(entry, seeds), metric, self._resamples, rng)
        return self._resampled[key]

    @staticmethod
    def _stacked(entry: _Entry, seeds: list[int]) -> np.ndarray:
        return np.stack([entry.counts[seed] for seed in seeds])


def _corrected(pairs: list[Pair], draws: int) -> list[Pair]:
    """Return one benchmark's pairs with Holm's p, each metric corrected by itself, and what they could detect."""
    found = [dict(pair.metrics) for pair in pairs]
    for name in COMPARED:
        corrected = holm(np.array([metrics[name].p for metrics in found]))
        for pair, metrics, p in zip(pairs, found, corrected.tolist(), strict=True):
            smallest = _detectable(metrics[name], pair.n_subjects, len(pairs), draws)
            metrics[name] = dataclasses.replace(metrics[name], p_holm=p, detectable=smallest)
    return [dataclasses.replace(pair, metrics=metrics) for pair, metrics in zip(pairs, found, strict=True)]


def _detectable(difference: Difference, n_subjects: int, n_pairs: int, draws: int) -> float | None:
    if not difference.spread_people or _smallest_p(n_subjects, n_pairs, draws) >= LEVEL:
        return None
    smallest = detectable(difference.spread_people, n_subjects, LEVEL / n_pairs)
    return smallest if smallest < 1 else None


def _smallest_p(n_subjects: int, n_pairs: int, draws: int) -> float:
    """Return the smallest corrected p that so many people and pairs can give, whatever was predicted."""
    return float(min(n_pairs * max(0.5 ** (n_subjects - 1), 1 / (draws + 1)), 1))


def _notes(pairs: list[Pair], benchmarks: list[_Benchmark], hidden: int, draws: int) -> list[str]:
    notes = []
    for _, same in itertools.groupby(pairs, key=lambda pair: pair.benchmark):
        notes += _too_few_people(list(same), draws)
    notes += interval_caveats(one.tested() for one in benchmarks if len(one.entries) > 1)
    titles: dict[str, list[_Benchmark]] = defaultdict(list)
    for benchmark in benchmarks:
        titles[f"{benchmark.title}{', synthetic' if benchmark.card.synthetic else ''}"].append(benchmark)
    for title, groups in titles.items():
        if len(groups) > 1:
            sets = "; ".join(
                f"{len(one.pooled.sample_ids)} samples: {', '.join(sorted(one.entries))}" for one in groups
            )
            notes.append(
                f"{title}: not all models were tested on the same samples; those that were are compared ({sets})."
            )
    if hidden:
        notes.append(f"Superseded studies not compared: {hidden}. Later runs with other data or code replaced them.")
    if any(pair.synthetic for pair in pairs):
        notes.append("Synthetic data is drawn by this program: its scores say nothing about real faces.")
    return notes


def _too_few_people(pairs: list[Pair], draws: int) -> list[str]:
    """Return what says that one benchmark's pairs cannot be told apart, whatever was predicted; else nothing."""
    first, several = pairs[0], "s" if len(pairs) > 1 else ""
    smallest = _smallest_p(first.n_subjects, len(pairs), draws)
    if smallest < LEVEL:
        return []
    return [
        f"{first.dataset} · {first.protocol} · {first.part}: {first.n_subjects} people and {len(pairs)} pair{several} "
        f"cannot give a corrected p below {smallest:.2g}: no models can be told apart, however much they "
        "differ. Name fewer models, or test on more people."
    ]
