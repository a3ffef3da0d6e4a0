"""A correction to Ray Tune 2.60: a worker that is starting is not given up because another one has become free."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from unittest import mock

from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial


@contextlib.contextmanager
def starting_workers_are_kept(others_wait: Callable[[], bool]) -> Iterator[None]:
    """Let a trial wait for its own worker, once that has a place and starts, for the duration of the block.

    Tune gives the next free worker to any trial that waits, and ends the one that was starting for it. A worker takes
    seconds to import what it needs. Where packs are shorter than that, one worker takes them all, while others start
    and are ended again and again. A trial whose worker waits for a place still takes one that is free.

    Parameters
    ----------
    others_wait : whether a pack is left that a free worker can take instead.
    """
    reuse = TuneController._maybe_reuse_cached_actor

    def reuse_unless_one_starts(controller: TuneController, trial: Trial) -> bool:
        own = controller._trial_to_actor.get(trial)
        starts = own is not None and controller._actor_manager.is_actor_started(own)
        if starts and trial not in controller._resetting_trials and others_wait():
            return False
        return reuse(controller, trial)

    with mock.patch.object(TuneController, "_maybe_reuse_cached_actor", reuse_unless_one_starts):
        yield
