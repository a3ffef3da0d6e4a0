"""How far a clip can be trusted, in a few numbers, which steps measure on their way; what is worst comes first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Quality = Mapping[str, float]
"""Measure -> value, of one clip."""

SPREAD = "spread "
"""Begins the measures of landmarks: ``spread mouth``."""

# Blur is measured at this size, since a picture that is enlarged is blurred.
_BLUR_SIZE = 128


@dataclass(frozen=True)
class Measure:
    """A number that tells of a clip's quality; small is good.

    Attributes
    ----------
    meaning : in a few words.
    usual : up to this it is nothing to look at.
    """

    meaning: str
    usual: float


MEASURES: dict[str, Measure] = {
    "outside": Measure("share of the face's square that lies outside of the picture", 0.05),
    "head": Measure("how far a followed head goes, in sides of the face's square", 0.2),
    "lost": Measure("share of the frames in which a followed face is not seen", 0.05),
    "motion": Measure("largest motion between two frames, in sides of the square (99th percentile)", 0.05),
    "blur": Measure("how blurred the face is, 0 to 1 (Crete et al. 2007)", 0.5),
}
_LANDMARKS = Measure("how far fits of the landmarks of a region differ, in distances between the eyes", 0.05)


def measure_of(name: str) -> Measure:
    """Return what is known of a measure."""
    return _LANDMARKS if name.startswith(SPREAD) else MEASURES[name]


def blur_of(picture: np.ndarray) -> float:
    """Return how blurred a grey picture (H, W) uint8 is, 0 (sharp) to 1."""
    import cv2
    from skimage.measure import blur_effect

    return float(blur_effect(cv2.resize(picture, (_BLUR_SIZE, _BLUR_SIZE), interpolation=cv2.INTER_AREA), h_size=11))


def badness(quality: Quality) -> float:
    """Return the largest measure as a multiple of what is usual; above 1 the clip is worth a look."""
    return max((value / measure_of(name).usual for name, value in quality.items()), default=0.0)


def worst_first(qualities: Mapping[str, Quality]) -> list[str]:
    """Return sample ids, the worst first; of equal ones in order of their names."""
    return sorted(qualities, key=lambda sample_id: (-badness(qualities[sample_id]), sample_id))


def merged(qualities: Iterable[Mapping[str, Quality]]) -> dict[str, dict[str, float]]:
    """Return sample id -> its measures over several features: of each the largest."""
    result: dict[str, dict[str, float]] = {}
    for of_feature in qualities:
        for sample_id, quality in of_feature.items():
            mine = result.setdefault(sample_id, {})
            for name, value in quality.items():
                mine[name] = max(value, mine.get(name, value))
    return result


def told(quality: Quality) -> str:
    """Return the measures in one line; an exclamation mark stands behind what is beyond the usual."""
    return ", ".join(_told(name, value) for name, value in _summed_up(quality).items())


def told_worst(qualities: Mapping[str, Quality], ways: Mapping[str, str], count: int) -> list[str]:
    """Return lines of text on the clips that are worth a look, the worst first.

    Parameters
    ----------
    qualities : sample id -> its measures.
    ways : sample id -> how its face was found.
    count : how many clips are named at most.

    Returns
    -------
    No line where nothing was measured.
    """
    if not qualities:
        return []
    order = worst_first(qualities)
    bad = [sample_id for sample_id in order if badness(qualities[sample_id]) > 1]
    measures = sorted({name for quality in qualities.values() for name in _summed_up(quality)})
    usual = ", ".join(f"{name} {_number(name, measure_of(name).usual)}" for name in measures)
    lines = [f"quality: {len(bad)} of {len(qualities)} clips are beyond the usual ({usual}); worst first"]
    shown: Sequence[str] = bad[:count] or order[:1]
    for sample_id in shown:
        way = f"face by {ways[sample_id]}, " if sample_id in ways else ""
        lines.append(f"  {sample_id}: {way}{told(qualities[sample_id])}")
    return [*lines, f"  and {len(bad) - count} more"] if len(bad) > count else lines


def _summed_up(quality: Quality) -> dict[str, float]:
    """Return the measures with one of the landmarks: that of the worst region."""
    spreads = {name: value for name, value in quality.items() if name.startswith(SPREAD)}
    rest = {name: quality[name] for name in MEASURES if name in quality}
    worst = max(spreads, key=lambda name: (spreads[name], name), default=None)
    return rest if worst is None else {**rest, worst: spreads[worst]}


def _told(name: str, value: float) -> str:
    return f"{name} {_number(name, value)}" + ("!" if value > measure_of(name).usual else "")


def _number(name: str, value: float) -> str:
    return (
        f"{value:.2f}" if name == "blur" else f"{value:.0%}" if name in ("outside", "head", "lost") else f"{value:.1%}"
    )
