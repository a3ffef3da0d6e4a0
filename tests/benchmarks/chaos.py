"""What is lost when workers, a node, the driver and MLflow go while a run is under way?

One run stays undisturbed, on a Ray of its own. The same run goes to a simulated cluster, whose nodes are processes of
this machine, and is disturbed: every ``--worker-seconds`` a worker is killed, at a third of the folds a node, at half
of them the driver, which is started again, and MLflow's server is down from a quarter to three quarters. Afterwards
the outcomes are counted, the boards compared, and MLflow is brought up to date by ``merbench sync``.

The exit status is 1 where a fold was lost, failed or is there twice, or where a score differs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from benchmark_report import ROOT, RUN_ALL, machine_facts, own_environment, print_table, run_plainly
from cluster_processes import kill_one, nodes_of, workers_of
from drawn_flow import write_drawn_tree

from cluster.head import Head, free_ports
from cluster.simulated import NodeType, simulated_cluster
from results.store.outcome_store import MissingStore, OutcomeStore

LOOK_SECONDS = 0.5
MLFLOW_DOWN, NODE_AT, DRIVER_AT, MLFLOW_UP = 0.25, 1 / 3, 0.5, 0.75
"""Shares of the folds at which things happen."""


@dataclass
class Disturbed:
    """What was done to a run, and what it took."""

    workers: int = 0
    nodes: int = 0
    drivers: int = 0
    seconds: float = 0.0
    printed: list[str] = field(default_factory=list)


def main() -> None:
    """Read the options, run twice, and print what became of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker-seconds", type=float, default=20.0, help="a worker is killed so often; default: 20")
    parser.add_argument("--nodes", type=int, default=2, help="of one CPU each; default: 2")
    parser.add_argument("--models", default="ststnet,flow_svm,majority")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", default="0,1", help="more seeds, more folds; default: 0,1")
    arguments = parser.parse_args()
    print("\n".join(machine_facts()))
    with tempfile.TemporaryDirectory(prefix="merbench-chaos-") as name:
        folder = Path(name)
        options = ["--data", str(write_drawn_tree(folder / "drawn")), "--models", arguments.models]
        options += ["--protocols", "loso,cde", "--epochs", str(arguments.epochs), "--seeds", arguments.seeds]
        quiet = [*RUN_ALL, *options, "--results", str(folder / "quiet"), "--tracking-uri", "off"]
        start = time.monotonic()
        subprocess.run(quiet, env=own_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        seconds = time.monotonic() - start
        total = outcomes(folder / "quiet")
        with simulated_cluster([NodeType("cpu", arguments.nodes, 1)], idle_seconds=20.0) as head:
            disturbed = disturb(head, options, folder, total, arguments.worker_seconds)
            faults = [*differences(folder), *unsynced(folder)]
    done = [disturbed.workers, disturbed.nodes, disturbed.drivers]
    rows = [
        ["undisturbed", f"{total}", "0", "0", "0", f"{seconds:.0f} s"],
        ["disturbed", f"{total}", *map(str, done), f"{disturbed.seconds:.0f} s"],
    ]
    print_table("runs", ["run", "outcomes", "workers killed", "nodes", "drivers", "took"], rows)
    print("\n".join(faults) if faults else "Nothing lost, failed or twice; the boards are equal to the bit.")
    if faults:
        print("\n".join(disturbed.printed[-20:]))
    sys.exit(bool(faults))


def outcomes(results: Path) -> int:
    """Return how many outcomes lie in a results folder."""
    try:
        store = OutcomeStore(results)
    except MissingStore:
        return 0
    return sum(len(store.state(card).done) for card in store.cards())


def disturb(head: Head, options: list[str], folder: Path, total: int, worker_seconds: float) -> Disturbed:
    """Run on the cluster while things go; return what was done."""
    results, done, draw = folder / "disturbed", Disturbed(), random.Random(0)
    port, start = free_ports(1)[0], time.monotonic()
    command = [*RUN_ALL, *options, "--results", str(results), "--tracking-uri", f"http://127.0.0.1:{port}"]
    environment = {**own_environment(), **head.environment, "PYTHONPATH": str(ROOT)}
    with contextlib.ExitStack() as ends, (folder / "printed").open("w+") as printed:
        server = ends.enter_context(mlflow_server(folder, port))
        stops = contextlib.ExitStack()
        stops.callback(server)
        killed_last = time.monotonic()
        driver = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=printed, stderr=subprocess.STDOUT)
        while True:
            time.sleep(LOOK_SECONDS)
            share = outcomes(results) / total
            if driver.poll() is not None and done.drivers:
                break
            if share >= MLFLOW_DOWN:
                stops.close()
            if share >= MLFLOW_UP and not done.printed:
                done.printed.append("MLflow is up again")
                ends.enter_context(mlflow_server(folder, port))
            if share >= NODE_AT and not done.nodes:
                done.nodes += kill_one(nodes_of(head.pid), draw)
            if share >= DRIVER_AT and not done.drivers:
                driver.send_signal(signal.SIGKILL)
                driver.wait()
                done.drivers += 1
                driver = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=printed, stderr=subprocess.STDOUT)
            if share > 0 and time.monotonic() - killed_last > worker_seconds:
                killed_last = time.monotonic()
                done.workers += kill_one(workers_of(head.pid), draw)
        done.seconds = time.monotonic() - start
        printed.seek(0)
        done.printed += printed.read().splitlines()
    return done


@contextlib.contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[Any]:
    """Run an MLflow server on a database in the folder; yields what stops it before the block ends."""
    words = ["server", "--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination"]
    words += [str(folder / "artifacts"), "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    process = psutil.Popen([sys.executable, "-m", "mlflow", *words], stdout=-3, stderr=-3, start_new_session=True)

    def stop() -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in [*process.children(recursive=True), process]:
                one.kill()
            process.wait()

    try:
        yield stop
    finally:
        stop()


def differences(folder: Path) -> list[str]:
    """Return what of the disturbed run is not as in the other one, a line each."""
    boards = {name: board(folder / name) for name in ("quiet", "disturbed")}
    faults = []
    for key, row in boards["quiet"].items():
        other = boards["disturbed"].get(key)
        if other is None:
            faults.append(f"{key}: not on the board")
        elif other["folds_done"] != row["folds_done"] or other.get("folds_failed"):
            faults.append(f"{key}: {other['folds_done']} of {row['folds_done']} folds")
        elif {name: other[name] for name in SCORES} != {name: row[name] for name in SCORES}:
            faults.append(f"{key}: other scores")
    if boards["disturbed"].keys() - boards["quiet"].keys():
        faults.append("more rows than in the undisturbed run")
    if outcomes(folder / "quiet") != outcomes(folder / "disturbed"):
        faults.append(f"{outcomes(folder / 'disturbed')} outcomes, {outcomes(folder / 'quiet')} undisturbed")
    return faults


SCORES = ("uf1", "uar", "accuracy", "uf1_low", "uf1_high", "uar_low", "uar_high")


def board(results: Path) -> dict[str, dict[str, Any]]:
    """Return a results folder's leaderboard by model, benchmark and part."""
    words = [sys.executable, "-m", "bench", "leaderboard", "--results", str(results), "--format", "json"]
    printed = subprocess.run(words, cwd=ROOT, env=own_environment(), capture_output=True, text=True, check=True).stdout
    rows = json.loads(printed)["rows"]
    return {"/".join(str(row[name]) for name in ("model", "protocol", "dataset", "part")): row for row in rows}


def unsynced(folder: Path) -> list[str]:
    """Bring MLflow up to date with the disturbed run; return what is not there once, a line each."""
    from mlflow import MlflowClient

    uri = f"sqlite:///{folder}/server.db"
    words = [sys.executable, "-m", "bench", "sync", "--results", str(folder / "disturbed"), "--tracking-uri", uri]
    subprocess.run(words, cwd=ROOT, env=own_environment(), capture_output=True, check=True)
    client = MlflowClient(tracking_uri=uri)
    experiments = [one.experiment_id for one in client.search_experiments()]
    runs = len(client.search_runs(experiments, "tags.kind = 'study'", max_results=1000))
    studies = sum(1 for _ in (folder / "disturbed").rglob("study.json"))
    return [] if runs == studies else [f"{runs} runs in MLflow, {studies} studies"]


if __name__ == "__main__":
    run_plainly(main)
