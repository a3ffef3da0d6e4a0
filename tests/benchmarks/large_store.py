"""How long a board of many thousand outcomes takes, and a rerun with nothing to do, on disk and against S3.

    python tests/benchmarks/large_store.py [--folds 20000] [--models majority,...] [--no-s3]

The store holds what ``merbench run`` would have made of four models, on a drawn composite of 68 people, with as many
seeds as it takes; the predictions are drawn. The first run puts its studies into one file each and shows them in
MLflow; what is timed after it are whole commands, from the shell's point of view. S3 is a moto server on loopback,
which shares this machine's cores with the command.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import os
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from benchmark_report import ROOT, RUN_ALL, machine_facts, print_table, run_plainly, timed

PEOPLE = (40, 28)
TARGETS = {20000: (3.0, 6.0), 100000: (10.0, None)}
"""Folds -> seconds that a board, and a rerun with nothing to do, may take on two cores; five times that against S3."""

MERBENCH = [sys.executable, "-m", "bench"]


def drawn_tree(root: Path) -> Path:
    """Write a tree of flow images of 68 people."""
    # Found once benchmark_report is imported.
    import drawn_flow

    pairs = zip(drawn_flow._DATABASES, PEOPLE, strict=True)
    drawn_flow._DATABASES = tuple(dataclasses.replace(one, subjects=number, clips=3.0) for one, number in pairs)
    return drawn_flow.write_drawn_tree(root)


def fill(results: str, data: Path, models: list[str], seeds: int) -> int:
    """Write the outcomes that a run would leave, one file each; return their number."""
    from bench.config import RunConfig
    from bench.engine.train import FoldResult
    from bench.plan.plan import make_plan
    from bench.plan.request import resolve
    from bench.study.sources import prepare_datasets, read_datasets, shards_root
    from bench.workers.pack import outcome_of
    from results.store.outcome_store import OutcomeStore

    config = RunConfig(data=[str(data)], models=models, protocols=["cde"], seeds=list(range(seeds)), results=results)
    request = resolve(config)
    prepared = prepare_datasets(read_datasets(config), request.features, shards_root(results))
    store = OutcomeStore(results, create=True)
    plan, rng, written = make_plan(request, prepared, store), np.random.default_rng(0), 0
    for planned in plan.trainings:
        rows = plan.data[planned.training.data]
        for card in planned.training.cards:
            store.write_card(card)
            for place, fold in enumerate(planned.training.folds(rows)):
                scores = rng.random((len(fold.test), len(card.classes)), dtype=np.float32)
                result = FoldResult(scores, 30, {"train_loss": rng.random(30).tolist()}, {}, 1.0)
                store.write_outcome(card, outcome_of(card, place, fold, rows, result, "cpu"))
                written += 1
    return written


@contextlib.contextmanager
def served() -> Iterator[str]:
    """Serve S3's protocol on loopback, with a bucket ``lab``; yields what an address ends in."""
    from conftest import S3_CREDENTIALS
    from moto.server import ThreadedMotoServer

    os.environ.update(S3_CREDENTIALS)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/lab", method="PUT")).close()
    yield f"endpoint_override={host}:{port}&scheme=http"
    server.stop()


def copied(results: Path, address: str) -> None:
    """Copy a store and its shards to an address."""
    from pyarrow import fs

    target, base = fs.FileSystem.from_uri(address)
    for name in ("store.json", "outcomes", "shards"):
        source = str(results / name)
        if (results / name).is_dir():
            fs.copy_files(
                source, f"{base}/{name}", source_filesystem=fs.LocalFileSystem(), destination_filesystem=target
            )
        else:
            with target.open_output_stream(f"{base}/{name}") as stream:
                stream.write(Path(source).read_bytes())


def commands(results: str, run: list[str]) -> dict[str, list[str]]:
    """Return what is timed: name -> command."""
    return {
        "leaderboard": [*MERBENCH, "leaderboard", "--results", results],
        "compare": [*MERBENCH, "compare", "--results", results],
        "rerun": [*RUN_ALL, *run, "--results", results],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folds", type=int, default=20000)
    parser.add_argument("--models", default="majority,flow_svm,ststnet,off_apexnet")
    parser.add_argument("--no-s3", action="store_true")
    arguments = parser.parse_args()
    facts, models = machine_facts(), arguments.models.split(",")
    seeds = max(1, round(arguments.folds / sum(PEOPLE) / len(models)))
    with tempfile.TemporaryDirectory(prefix="merbench-large-") as folder:
        data, results = drawn_tree(Path(folder, "data")), Path(folder, "runs")
        folds = fill(str(results), data, models, seeds)
        run = ["--data", str(data), "--models", arguments.models, "--protocols", "cde", "--preset", "full"]
        run += ["--seeds", ",".join(map(str, range(seeds))), "--tracking-uri", f"sqlite:///{folder}/mlflow.db"]
        board = commands(str(results), run)["leaderboard"]
        rows = [["leaderboard, a file a fold", f"{timed(board, ROOT).seconds:.1f}", "", ""]]
        first = timed([*RUN_ALL, *run, "--results", str(results)], ROOT).seconds
        rows.append(["first run: one file a study, MLflow", f"{first:.1f}", "", ""])
        here = {name: timed(words, ROOT).seconds for name, words in commands(str(results), run).items()}
        there = dict.fromkeys(here, "")
        if not arguments.no_s3:
            with served() as endpoint:
                address = f"s3://lab/runs?{endpoint}"
                copied(results, address)
                words = commands(address, run)
                # Its page in MLflow is another store's until now.
                timed(words["rerun"], ROOT)
                there = {name: f"{timed(words[name], ROOT).seconds:.1f}" for name in here}
        boards, rerun = TARGETS.get(arguments.folds, (None, None))
        targets = {"leaderboard": boards, "compare": None, "rerun": rerun}
        rows += [[name, f"{here[name]:.1f}", there[name], f"{targets[name] or ''}"] for name in here]
    title = f"{folds:,} outcomes of {folds // sum(PEOPLE)} studies, seconds"
    print_table(title, ["command", "on disk", "against S3", "target on disk"], rows)
    print("\n".join(facts))


if __name__ == "__main__":
    run_plainly(main)
