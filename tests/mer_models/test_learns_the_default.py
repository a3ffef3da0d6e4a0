"""Every model learns the embedded default: people that it has not seen, told apart better than chance.

So does mer_models/README.md say of those in its table of scores. The models of a run that names none are tried on one
of the default's three databases, with one feature; so are those that take this feature, too, and train a fold in less
than two seconds by the table. All are tried on all three databases, leaving out one person at a time, where the
variable MERBENCH_TEST_RUNS names the results folder of a run (``merbench run --models '*' --results FOLDER`` leaves
every feature there); that takes most of an hour. All of it is slow: preparing the data alone takes seconds.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import mer_models
from bench.config import DEFAULT_MODELS, RunConfig
from bench.engine.train import FoldJob, FoldResult, train_pack
from bench.plan.hyperparameters import resolve
from bench.study.assemble import assemble
from bench.study.data import StudyData
from bench.study.protocols import PROTOCOLS
from bench.study.splitting import make_folds
from mer_models.registry import MODELS
from preprocess.datasets import read_source
from preprocess.labels.tasks import TASKS
from preprocess.shards.prepare import prepare
from preprocess.synth.default import DEFAULT, default_folder, make_default
from preprocess.synth.trees import render
from results.scores.metrics import confusion, decide, uf1

RUNS = "MERBENCH_TEST_RUNS"
CHANCE = "majority"
QUICK_TO_TRY = [name for name in DEFAULT_MODELS if name != CHANCE]
PAGE = Path(mer_models.__path__[0], "README.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("## Scores on the rendered default")[2].partition("\n## ")[0]
SCORED = re.findall(r"^\| `(\S+)` \|", TABLE, re.MULTILINE)
OTHERS = [name for name in sorted(SCORED) if name not in DEFAULT_MODELS]
CHEAP = {"flow_uvs_28"}
SECONDS = dict(re.findall(r"^\| `(\S+)` \|(?:[^|]*\|){4} *([\d.]+) \|", TABLE, re.MULTILINE))
QUICK = [name for name in SECONDS if name in OTHERS and CHEAP.issuperset(MODELS.get(name).features)]
QUICK_TO_TRY += [name for name in QUICK if float(SECONDS[name]) < 2.0]
PERMUTATIONS = 2000
SIGNIFICANT = 0.01


def test_the_page_shows_the_scores_of_most_models() -> None:
    assert len(OTHERS) > 20


def chance_of(predicted: np.ndarray, data: StudyData) -> float:
    """Return how likely predictions that know nothing of a face reach the UF1 of these.

    The UF1 of all folds' predictions is compared with those for labels that are permuted among the clips of each
    database, so that it is of no use to know the database and its more frequent classes.
    """
    rng = np.random.default_rng(0)
    databases = [np.flatnonzero(data.datasets == name) for name in np.unique(data.datasets)]

    def score(labels: np.ndarray) -> float:
        return float(uf1(confusion(labels, predicted, len(data.classes))))

    reached = score(data.labels)
    as_good = 0
    for _ in range(PERMUTATIONS):
        labels = data.labels.copy()
        for rows in databases:
            labels[rows] = rng.permutation(labels[rows])
        as_good += score(labels) >= reached
    return (1 + as_good) / (1 + PERMUTATIONS)


def predictions(model: str, data: StudyData) -> np.ndarray:
    """Return the classes (n,) that a model in its quick form gives to each subject after training on all others."""
    predicted = np.full(len(data), -1)

    def keep(job: FoldJob, selection: str, result: FoldResult) -> None:
        predicted[job.fold.test] = decide(result.scores)

    def fail(job: FoldJob, error: BaseException) -> None:
        raise error

    settings = resolve(RunConfig(models=[model], preset="quick"), [MODELS.get(model)])[model]
    jobs = [FoldJob(fold, ("last",)) for fold in make_folds(PROTOCOLS.get("loso"), model, False, 0, data)]
    for _ in train_pack(MODELS.get(model), settings, data, jobs, keep, fail):
        pass
    assert (predicted >= 0).all()
    return predicted


def rendered(root: Path, shards: Path, features: Sequence[str]) -> StudyData:
    """Return the samples of the databases under ``root`` as one study, as the task ``megc3`` labels them."""
    prepared = [prepare(raw, shards, list(features)) for raw in read_source(root)]
    return assemble(prepared, TASKS.get("megc3"), features, action_units=True).read()


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shards")


@pytest.fixture(scope="module")
def one_database(shards: Path) -> StudyData:
    """The first database of the default, which lies in the user's cache once a run or a test has rendered it."""
    root = default_folder() / DEFAULT[0].like
    render(DEFAULT[0], root)
    return rendered(root, shards, ["flow_uvs_28"])


@pytest.fixture(scope="module")
def whole_default() -> StudyData:
    features = sorted({name for model in OTHERS for name in MODELS.get(model).features})
    return rendered(make_default(), Path(os.environ[RUNS]) / "shards", features)


def of(model: str, data: StudyData) -> StudyData:
    """Return a study's samples with what the model takes of them."""
    info = MODELS.get(model)
    features = {name: data.features[name] for name in info.features}
    return dataclasses.replace(
        data, features=features, action_units=data.action_units if info.uses_action_units else None
    )


@pytest.mark.slow
@pytest.mark.parametrize("model", QUICK_TO_TRY)
def test_learns_a_database_of_the_default(model: str, one_database: StudyData) -> None:
    assert chance_of(predictions(model, one_database), one_database) < SIGNIFICANT


@pytest.mark.slow
def test_the_majority_and_the_database_are_chance(one_database: StudyData) -> None:
    assert chance_of(predictions(CHANCE, one_database), one_database) > SIGNIFICANT
    # Two databases of which one shows another class most: who tells them apart has not looked at a face.
    datasets = np.repeat(["one", "two"], len(one_database))
    labels = np.concatenate([one_database.labels, (one_database.labels + 1) % 3])
    both = dataclasses.replace(one_database, datasets=datasets, labels=labels)
    guess = np.where(datasets == "one", np.bincount(one_database.labels).argmax(), 1)
    assert chance_of(guess, both) > SIGNIFICANT


@pytest.mark.skipif(RUNS not in os.environ, reason=f"trains every model for most of an hour; set {RUNS} to try")
@pytest.mark.parametrize("model", OTHERS)
def test_learns_the_default(model: str, whole_default: StudyData) -> None:
    data = of(model, whole_default)
    chance = chance_of(predictions(model, data), data)
    print(f"{model}: as good by chance in {chance:.4f}")
    assert chance < SIGNIFICANT
