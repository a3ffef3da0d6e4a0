"""What a worker of Ray Train does: it trains networks one after the other, each together with the other workers."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
from torch import distributed

from bench.engine.network_training import TrainingError
from bench.engine.team import Team
from bench.workers.devices import device_here
from bench.workers.feature_memory import feature_memory
from bench.workers.node_blocks import NodeBlocks
from bench.workers.pretraining_task import Assignment, State, carry_out
from bench.workers.this_node import cpus_of_this_node
from mer_models.registry import MODELS
from preprocess.base.errors import MerError
from preprocess.base.plugins import receive
from results.store.pretrained import PretrainedStore

_STATE = "state.pt"


def train_here(config: dict[str, Any]) -> dict[str, str]:
    """Train what is not in the results yet; each network is there the moment it is trained.

    A group of workers that lost one is started again, and goes on from the latest checkpoint.

    Parameters
    ----------
    config : plugins, assignments (pickled, for they may need the plug-ins), results, run (names what the workers of a
        node share), needs_gpu, checkpoint_seconds, and memory (``--feature-memory``).

    Returns
    -------
    Key -> why the training of that network failed.
    """
    receive(config["plugins"])
    assignments: list[Assignment] = pickle.loads(config["assignments"])
    context = ray.train.get_context()
    team = Team(context.get_world_rank(), context.get_world_size(), _add)
    device, _ = device_here(bool(ray.get_gpu_ids()), config["needs_gpu"])
    store, failed = PretrainedStore(config["results"]), dict[str, str]()
    checkpoints, seconds = _Checkpoints(team.rank), config["checkpoint_seconds"]
    blocks, cpus = NodeBlocks(config["run"]), cpus_of_this_node()
    try:
        for one in assignments:
            if store.facts(one.key) is not None:
                continue
            try:
                memory = feature_memory(config["memory"], MODELS.get(one.model), device, cpus)
                carry_out(one, one.data.opened(blocks.open), store, team, device, checkpoints, seconds, memory)
            except TrainingError as error:
                # The same on all workers.
                failed[one.key] = f"{type(error).__name__}: {error}"
            except Exception as error:
                if team.size > 1:
                    # The others wait for this one: Ray ends them all.
                    raise
                failed[one.key] = str(error) if isinstance(error, MerError) else f"{type(error).__name__}: {error}"
    finally:
        blocks.close()
    return failed


class _Checkpoints:
    """Checkpoints of Ray Train: what all workers have in common, and what is each one's own."""

    def __init__(self, rank: int) -> None:
        self._rank, self._own = rank, f"rank{rank}.pt"

    def latest(self, key: str) -> tuple[State, State] | None:
        """Return the state of all and that of this worker, where the latest checkpoint is of this pretraining."""
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            return None
        with checkpoint.as_directory() as folder:
            state, own = (
                torch.load(Path(folder) / name, map_location="cpu", weights_only=True) for name in (_STATE, self._own)
            )
        return (state, own) if state.pop("key") == key else None

    def keep(self, key: str, state: State, own: State) -> None:
        """Keep the state of all and that of this worker; all workers do it at once."""
        with tempfile.TemporaryDirectory() as folder:
            if self._rank == 0:
                torch.save({"key": key, **state}, Path(folder) / _STATE)
            torch.save(own, Path(folder) / self._own)
            metrics = {"epoch": len(state["losses"]), "loss": state["losses"][-1]}
            ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(folder))


def _add(values: torch.Tensor) -> None:
    """Replace values by their sum over all workers."""
    distributed.all_reduce(values)
