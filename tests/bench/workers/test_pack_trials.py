"""The fan-out through a real local Ray: equal results, reused workers, models and workers that fail."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import logging
import os
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from drawn_flow import write_drawn_tree
from rich.console import Console
from small_runs import config, digests, plan_of, run_here, whole_digests

from bench.commands import results as reading
from bench.commands import run as runner
from bench.plan.plan import Plan
from bench.workers import ray_session
from bench.workers.capacity import Demand, demand
from bench.workers.ray_session import Cluster
from bench.workers.settling import Settling
from mer_models.registry import MODELS
from preprocess.base.plugins import load_plugins
from preprocess.shards.prepared import PreparedDataset
from results.store.outcome_store import OutcomeStore

pytestmark = [pytest.mark.ray, pytest.mark.slow]

ASKED: dict[str, Any] = {
    "models": ["flow_svm", "ststnet", "notes_its_process"],
    "protocols": ["loso", "cde"],
    "selection": ["last", "oracle"],
}
PLUG_IN = Path(__file__).parents[1] / "misbehaving_plug_in.py"


@pytest.fixture(scope="module")
def plug_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install the misbehaving models as a package that registers through an entry point, until the module ends."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(PLUG_IN, folder)
    card = folder / "misbehaving_plug_in-0.1.dist-info"
    card.mkdir()
    (card / "METADATA").write_text("Metadata-Version: 2.1\nName: misbehaving-plug-in\nVersion: 0.1\n")
    (card / "entry_points.txt").write_text("[merbench.models]\nmisbehaving = misbehaving_plug_in\n")
    # Loaded first, so that it is put back as it is: its modules register once a process.
    assert "majority" in MODELS.names()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder))
        patch.delitem(sys.modules, "misbehaving_plug_in", raising=False)
        for name, value in (("_entries", dict(MODELS._entries)), ("_origins", dict(MODELS._origins))):
            patch.setattr(MODELS, name, value)
        patch.setattr(MODELS, "_loaded", False)
        assert "notes_its_process" in MODELS.names()
        yield


@pytest.fixture(scope="module")
def notes_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notes")


@pytest.fixture(scope="module")
def local_ray(plug_in: None, notes_folder: Path) -> Iterator[Cluster]:
    """Start one local Ray with two cores for all tests of this module; its workers know the plug-in."""
    # A short path, since the sockets in it may have names of 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="mb", dir="/tmp") as folder, pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("MERBENCH_TEST_NOTES", str(notes_folder))
        patch.setenv("RAY_TMPDIR", folder)
        with ray_session.ray_session(None, 2, print) as cluster:
            yield cluster


@pytest.fixture
def cluster(local_ray: Cluster, notes_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Return the local Ray, for `bench.commands.run` too, with no notes left from other tests."""
    for path in notes_folder.iterdir():
        path.unlink()
    monkeypatch.setattr(ray_session, "ray_session", lambda address, cpus, say: contextlib.nullcontext(local_ray))
    return local_ray


def needs(plan: Plan, cluster: Cluster) -> Demand:
    return demand([planned.info for planned in plan.trainings], "cpu", cluster.capacity)


def notes(folder: Path, kind: str) -> list[str]:
    return [path.read_text() for path in folder.glob(f"{kind}-*")]


def run(root: Path, models: Sequence[str], **changes: Any) -> tuple[int, str]:
    """Carry out a run on drawn flow of ten people as the command line does; return status and output."""
    data = root.parent / "drawn"
    if not data.exists():
        write_drawn_tree(data)
    printed = io.StringIO()
    console = Console(file=printed, width=160)
    settings: dict[str, Any] = {"models": list(models), "results": str(root), **changes}
    settings |= {"data": [str(data)], "datasets": ["casme2"]}
    return runner.run(config(**settings), console), printed.getvalue()


def rows(root: Path) -> dict[str, dict[str, Any]]:
    """Return the leaderboard's rows by model, as `merbench leaderboard --format json` prints them."""
    return {row["model"]: row for row in json.loads(reading.leaderboard(str(root), "json", False, None))["rows"]}


@dataclass
class Seen:
    """What the fan-out told: (done, failed) counts, and the trainings that are over."""

    counts: list[tuple[int, int]] = field(default_factory=list)
    over: list[int] = field(default_factory=list)

    def tally(self, done: int, failed: int, training: int) -> None:
        self.counts.append((done, failed))


@pytest.fixture(scope="module")
def run_in_this_process(
    plug_in: None, synthetic: list[PreparedDataset], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Return fold key -> digest of its result, of the folds of ``plan_of(synthetic, **ASKED)`` without Ray."""
    store = OutcomeStore(tmp_path_factory.mktemp("here"), create=True)
    plan = plan_of(synthetic, store, **ASKED)
    with tempfile.TemporaryDirectory() as notes, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERBENCH_TEST_NOTES", notes)
        assert run_here(plan, store, slots=3) == (60, 0)
    return digests(store, plan.cards)


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_warm_workers_gives_the_results_of_this_process_to_the_bit(
    run_in_this_process: dict[str, str],
    cluster: Cluster,
    notes_folder: Path,
    synthetic: list[PreparedDataset],
    tmp_path: Path,
    workers: int,
) -> None:
    from bench.workers.pack_trials import fan_out

    store = OutcomeStore(tmp_path / "runs", create=True)
    plan = plan_of(synthetic, store, **ASKED)
    for card in plan.cards:
        store.write_card(card)
    seen = Seen()
    said: list[str] = []
    memory = None if workers == 1 else 0

    report = fan_out(
        plan, store, cluster, needs(plan, cluster), workers, seen.tally, seen.over.append, said.append, memory
    )

    assert (report.deaths, report.error) == (0, None)
    streamed = [text for text in said if "batches are read from disk as they are needed" in text]
    assert len(streamed) == (3 if memory == 0 else 0), "synth_a, synth_b and both, each told once"
    assert "TUNE_MAX_PENDING_TRIALS_PG" not in os.environ, "what Tune is told holds for this run"
    assert logging.getLogger("ray.tune.tune").level < logging.CRITICAL
    assert seen.counts[-1] == (60, 0)
    assert sorted(seen.over) == list(range(len(plan.trainings)))
    assert len(run_in_this_process) == 120, "every fold is scored by two selections"
    assert digests(store, plan.cards) == run_in_this_process
    trained_by: dict[int, list[int]] = defaultdict(list)
    for process, fold_of_process in (map(int, text.split()) for text in notes(notes_folder, "process")):
        trained_by[process].append(fold_of_process)
    assert len(trained_by) <= workers, "a worker process takes one pack after the other"
    assert sum(map(len, trained_by.values())) == 20
    assert all(sorted(folds) == list(range(1, len(folds) + 1)) for folds in trained_by.values())


def test_a_second_worker_comes_although_packs_are_shorter_than_its_start(
    cluster: Cluster, notes_folder: Path, synthetic: list[PreparedDataset], tmp_path: Path
) -> None:
    from ray.tune.experiment import Trial

    from bench.workers.pack_trials import fan_out

    (notes_folder / "slow-start").touch()
    store = OutcomeStore(tmp_path / "runs", create=True)
    plan = plan_of(synthetic, store, models=["waits_for_company"], protocols=["loso", "cde"], seeds=list(range(10)))
    for card in plan.cards:
        store.write_card(card)
    seen = Seen()
    packs: list[Trial] = []

    def over(training: int) -> None:
        seen.over.append(training)
        if len(seen.over) == len(plan.trainings):
            packs.extend(one for one in gc.get_objects() if type(one) is Trial)

    fan_out(plan, store, cluster, needs(plan, cluster), 2, seen.tally, over, print)

    assert seen.counts[-1] == (200, 0)
    assert len(set(notes(notes_folder, "process"))) == 2
    assert len(plan.trainings) == 30
    assert len(packs) <= 5, "the driver keeps what trains, and what it has just heard of"


def test_a_worker_that_still_starts_when_all_is_done_is_not_waited_for(
    cluster: Cluster, notes_folder: Path, synthetic: list[PreparedDataset], tmp_path: Path
) -> None:
    from bench.workers.pack_trials import fan_out

    (notes_folder / "slow-start").touch()
    store = OutcomeStore(tmp_path / "runs", create=True)
    plan = plan_of(synthetic[:1], store, models=["notes_its_process"])
    for card in plan.cards:
        store.write_card(card)
    seen = Seen()

    fan_out(plan, store, cluster, needs(plan, cluster), 2, seen.tally, seen.over.append, print)

    assert seen.counts[-1] == (5, 0)
    assert len(notes(notes_folder, "started")) == 1


def test_two_workers_choose_and_score_the_same_as_one_process(
    cluster: Cluster, synthetic: list[PreparedDataset], tmp_path: Path
) -> None:
    from bench.workers.pack_trials import fan_out

    asked: dict[str, Any] = {"models": ["flow_svm", "ststnet"], "selection": ["tuned"], "configs": 3, "inner": 2}
    here = OutcomeStore(tmp_path / "here", create=True)
    run_here(plan_of(synthetic[:1], here, **asked), here)
    store = OutcomeStore(tmp_path / "runs", create=True)
    plan = plan_of(synthetic[:1], store, **asked)
    settling = Settling(plan, store, print)
    for place, wave in enumerate(plan.waves()):
        settling.settle(place)
        for planned in wave.trainings:
            store.write_card(planned.training.cards[0])
        seen = Seen()
        fan_out(wave, store, cluster, needs(wave, cluster), 2, seen.tally, seen.over.append, print)
    assert digests(store, plan.cards) == digests(here, here.cards())
    assert digests(store, store.cards(inner=True)) == digests(here, here.cards(inner=True))
    assert [one.provenance["tuned"] for card in plan.cards for one in store.read_outcomes(card)[0]] == [
        one.provenance["tuned"] for card in plan.cards for one in here.read_outcomes(card)[0]
    ]


MODEL_OF_A_FILE = """
from pathlib import Path
from mer_models.contracts import Resources
from mer_models.registry import register_model
from model_beside_it import Other

if not Path({mark!r}).exists():
    raise RuntimeError("not here")

@register_model("of_a_file", features=("flow_uvs_28",), paper="None.", resources=Resources(gpu=0.0, pack=2))
class OfAFile(Other):
    pass
"""


def test_workers_get_a_plug_in_that_they_do_not_see(
    cluster: Cluster, synthetic: list[PreparedDataset], tmp_path: Path
) -> None:
    from bench.workers.pack_trials import fan_out

    own, mark = tmp_path / "own", tmp_path / "mark"
    own.mkdir()
    mark.touch()
    (own / "model_beside_it.py").write_text("from mer_models.majority import Majority as Other\n")
    (own / "model_of_a_file.py").write_text(MODEL_OF_A_FILE.format(mark=str(mark)))
    load_plugins([str(own / "model_of_a_file.py")])
    here, store = (OutcomeStore(tmp_path / name, create=True) for name in ("here", "there"))
    plan = plan_of(synthetic[:1], here, models=["of_a_file"])
    assert run_here(plan, here) == (5, 0)
    for card in plan.cards:
        store.write_card(card)
    own.rename(tmp_path / "moved")
    seen = Seen()

    report = fan_out(plan, store, cluster, needs(plan, cluster), 1, seen.tally, seen.over.append, print)

    assert (report.deaths, report.error) == (0, None)
    assert digests(store, plan.cards) == digests(here, plan.cards) != {}

    (tmp_path / "moved" / "model_beside_it.py").write_text(
        "# New.\nfrom mer_models.majority import Majority as Other\n"
    )
    load_plugins([str(tmp_path / "moved" / "model_of_a_file.py")])
    mark.unlink()
    report = fan_out(plan, store, cluster, needs(plan, cluster), 1, seen.tally, seen.over.append, print)

    assert report.error is not None
    assert "model_of_a_file.py, line 8 on node " in report.error
    assert "RuntimeError: not here" in report.error


def test_a_model_that_raises_fails_its_folds_only_and_can_be_tried_again(
    cluster: Cluster, notes_folder: Path, tmp_path: Path
) -> None:
    root = tmp_path / "runs"

    status, printed = run(root, ["raises_on_even", "majority"], workers=1)

    assert status == 1
    store = OutcomeStore(root)
    (card,) = [card for card in store.cards() if card.model == "raises_on_even"]
    samples = card.n_samples["full"]
    even = [fold for fold in card.folds if (samples - fold.n_test) % 2 == 0]
    assert 0 < len(even) < len(card.folds)
    failures = store.failures(card)
    assert [failure.fold for failure in failures] == [fold.name for fold in even]
    assert failures[0].error == f"ArithmeticError: {samples - even[0].n_test} training samples are an even number"
    assert "misbehaving_plug_in.py" in failures[0].traceback
    assert "Traceback (most recent call last)" in failures[0].traceback
    assert f"FAILED {card.title}: ArithmeticError" in printed
    assert f"{len(even)} folds FAILED" in printed
    row = rows(root)["raises_on_even"]
    assert (row["folds_done"], row["folds_total"], row["uf1"]) == (10 - len(even), 10, None)
    assert f"{10 - len(even)}/10" in printed
    assert rows(root)["majority"]["uf1"] is not None

    (notes_folder / "repaired-by-the-test").write_text("")
    assert run(root, ["raises_on_even", "majority"], workers=1)[0] == 1, "failed folds are not tried again unasked"
    kept = whole_digests(root)
    status, printed = run(root, ["raises_on_even", "majority"], workers=1, overwrite="failed")

    assert status == 0, printed
    assert store.failures(card) == []
    assert rows(root)["raises_on_even"]["uf1"] == rows(root)["majority"]["uf1"]
    assert kept.items() <= whole_digests(root).items()


def test_a_killed_worker_costs_nothing_and_a_fold_that_kills_three_fails_alone(
    cluster: Cluster,
    notes_folder: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    root = tmp_path / "runs"

    status, printed = run(root, ["kills_its_worker_once", "kills_its_worker_in_a_fold", "majority"], workers=1)

    assert status == 1
    assert len(notes(notes_folder, "begun")) == 11, "two folds before the kill, the killed one, and eight after it"
    assert len(notes(notes_folder, "killed")) == 3
    assert "folds 29/30 done · 0 running · 1 failed" in printed
    assert "4 workers died, or were lost with their node; their folds were given out again." in printed
    store = OutcomeStore(root)
    (card,) = [card for card in store.cards() if card.model == "kills_its_worker_in_a_fold"]
    (failure,) = store.failures(card)
    assert failure.fold == card.folds[3].name
    assert failure.error.startswith("3 workers died while they trained this fold: its process was killed")
    assert not caplog.records, "the log is not filled with what the failures tell"
    assert capfd.readouterr() == ("", ""), "nor the terminal with what Ray says of it"
    assert f"FAILED {card.title}: 3 workers died while they trained this fold" in printed
    board = rows(root)
    killed, once, other = (board[name] for name in ("kills_its_worker_in_a_fold", "kills_its_worker_once", "majority"))
    assert (killed["folds_done"], killed["folds_total"], killed["uf1"]) == (9, 10, None)
    assert (once["folds_done"], once["folds_total"]) == (10, 10)
    assert once["uf1"] == other["uf1"] is not None


def test_a_worker_that_cannot_begin_stops_the_run_with_its_reason(
    cluster: Cluster, synthetic: list[PreparedDataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.workers import pack_trials

    store = OutcomeStore(tmp_path / "runs", create=True)
    plan = plan_of(synthetic[:1], store, models=["majority"])
    monkeypatch.setattr(pack_trials.pickle, "dumps", lambda trainings: b"of another version")
    seen = Seen()

    report = pack_trials.fan_out(plan, store, cluster, needs(plan, cluster), 1, seen.tally, seen.over.append, print)

    assert report.error is not None
    assert report.error.startswith("No worker can begin: ")
    assert "pickle" in report.error
    assert seen.over == []
