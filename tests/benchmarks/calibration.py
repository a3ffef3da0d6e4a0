"""Do intervals, tests and power hold what they say? Simulated LOSO studies of people who differ, with known truth.

    python tests/benchmarks/calibration.py [--studies 2000] [--only intervals,rare,level,power,group]

Intervals should hold the true score in 95 of 100 studies: at least 93 from 16 people on, 90 with 8. Without a
difference, p should be below .05 in 5 of 100 studies; the difference that a comparison names as found in 80 of 100
studies should be found so often. The simulation itself is tests/simulated_studies.py: person effects on how hard a
person is, for all models and for one, and on what a person is taken for; clips and classes a person as in MEGC2019.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np
from benchmark_report import machine_facts, print_table, run_plainly
from simulated_studies import RARE, SCORES, SHARES, Field, scored

from results.scores.bootstrap import difference_interval, resampled_scores, score_per_seed, subject_bootstrap
from results.scores.metrics import METRICS
from results.scores.paired import detectable, swap_test
from results.scores.ranking import ranked

RESAMPLES = 1000
LEVEL = 0.05
SWAPS = 1999
_BATCH = 50

Pair = tuple[np.ndarray, np.ndarray]


def main() -> None:
    """Measure and print."""
    parts: dict[str, Callable[[int], None]] = {
        "intervals": print_intervals,
        "rare": print_rare,
        "level": print_level,
        "power": print_power,
        "group": print_group,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000, help="simulated studies a row (default 2000)")
    parser.add_argument("--only", default=",".join(parts), help=f"parts, of {', '.join(parts)} (default all)")
    arguments = parser.parse_args()
    facts, start = machine_facts(), time.perf_counter()
    for name in arguments.only.split(","):
        parts[name](arguments.studies)
    print(f"{time.perf_counter() - start:.0f} s in all")
    for fact in facts:
        print(fact)


def print_intervals(studies: int) -> None:
    """Print how often intervals hold the truth, by the number of people."""
    rows = []
    for people, shares in [*((people, SHARES) for people in (3, 5, 8, 16, 24, 68)), (24, RARE), (68, RARE)]:
        single, pair = Field(shares=shares), Field((1.0, 0.6), shares)
        one, two = single.truth(), pair.truth()
        row = [str(people), f"{100 * shares[-1]:.0f} %"]
        for name in SCORES:
            found = [_interval(counts, name, study) for study, counts in enumerate(_drawn(single, people, studies))]
            row.append(_coverage(np.array(found), float(one[name][0])))
        for name in SCORES:
            ends = [_difference(drawn, name, study)[0] for study, drawn in enumerate(_pairs(pair, people, studies))]
            row.append(_coverage(np.array(ends), float(two[name][0] - two[name][1])))
        rows.append(row)
    title = f"Share of {studies} studies whose 95 % interval holds the truth (truth above it, below it; mean width)"
    print_table(title, ["people", "rarest class", "UF1", "UAR", "difference of UF1", "difference of UAR"], rows)


def print_rare(studies: int) -> None:
    """Print how often intervals hold the truth, by the number of people who show the rarest class."""
    held: dict[str, dict[int, list[bool]]] = {name: {} for name in SCORES}
    for people, share in ((16, 0.03), (24, 0.03), (24, 0.06), (68, 0.03)):
        field = Field(shares=(0.7, 0.3 - share, share))
        truth = field.truth()
        for study, counts in enumerate(_drawn(field, people, studies)):
            showing = int((counts[0, :, 0, -1].sum(axis=-1) > 0).sum())
            for name in SCORES:
                low, high = _interval(counts, name, study)
                held[name].setdefault(min(showing, 8), []).append(low <= truth[name][0] <= high)
    rows = [
        [f"{people}{' and more' if people == 8 else ''}", str(len(held["uf1"][people]))]
        + [_share(held[name][people]) for name in SCORES]
        for people in sorted(held["uf1"])
    ]
    title = (
        "The same, by the number of people who show the rarest of three classes (16 to 68 people, class of 3 or 6 %)"
    )
    print_table(title, ["people of the class", "studies", "UF1", "UAR"], rows)


def print_level(studies: int) -> None:
    """Print how often p is below .05 where there is no difference."""
    rows = []
    for people, seeds in ((8, 1), (16, 1), (16, 3), (24, 1), (68, 1), (68, 3)):
        field = Field((1.0, 1.0), seeds=seeds)
        found = [_p(pair, study) for study, pair in enumerate(_pairs(field, people, studies))]
        rows.append([str(people), str(seeds), *(_share([p[name] < LEVEL for p in found]) for name in SCORES)])
    title = f"Share of {studies} studies without a difference whose p is below {LEVEL}"
    print_table(title, ["people", "seeds", "UF1", "UAR"], rows)


def print_power(studies: int) -> None:
    """Print how often a difference is found that studies of so many people name, on average, as found in 80 of 100."""
    rows = []
    for people in (16, 24, 68):
        for name in SCORES:
            field, true, named = _of_stated_power(people, name)
            found = [_p(pair, study)[name] < LEVEL for study, pair in enumerate(_pairs(field, people, studies))]
            rows.append([str(people), name, f"{true:.3f}", f"{named:.3f}", _share(found)])
    title = f"Share of {studies} studies that find the difference which they name as found in 80 of 100"
    print_table(title, ["people", "score", "true difference", "named, on average", "found"], rows)


def print_group(studies: int) -> None:
    """Print how often the truly best of several models is missing from the group that shares the best rank."""
    rows = []
    for people in (16, 24, 68):
        for strengths in ((1.0,) * 4, (1.0,) * 10, (1.0, *(0.9,) * 4, *(0.0,) * 5), (1.0, *(0.5,) * 9)):
            missed, size = 0, 0
            for study, models in enumerate(_answers(Field(strengths), people, studies)):
                found = ranked([scored(counts, str(number)) for number, counts in enumerate(models)], study)
                missed += found[0].rank != 1
                size += sum(row.rank == 1 for row in found)
            told = ", ".join(f"{strengths.count(one)} of {one:g}" for one in dict.fromkeys(strengths))
            rows.append([str(people), told, f"{missed / studies:.3f}", f"{size / studies:.1f}"])
    title = f"Share of {studies} studies whose best group misses the truly best model (a model of strength 1)"
    print_table(title, ["people", "strengths of the models", "missed", "models in the group"], rows)


def _of_stated_power(people: int, name: str) -> tuple[Field, float, float]:
    """Return two models as far apart as studies of so many people name on average, that distance, and what they name.

    The weaker model's strength is halved into place: the weaker it is, the larger the difference.
    """
    weakest, strongest = -1.5, 1.0
    for _ in range(9):
        field = Field((1.0, (weakest + strongest) / 2))
        truth = field.truth(100_000)[name]
        true = float(truth[0] - truth[1])
        spreads = [_difference(pair, name, study)[1] for study, pair in enumerate(_pairs(field, people, 300))]
        named = float(np.mean([detectable(spread, people, LEVEL) for spread in spreads]))
        weakest, strongest = (weakest, field.strengths[1]) if true < named else (field.strengths[1], strongest)
    return field, true, named


def _drawn(field: Field, people: int, studies: int) -> Iterator[np.ndarray]:
    """Yield the counts of the first model, study by study."""
    for pair in _answers(field, people, studies):
        yield pair[0]


def _pairs(field: Field, people: int, studies: int) -> Iterator[Pair]:
    """Yield the counts of the first two models, study by study."""
    for answers in _answers(field, people, studies):
        yield answers[0], answers[1]


def _answers(field: Field, people: int, studies: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng([people, field.seeds])
    for first in range(0, studies, _BATCH):
        yield from np.moveaxis(field.studies(min(_BATCH, studies - first), people, rng), 1, 0)


def _interval(counts: np.ndarray, name: str, study: int) -> tuple[float, float]:
    return subject_bootstrap(counts, METRICS.get(name), RESAMPLES, np.random.default_rng(study))


def _difference(pair: Pair, name: str, study: int) -> tuple[tuple[float, float], float]:
    """Return the interval of the difference of two models, and its spread over resampled people."""
    metric, people = METRICS.get(name), pair[0].shape[1]
    one, other = (resampled_scores(counts, metric, RESAMPLES, np.random.default_rng(study)) for counts in pair)
    first, second = (float(score_per_seed(counts, metric).mean()) for counts in pair)
    return difference_interval(one - other, first - second, people), float((one - other).std(ddof=1))


def _p(pair: Pair, study: int) -> dict[str, float]:
    return swap_test(*pair, {name: METRICS.get(name) for name in SCORES}, SWAPS, np.random.default_rng(study))


def _coverage(ends: np.ndarray, truth: float) -> str:
    low, high = ends.T
    missed = [(truth > high).mean(), (truth < low).mean()]
    return f"{1 - sum(missed):.3f} ({missed[0]:.3f}, {missed[1]:.3f}; {(high - low).mean():.2f})"


def _share(found: list[bool]) -> str:
    return f"{np.mean(found):.3f}"


if __name__ == "__main__":
    run_plainly(main)
