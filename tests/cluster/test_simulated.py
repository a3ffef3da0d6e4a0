"""A benchmark on a cluster that starts at zero: nodes come for it and go after it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from cluster_processes import listening_on, nodes_of, of_cluster, workers_of
from drawn_flow import write_drawn_tree
from jobs import ROOT, SECONDS, actors_of, copy_checkout, start_command, submit
from local_runs import without_ray
from small_runs import digests

from bench.commands.results import leaderboard
from results.store.outcome_store import OutcomeStore

pytestmark = [pytest.mark.ray, pytest.mark.slow]

IDLE_SECONDS = 3
EPOCHS = 10
DOWN_SECONDS = 30
"""From the last outcome until the last node has gone: the idle time, the end of the run, Ray's own polling."""


# Only the copied checkout has this model, so a job that trains it runs the copy's code, in the driver and the workers.
MODEL_OF_THE_COPY = '''
from mer_models.majority import Majority
from mer_models.registry import Resources, register_model


@register_model("only_in_the_copy", features=("flow_uvs_28",), paper="A test.", resources=Resources(gpu=0.0, pack=4))
class OnlyInTheCopy(Majority):
    """The majority model under another name."""
'''

# A file beside the job, with a helper; the workers do not look for it there.
PLUG_IN = MODEL_OF_THE_COPY.replace("only_in_the_copy", "from_a_file").replace(
    "from mer_models.majority import Majority", "from models_beside_it import Majority"
)


@dataclass
class Nodes:
    """What ``ray status`` knew of a cluster's nodes over time."""

    file: Path

    def seen(self) -> list[dict[str, Any]]:
        """Return the counts so far, each with the time at which it was first seen."""
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def wait_for_none(self, seconds: float) -> None:
        """Wait until no node is there any more."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.seen()[-1]["nodes"]:
            time.sleep(0.2)


@dataclass
class Simulated:
    """A simulated cluster that was started by its command. folder : of its files."""

    process: subprocess.Popen[str]
    printed: str
    exports: dict[str, str]
    nodes: Nodes

    @property
    def folder(self) -> Path:
        return Path(self.exports["RAY_AUTH_TOKEN_PATH"]).parent


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    words = ["--cpu-nodes", "2", "--gpu-nodes", "1", "--idle-seconds", str(IDLE_SECONDS)]
    process, printed, exports = start_command("cluster.simulated", *words)
    file = tmp_path_factory.mktemp("nodes") / "seen.jsonl"
    with file.open("w") as seen:
        watching = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "cluster" / "watch_nodes.py"), exports["RAY_ADDRESS"]],
            env={**os.environ, **exports, "PYTHONPATH": str(ROOT)},
            stdout=seen,
        )
    try:
        yield Simulated(process, printed, exports, Nodes(file))
    finally:
        watching.kill()
        watching.wait()
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def test_nodes_come_for_a_job_and_go_after_it_and_nothing_stays(
    simulated: Simulated,
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One test, since one cluster takes long to start: a job that workers and nodes die under, what listens, the end.

    ``tests/benchmarks/chaos.py`` is the long form: the driver and MLflow's server go there, too.
    """
    data, results = write_drawn_tree(tmp_path / "drawn"), tmp_path / "runs"
    copy = copy_checkout(tmp_path_factory.mktemp("checkout"))
    (copy / "mer_models" / "only_in_the_copy.py").write_text(MODEL_OF_THE_COPY)
    (tmp_path / "models_beside_it.py").write_text("from mer_models.majority import Majority\n")
    (tmp_path / "my_model.py").write_text(PLUG_IN)
    options = ["--data", str(data), "--datasets", "casme2", "--protocols", "loso", "--tracking-uri", "off"]
    options += ["--epochs", str(EPOCHS)]
    more = ["--results", str(results), "--models", "majority,ststnet,only_in_the_copy"]
    more += ["--plugins", str(tmp_path / "my_model.py"), "--models", "from_a_file"]

    with Disturbing(head_of(simulated), simulated.folder, results) as disturbing:
        status, log = submit({**os.environ, **simulated.exports}, copy, "python", "bench/run_all.py", *options, *more)

    assert status == 0, log
    assert disturbing.killed == ["workers", "nodes"], log
    assert "or were lost with their node; their folds were given out again" in log
    assert disturbing.collected == {f'run="{results}"'}, "the run's metrics, on the head"
    assert f"merbench {results}" in {actor["repr_name"] for actor in actors_of(simulated.exports)}
    assert f"Ray at {simulated.exports['RAY_ADDRESS']}: 0 CPUs on 1 node now, can grow to 3 CPUs, 1 GPU" in log
    assert "training on GPU" in log
    assert log.count("offers a GPU, but torch") == 1, "told once, whatever the number of workers"
    store = OutcomeStore(results)
    outcomes = [outcome for card in store.cards() for outcome in store.read_outcomes(card)[0]]
    assert len(outcomes) == 40
    assert {outcome.provenance["device"] for outcome in outcomes} == {"cpu"}, "what it was, not what was asked for"
    rows = board(results)
    assert set(rows) == {"majority", "ststnet", "only_in_the_copy", "from_a_file"}
    assert rows["ststnet"]["params"]["epochs"] == EPOCHS
    quiet = without_ray(monkeypatch, capsys)
    assert quiet("run", *options, "--results", str(tmp_path / "quiet"), "--models", "majority,ststnet").status == 0
    for model, row in board(tmp_path / "quiet").items():
        # Ranks depend on the other rows.
        same = {name: value for name, value in row.items() if name not in ("rank", "tied", "studies")}
        assert {name: rows[model][name] for name in same} == same, "as if nothing had been killed, and on one machine"
    assert digests_in(tmp_path / "quiet").items() <= digests_in(results).items()
    for row in rows.values():
        assert (row["dataset"], row["protocol"], row["part"]) == ("casme2", "loso", "full")
        assert row["folds_done"] == row["folds_total"] == row["n_subjects"] == 10
        assert 0 <= row["uf1_low"] <= row["uf1"] <= row["uf1_high"] <= 1
    assert rows["only_in_the_copy"]["uf1"] == rows["from_a_file"]["uf1"] == rows["majority"]["uf1"]

    last = max(datetime.fromisoformat(outcome.provenance["finished_at"]).timestamp() for outcome in outcomes)
    simulated.nodes.wait_for_none(2 * DOWN_SECONDS)

    seen = simulated.nodes.seen()
    assert seen[0]["nodes"] == {} == seen[-1]["nodes"], seen
    assert max(each["nodes"].get("gpu", 0) for each in seen) == 1, seen
    assert 1 <= max(each["nodes"].get("cpu", 0) for each in seen) <= 2, seen
    assert seen[-1]["time"] - last < DOWN_SECONDS, seen
    print(f"last outcome to last node gone: {seen[-1]['time'] - last:.1f} s")

    assert_nodes_change_nothing(simulated, [*options, "--models", "ststnet"], tmp_path)

    head = head_of(simulated)
    ours = of_cluster(head)
    assert len(ours) >= 4
    assert listening_on(head) <= {"127.0.0.1", "::1"}
    simulated.process.send_signal(signal.SIGTERM)
    assert simulated.process.wait(60) == 0
    assert not [process for process in ours if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert not simulated.folder.exists()


# One process for all of them: it imports torch and Ray once, and no node goes while the next run starts.
RUNS_WHEN_ASKED = """
import json, sys
from bench.cli import main

for line in sys.stdin:
    try:
        main(json.loads(line))
    except SystemExit as left:
        print(f"status {left.code}", flush=True)
"""


def assert_nodes_change_nothing(simulated: Simulated, options: list[str], folder: Path) -> None:
    """Rule 7 over nodes: the same run on one, two and three of them gives the bits of the run without Ray."""
    expected = digests_in(folder / "quiet")
    address = simulated.exports["RAY_ADDRESS"]
    before = {actor["actor_id"] for actor in actors_of(simulated.exports)}
    with runs_when_asked({**os.environ, **simulated.exports, "PYTHONPATH": str(ROOT)}) as run:
        for count in (1, 2, 3):
            results = folder / f"on_{count}"
            words = [*options, "--device", "cpu", "--workers", str(count)]
            said = run("run", *words, "--results", str(results), "--address", address)
            assert said.endswith("status 0\n"), said
            found = digests_in(results)
            assert len(found) == 10
            assert found.items() <= expected.items(), f"on {count} nodes"
            node_of = {actor["actor_id"]: actor["node_id"] for actor in actors_of(simulated.exports)}
            used = {node for actor, node in node_of.items() if actor not in before}
            # A worker that is replaced may come to a node that had none.
            assert len(used) == 1 if count == 1 else len(used) >= count
            before |= node_of.keys()


@contextlib.contextmanager
def runs_when_asked(environment: dict[str, str]) -> Iterator[Callable[..., str]]:
    """Return what carries out a command line in another process, and returns what that printed and its status."""
    piped: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen([sys.executable, "-c", RUNS_WHEN_ASKED], env=environment, text=True, **piped) as process:

        def run(*arguments: str) -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            print(json.dumps(arguments), file=process.stdin, flush=True)
            said = ""
            # One that hangs is killed, and says nothing more.
            timer = threading.Timer(SECONDS, process.kill)
            timer.start()
            for line in process.stdout:
                said += line
                if line.startswith("status "):
                    break
            timer.cancel()
            return said

        try:
            yield run
        finally:
            process.kill()


class Disturbing(threading.Thread):
    """Kills the workers of a run when it has trained a fold of ststnet, and its nodes when it has trained some more.

    Parameters
    ----------
    head : the process of ``ray start``.
    folder : of the cluster's files.
    results : of the run.

    Attributes
    ----------
    killed : what was killed, in order; each once, when there was work left for it.
    collected : the tags of the run's count of folds, as something that collects Ray's metrics sees them.
    """

    def __init__(self, head: int, folder: Path, results: Path) -> None:
        super().__init__()
        self._head, self._results, self._over = head, results, threading.Event()
        self._targets = folder / "ray" / "prom_metrics_service_discovery.json"
        self.killed: list[str] = []
        self.collected: set[str] = set()

    def __enter__(self) -> Disturbing:
        self.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        while not self._over.wait(0.1):
            done = sum("ststnet" in str(path) for path in self._results.rglob("*.outcome.parquet"))
            if done >= 1 and not self.killed:
                self._kill("workers", workers_of(self._head))
            elif done >= 4 and self.killed == ["workers"]:
                self._kill("nodes", nodes_of(self._head))
            elif not self.collected and self._targets.exists():
                self._collect()

    def _kill(self, what: str, processes: list[psutil.Process]) -> None:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if processes:
            self.killed.append(what)

    def _collect(self) -> None:
        for address in [each for group in json.loads(self._targets.read_text()) for each in group["targets"]]:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as page:
                for tags in re.findall(r"^ray_merbench_folds_done(\{.*\}) \S+$", page.read().decode(), re.MULTILINE):
                    self.collected |= set(re.findall(r'\brun="[^"]*"', tags))


def board(results: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of a leaderboard by model."""
    return {row["model"]: row for row in json.loads(leaderboard(str(results), "json", False, None))["rows"]}


def digests_in(results: Path) -> dict[str, str]:
    """Return fold key -> digest of its result, of all folds in a results folder."""
    store = OutcomeStore(results)
    return digests(store, store.cards())


def head_of(simulated: Simulated) -> int:
    """Return the process of `ray start`, whose session holds the head and its nodes."""
    (start,) = psutil.Process(simulated.process.pid).children()
    return start.pid
