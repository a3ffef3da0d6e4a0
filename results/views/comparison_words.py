"""What all prints of a comparison say alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from results.scores.gathered import LeftOut
from results.scores.pairs import Difference, Pair
from results.views.columns import MISSING, number_ranges


def signed(value: float, digits: int = 4) -> str:
    """Return a difference with its sign: ``+.0210``, ``-.0104``."""
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("0.", ".", 1)


def interval(found: Difference) -> str:
    """Return the interval of a difference, or a dash where there is none."""
    return signed_interval(found.low, found.high)


def signed_interval(low: float | None, high: float | None) -> str:
    """Return ``[-.012, +.104]``, or a dash where there is none."""
    return MISSING if low is None or high is None else f"[{signed(low, 3)}, {signed(high, 3)}]"


def title(pair: Pair) -> str:
    """Return what a pair's benchmark is, in words."""
    words = f"{pair.dataset} · task {pair.task} · protocol {pair.protocol} · selection {pair.selection} · {pair.part}"
    return f"{words} · SYNTHETIC DATA" if pair.synthetic else words


def metric_name(metric: str, pair: Pair) -> str:
    """Return what a metric is called above a pair's scores."""
    names = {"uf1": "F1", "uar": "recall"} if pair.multilabel else {"uf1": "UF1", "uar": "UAR"}
    return names[metric]


def left_out_lines(left_out: Sequence[LeftOut]) -> list[str]:
    """Return what is left out, a line a benchmark and reason."""
    found: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for one in left_out:
        found[one.benchmark, one.reason][one.model] += one.seeds
    lines = []
    for (benchmark, reason), models in found.items():
        names = ", ".join(f"{model} (seed {number_ranges(seeds)})" for model, seeds in models.items())
        lines.append(f"Left out of {benchmark}: {names}: {reason}.")
    return lines
