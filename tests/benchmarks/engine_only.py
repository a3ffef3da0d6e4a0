"""The training engine alone, without Ray: seconds, use of the GPU, and how its results compare with the CPU's.

    python tests/benchmarks/engine_only.py --data TREE [--models ststnet,htnet] [--folds N] [--epochs 100]
        [--device cuda] [--cpu-folds 4] [--against RESULTS]

All folds of ``cde`` go to the engine as one pack. It needs torch, numpy, cv2, pandas and rich: no Ray, no MLflow, no
pyarrow (but for ``--against``, which reads a store), so it runs on a bare GPU machine. Where they are installed, their
import is refused, so that a run proves it.

``--cpu-folds N`` trains the first N folds on the CPU as well, a process a core; ``--against RESULTS`` compares with
the outcomes that ``merbench run --models ... --protocols cde --epochs ...`` left in a store. On the CPU both must be
equal to the bit. A GPU draws other dropout masks than a CPU from the same seed, so there only ``--no-dropout`` compares
the arithmetic; with dropout, compare the UF1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_report import machine_facts, median_of, print_table, run_plainly

from bench.study.assemble import assemble
from bench.study.data import StudyData
from mer_models.registry import MODELS, ModelInfo
from preprocess.base.errors import UsageError
from preprocess.shards.features import feature_of
from preprocess.shards.prepared import FeatureInfo

PROTOCOL, TASK, SELECTION, SEED = "cde", "megc3", "last", 0
NOT_NEEDED = ("ray", "mlflow", "pyarrow")
SAMPLE_SECONDS = 0.2


@dataclass(frozen=True)
class InMemoryBlock:
    """A block as a study takes it, of values that are here."""

    sample_ids: tuple[str, ...]
    values: np.ndarray = field(repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of one sample's tensor."""
        return self.values.shape[1:]

    @property
    def dtype(self) -> str:
        """Return numpy's name of the type."""
        return self.values.dtype.name

    def read(self) -> np.ndarray:
        """Return the values."""
        return self.values


@dataclass(frozen=True)
class InMemory:
    """A dataset as ``bench.study.assemble`` takes it, straight from its source and without shards."""

    name: str
    samples: Any
    features: dict[str, FeatureInfo]
    blocks: dict[str, InMemoryBlock] = field(repr=False)
    macro: bool = False
    copies: tuple[()] = ()

    def usable(self, features: Sequence[str]) -> np.ndarray:
        """Return (n,) bool: a tree of flow images has the features of all its samples."""
        return np.ones(len(self.samples), dtype=bool)

    def block(self, feature: str) -> InMemoryBlock:
        """Return the feature's tensors of all samples."""
        return self.blocks[feature]


def read_data(path: Path, info: ModelInfo) -> StudyData:
    """Return the study data of ``cde`` on a flow-image tree."""
    from preprocess.datasets import read_source
    from preprocess.labels.tasks import TASKS

    datasets: list[Any] = []
    for raw in read_source(path):
        ids = raw.samples["sample_id"].tolist()
        blocks, features = {}, {}
        for name in info.features:
            feature = feature_of(raw, name)
            tensors = np.stack([raw.features[name].compute(one) for one in ids])
            blocks[name] = InMemoryBlock(tuple(ids), tensors)
            features[name] = FeatureInfo({}, "", "", feature.shape, feature.dtype, feature.layout)
        datasets.append(InMemory(raw.name, raw.samples, features, blocks))
    return assemble(datasets, TASKS.get(TASK), info.features).read()


def settings(info: ModelInfo, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the model's hyper-parameters for this benchmark."""
    values = {**info.hyperparameters(), "epochs": arguments.epochs}
    if arguments.no_dropout and "dropout" in values:
        values["dropout"] = 0.0
    return values


def train(
    info: ModelInfo, values: dict[str, Any], data: StudyData, numbers: Sequence[int], device: str
) -> dict[str, np.ndarray]:
    """Train the folds with these numbers as one pack and return sample id -> (n_classes,) scores."""
    from bench.engine.train import FoldJob, FoldResult, train_pack
    from bench.study.protocols import PROTOCOLS
    from bench.study.splitting import make_folds

    folds = make_folds(PROTOCOLS.get(PROTOCOL), info.name, False, SEED, data)
    scores: dict[str, np.ndarray] = {}

    def keep(job: FoldJob, selection: str, result: FoldResult) -> None:
        scores.update(zip(data.sample_ids[job.fold.test].tolist(), result.scores, strict=True))

    def fail(job: FoldJob, error: BaseException) -> None:
        raise SystemExit(f"{info.name}, fold {job.fold.name}: {type(error).__name__}: {error}")

    jobs = [FoldJob(folds[number], (SELECTION,)) for number in numbers]
    for _ in train_pack(info, values, data, jobs, keep, fail, device, threads=info.resources.cpus):
        pass
    return scores


def train_on_cpu(
    info: ModelInfo, values: dict[str, Any], data: StudyData, numbers: Sequence[int]
) -> dict[str, np.ndarray]:
    """Do as ``train`` on the CPU, a fold a process and a process a core."""
    cores = len(os.sched_getaffinity(0))
    packs = [(info.name, values, data, [number], "cpu") for number in numbers]
    with multiprocessing.get_context("spawn").Pool(min(cores, len(packs))) as pool:
        parts = pool.starmap(_train_named, packs, chunksize=1)
    return {sample: row for part in parts for sample, row in part.items()}


def _train_named(
    model: str, values: dict[str, Any], data: StudyData, numbers: list[int], device: str
) -> dict[str, np.ndarray]:
    return train(MODELS.get(model), values, data, numbers, device)


def stored_scores(results: Path, info: ModelInfo, values: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return sample id -> scores of the stored study that this benchmark repeats; SystemExit without one."""
    from results.store.outcome_store import OutcomeStore

    store = OutcomeStore(results)
    wanted = (info.name, PROTOCOL, TASK, SELECTION, SEED, values)
    for card in store.cards():
        if (card.model, card.protocol, card.task, card.selection, card.seed, card.hyperparameters) == wanted:
            outcomes, _ = store.read_outcomes(card)
            return {
                sample: row
                for outcome in outcomes
                for sample, row in zip(outcome.sample_ids, outcome.scores, strict=True)
            }
    raise SystemExit(
        f"{results} holds no study of {info.name}, {PROTOCOL}, {TASK}, {SELECTION}, seed {SEED} with {values}."
    )


@contextmanager
def gpu_watched(device: str) -> Iterator[list[float]]:
    """Fill the list with the GPU's busy share in percent, as nvidia-smi sees it during the block, a value a sample.

    It stays empty on a CPU and where there is no nvidia-smi.
    """
    busy: list[float] = []
    if not device.startswith("cuda"):
        yield busy
        return
    command = ["nvidia-smi", f"--id={device.partition(':')[2] or 0}", "--query-gpu=utilization.gpu"]
    command += ["--format=csv,noheader,nounits", f"--loop-ms={int(SAMPLE_SECONDS * 1000)}"]
    try:
        watcher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        yield busy
        return
    try:
        yield busy
    finally:
        watcher.terminate()
        printed, _ = watcher.communicate()
        # The last line may be cut off where the watcher was stopped.
        busy.extend(float(line) for line in printed.splitlines()[:-1])


def agreement(name: str, found: dict[str, np.ndarray], reference: dict[str, np.ndarray], data: StudyData) -> list[str]:
    """Return a table row: samples in common, largest difference of scores, share of equal predictions, both UF1."""
    from results.scores.metrics import confusion, uf1

    ids = sorted(found.keys() & reference.keys())
    if not ids:
        raise SystemExit(f"{name}: no sample in common")
    label_of = dict(zip(data.sample_ids.tolist(), data.labels.tolist(), strict=True))
    labels = np.array([label_of[one] for one in ids])
    here, there = (np.stack([scores[one] for one in ids]) for scores in (found, reference))
    equal = float(np.mean(here.argmax(axis=1) == there.argmax(axis=1)))
    both = [float(uf1(confusion(labels, one.argmax(axis=1), len(data.classes)))) for one in (here, there)]
    return [name, str(len(ids)), f"{np.abs(here - there).max():.3g}", f"{equal:.4f}", *(f"{one:.4f}" for one in both)]


def benchmark(name: str, arguments: argparse.Namespace) -> tuple[list[str], list[list[str]]]:
    """Time one model; return its row of the table of times and its rows of the table of agreement."""
    import torch

    info = MODELS.get(name)
    if info.kind != "network":
        raise UsageError(f"--models {name}: it is an estimator; this benchmark trains networks.")
    values, data, device = settings(info, arguments), read_data(arguments.data, info), arguments.device
    people = len(set(data.subjects.tolist()))
    numbers = list(range(min(arguments.folds or people, people)))
    # Not counted: the first step loads kernels and what torch imports when it is first used.
    train(info, {**values, "epochs": 1}, data, numbers[:1], device)
    seconds, scores = [], {}
    with gpu_watched(device) as busy:
        for _ in range(arguments.repeats):
            start = time.perf_counter()
            scores = train(info, values, data, numbers, device)
            seconds.append(time.perf_counter() - start)
    row = [name, str(len(numbers)), str(values["epochs"]), median_of(seconds)]
    row += [f"{statistics.median(seconds) / values['epochs'] / len(numbers) * 1000:.2f}"]
    row += [f"{statistics.mean(busy):.0f} %" if busy else "-"]
    row += [f"{torch.cuda.max_memory_allocated(device) / 2**20:.0f}" if device.startswith("cuda") else "-"]
    rows = []
    if arguments.cpu_folds:
        reference = train_on_cpu(info, values, data, numbers[: arguments.cpu_folds])
        rows.append(agreement(f"{name}, CPU, {len(numbers[: arguments.cpu_folds])} folds", scores, reference, data))
    if arguments.against:
        reference = stored_scores(arguments.against, info, values)
        rows.append(agreement(f"{name}, {arguments.against.name}", scores, reference, data))
    return row, rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="flow-image tree")
    parser.add_argument("--models", default="ststnet,htnet", help="networks, separated by commas")
    parser.add_argument("--folds", type=int, help="the first N folds; default: all")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1 ...")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--no-dropout", action="store_true", help="dropout 0, where the network has it as a setting")
    parser.add_argument("--cpu-folds", type=int, default=0, help="compare so many folds with the CPU")
    parser.add_argument("--against", type=Path, help="compare with the outcomes in this results folder")
    arguments = parser.parse_args()
    if not arguments.against:
        # None in sys.modules makes an import fail as it does where the package is not installed.
        sys.modules.update(dict.fromkeys(NOT_NEEDED))  # type: ignore[arg-type]
    facts = machine_facts(arguments.device)
    times, agreements = [], []
    for name in arguments.models.split(","):
        row, rows = benchmark(name, arguments)
        times.append(row)
        agreements += rows
    names = ["engine alone", "folds", "epochs", "seconds", "ms an epoch of a fold", "GPU busy", "GPU MiB"]
    print_table(f"Engine on {arguments.device}, {arguments.repeats} repeats, median [range]", names, times)
    if agreements:
        names = ["compared with", "samples", "largest difference", "equal predictions", "UF1 here", "UF1 there"]
        print_table("Agreement of scores and predictions", names, agreements)
    print("", *facts, sep="\n")


if __name__ == "__main__":
    run_plainly(main)
