"""The fan-out: Ray Tune runs the plan's packs as trials on reused workers."""

from __future__ import annotations

import pickle
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from bench.plan.plan import Plan
from bench.plan.training import Training
from bench.study.data import StudyData
from bench.workers.memory import keep_freed_memory
from bench.workers.pack import run_pack
from bench.workers.ray_session import Cluster
from mer_models.registry import ModelInfo
from preprocess.base.errors import MerError
from preprocess.base.plugins import Shipment, receive, shipment
from preprocess.base.scoped import environment, muted
from results.store.outcome import Failure
from results.store.outcome_store import OutcomeStore

REPORT_SECONDS = 2.0
"""A worker reports to the driver at most this often: reports cost the driver milliseconds each."""

RETRIES = 3
"""How often a pack is given out again after its worker or node died; bugs in a model are never retried."""

AUTOSCALING_TRIALS = 64
"""Trials kept waiting on a cluster that may grow: the autoscaler starts nodes for what waits."""


@dataclass(frozen=True)
class Tally:
    """Folds that one pack has finished and failed so far."""

    done: int
    failed: int


@dataclass
class FanOutReport:
    """How the fan-out ended.

    Attributes
    ----------
    lost : one message for each pack whose worker died too often.
    error : why the run had to stop; None when it did not.
    """

    lost: list[str]
    error: str | None = None


class Packs(Searcher):
    """Hands Tune one pack after the other, so that waiting packs cost nothing."""

    def __init__(self, packs: Iterator[tuple[int, list[int]]]) -> None:
        super().__init__()
        self._packs = packs

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles what it could restore from; a run resumes from the outcome store instead.
        return {}

    def stop(self) -> None:
        """Hand out nothing more."""
        self._packs = iter(())

    def suggest(self, trial_id: str) -> Any:
        """Return the next pack as a trial's configuration, or FINISHED."""
        pack = next(self._packs, None)
        return Searcher.FINISHED if pack is None else {"training": pack[0], "folds": pack[1]}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Ignore the result: the packs do not depend on how earlier ones went."""

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: a run resumes from the outcome store."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: a run resumes from the outcome store."""


class PackTrial(tune.Trainable):
    """Trains one pack, a few seconds of folds in each step; the worker process then takes the next pack."""

    _folds: Iterator[tuple[int, int]]
    _tally: Tally

    def setup(
        self,
        config: dict[str, Any],
        plugins: Shipment | None = None,
        trainings: bytes = b"",
        data: dict[str, Any] | None = None,
        store_root: str = "",
    ) -> None:
        """Receive the run's plug-ins, its trainings and the references to its data, once in each worker.

        Parameters
        ----------
        config : the first pack.
        plugins : what the run's plug-ins registered here; received before the trainings are read.
        trainings : a pickled list of Training, which may need the plug-ins.
        data : references to the data, by the key that trainings name.
        store_root : where outcomes are written.
        """
        assert plugins is not None
        assert data is not None
        keep_freed_memory()
        self._stop = ""
        try:
            receive(plugins)
        except MerError as error:
            # No pack can be trained on this node; the first step tells the run.
            self._stop = str(error)
            return
        self._trainings: list[Training] = pickle.loads(trainings)
        self._references = data
        self._data: dict[str, StudyData] = {}
        self._store = OutcomeStore(store_root)
        self._start(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next pack."""
        if not self._stop:
            self._start(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train folds for about REPORT_SECONDS and report the pack's counts so far."""
        deadline = time.monotonic() + REPORT_SECONDS
        if self._stop:
            return {"folds_done": 0, "folds_failed": 0, "done": True, "stop": self._stop}
        try:
            for done, failed in self._folds:
                self._tally = Tally(self._tally.done + done, self._tally.failed + failed)
                if time.monotonic() > deadline:
                    return self._report(done=False)
        except MerError as error:
            # A full disk or nodes of different versions: trying again cannot help, so the whole run must hear of it.
            return {**self._report(done=True), "stop": str(error)}
        return self._report(done=True)

    def _report(self, done: bool) -> dict[str, Any]:
        return {"folds_done": self._tally.done, "folds_failed": self._tally.failed, "done": done}

    def _start(self, config: dict[str, Any]) -> None:
        training = self._trainings[config["training"]]
        if training.data not in self._data:
            # The arrays stay in the node's shared memory; only references and views live in the worker.
            self._data[training.data] = ray.get(self._references[training.data])
        device = "cuda" if ray.get_gpu_ids() else "cpu"
        self._tally = Tally(0, 0)
        self._folds = run_pack(training, self._data[training.data], config["folds"], self._store, device)


class _Watch(tune.Callback):
    """Turns Tune's events into counts for the progress display, and notes which trainings are over.

    A training is over when each of its folds was in a pack that has ended.

    Attributes
    ----------
    remaining : how many folds of each training are still to come.
    """

    def __init__(
        self,
        remaining: Sequence[int],
        on_tally: Callable[[int, int], None],
        on_training_over: Callable[[int], None],
        on_pack_lost: Callable[[int, list[int], Trial], None],
        on_stop: Callable[[str], None],
    ) -> None:
        self._remaining = list(remaining)
        self._on_tally, self._on_training_over = on_tally, on_training_over
        self._on_pack_lost, self._on_stop = on_pack_lost, on_stop
        self._tallies: dict[str, Tally] = {}

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
        self._report()

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A pack is over."""
        self._pack_over(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A pack's worker died too often, or the worker could not write to the store."""
        folds = trial.config["folds"]
        known = self._tallies.get(trial.trial_id, Tally(0, 0))
        self._tallies[trial.trial_id] = Tally(known.done, len(folds) - known.done)
        self._on_pack_lost(trial.config["training"], folds, trial)
        self._report()
        self._pack_over(trial)

    def _report(self) -> None:
        tallies = self._tallies.values()
        self._on_tally(sum(tally.done for tally in tallies), sum(tally.failed for tally in tallies))

    def _pack_over(self, trial: Trial) -> None:
        training = trial.config["training"]
        self._remaining[training] -= len(trial.config["folds"])
        if not self._remaining[training]:
            self._on_training_over(training)


def fan_out(
    plan: Plan,
    store: OutcomeStore,
    cluster: Cluster,
    use_gpu: bool,
    workers: int | None,
    on_tally: Callable[[int, int], None],
    on_training_over: Callable[[int], None],
) -> FanOutReport:
    """Train everything that the plan has to do on the connected Ray; the workers write the outcomes.

    Parameters
    ----------
    plan : the trainings and their folds that are to do.
    store : where the workers write outcomes and failures.
    cluster : what the connected Ray offers.
    use_gpu : whether networks ask for their part of a GPU.
    workers : the most packs at a time; None for as many as fit.
    on_tally : called in the driver with the numbers of folds that are done and that failed so far.
    on_training_over : called in the driver with a training's number when all its packs are over.

    Returns
    -------
    Why packs were lost, and why the run had to stop, if it had to.
    """
    slots = workers or _slots(plan, cluster, use_gpu)
    trials = slots if cluster.local or workers else max(slots, AUTOSCALING_TRIALS)
    report = FanOutReport([])

    packs = Packs(plan.packs(slots))

    def lost(training: int, folds: list[int], trial: Trial) -> None:
        message = _why_lost(trial)
        report.lost.append(message)
        _record_lost(plan.trainings[training].training, folds, store, message)

    def stop(message: str) -> None:
        report.error = message
        packs.stop()

    watch = _Watch([len(planned.todo) for planned in plan.trainings], on_tally, on_training_over, lost, stop)
    trainable = tune.with_parameters(
        PackTrial,
        plugins=shipment(),
        trainings=pickle.dumps([planned.training for planned in plan.trainings]),
        data={key: ray.put(data) for key, data in plan.data.items()},
        store_root=store.root,
    )
    bundles = [_bundle(planned.info, use_gpu) for planned in plan.trainings]
    with (
        tempfile.TemporaryDirectory(prefix="merbench-tune-") as folder,
        environment({"TUNE_MAX_PENDING_TRIALS_PG": str(trials)}),
        # It would list the lost packs by numbers of its own; they are told by their studies.
        muted("ray.tune.tune"),
    ):
        tune.Tuner(
            tune.with_resources(trainable, lambda config: tune.PlacementGroupFactory([bundles[config["training"]]])),
            tune_config=tune.TuneConfig(
                search_alg=packs, num_samples=-1, reuse_actors=True, max_concurrent_trials=trials
            ),
            run_config=tune.RunConfig(
                name="packs",
                storage_path=folder,
                verbose=0,
                callbacks=[watch],
                failure_config=tune.FailureConfig(max_failures=RETRIES),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False, checkpoint_frequency=0),
                log_to_file=False,
            ),
        ).fit()
    return report


def _slots(plan: Plan, cluster: Cluster, use_gpu: bool) -> int:
    infos = [planned.info for planned in plan.trainings]
    fractions = [info.resources.gpu for info in infos if info.kind == "network"]
    if use_gpu and cluster.gpus and fractions:
        return max(1, int(cluster.gpus / min(fractions)))
    return max(1, cluster.cpus)


def _bundle(info: ModelInfo, use_gpu: bool) -> dict[str, float]:
    bundle: dict[str, float] = {"CPU": info.resources.cpus}
    if use_gpu and info.kind == "network":
        bundle["GPU"] = info.resources.gpu
    return bundle


def _why_lost(trial: Trial) -> str:
    file = Path(trial.error_file) if trial.error_file else None
    lines = file.read_text().strip().splitlines() if file and file.exists() else ["unknown reason"]
    # Ray explains at length what may have been the cause of a death; the death comes first.
    reason = lines[-1].partition(" Some common causes")[0]
    return f"the worker ended {RETRIES + 1} times: {reason}"


def _record_lost(training: Training, folds: list[int], store: OutcomeStore, message: str) -> None:
    from bench.workers.provenance import provenance

    for card in training.cards:
        done = store.state(card).done
        for number in folds:
            fold = card.folds[number]
            if fold.key not in done:
                store.write_failure(
                    card, Failure(fold.key, card.key, fold.name, message, message, provenance("unknown", None))
                )
