"""Curves as MLflow's metrics: a point an epoch, as many as it takes at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from results.tracking.client import Point


def series(name: str, values: Sequence[float], milliseconds: int, most: int) -> list[Point]:
    """Return a curve as points whose steps are its epochs, counted from 1.

    Parameters
    ----------
    name : of the metric.
    values : one an epoch.
    milliseconds : since 1970, when it was measured.
    most : how many points there may be; of more epochs, evenly spaced ones are taken, the first and the last with them.
    """
    if not values:
        return []
    places = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))
    return [Point(name, float(values[place]), int(place) + 1, milliseconds) for place in places]
