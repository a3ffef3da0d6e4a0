"""Every pair of models that were tested on the same people: how much they differ, and how sure that is."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.scores.bootstrap import difference_interval, generator_of, resampled_scores, score_per_seed
from results.scores.caveats import interval_caveats
from results.scores.counting import Counting
from results.scores.gathered import Benchmark, Entry, Gathered, LeftOut, gather
from results.scores.paired import DRAWS, detectable, holm, swap_test
from results.scores.pairs import COMPARED, LEVEL, Difference, Pair
from results.scores.pooling import FULL
from results.scores.stored_study import StoredStudy
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard

SCHEMA_VERSION = 1


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


def compare(
    store: OutcomeStore,
    cards: Sequence[StudyCard],
    *,
    rng: np.random.Generator,
    parts: Sequence[str] = (FULL,),
    resamples: int = 1000,
    draws: int = DRAWS,
    cached: Mapping[str, StoredStudy] | None = None,
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
    cached : study key -> studies that the caller has read already.

    Raises
    ------
    HonestyError : a complete study's predictions contradict its card or each other.
    StoreError : the store cannot be read.
    UsageError : a part that none of the studies has.
    """
    root_seed = int(rng.integers(2**63))
    gathered = gather(store, cards, parts, cached)
    benchmarks, left_out = gathered.benchmarks, list(gathered.left_out)
    pairs: list[Pair] = []
    for benchmark in benchmarks:
        found, alone = _pairs_of(benchmark, root_seed, resamples, draws)
        pairs += found
        left_out += alone
    return Comparison(pairs, left_out, _notes(pairs, gathered, draws))


def _pairs_of(benchmark: Benchmark, root_seed: int, resamples: int, draws: int) -> tuple[list[Pair], list[LeftOut]]:
    means = benchmark.scores(COMPARED[0])
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
    return _corrected(pairs, entries[0].label, draws), apart


def _shared(one: Entry, other: Entry) -> list[int]:
    return sorted(set(one.counts) & set(other.counts))


class _Tests:
    """The tests of one benchmark's pairs; everybody meets the same resamples and the same swaps."""

    def __init__(self, benchmark: Benchmark, root_seed: int, resamples: int, draws: int) -> None:
        self._benchmark, self._resamples, self._draws = benchmark, resamples, draws
        self._counting: Counting = benchmark.counting
        self._subjects = list(benchmark.tested.subjects)
        self._root_seed = root_seed
        self._resampled: dict[tuple[str, tuple[int, ...], str], np.ndarray] = {}

    def pair(self, one: Entry, other: Entry) -> Pair:
        """Return how two models differ, not yet corrected for the number of pairs."""
        seeds = _shared(one, other)
        uf1 = self._counting.metrics.get(COMPARED[0])
        scores = [float(score_per_seed(self._stacked(entry, seeds), uf1).mean()) for entry in (one, other)]
        # Over the seeds that both have, the order may be another than over all.
        first, second = (one, other) if scores[0] >= scores[1] else (other, one)
        metrics = {name: self._counting.metrics.get(name) for name in COMPARED}
        counts = self._stacked(first, seeds), self._stacked(second, seeds)
        p = swap_test(*counts, metrics, self._draws, generator_of(self._subjects, self._root_seed))
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
            n_samples=self._benchmark.tested.n_samples,
            n_subjects=len(self._subjects),
            samples=self._benchmark.tested.samples[:16],
            seeds=seeds,
            studies=[entry.cards[seed].key[:16] for entry in (first, second) for seed in seeds],
            metrics={name: self._difference(name, first, second, seeds, p[name]) for name in COMPARED},
        )

    def _difference(self, name: str, first: Entry, second: Entry, seeds: list[int], p: float) -> Difference:
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

    def _scores(self, entry: Entry, seeds: list[int], name: str) -> np.ndarray:
        key = (entry.label, tuple(seeds), name)
        if key not in self._resampled:
            rng = generator_of(self._subjects, self._root_seed)
            metric = self._counting.metrics.get(name)
            self._resampled[key] = resampled_scores(self._stacked(entry, seeds), metric, self._resamples, rng)
        return self._resampled[key]

    @staticmethod
    def _stacked(entry: Entry, seeds: list[int]) -> np.ndarray:
        return np.stack([entry.counts[seed] for seed in seeds])


def _corrected(pairs: list[Pair], best: str, draws: int) -> list[Pair]:
    """Return one benchmark's pairs with Holm's p, each metric corrected by itself, and what they could detect.

    best : label of the model with the highest UF1 over all of its seeds.
    """
    found = [dict(pair.metrics) for pair in pairs]
    with_best = [metrics for pair, metrics in zip(pairs, found, strict=True) if best in (pair.first, pair.second)]
    for metrics, p in zip(with_best, holm(np.array([one["uf1"].p for one in with_best])).tolist(), strict=True):
        metrics["uf1"] = dataclasses.replace(metrics["uf1"], p_best=p)
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


def _notes(pairs: list[Pair], gathered: Gathered, draws: int) -> list[str]:
    notes = []
    for _, same in itertools.groupby(pairs, key=lambda pair: pair.benchmark):
        of_one = list(same)
        notes += _too_few_people(of_one, draws) + _below_the_best(of_one)
    notes += interval_caveats(one.people() for one in gathered.benchmarks if len(one.entries) > 1)
    notes += gathered.notes()
    if any(pair.synthetic for pair in pairs):
        notes.append("Synthetic data is drawn by this program: its scores say nothing about real faces.")
    return notes


def _below_the_best(pairs: list[Pair]) -> list[str]:
    """Return what says that a leaderboard tells models from the best one that are not told apart among all pairs."""
    told = [(pair, uf1) for pair in pairs if (uf1 := pair.metrics["uf1"]).p_best is not None]
    apart = [(pair, uf1) for pair, uf1 in told if (uf1.p_best or 0) < LEVEL <= uf1.p_holm]
    if not apart:
        return []
    first = pairs[0]
    names = ", ".join(f"{pair.second} from {pair.first}" for pair, _ in apart)
    return [
        f"{first.dataset} · {first.protocol} · {first.part}: ranks of a leaderboard ask about the {len(told)} pairs "
        f"with the best model alone, and are corrected for these. They tell apart, too: {names}."
    ]


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
