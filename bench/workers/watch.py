"""What the driver makes of Tune's events: how many folds are done, and which trainings are over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.tune.experiment import Trial


@dataclass(frozen=True)
class Tally:
    """Folds that one pack has finished and failed so far."""

    done: int
    failed: int


class Watch(tune.Callback):
    """Turns Tune's events into counts for the progress display, and notes which trainings are over.

    A training is over when each of its folds is done or has failed.

    Parameters
    ----------
    remaining : how many folds of each training are still to come.
    on_tally : called with the numbers of folds that are done and that failed so far, and of workers that train now.
    on_training_over : called with a training's number.
    on_over : called with a trial that has ended well.
    on_loss : called with a trial whose worker died; returns how many of its folds were done, and failed.
    on_stop : called with the reason when a worker has found that the whole run must stop.
    on_note : called with what a worker has to tell, once for each text.
    """

    def __init__(
        self,
        remaining: Sequence[int],
        on_tally: Callable[[int, int, int], None],
        on_training_over: Callable[[int], None],
        on_over: Callable[[Trial], None],
        on_loss: Callable[[Trial], Tally],
        on_stop: Callable[[str], None],
        on_note: Callable[[str], None],
    ) -> None:
        self._remaining = list(remaining)
        self._on_tally, self._on_training_over = on_tally, on_training_over
        self._on_over, self._on_loss, self._on_stop = on_over, on_loss, on_stop
        self._on_note = on_note
        self._notes: set[str] = set()
        self._training: set[str] = set()
        # Of trials that run; those that are over are in the sum, so that a report costs the same after 100,000 folds.
        self._tallies: dict[str, Tally] = {}
        self._over_before = Tally(0, 0)

    def __getstate__(self) -> dict[str, Any]:
        # As for Packs: the display and the store behind these functions cannot and need not be pickled.
        return {}

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Count by trial, so that a pack given out twice is counted once."""
        self._tallies[trial.trial_id] = Tally(result["folds_done"], result["folds_failed"])
        if "stop" in result:
            self._on_stop(result["stop"])
        if result.get("note", "") not in {"", *self._notes}:
            self._notes.add(result["note"])
            self._on_note(result["note"])
        self._report()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A worker has begun with a pack."""
        self._training.add(trial.trial_id)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A pack is over."""
        self._training.discard(trial.trial_id)
        self._on_over(trial)
        self._count_for_good(trial)
        self._over(trial, len(trial.config["folds"]))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A pack's worker died: what it has left comes back in other trials."""
        self._training.discard(trial.trial_id)
        tally = self._on_loss(trial)
        self._tallies[trial.trial_id] = tally
        self._count_for_good(trial)
        self._report()
        self._over(trial, tally.done + tally.failed)

    def _report(self) -> None:
        tallies = [self._over_before, *self._tallies.values()]
        done, failed = sum(tally.done for tally in tallies), sum(tally.failed for tally in tallies)
        self._on_tally(done, failed, len(self._training))

    def _count_for_good(self, trial: Trial) -> None:
        last, before = self._tallies.pop(trial.trial_id, Tally(0, 0)), self._over_before
        self._over_before = Tally(before.done + last.done, before.failed + last.failed)

    def _over(self, trial: Trial, folds: int) -> None:
        training = trial.config["training"]
        self._remaining[training] -= folds
        if folds and not self._remaining[training]:
            self._on_training_over(training)
