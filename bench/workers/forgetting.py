"""A correction to Ray Tune 2.60: trials that have ended are forgotten, so that the driver does not grow with them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

from ray.tune.execution.tune_controller import TuneController
from ray.tune.progress_reporter import TrialProgressCallback


class NoTrialProgress(TrialProgressCallback):
    """Prints nothing. Where it is not given, Tune adds one that keeps each trial for its lines."""

    def on_trial_result(self, *_: Any, **__: Any) -> None:
        """Print nothing: a run shows its own progress."""

    on_trial_error = on_trial_complete = on_trial_result


@contextlib.contextmanager
def ended_trials_are_forgotten() -> Iterator[None]:
    """Let Tune keep no more than one trial that has ended, for the duration of the block.

    Tune keeps each with statistics of all that it reported, and every few seconds writes them all to a file, from which
    a run could be restored: both grow with the number of packs. Here a run resumes from the outcome store, and what a
    pack reported has been taken by ``Watch`` when it ends.
    """
    save = TuneController.checkpoint

    # Tune calls it after each step, and by force once at the end: it reads that file then.
    def forget_and_save_the_last(controller: TuneController, force: bool = False, wait: bool = False) -> None:
        _forget_ended(controller)
        if force:
            save(controller, force=force, wait=wait)

    with mock.patch.object(TuneController, "checkpoint", forget_and_save_the_last):
        yield


def _forget_ended(controller: TuneController) -> None:
    trials = controller._trials
    ended = [trial for trial in trials if trial.is_finished() and trial not in controller._trial_to_actor]
    # Without any trial, Tune would take those of its file for the experiment's.
    for trial in ended[:-1]:
        trials.remove(trial)
        controller._trial_metadata.pop(trial.trial_id, None)
        for several in (
            controller._live_trials,
            controller._stopped_trials,
            controller._failed_trials,
            controller._trials_to_cache,
        ):
            several.discard(trial)
