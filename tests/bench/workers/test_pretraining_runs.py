"""Pretraining through Ray Train: two workers are as good as one, and a lost worker costs nothing."""

from __future__ import annotations

import dataclasses
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from small_runs import assert_equal_weights, config

from bench.plan.pretraining import MacroData, Wanted
from bench.plan.request import resolve
from bench.workers import ray_session
from bench.workers.pretraining_task import assignment_of, carry_out
from bench.workers.ray_session import Cluster
from preprocess.base.errors import UsageError
from preprocess.labels.tasks import TASKS
from preprocess.shards.prepared import PreparedDataset
from results.store.pretrained import PretrainedStore

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Start one local Ray with two cores for all tests of this module."""
    with tempfile.TemporaryDirectory(prefix="mb", dir="/tmp") as folder, pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("RAY_TMPDIR", folder)
        with ray_session.ray_session(None, 2, print) as cluster:
            yield cluster


def wanted(synthetic: list[PreparedDataset], **settings: Any) -> Wanted:
    """Return the pretraining of an STSTNet without dropout, whose draws would be each worker's own."""
    changes = {f"ststnet.{name}": value for name, value in {"dropout": 0.0, "lr": 1e-3, **settings}.items()}
    (model,) = resolve(config(models=["ststnet"], epochs=None, set={"ststnet.epochs": 3, **changes})).models
    macro = MacroData([dataclasses.replace(dataset, macro=True) for dataset in synthetic])
    return macro.wanted(model.info, model.values, TASKS.get("megc3"), 0)


def test_two_workers_have_the_loss_of_one(synthetic: list[PreparedDataset], cluster: Cluster, tmp_path: Path) -> None:
    from bench.workers.pretraining_runs import pretrain

    one = wanted(synthetic, batch_size=16)
    alone, two = PretrainedStore(str(tmp_path / "alone")), PretrainedStore(str(tmp_path / "two"))
    carry_out(assignment_of(one), one.data.read(), alone)
    assert pretrain([one], str(tmp_path / "two"), cluster, "cpu", workers=2, memory=0) == {}
    first, second = alone.facts(one.key), two.facts(one.key)
    assert first is not None
    assert second is not None
    np.testing.assert_allclose(second.loss, first.loss, rtol=1e-4)
    assert two.read(one.key).configuration["provenance"]["workers"] == 2
    assert not list((tmp_path / "two" / "pretrained" / ".unfinished").iterdir()), "no checkpoint is left"
    with pytest.raises(UsageError, match=r"--workers 3: ststnet takes 1 CPU for each .* room for 2 of them"):
        pretrain([one], str(tmp_path / "three"), cluster, "cpu", workers=3)


def test_a_lost_worker_changes_no_bit_and_a_training_that_fails_is_told(
    synthetic: list[PreparedDataset], cluster: Cluster, tmp_path: Path
) -> None:
    """What is done again after a kill, and what follows, has the bits of a training that nobody disturbed."""
    from bench.workers.pretraining_runs import pretrain

    long, bad = wanted(synthetic, epochs=6), wanted(synthetic, lr=1e30)
    undisturbed, results = PretrainedStore(str(tmp_path / "undisturbed")), tmp_path / "killed"
    carry_out(assignment_of(long), long.data.read(), undisturbed)
    killed: list[int] = []
    over = threading.Event()
    killer = threading.Thread(target=kill_trainer, args=(results, killed, over), daemon=True)
    killer.start()
    failed = pretrain([bad, long], str(results), cluster, "cpu", checkpoint_seconds=0.0)
    over.set()
    killer.join()
    assert killed, "a worker was lost"
    assert list(failed) == [bad.key]
    assert failed[bad.key].startswith("TrainingError: The loss of epoch")
    networks = PretrainedStore(str(results))
    assert networks.stored_keys() == [long.key]
    assert_equal_weights(networks.read(long.key).weights, undisturbed.read(long.key).weights)


def kill_trainer(results: Path, killed: list[int], over: threading.Event) -> None:
    """Kill the worker that trains once it has left a third checkpoint, for which it waits until Ray knows the first."""
    unfinished, seen = results / "pretrained" / ".unfinished", set[Path]()
    while not over.wait(0.05):
        seen.update(unfinished.glob("*/checkpoint*/state.pt"))
        if len(seen) > 2:
            for process in psutil.Process().children(recursive=True):
                if "RayTrainWorker" in " ".join(process.cmdline()):
                    os.kill(process.pid, signal.SIGKILL)
                    killed.append(process.pid)
            if killed:
                return
