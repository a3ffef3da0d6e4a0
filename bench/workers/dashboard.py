"""What a run shows on a cluster's dashboard, and to what collects Ray's metrics."""

from __future__ import annotations

from ray.util.metrics import Gauge

GAUGES = {
    "merbench_folds": "Folds that the run has to train.",
    "merbench_folds_done": "Folds of these that are done.",
    "merbench_folds_failed": "Folds of these that failed.",
    "merbench_workers": "Workers that train now.",
}
"""Name -> what it counts. Collected from outside, each has ``ray_`` before its name."""

TAG = "run"
"""Of each gauge: the results' folder or address."""


class Metrics:
    """Gauges of a run, which Ray's agent on the driver's node offers to Prometheus.

    Parameters
    ----------
    run : the results' folder or address.
    total : how many folds the run has to train.
    """

    def __init__(self, run: str, total: int) -> None:
        self._gauges = {name: Gauge(name, description=text, tag_keys=(TAG,)) for name, text in GAUGES.items()}
        for gauge in self._gauges.values():
            gauge.set_default_tags({TAG: run})
        self._gauges["merbench_folds"].set(total)
        self.tally(0, 0, 0)

    def tally(self, done: int, failed: int, workers: int) -> None:
        """Note the counts so far."""
        for name, value in (("folds_done", done), ("folds_failed", failed), ("workers", workers)):
            self._gauges[f"merbench_{name}"].set(value)


def shown_name(run: str) -> str:
    """Return what a worker of a run is called on the dashboard."""
    return f"merbench {run}"
