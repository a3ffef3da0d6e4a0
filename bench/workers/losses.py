"""What the driver does when a worker has died: the pack's folds are given out again, or one of them fails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ray
from ray import cloudpickle
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayTaskError
from ray.tune.experiment import Trial

from bench.plan.plan import Plan
from bench.plan.training import Training
from bench.workers.deaths import MANY_DEATHS, PATIENCE_SECONDS, Death, Deaths
from bench.workers.pack import record_lost
from bench.workers.packs import Packs
from bench.workers.underway import forget_underway, last_underway
from bench.workers.watch import Tally
from results.store.outcome_store import OutcomeStore

_PROCESS_ENDED = "its worker process has died"
"""What Ray says where a process ended and its node lived on."""


class Losses:
    """Keeps a run going while workers and nodes go.

    Parameters
    ----------
    plan : what is trained.
    store : it tells which folds of a lost pack are done, and takes failures.
    packs : where folds are given out again.
    """

    def __init__(self, plan: Plan, store: OutcomeStore, packs: Packs) -> None:
        self._plan, self._store, self._packs = plan, store, packs
        self.deaths = Deaths()
        self._ended = 0

    def ended(self, folds: int) -> None:
        """Note how many folds of the run are done or failed so far."""
        if folds > self._ended:
            self._ended = folds
            self.deaths.progress()

    def pack_over(self, trial: Trial) -> None:
        """Note that a worker lived to the end of its pack."""
        self.deaths.lived(trial.config["training"], trial.config["folds"])
        forget_underway(trial.trial_id)

    def pack_lost(self, trial: Trial) -> Tally:
        """Return how many folds of a dead worker's pack were done, and how many failed; see to the others."""
        number, folds = trial.config["training"], trial.config["folds"]
        training = self._plan.trainings[number].training
        done, failed = _ended_folds(training, folds, self._store)
        self.deaths.lived(number, done | failed)
        if done or failed:
            # They need not have been reported.
            self.deaths.progress()
        death = how_it_died(trial)
        forget_underway(trial.trial_id)
        verdict = self.deaths.after(number, [fold for fold in folds if fold not in done | failed], death)
        if verdict.failed is not None:
            count = self.deaths.of_fold(number, verdict.failed)
            message = f"{count} workers died while they trained this fold: {death.reason}"
            record_lost(training, verdict.failed, self._store, message)
            failed = failed | {verdict.failed}
        if verdict.suspect is not None:
            self._packs.give_last(number, verdict.suspect)
        self._packs.give_again(number, verdict.again)
        self._stop_where_waiting_is_vain(death)
        return Tally(len(done), len(failed))

    def _stop_where_waiting_is_vain(self, death: Death) -> None:
        if self.deaths.never_begins():
            self._packs.stop(f"No worker can begin: {death.reason}")
        elif self.deaths.in_vain():
            self._packs.stop(
                f"{MANY_DEATHS} workers and more died in {PATIENCE_SECONDS / 60:.0f} minutes without a fold done: "
                f"{death.reason}. What was done before is kept, and the same command goes on from there."
            )


def how_it_died(trial: Trial) -> Death:
    """Return what is known of the death of a trial's worker."""
    error = _error_of(trial)
    fold, node = last_underway(trial.trial_id)
    if isinstance(error, OutOfMemoryError):
        return Death(fold, with_node=False, reason="out of memory (Ray ended it, since its node ran low)")
    if isinstance(error, RayTaskError) or (isinstance(error, ActorDiedError) and error.actor_init_failed):
        lines = str(error).strip().splitlines()
        return Death(fold, with_node=False, reason=lines[-1] if lines else "unknown reason", raised=True)
    if isinstance(error, ActorDiedError) and _PROCESS_ENDED in str(error) and (node is None or _is_alive(node)):
        return Death(fold, with_node=False, reason="its process was killed, for want of memory perhaps, or crashed")
    return Death(fold, with_node=True, reason="its node was lost, or could not be reached")


def _error_of(trial: Trial) -> BaseException | None:
    """Return the error that Tune has just written down here; it is copied to where ``Trial`` looks later."""
    if not trial.pickled_error_file:
        return None
    error: BaseException = cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
    return error


def _is_alive(node: str) -> bool:
    return any(other["NodeID"] == node and other["Alive"] for other in ray.nodes())


def _ended_folds(training: Training, folds: Sequence[int], store: OutcomeStore) -> tuple[set[int], set[int]]:
    """Return which of the folds are done, and which have failed, as the store holds them."""
    states = [(card, store.state(card)) for card in training.cards]
    done = {fold for fold in folds if all(card.folds[fold].key in state.done for card, state in states)}
    failed = {fold for fold in folds if any(card.folds[fold].key in state.failed for card, state in states)}
    return done, failed - done
