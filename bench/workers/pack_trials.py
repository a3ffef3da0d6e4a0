"""The fan-out: Ray Tune runs the plan's packs as trials on reused workers."""

from __future__ import annotations

import contextlib
import functools
import pickle
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import ray
from ray import tune
from ray.air._internal import usage
from ray.tune.execution import class_cache

from bench.plan.plan import Plan
from bench.plan.training import Training
from bench.study.data import StudyData
from bench.workers.capacity import Demand
from bench.workers.dashboard import Metrics, shown_name
from bench.workers.devices import device_here
from bench.workers.feature_memory import feature_memory, larger_than_memory
from bench.workers.forgetting import NoTrialProgress, ended_trials_are_forgotten
from bench.workers.homeless import Homeless
from bench.workers.losses import Losses
from bench.workers.memory import keep_freed_memory
from bench.workers.needed_blocks import NeededBlocks
from bench.workers.node_blocks import NodeBlocks, blocks_folder
from bench.workers.pack import run_pack
from bench.workers.packs import Packs
from bench.workers.ray_session import Cluster
from bench.workers.starting import starting_workers_are_kept, starting_workers_end_at_once
from bench.workers.this_node import cpus_of_this_node
from bench.workers.underway import note_underway
from bench.workers.watch import Tally, Watch
from mer_models.registry import MODELS
from preprocess.base.errors import MerError
from preprocess.base.plugins import Shipment, receive, shipment
from preprocess.base.scoped import environment, muted
from preprocess.base.storage import shown_address
from results.store.outcome_store import OutcomeStore

REPORT_SECONDS = 2.0
"""A worker reports to the driver at most this often: reports cost the driver milliseconds each."""


@dataclass(frozen=True)
class FanOutReport:
    """How the fan-out ended.

    Attributes
    ----------
    deaths : how many workers died, alone or with their node.
    error : why the run had to stop; None when it did not.
    """

    deaths: int
    error: str | None


class PackTrial(tune.Trainable):
    """Trains one pack, a few seconds of folds in each step; the worker process then takes the next pack."""

    _folds: Iterator[tuple[int, int]]
    _tally: Tally
    _data: StudyData
    _opened: str | None = None

    def setup(
        self,
        config: dict[str, Any],
        plugins: Shipment | None = None,
        trainings: bytes = b"",
        data: dict[str, StudyData] | None = None,
        store_root: str = "",
        run: str = "",
        needs_gpu: bool = False,
        memory: int | None = None,
    ) -> None:
        """Receive the run's plug-ins, its trainings and its samples, once in each worker.

        Parameters
        ----------
        config : the first pack.
        plugins : what the run's plug-ins registered here; received before the trainings are read.
        trainings : a pickled list of Training, which may need the plug-ins.
        data : the studies' samples, by the key that trainings name; they hold no feature.
        store_root : where outcomes are written.
        run : names the run, for what its workers share on a node.
        needs_gpu : whether a network must not be trained without a GPU.
        memory : how many bytes of features a worker may hold; None for a share of what there is.
        """
        assert plugins is not None
        assert data is not None
        keep_freed_memory()
        self._stop, self._name, self._memory = "", shown_name(shown_address(store_root)), memory
        try:
            receive(plugins)
            self._blocks = NodeBlocks(run)
            self._device, note = device_here(bool(ray.get_gpu_ids()), needs_gpu)
        except MerError as error:
            # No pack can be trained on this node; the first step tells the run.
            self._stop = str(error)
            return
        self._notes, self._noted = ([note] if note else []), {note}
        self._cpus = cpus_of_this_node()
        self._trainings: list[Training] = pickle.loads(trainings)
        self._samples = data
        self._store = OutcomeStore(store_root)
        self._start(config)

    def __repr__(self) -> str:
        return self._name

    def cleanup(self) -> None:
        """Leave what the node's workers share."""
        if not self._stop:
            self._blocks.close()

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
        if self._notes:
            # Told before anything takes long.
            return self._report(done=False)
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
        counts = {"folds_done": self._tally.done, "folds_failed": self._tally.failed, "done": done}
        return {**counts, "note": self._notes.pop(0)} if self._notes else counts

    def _start(self, config: dict[str, Any]) -> None:
        training = self._trainings[config["training"]]
        self._blocks.keep(config["blocks"])
        self._tally = Tally(0, 0)
        info = MODELS.get(training.model)
        note = larger_than_memory(info, self._samples[training.data], self._may_hold(training))
        if note and note not in self._noted:
            self._noted.add(note)
            self._notes.append(note)
        self._folds = self._trained(training, config["folds"])

    def _trained(self, training: Training, folds: list[int]) -> Iterator[tuple[int, int]]:
        """Train the folds, once their blocks are there: reading them is part of the pack, and may fail as it may."""
        if self._opened != training.data:
            self._data = self._samples[training.data].opened(self._blocks.open)
            self._opened = training.data
        begins = functools.partial(note_underway, self.trial_id)
        yield from run_pack(training, self._data, folds, self._store, self._device, begins, self._may_hold(training))

    def _may_hold(self, training: Training) -> int:
        return feature_memory(self._memory, MODELS.get(training.model), self._device, self._cpus)


def fan_out(
    plan: Plan,
    store: OutcomeStore,
    cluster: Cluster,
    needs: Demand,
    workers: int | None,
    on_tally: Callable[[int, int, int], None],
    on_training_over: Callable[[int], None],
    say: Callable[[str], None],
    memory: int | None = None,
) -> FanOutReport:
    """Train everything that the plan has to do on the connected Ray; the workers write the outcomes.

    Parameters
    ----------
    plan : the trainings and their folds that are to do.
    store : where the workers write outcomes and failures.
    cluster : the connected Ray.
    needs : what the models ask of it.
    workers : the most packs at a time; None for as many as may fit.
    on_tally : called in the driver with the numbers of folds that are done and that failed so far, and of workers that
        train now.
    on_training_over : called in the driver with a training's number when all its packs are over.
    say : called in the driver with a line of text, once for each that workers have to tell.
    memory : how many bytes of features a worker may hold; None for a share of what it finds.

    Returns
    -------
    How many workers died, and why the run had to stop, if it had to.
    """
    trials = workers or needs.trials
    needed = NeededBlocks(plan)
    packs = Packs(plan.packs(workers or needs.slots), needed.by)
    losses = Losses(plan, store, packs)

    remaining = [len(planned.todo) for planned in plan.trainings]
    # Only a cluster has a dashboard; a local Ray starts none.
    metrics = None if cluster.local else Metrics(store.where(), sum(remaining))

    def tally(done: int, failed: int, training: int) -> None:
        losses.ended(done + failed)
        on_tally(done, failed, training)
        if metrics:
            metrics.tally(done, failed, training)

    def training_over(number: int) -> None:
        needed.training_over(number)
        on_training_over(number)

    watch = Watch(remaining, tally, training_over, losses.pack_over, losses.pack_lost, packs.stop, say)
    run = uuid.uuid4().hex[:12]
    trainable = tune.with_parameters(
        PackTrial,
        plugins=shipment(),
        trainings=pickle.dumps([planned.training for planned in plan.trainings]),
        data=plan.data,
        store_root=store.root,
        run=run,
        needs_gpu=needs.needs_gpu,
        memory=memory,
    )
    # None for a training of which nothing is to do.
    bundles = [needs.bundles.get(planned.info.name) for planned in plan.trainings]
    with (
        tempfile.TemporaryDirectory(prefix="merbench-tune-") as folder,
        environment({"TUNE_MAX_PENDING_TRIALS_PG": str(trials)}),
        # It would list the lost packs by numbers of its own; they are told by their studies.
        muted("ray.tune.tune"),
        # Ray's statistics count callbacks by kind, and import MLflow to know them all.
        mock.patch.object(usage, "tag_callbacks", return_value=False),
        starting_workers_are_kept(packs.any_left),
        starting_workers_end_at_once(),
        ended_trials_are_forgotten(),
        contextlib.ExitStack() as after,
    ):
        if cluster.local:
            # Workers that Ray kills have no time to do it.
            after.callback(shutil.rmtree, blocks_folder(run), ignore_errors=True)
            after.enter_context(_the_environment_that_is_there())
        tune.Tuner(
            tune.with_resources(trainable, lambda config: tune.PlacementGroupFactory([bundles[config["training"]]])),
            tune_config=tune.TuneConfig(
                search_alg=packs, num_samples=-1, reuse_actors=True, max_concurrent_trials=trials
            ),
            run_config=tune.RunConfig(
                name="packs",
                storage_path=folder,
                verbose=0,
                callbacks=[watch, Homeless(needs.bundles, say), NoTrialProgress()],
                # A pack is not tried again as it was: see Losses.
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False, checkpoint_frequency=0),
                log_to_file=False,
            ),
        ).fit()
    return FanOutReport(losses.deaths.total, packs.stopped)


@contextlib.contextmanager
def _the_environment_that_is_there() -> Iterator[None]:
    """Let Tune ask for no environment of its own in the block: it would turn away the workers that Ray starts ahead.

    A local Ray has this process's environment, and nobody in it who makes others.
    """
    with mock.patch.multiple(class_cache, DEFAULT_ENV_VARS={}, ENV_VARS_TO_PROPAGATE=frozenset()):
        yield
