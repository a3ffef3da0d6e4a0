"""Says so when models still wait for a node that fits their workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from bench.workers.capacity import Capacity, Resources, described, kinds_of
from bench.workers.node_types import alive_nodes, connected_capacity

PATIENCE_SECONDS = 45.0


class Homeless(tune.Callback):
    """Looks once, when nodes have had some time to come, whether each bundle fits on one, and tells where it does not.

    What can never fit is refused before, as far as the node types are known; a cloud may still have no such node to
    give, and of other clusters nobody knows what may come.

    Parameters
    ----------
    bundles : model -> what a worker of it needs.
    say : called with a line of text for each that fits nowhere yet.
    clock : seconds that only grow.
    """

    def __init__(
        self, bundles: Mapping[str, Resources], say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bundles, self._say, self._clock = bundles, say, clock
        self._looks_at = clock() + PATIENCE_SECONDS

    def __getstate__(self) -> dict[str, Any]:
        # As for Packs: the display behind these functions cannot and need not be pickled.
        return {}

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look, if it is time."""
        if self._clock() < self._looks_at:
            return
        self._looks_at = float("inf")
        capacity = Capacity(alive_nodes())
        homeless = [model for model, bundle in self._bundles.items() if not capacity.room(bundle)]
        if not homeless:
            return
        there = "; ".join(kinds_of(capacity.nodes)) or "none"
        # Asked again: --grow-to says what the user thinks may come.
        types = "; ".join(map(str, connected_capacity().types))
        for model in homeless:
            self._say(
                f"{model} waits for a node with {described(self._bundles[model])}; those that are there: {there}"
                f"{f'; those that may come: {types}' if types else ''}. On the head, `ray status` tells what the "
                "autoscaler does."
            )
