"""How long a board of many thousand outcomes takes, and a rerun with nothing to do, on disk and against S3.

    python tests/benchmarks/large_store.py [--folds 20000] [--files] [--no-mlflow] [--no-s3] [--board-only]

The store holds what ``merbench run`` would have made of four models, on a drawn composite of 68 people, with as many
seeds as it takes; the predictions are drawn. Its studies lie in one file each, as a run leaves them; with ``--files``
they lie in a file a fold first, as a run of before left them, and `merbench sync` puts them together. The first run
makes the page, and with MLflow a run a study, which takes most of the time of this script: ``--no-mlflow`` leaves it
out, and ``--board-only`` all runs. What is timed are whole commands, from the shell's point of view. S3 is a moto
server on loopback, which shares this machine's cores with the command.
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
from benchmark_report import ROOT, RUN_ALL, Timed, machine_facts, print_table, run_plainly, timed

PEOPLE = (40, 28)
BOARD, RERUN, RERUN_MLFLOW = "leaderboard", "run with nothing to train, without MLflow", "the same with MLflow"
TARGETS = {20000: {BOARD: 3.0, RERUN: 6.0, RERUN_MLFLOW: 6.0}, 100000: {BOARD: 10.0}}
"""Folds -> seconds that a command may take on two cores; five times what it takes on disk against S3."""

MERBENCH = [sys.executable, "-m", "bench"]


def drawn_tree(root: Path) -> Path:
    """Write a tree of flow images of 68 people."""
    # Found once benchmark_report is imported.
    import drawn_flow

    pairs = zip(drawn_flow._DATABASES, PEOPLE, strict=True)
    drawn_flow._DATABASES = tuple(dataclasses.replace(one, subjects=number, clips=3.0) for one, number in pairs)
    return drawn_flow.write_drawn_tree(root)


def fill(results: str, data: Path, models: list[str], seeds: int, files: bool) -> int:
    """Write the outcomes that a run would leave; return their number. files : one a fold, else one a study."""
    from bench.config import RunConfig
    from bench.engine.train import FoldResult
    from bench.plan.plan import make_plan
    from bench.plan.request import resolve
    from bench.study.sources import prepare_datasets, read_datasets, shards_root
    from bench.workers.pack import outcome_of
    from results.scores.keeping import seal_studies
    from results.store.outcome_reader import ReadOutcomes
    from results.store.outcome_store import OutcomeStore
    from results.store.sealing import seal

    config = RunConfig(data=[str(data)], models=models, protocols=["cde"], seeds=list(range(seeds)), results=results)
    request = resolve(config)
    prepared = prepare_datasets(read_datasets(config), request.features, shards_root(results))
    store = OutcomeStore(results, create=True)
    plan, rng, written = make_plan(request, prepared, store), np.random.default_rng(0), 0
    for planned in plan.trainings:
        rows = plan.data[planned.training.data]
        folds = planned.training.folds(rows)
        for card in planned.training.cards:
            store.write_card(card)
            outcomes = []
            for place, fold in enumerate(folds):
                scores = rng.random((len(fold.test), len(card.classes)), dtype=np.float32)
                result = FoldResult(scores, 30, {"train_loss": rng.random(30).tolist()}, {}, 1.0)
                outcomes.append(outcome_of(card, place, fold, rows, result, "cpu"))
            # The first one by the store itself, which then says that it has such files.
            if files or not written:
                for outcome in outcomes:
                    store.write_outcome(card, outcome)
                if not files:
                    store.seal(card)
            else:
                seal(store._storage, store._reader, card, ReadOutcomes(outcomes, [], {}), ())
            written += len(outcomes)
    if not files:
        seal_studies(store, plan.cards, print)
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


def commands(results: str, run: list[str], database: str | None) -> dict[str, list[str]]:
    """Return what is timed: name -> command. database : MLflow's address; None to leave MLflow out."""
    rerun = [*RUN_ALL, *run, "--results", results]
    found = {
        BOARD: [*MERBENCH, "leaderboard", "--results", results],
        "compare": [*MERBENCH, "compare", "--results", results],
        RERUN: [*rerun, "--tracking-uri", "off"],
    }
    return found | ({RERUN_MLFLOW: [*rerun, "--tracking-uri", database]} if database else {})


def told(what: str, words: list[str]) -> Timed:
    """Time a command, and say so at once, for the whole takes long."""
    load = os.getloadavg()[0]
    found = timed(words, ROOT)
    print(f"{what}: {found.seconds:.1f} s, {found.core:.1f} of a core, load before {load:.1f}", flush=True)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folds", type=int, default=20000)
    parser.add_argument("--models", default="majority,flow_svm,ststnet,off_apexnet")
    parser.add_argument("--files", action="store_true", help="begin with a file a fold, and put them together")
    parser.add_argument("--no-mlflow", action="store_true")
    parser.add_argument("--no-s3", action="store_true")
    parser.add_argument("--board-only", action="store_true", help="time `merbench leaderboard` alone")
    arguments = parser.parse_args()
    facts, models = machine_facts(), arguments.models.split(",")
    seeds = max(1, round(arguments.folds / sum(PEOPLE) / len(models)))
    with tempfile.TemporaryDirectory(prefix="merbench-large-") as folder:
        data, results = drawn_tree(Path(folder, "data")), Path(folder, "runs")
        folds = fill(str(results), data, models, seeds, arguments.files)
        run = ["--data", str(data), "--models", arguments.models, "--protocols", "cde", "--preset", "full"]
        run += ["--seeds", ",".join(map(str, range(seeds)))]
        database = None if arguments.no_mlflow else f"sqlite:///{folder}/mlflow.db"
        here = commands(str(results), run, database)
        if arguments.board_only:
            here = {BOARD: here[BOARD]}
        first = {}
        if arguments.files:
            first["leaderboard, a file a fold"] = here[BOARD]
            first["one file a study"] = [*MERBENCH, "sync", "--results", str(results), "--tracking-uri", "off"]
        first |= {f"{what}, the first time": words for what, words in here.items() if what in (RERUN, RERUN_MLFLOW)}
        rows = [
            [what, f"{found.seconds:.1f}", f"{found.core:.1f}", "", "", ""]
            for what, found in ((what, told(what, words)) for what, words in first.items())
        ]
        measured = {what: told(what, words) for what, words in here.items()}
        there: dict[str, Timed] = {}
        if not arguments.no_s3:
            with served() as endpoint:
                address = f"s3://lab/runs?{endpoint}"
                copied(results, address)
                remote = {what: words for what, words in commands(address, run, database).items() if what in here}
                if RERUN_MLFLOW in remote:
                    # Its page in MLflow is another store's until now.
                    told(f"{RERUN_MLFLOW}, the first time, S3", remote[RERUN_MLFLOW])
                there = {what: told(f"{what}, S3", words) for what, words in remote.items()}
        targets = TARGETS.get(arguments.folds, {})
        for what, found in measured.items():
            remotely = (
                [f"{there[what].seconds:.1f}", f"{there[what].seconds / found.seconds:.1f}"] if there else ["", ""]
            )
            rows.append([what, f"{found.seconds:.1f}", f"{found.core:.1f}", *remotely, f"{targets.get(what, '')}"])
    title = f"{folds:,} outcomes of {folds // sum(PEOPLE)} studies, seconds"
    print_table(title, ["command", "on disk", "of a core", "against S3", "times", "target on disk"], rows)
    print("\n".join(facts))


if __name__ == "__main__":
    run_plainly(main)
