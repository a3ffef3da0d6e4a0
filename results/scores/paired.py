"""Is one model better than another? Two models on the same people, tested by swapping whole people between them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from results.scores.bootstrap import score_per_seed
from results.scores.metrics import Metric

DRAWS = 9999
"""Swaps of a pair of models, where there are more, whoever asks: so that the same pair has the same p everywhere."""

# Equal scores may differ in their last digits where their sums were taken in another order.
_ROUNDING = 1e-12

_AT_ONCE = 1000


def swap_test(
    first: np.ndarray,
    second: np.ndarray,
    metrics: Mapping[str, Metric],
    draws: int,
    rng: np.random.Generator,
    enough: float = 1.0,
) -> dict[str, float]:
    """Test whether two models differ by swapping their predictions, a whole person at a time.

    If it made no difference which model answered, every swap of people between the two would be as likely as what was
    seen. A person's clips, in all seeds and datasets, are swapped together. Scores are pooled anew after each swap, for
    UF1 is no mean over people, and averaged over the seeds.

    People whom both models answered alike in every seed change nothing. Where the swaps of the n others are few, at
    most ``draws`` + 1, all are tried: 2^(n-1), since a swap and its complement only differ in the sign. Else swaps are
    drawn, and what was seen counts as one more of them, so that p is never 0.

    Parameters
    ----------
    first : (n_seeds, n_subjects, n_datasets, ...) counts of a model, as ``subject_bootstrap`` takes them.
    second : those of the other; seeds and subjects in the same order.
    metrics : name -> function of counts.
    draws : number of swaps that are drawn.
    rng : draws them.
    enough : where every p is known to be at least this, the rest of the swaps is left out, and p is what it is at
        least. A p below it is what it would be without this.

    Returns
    -------
    Name of the metric -> p, two-sided: the share of swaps with a difference as large as the one seen.

    Raises
    ------
    ValueError : counts of different shapes, or no draws.
    """
    if first.shape != second.shape or first.ndim < 5 or draws < 1:
        raise ValueError(f"counts {first.shape} and {second.shape}, draws {draws}: see the docstring")
    n_seeds, n_subjects, *shape = first.shape
    one, other = (counts.reshape(n_seeds, n_subjects, -1).astype(np.float64) for counts in (first, second))
    differs = (one != other).any(axis=(0, 2))
    swaps, exact = _swaps(differs, draws, rng)
    seen = {
        name: abs(float((score_per_seed(first, metric) - score_per_seed(second, metric)).mean()))
        for name, metric in metrics.items()
    }
    as_large = dict.fromkeys(metrics, 0)
    found = {}
    for start in range(0, len(swaps), _AT_ONCE):
        some = swaps[start : start + _AT_ONCE]
        # With the swaps last in memory, sums over the few classes run over long rows, which is faster.
        moved = np.swapaxes((other - one)[:, differs], 1, 2) @ some.T
        ours, theirs = (
            np.moveaxis((counts.sum(axis=1)[..., None] + change).reshape(n_seeds, *shape, len(some)), -1, 1)
            for counts, change in ((one, moved), (other, -moved))
        )
        for name, metric in metrics.items():
            differences = np.abs((metric(ours) - metric(theirs)).mean(axis=(0, 2)))
            as_large[name] += int((differences >= seen[name] - _ROUNDING).sum())
            # What was seen counts as one more of the drawn swaps.
            found[name] = as_large[name] / len(swaps) if exact else (as_large[name] + 1) / (len(swaps) + 1)
        if min(found.values()) >= enough:
            break
    return found


def holm(p: np.ndarray) -> np.ndarray:
    """Return p values corrected for their number by Holm's method, in the given order.

    Of all of them that stay below a level, at least one is false with that probability at most, however they depend on
    each other.
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def detectable(spread: float, n_subjects: int, level: float, power: float = 0.8) -> float:
    """Return the smallest difference that this many people tell apart in a share of ``power`` of all studies.

    The difference over people is taken for t-distributed. Resampling people gives a spread that is too small by
    sqrt((n - 1) / n), which is made good. It is widened by n / (n - 1) once more, for with few people spreads vary, and
    in simulated studies the difference without it was found in .73 to .77, where .8 was named
    (tests/benchmarks/calibration.py).

    Parameters
    ----------
    spread : standard deviation of the difference over resampled subjects.
    n_subjects : number of people, 2 or more.
    level : models are told apart where p is below this.
    power : the share of studies of other people that find the difference.
    """
    from scipy.special import stdtrit

    freedom = n_subjects - 1
    reach = stdtrit(freedom, 1 - level / 2) + stdtrit(freedom, power)
    return float(reach * spread * (n_subjects / freedom) ** 1.5)


def _swaps(differs: np.ndarray, draws: int, rng: np.random.Generator) -> tuple[np.ndarray, bool]:
    """Return swaps of the people who differ, (n_swaps, n) of 0 and 1, and whether these are all there are."""
    n = int(differs.sum())
    if n == 0:
        return np.zeros((1, 0)), True
    # Compared as a power of 2 only where that is small: there may be hundreds of people.
    if n - 1 <= np.log2(draws + 1):
        bits = np.arange(2 ** (n - 1))[:, None] >> np.arange(n) & 1
        return bits.astype(np.float64), True
    # Drawn for everybody, so that each pair of models of the same people meets the same swaps.
    return rng.integers(0, 2, (draws, len(differs)), dtype=np.int8)[:, differs].astype(np.float64), False
