"""The whole command line in this process: everything but Ray, whose place a plain loop takes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from bench.cli import main
from bench.engine.network_training import TrainingError
from bench.plan.plan import Plan
from bench.plan.pretraining import Wanted
from bench.study.feature_rows import UNLIMITED
from bench.workers.capacity import Capacity, Demand
from bench.workers.pack import run_pack
from bench.workers.pretraining_task import assignment_of, carry_out
from bench.workers.ray_session import Cluster
from results.store.outcome_store import OutcomeStore
from results.store.pretrained import PretrainedStore


@dataclass
class Said:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


@dataclass
class LocalRuns:
    """Calls ``merbench`` in this process. before_pack : called with the number of packs so far, may raise."""

    capture: pytest.CaptureFixture[str]
    before_pack: Callable[[int], None] = lambda packs: None
    report: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(deaths=0, error=None))
    packs: int = 0

    def __call__(self, *arguments: str) -> Said:
        """Run one command line and return what came of it."""
        self.capture.readouterr()
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        printed = self.capture.readouterr()
        code = left.value.code
        return Said(code if isinstance(code, int) else 0, printed.out, printed.err)

    def fan_out(
        self,
        plan: Plan,
        store: OutcomeStore,
        cluster: Cluster,
        needs: Demand,
        workers: int | None,
        on_tally: Callable[[int, int, int], None],
        on_training_over: Callable[[int], None],
        say: Callable[[str], None],
        memory: int | None = None,
    ) -> SimpleNamespace:
        """Take the place of ``bench.workers.pack_trials.fan_out``."""
        done = failed = 0
        remaining = [len(planned.todo) for planned in plan.trainings]
        for number, folds in plan.packs(1):
            self.before_pack(self.packs)
            self.packs += 1
            training = plan.trainings[number].training
            held = UNLIMITED if memory is None else memory
            for finished, lost in run_pack(training, plan.data[training.data].read(), folds, store, memory=held):
                done, failed = done + finished, failed + lost
                on_tally(done, failed, 1)
            remaining[number] -= len(folds)
            if not remaining[number]:
                on_training_over(number)
        return self.report


@contextlib.contextmanager
def _session(address: str | None, cpus: int | None, say: Callable[[str], None]) -> Iterator[Cluster]:
    yield Cluster(local=True, address="this process", capacity=Capacity(({"CPU": 1.0},), fixed=True))


def _pretrain(
    wanted: Sequence[Wanted],
    results: str,
    cluster: Cluster,
    device: str,
    workers: int = 1,
    at_a_time: int = 1,
    memory: int | None = None,
) -> dict[str, str]:
    """Take the place of ``bench.workers.pretraining_runs.pretrain``."""
    failed = {}
    for one in wanted:
        try:
            held = UNLIMITED if memory is None else memory
            carry_out(assignment_of(one), one.data.read(), PretrainedStore(results), memory=held)
        except TrainingError as error:
            failed[one.key] = f"TrainingError: {error}"
    return failed


def without_ray(monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> LocalRuns:
    """Put a plain loop where Ray would be and return the command line."""
    runs = LocalRuns(capture)
    fake: Any = SimpleNamespace(fan_out=runs.fan_out)
    monkeypatch.setitem(sys.modules, "bench.workers.pack_trials", fake)
    alone: Any = SimpleNamespace(pretrain=_pretrain)
    monkeypatch.setitem(sys.modules, "bench.workers.pretraining_runs", alone)
    monkeypatch.setattr("bench.workers.ray_session.ray_session", _session)
    return runs
