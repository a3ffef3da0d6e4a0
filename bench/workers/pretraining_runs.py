"""Pretraining with Ray Train: any number of workers train a network together; a lost one costs a few seconds."""

from __future__ import annotations

import contextlib
import importlib
import pickle
import shutil
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ray
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2.api.config import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError
from ray.train.v2.torch.torch_trainer import TorchTrainer

from bench.plan.pretraining import Wanted
from bench.workers.capacity import demand, described
from bench.workers.node_blocks import blocks_folder
from bench.workers.pretraining_task import assignment_of
from bench.workers.pretraining_worker import train_here
from bench.workers.ray_session import Cluster
from preprocess.base.errors import MerError, UsageError
from preprocess.base.hashing import digest
from preprocess.base.plugins import shipment
from preprocess.base.scoped import environment
from preprocess.base.storage import below, open_storage
from results.store.pretrained import FOLDER

CHECKPOINT_SECONDS = 15.0
"""A worker that is lost costs at most so much training, and the start of another one."""

MOST_LOST = 100
"""How many times workers may be lost in one pretraining."""

_UNFINISHED = f"{FOLDER}/.unfinished"
_ON_A_LOCAL_RAY = {"RAY_TRAIN_METRICS_ENABLED": "0"}


def pretrain(
    wanted: Sequence[Wanted],
    results: str,
    cluster: Cluster,
    device: str,
    workers: int = 1,
    at_a_time: int = 1,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    memory: int | None = None,
) -> dict[str, str]:
    """Train networks on the connected Ray; each is in the results the moment it is trained.

    The same call goes on from the latest checkpoints where it was stopped.

    Parameters
    ----------
    wanted : what is trained; what is in the results already is left alone.
    results : root of the results, which all nodes see.
    cluster : the connected Ray.
    device : ``auto``, ``cpu`` or ``cuda``.
    workers : how many train one network together.
    at_a_time : how many networks are trained beside each other, at most.
    checkpoint_seconds : how often a training is put down.
    memory : how many bytes of features a worker may hold; None for a share of what it finds.

    Returns
    -------
    Key -> why the training of that network failed.

    Raises
    ------
    UsageError : the cluster has no room for so many workers.
    MerError : Ray could not train.
    """
    needs = demand([one.info for one in wanted], device, cluster.capacity)
    bundles = {name: _whole_gpu(bundle, workers) for name, bundle in needs.bundles.items()}
    for name, bundle in bundles.items():
        if cluster.capacity.final and cluster.capacity.room(bundle) < workers:
            raise UsageError(
                f"--workers {workers}: {name} takes {described(bundle)} for each of its workers, and the cluster has "
                f"room for {cluster.capacity.room(bundle):g} of them ({cluster.capacity.describe()}). Give fewer."
            )
    chunks = [list(wanted[first::at_a_time]) for first in range(min(at_a_time, len(wanted)))]
    run = uuid.uuid4().hex[:12]
    with contextlib.ExitStack() as after:
        if cluster.local:
            # Workers that Ray kills have no time to do it.
            after.callback(shutil.rmtree, blocks_folder(run), ignore_errors=True)
            after.enter_context(environment(_ON_A_LOCAL_RAY))
        settings = {"results": results, "run": run, "needs_gpu": needs.needs_gpu}
        settings |= {"checkpoint_seconds": checkpoint_seconds, "memory": memory}
        found = _all(lambda chunk: _pretrain(chunk, settings, bundles, workers), chunks)
    return {key: error for failed in found for key, error in failed.items()}


def _all(train: Callable[[list[Wanted]], dict[str, str]], chunks: list[list[Wanted]]) -> list[dict[str, str]]:
    """Return what ``train`` returns of each chunk, all at a time; several wait in threads of their own."""
    if len(chunks) == 1:
        return [train(chunks[0])]
    pool = ThreadPoolExecutor(len(chunks))
    try:
        return [one.result() for one in [pool.submit(train, chunk) for chunk in chunks]]
    finally:
        # After Ctrl-C nobody waits for what Ray still does: it ends with the session.
        pool.shutdown(wait=False, cancel_futures=True)


def _pretrain(
    wanted: Sequence[Wanted], settings: dict[str, Any], bundles: dict[str, dict[str, float]], workers: int
) -> dict[str, str]:
    """Train some networks one after the other.

    Parameters
    ----------
    wanted : the networks.
    settings : of ``train_here``, but for the plug-ins and the networks.
    bundles : model -> what each of its workers needs.
    workers : how many train one network together.
    """
    # Known again by the next call of the same, which goes on from its checkpoints.
    name = f"{digest([one.key for one in wanted])[:16]}-{workers}"
    bundle = {key: max(bundles[one.info.name].get(key, 0.0) for one in wanted) for key in ("CPU", "GPU")}
    assignments = pickle.dumps([assignment_of(one) for one in wanted])
    work: Callable[[dict[Any, Any]], Any] = train_here
    trainer = _Trainer(
        work,
        train_loop_config={**settings, "plugins": shipment(), "assignments": assignments},
        scaling_config=ScalingConfig(
            num_workers=workers,
            use_gpu=bool(bundle["GPU"]),
            resources_per_worker={key: amount for key, amount in bundle.items() if amount},
        ),
        run_config=RunConfig(
            name=name,
            storage_path=below(settings["results"], _UNFINISHED),
            failure_config=FailureConfig(max_failures=MOST_LOST),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )
    try:
        result: Any = trainer.fit()
    except TrainingFailedError as error:
        raise MerError(_why(error, wanted)) from error
    open_storage(settings["results"]).delete_folder(f"{_UNFINISHED}/{name}")
    return dict(result.return_value or {})


class _Trainer(TorchTrainer):
    """Ray's trainer, which asks for no environment of its own: a Ray of ours has nobody who makes others.

    Ctrl-C stays this program's: Ray would wait for the controller, and go on with the program afterwards.
    """

    def _create_default_callbacks(self) -> list[Any]:
        callbacks = super()._create_default_callbacks()
        # One asks the dashboard, which a Ray of our own does not have. The controller ends with this process anyway.
        # The other starts a process that hands out Ray's own datasets, of which we have none.
        return [one for one in callbacks if not isinstance(one, PlacementGroupCleanerCallback | DatasetsCallback)]

    def _initialize_and_run_controller(self, **given: Any) -> Any:
        # Compiled, and declared in part only.
        raylet: Any = importlib.import_module("ray._raylet")
        here = {raylet.RAY_NODE_ID_KEY: ray.get_runtime_context().get_node_id()}
        made: Any = ray.remote(num_cpus=0, label_selector=here)(TrainController)
        controller = made.remote(**given)
        ray.get(controller.run.remote())
        return ray.get(controller.get_result.remote())


def _whole_gpu(bundle: Any, workers: int) -> dict[str, float]:
    """Return what a worker asks for: workers that add up their gradients have a GPU each."""
    return {key: 1.0 if key == "GPU" and workers > 1 else amount for key, amount in bundle.items()}


def _why(error: TrainingFailedError, wanted: Sequence[Wanted]) -> str:
    causes: list[BaseException] = [error]
    if isinstance(error, WorkerGroupError):
        causes = list(error.worker_failures.values()) or causes
    reason = " ".join(str(causes[0]).split())[-400:]
    labels = ", ".join(dict.fromkeys(one.label for one in wanted))
    return f"Pretraining {labels} failed: {type(causes[0]).__name__}: {reason} Nothing of it was kept."
