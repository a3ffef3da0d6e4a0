"""Every model: seconds of one core for an epoch, and what a study of the embedded default takes of them.

    python tests/benchmarks/epoch_seconds.py [MODEL ...] [--preset full] [--samples 100] [--rows 3854 --folds 44]

MODEL : names or patterns (default: all), with the hyper-parameters of the preset ``quick``. The samples are random, in
the shapes of the model's features, and the engine trains on them as in a run. ``a fold besides`` is what a fold takes
without its epochs: the network is built, its inputs are fitted, a few samples are scored. An estimator has no epochs:
its fold is a fit on the samples.

``--rows`` are the training samples of all folds together. The default is the embedded default under ``loso`` and
``cde``; the composite of MEGC 2019 under ``cde`` is ``--rows 29614 --folds 68``. Seconds are those of the processor, in
one thread, so that other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np
from benchmark_report import machine_facts, print_table, run_plainly

from bench.checks.drawn_features import random_samples
from bench.config import RunConfig
from bench.engine.train import FoldJob, train_pack
from bench.plan.hyperparameters import changed, resolve
from bench.study.data import StudyData
from bench.study.folds import Fold
from mer_models.registry import MODELS, ModelInfo
from preprocess.labels.action_units import SHARED_UNITS
from preprocess.recipes import FEATURES

CLASSES = ("negative", "positive", "surprise")
TESTED = 7
"""Samples of a person, roughly, of the embedded default."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["*"], metavar="MODEL", help="names or patterns of models")
    parser.add_argument("--preset", choices=["quick", "full"], default="quick")
    parser.add_argument("--samples", type=int, default=100, help="training samples of the epoch that is measured")
    parser.add_argument("--epochs", type=int, default=2, help="epochs that are measured; their mean is printed")
    parser.add_argument("--rows", type=int, default=3854, help="training samples of a study's folds, summed")
    parser.add_argument("--folds", type=int, default=44, help="folds of the study")
    given = parser.parse_args()
    names = MODELS.select(given.models)
    settings = resolve(RunConfig(preset=given.preset), [MODELS.get(name) for name in names])
    for fact in machine_facts():
        print(fact)
    rows, total = [], 0.0
    for name in names:
        row, seconds = _measured(MODELS.get(name), settings[name], given)
        rows.append(row)
        total += seconds
        print(*row, sep="  ", file=sys.stderr, flush=True)
    rows.append(["all", "", "", "", "", f"{total:.0f}"])
    titles = ["model", "epochs", "batch", "s an epoch", "s a fold besides", "s a study"]
    title = f"{given.samples} samples an epoch; a study of {given.folds} folds, {given.rows} training samples in all"
    print_table(f"{title}; seconds of one core, preset {given.preset}", titles, rows)


def _measured(info: ModelInfo, values: dict[str, Any], given: argparse.Namespace) -> tuple[list[str], float]:
    """Return a model's row of the table and its seconds a study."""
    data, name = _random_data(info, given.samples), _title(info, values)
    _seconds(info, values, data, 1)  # not counted: the first step loads what torch imports when it is first used
    fold = _seconds(info, values, data, 1)
    if info.recipe is None:
        study = fold * given.folds
        return [name, "", "", "", f"{fold:.3f}", f"{study:.1f}"], study
    epoch = max(0.0, (_seconds(info, values, data, 1 + given.epochs) - fold) / given.epochs)
    besides = max(0.0, fold - epoch)
    study = values["epochs"] * epoch * given.rows / given.samples + besides * given.folds
    facts = [str(values["epochs"]), str(values["batch_size"]), f"{epoch:.4f}", f"{besides:.3f}", f"{study:.1f}"]
    return [name, *facts], study


def _title(info: ModelInfo, values: dict[str, Any]) -> str:
    differing = {key: value for key, value in changed(info, values).items() if key not in ("epochs", "batch_size")}
    return info.name + (f"[{', '.join(f'{key}={value}' for key, value in differing.items())}]" if differing else "")


def _random_data(info: ModelInfo, samples: int) -> StudyData:
    rng = np.random.default_rng(0)
    n = samples + TESTED
    units = rng.integers(0, 2, (n, len(SHARED_UNITS))).astype(np.int8) if info.uses_action_units else None
    return StudyData(
        sample_ids=np.array([f"random/{row:05d}" for row in range(n)]),
        subjects=np.array(["random/train"] * samples + ["random/test"] * TESTED),
        datasets=np.array(["random"] * n),
        splits=np.array([""] * n),
        labels=np.arange(n) % len(CLASSES),
        features=dict(zip(info.features, random_samples(info, n, np.random.default_rng(0)), strict=True)),
        layouts={name: FEATURES.get(name).layout for name in info.features},
        classes=CLASSES,
        action_units=units,
    )


def _seconds(info: ModelInfo, values: dict[str, Any], data: StudyData, epochs: int) -> float:
    """Return the seconds of the processor of one fold; what goes wrong in it is raised."""
    everyone = np.arange(len(data))
    fold = Fold("random", everyone[:-TESTED], everyone[:0], everyone[-TESTED:], seed=0)
    shorter = {**values, "epochs": epochs} if info.recipe else values

    def fail(job: FoldJob, error: BaseException) -> None:
        raise error

    start = time.process_time()
    for _ in train_pack(info, shorter, data, [FoldJob(fold, ("last",))], lambda *_: None, fail):
        pass
    return time.process_time() - start


if __name__ == "__main__":
    run_plainly(main)
