"""Corrections to Ray Tune 2.60: a worker that is starting is kept while there is work for it, and ended at once after.

A worker takes seconds to import what it needs, often longer than a pack.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from unittest import mock

from ray.air.execution._internal import TrackedActor
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial


@contextlib.contextmanager
def starting_workers_are_kept(others_wait: Callable[[], bool]) -> Iterator[None]:
    """Let a trial wait for its own worker, once that has a place and starts, for the duration of the block.

    Tune gives the next free worker to any trial that waits, and ends the one that was starting for it. A worker takes
    seconds to start. Where packs are shorter than that, one worker takes them all, while others start and are ended
    again and again. A trial whose worker waits for a place still takes one that is free.

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


@contextlib.contextmanager
def starting_workers_end_at_once() -> Iterator[None]:
    """End a worker that nobody needs any more although it has not started, for the duration of the block.

    Tune asks such a worker to stop, which it does when it has started: until then it takes a core from those that
    train, and Tune waits for it for up to 5 s when all is done.
    """
    remove = TuneController._remove_actor

    def kill_unless_started(controller: TuneController, tracked_actor: TrackedActor) -> None:
        if tracked_actor in controller._started_actors:
            remove(controller, tracked_actor)
        else:
            controller._actor_manager.remove_actor(tracked_actor, kill=True)

    with mock.patch.object(TuneController, "_remove_actor", kill_unless_started):
        yield
