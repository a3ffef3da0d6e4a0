"""A run from the command line to the leaderboard, with a plain loop in Ray's place."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from local_runs import LocalRuns
from throwaway_models import register_network, register_scripted

from bench.config import RunConfig
from bench.console.progress import RunProgress
from bench.study.sources import read_datasets
from bench.workers.ray_session import RaySession
from preprocess.base.storage import LocalStorage
from preprocess.synth import default
from preprocess.synth.databases import Options
from results.scores.leaderboard import build_leaderboard
from results.store.outcome import Outcome
from results.store.outcome_store import OutcomeStore, fold_file
from results.store.study_card import StudyCard

QUICK = ["--tracking-uri", "off", "--epochs", "2"]
TWO = ["--models", "majority,flow_svm"]


@pytest.fixture
def results(tmp_path: Path) -> str:
    return str(tmp_path / "runs")


@pytest.fixture
def options(tree: Path, results: str) -> list[str]:
    """Return the command line of a quick run over a small tree of both databases."""
    return ["--data", str(tree), "--results", results, *QUICK]


def board(merbench: LocalRuns, results: str) -> str:
    return merbench("leaderboard", "--results", results, "--format", "json").out


def outcome_files(results: str) -> dict[Path, bytes]:
    files = {path: path.read_bytes() for path in sorted(Path(results, "outcomes").rglob("*.parquet"))}
    assert files
    return files


def test_a_password_in_the_results_address_stays_there(
    merbench: LocalRuns, tree: Path, tmp_path: Path, endpoint: str
) -> None:
    results, database = f"s3://me:topsecret@lab/secret?{endpoint}", f"sqlite:///{tmp_path}/mlflow.db"
    options = ["--data", str(tree), "--results", results, "--tracking-uri", database]
    out, model = tmp_path / "board.html", tmp_path / "model"
    said = [
        merbench("run", *options, "--models", "majority", "--protocols", "loso"),
        merbench("fit", "majority", *options, "--datasets", "casme2", "--out", str(model)),
        merbench("board", "--results", results, "--out", str(out)),
    ]
    assert [one.status for one in said] == [0, 0, 0]
    assert "Results: s3://***@lab/secret?" in said[0].out
    assert not [one for one in said if "topsecret" in one.out + one.err]
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"board.html", "mlflow.db", "leaderboard.md", "MODEL_CARD.md"} <= {path.name for path in written}
    assert not [path for path in written if b"topsecret" in path.read_bytes()]


@pytest.mark.slow
def test_a_run_ends_with_a_leaderboard_and_where_to_look_next(
    merbench: LocalRuns, options: list[str], results: str
) -> None:
    said = merbench("run", *options, *TWO)
    assert said.status == 0, said.err
    assert "casme2: 18 samples, 3 subjects (3 shards made, 0 kept, 0 repaired)" in said.out
    assert "6 studies of 20 folds (preset full): 0 done, 0 failed before, 20 trainings to do" in said.out
    assert "casme2+samm · task megc3 · protocol cde" in said.out
    assert f"merbench leaderboard --results {results}" in said.out
    (report,) = (line for line in said.out.splitlines() if line.startswith("  merbench report "))
    shown = merbench(*shlex.split(report.strip().split("    ")[0])[1:])
    assert shown.status == 0, shown.err
    assert "per subject" in shown.out
    page = Path(results, "board.html")
    assert str(page) in said.out
    assert '"label":"flow_svm"' in page.read_text()
    assert "SYNTHETIC" not in said.out
    rows = json.loads(board(merbench, results))["rows"]
    assert {(row["model"], row["dataset"], row["part"]) for row in rows} == {
        (model, dataset, part)
        for model in ("majority", "flow_svm")
        for dataset, parts in {
            "casme2": ["full"],
            "samm": ["full"],
            "casme2+samm": ["full", "casme2", "samm"],
        }.items()
        for part in parts
    }
    for row in rows:
        assert row["folds_done"] == row["folds_total"]
        assert 0 <= row["uf1"] <= 1


@pytest.mark.slow
def test_the_same_command_again_trains_nothing(merbench: LocalRuns, options: list[str], results: str) -> None:
    first = merbench("run", *options, *TWO)
    before, table = outcome_files(results), board(merbench, results)
    again = merbench("run", *options, *TWO)
    assert (first.status, again.status) == (0, 0)
    assert "20 done, 0 failed before, 0 trainings to do" in again.out
    assert "Nothing to train" in again.out
    assert "3 shards made" not in again.out
    assert outcome_files(results) == before
    assert board(merbench, results) == table


@pytest.mark.slow
def test_a_rerun_reads_each_study_once(
    merbench: LocalRuns, options: list[str], results: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    merbench("run", *options, *TWO)
    read: Counter[str] = Counter()
    reading = LocalStorage.read

    def counted(self: LocalStorage, name: str) -> bytes:
        if name.startswith("outcomes/"):
            read[name] += 1
        return reading(self, name)

    monkeypatch.setattr(LocalStorage, "read", counted)
    assert merbench("run", *options, *TWO).status == 0
    cards = [number for name, number in read.items() if name.endswith("study.json")]
    assert cards == [2] * 6, "before the plan, and at the end, when others may have added to them"
    assert [number for name, number in read.items() if not name.endswith("study.json")] == [1] * 12


@pytest.mark.slow
def test_an_interrupted_run_says_what_is_kept_and_goes_on(
    merbench: LocalRuns, options: list[str], results: str, tmp_path: Path
) -> None:
    whole = str(tmp_path / "whole")
    merbench("run", *options, *TWO, "--results", whole)
    merbench.packs = 0

    def interrupt(packs: int) -> None:
        if packs == 2:
            raise KeyboardInterrupt

    merbench.before_pack = interrupt
    said = merbench("run", *options, *TWO)
    assert said.status == 130
    assert "Interrupted. 6 of 20 folds are kept; the same command goes on from there." in said.out
    assert len(list(Path(results).rglob("*.study.parquet"))) == 2, "what is complete lies in one file at once"
    merbench.before_pack = lambda packs: None
    again = merbench("run", *options, *TWO)
    assert again.status == 0
    assert "6 done, 0 failed before, 14 trainings to do" in again.out
    assert board(merbench, results) == board(merbench, whole)


def test_sigterm_ends_a_run_as_ctrl_c_does(
    merbench: LocalRuns, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminate(packs: int) -> None:
        if packs == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    def reading(*arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def starting(*arguments: object) -> None:
        # Ray's own handler of the signal while it starts.
        sys.exit(signal.SIGTERM)

    # Where a run takes no notice of it, the test must go on to say so.
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        merbench.before_pack = terminate
        said = merbench("run", *options, *TWO)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN, "as it was"
        monkeypatch.setattr("bench.commands.gathering.read_datasets", reading)
        early = merbench("run", *options, *TWO)
        monkeypatch.setattr("bench.commands.gathering.read_datasets", read_datasets)
        monkeypatch.setattr("bench.workers.ray_session.ray_session", starting)
        starting_ray = merbench("run", *options, *TWO)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (said.status, early.status, starting_ray.status) == (143, 143, 143)
    assert "Interrupted. 6 of 20 folds are kept; the same command goes on from there." in said.out
    assert "Interrupted. The shards made so far are kept; the same command goes on from there." in early.out
    assert "Interrupted. 6 of 20 folds are kept; the same command goes on from there." in starting_ray.out


def noting(notes: list[str], word: str, called: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that notes a word each time it is called, and does what another does."""

    def noted(*given: Any, **named: Any) -> Any:
        notes.append(word)
        return called(*given, **named)

    return noted


@pytest.mark.slow
def test_ray_is_started_ahead_only_where_something_will_be_trained(
    merbench: LocalRuns, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    starts: list[str] = []
    monkeypatch.setattr(RaySession, "start_ahead", noting(starts, "start", RaySession.start_ahead))

    assert merbench("run", *options, *TWO).status == 0
    assert len(starts) == 1
    assert merbench("run", *options, *TWO).status == 0
    assert len(starts) == 1, "a run that finds all of it done needs no Ray"
    assert merbench("run", *options, *TWO, "--overwrite", "all").status == 0
    assert len(starts) == 2


@pytest.mark.slow
def test_ray_ends_while_the_scores_are_worked_out(
    merbench: LocalRuns, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    order: list[str] = []
    monkeypatch.setattr(RaySession, "leave", noting(order, "leave", RaySession.leave))
    monkeypatch.setattr(RaySession, "__exit__", noting(order, "exit", RaySession.__exit__))
    monkeypatch.setattr("bench.commands.run.build_leaderboard", noting(order, "leaderboard", build_leaderboard))
    assert merbench("run", *options, *TWO).status == 0
    assert order == ["leave", "leaderboard", "exit"]


@pytest.mark.slow
def test_a_model_that_fails_is_named_and_the_exit_status_says_so(
    merbench: LocalRuns, options: list[str], results: str, registries: None
) -> None:
    def on_fit(x: np.ndarray, y: np.ndarray) -> None:
        if len(y) == 12:  # the folds of CASME II alone
            raise ValueError("too few clips")

    register_scripted(on_fit)
    said = merbench("run", *options, "--models", "scripted,majority", "--protocols", "loso")
    assert said.status == 1
    assert "FAILED scripted · casme2 · megc3 · loso · last · seed 0: ValueError: too few clips" in said.out
    assert "3 folds FAILED" in said.out
    assert "Traceback" not in said.out + said.err
    again = merbench("run", *options, "--models", "scripted,majority", "--protocols", "loso")
    assert again.status == 1, "a failed fold is left alone, and told again"
    assert "3 failed before, 0 trainings to do" in again.out
    register_scripted(lambda x, y: None)
    mended = merbench("run", *options, "--models", "scripted,majority", "--protocols", "loso", "--overwrite", "failed")
    assert mended.status == 0
    assert "3 trainings to do" in mended.out


@pytest.mark.slow
def test_damaged_files_are_named_and_made_anew(merbench: LocalRuns, options: list[str], results: str) -> None:
    merbench("run", *options, *TWO)
    table, before = board(merbench, results), outcome_files(results)
    store = OutcomeStore(results)
    card = store.cards()[3]
    store.write_outcome(card, store.read_outcome(card, card.folds[1].key))
    outcome = Path(results, fold_file(card, card.folds[1].key, "outcome"))
    outcome.write_bytes(b"PAR1 and then nothing")
    # One byte of another study's file, where nothing but a fold's name stands.
    sealed = next(path for path in sorted(before) if path.parent != outcome.parent)
    name = next(one for one in store.cards() if sealed.parent.name == one.key[:16]).folds[0].key.encode()
    sealed.write_bytes(sealed.read_bytes().replace(name, bytes([name[0] ^ 1]) + name[1:]))
    shard = next(Path(results, "shards").rglob("*.parquet"))
    shard = next(path for path in Path(results, "shards").rglob("part.parquet"))
    shard.write_bytes(shard.read_bytes()[:-7])
    said = merbench("run", *options, *TWO)
    assert said.status == 0
    assert f"warning: {outcome}" in said.out
    assert f"warning: {sealed}" in said.out
    assert said.out.count("computed, because it was asked for or needed: 1 outcome files are damaged") == 2
    assert str(shard) in said.out
    assert "1 repaired" in said.out
    assert "18 done, 0 failed before, 2 trainings to do" in said.out
    assert board(merbench, results) == table
    assert {path.parent for path in outcome_files(results)} == {path.parent for path in before}
    assert len(outcome_files(results)) == len(before)


@pytest.mark.slow
def test_why_studies_are_computed_anew_is_said(merbench: LocalRuns, options: list[str], registries: None) -> None:
    register_network()
    tiny = [*options, "--models", "tiny", "--protocols", "cde"]
    merbench("run", *tiny)
    said = merbench("run", *tiny, "--set", "tiny.lr=0.5")
    assert "computed, because it differs from the stored one in lr (0.01 -> 0.5)" in said.out


def no_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything fail that makes a shard."""

    def refuse(*arguments: object) -> None:
        raise AssertionError("a feature was made")

    monkeypatch.setattr("preprocess.shards.making.make", refuse)
    monkeypatch.setattr("preprocess.shards.prepare.prepare_all", refuse)


def planned(out: str) -> dict[tuple[str, str], list[str]]:
    """Return (model, dataset) -> folds, done, failed, to train, of the plan's lines."""
    lines = [line.split() for line in out.splitlines() if " loso " in line]
    return {(line[0], line[1]): line[6:10] for line in lines}


def test_a_dry_run_makes_nothing_writes_nothing_and_tells_what_would_be_made(
    merbench: LocalRuns, options: list[str], results: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_features(monkeypatch)
    for verb in (["run", "--dry-run"], ["plan"]):
        said = merbench(*verb, *options, *TWO)
        assert said.status == 0, said.err
        assert "6 studies, 20 folds to train" in said.out
        assert "casme2: 18 samples, 3 subjects\n" in said.out
        assert "  flow_uvs_28: to be made of 18 of 18 clips (not made yet); how long is not known: " in said.out
        assert "Nothing was made. Which clips cannot be used shows when features are made" in said.out
        assert not Path(results).exists()
    assert merbench.packs == 0


def test_where_all_features_are_there_the_plan_says_so(
    merbench: LocalRuns, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    merbench("prepare", *options[:4])
    no_features(monkeypatch)
    said = merbench("plan", *options, "--models", "flow_svm")
    assert said.out.count("  flow_uvs_28: all there\n") == 2
    assert "Nothing was made" not in said.out


@pytest.mark.slow
def test_what_is_done_of_a_study_whose_features_changed_is_not_known_and_the_plan_says_so(
    merbench: LocalRuns, options: list[str], results: str
) -> None:
    command = [*options, "--models", "flow_svm", "--protocols", "loso"]
    merbench("run", *command)
    shard = next(Path(results, "shards", "casme2").rglob("part.parquet"))
    shard.unlink()
    said = merbench("plan", *command)
    assert "  flow_uvs_28: to be made of 6 of 18 clips (is gone); about 0 s of one process (" in said.out
    assert "s a clip, measured when 18 clips of casme2 were made)" in said.out
    assert planned(said.out) == {
        ("flow_svm", "casme2"): ["3", "?", "?", "0-3"],
        ("flow_svm", "samm"): ["2", "2", "0", "0"],
    }
    assert "flow_uvs_28 not made yet" in said.out
    assert "2 studies, at most 3 folds to train: what is done of 1 is not known yet" in said.out
    assert not shard.exists()
    again = merbench("run", *command)
    assert "Nothing to train" in again.out


@pytest.mark.slow
def test_a_study_that_cannot_be_in_the_store_is_planned_in_full_without_its_features(
    merbench: LocalRuns, options: list[str], results: str
) -> None:
    command = [*options, "--models", "flow_svm", "--protocols", "loso"]
    merbench("run", *command)
    for shard in Path(results, "shards").rglob("part.parquet"):
        shard.unlink()
    for other in (["--set", "flow_svm.C=3"], ["--overwrite", "all"], ["--seeds", "5"]):
        said = merbench("plan", *command, *other)
        assert list(planned(said.out).values()) == [["3", "0", "0", "3"], ["2", "0", "0", "2"]], other
        assert "2 studies, 5 folds to train" in said.out


def test_a_plan_that_is_stopped_is_no_traceback(
    merbench: LocalRuns, options: list[str], results: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminate(*arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("bench.commands.run.survey_datasets", terminate)
    said = merbench("plan", *options, *TWO)
    assert said.status == 143
    assert said.out.endswith("Interrupted. Nothing was written.\n")


@pytest.mark.slow
def test_a_plan_tells_what_is_done_and_what_would_run(merbench: LocalRuns, options: list[str]) -> None:
    merbench("run", *options, "--models", "majority", "--protocols", "loso")
    said = merbench("plan", *options, "--models", "majority,flow_svm", "--protocols", "loso")
    lines = [line.split() for line in said.out.splitlines() if " loso " in line]
    assert sorted((line[0], line[1], line[6:10]) for line in lines) == [
        ("flow_svm", "casme2", ["3", "0", "0", "3"]),
        ("flow_svm", "samm", ["2", "0", "0", "2"]),
        ("majority", "casme2", ["3", "3", "0", "0"]),
        ("majority", "samm", ["2", "2", "0", "0"]),
    ]


@pytest.mark.slow
def test_a_run_without_data_renders_faces_and_calls_them_synthetic(
    merbench: LocalRuns, results: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    few = (Options("samm", subjects=2, clips=3.0), Options("smic", subjects=2, clips=3.0))
    monkeypatch.setattr(default, "DEFAULT", few)
    command = ["run", "--results", results, *QUICK, "--models", "majority", "--protocols", "cde"]
    said = merbench(*command)
    assert said.status == 0, said.err
    assert "No --data given: running on a small SYNTHETIC set" in said.out
    assert "nothing about real faces" in said.out
    assert "synth_samm+synth_smic · task megc3 · protocol cde · SYNTHETIC DATA" in said.out
    assert len(list((tmp_path / "cache" / "merbench").glob("synthetic-*/*/synthetic.json"))) == 2
    rows = json.loads(board(merbench, results))["rows"]
    assert all(row["folds_done"] == row["folds_total"] == 4 for row in rows)
    again = merbench(*command)
    assert "4 done, 0 failed before, 0 trainings to do" in again.out
    assert "2 shards made" not in again.out


def test_on_a_cluster_the_default_lies_beside_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its nodes share the results folder, and not the driver's cache."""
    monkeypatch.setattr(default, "DEFAULT", (Options("smic", subjects=1, clips=2.0),))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    (raw,) = read_datasets(RunConfig(results=str(tmp_path / "runs")))
    assert raw.name == "synth_smic"
    assert len(list((tmp_path / "runs").glob("synthetic-*/smic/synthetic.json"))) == 1
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_oracle_is_never_the_current_best(
    merbench: LocalRuns, options: list[str], registries: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_network()
    told: list[str] = []
    monkeypatch.setattr(RunProgress, "best", lambda self, text: told.append(text))
    tiny = [*options, "--models", "tiny", "--protocols", "cde"]
    assert merbench("run", *tiny, "--selection", "oracle").status == 0
    assert told == []
    assert merbench("run", *tiny, "--selection", "oracle,last,validation").status == 0
    assert told
    assert all(text.startswith("tiny") for text in told)


def test_outcomes_that_did_not_arrive_are_no_success(
    merbench: LocalRuns, options: list[str], results: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers of another node, whose disk is not this one's, report folds done that nobody here can read."""
    write = OutcomeStore.write_outcome

    def elsewhere(self: OutcomeStore, card: StudyCard, outcome: Outcome) -> None:
        if outcome.fold != "casme2/sub02":
            write(self, card, outcome)

    monkeypatch.setattr(OutcomeStore, "write_outcome", elsewhere)
    said = merbench("run", *options, "--models", "majority", "--protocols", "loso")
    assert said.status == 2
    assert f"error: 1 folds were reported done, but their outcomes are not at {results}" in said.err
    assert "2/3" in said.out, "an incomplete study is shown as such"


@pytest.mark.slow
def test_a_run_that_had_to_stop_says_why_after_the_leaderboard(merbench: LocalRuns, options: list[str]) -> None:
    merbench.report.error = "Cannot write there: no space left on device."
    said = merbench("run", *options, *TWO)
    assert said.status == 2
    assert said.err == "error: Cannot write there: no space left on device.\n"
    assert "protocol cde" in said.out


def test_dead_workers_are_told_once(merbench: LocalRuns, options: list[str]) -> None:
    merbench.report.deaths = 3
    said = merbench("run", *options, *TWO)
    assert said.out.count("3 workers died, or were lost with their node; their folds were given out again.") == 1


def test_the_configuration_may_come_from_a_file(merbench: LocalRuns, tree: Path, results: str, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(
        f"data: [{tree}]\nresults: {results}\nmodels: [majority]\nprotocols: [loso]\ndatasets: [samm]\n"
        "tracking-uri: 'off'\nseeds: [0, 1]\n"
    )
    said = merbench("run", "--config", str(file), "--seeds", "3")
    assert said.status == 0
    store = OutcomeStore(results)
    (card,) = store.cards()
    assert (card.dataset, card.seed) == ("samm", 3)
    assert len(store.state(card).done) == len(card.folds)


def test_a_model_whose_feature_the_data_lacks_is_left_out_and_the_others_go_on(
    merbench: LocalRuns, options: list[str], results: str
) -> None:
    said = merbench("run", *options, "--models", "cnn3d,majority", "--protocols", "loso")
    assert said.status == 0, said.err
    (note,) = (line for line in said.out.splitlines() if line.startswith("Model cnn3d left out for casme2: "))
    assert "has no feature 'frames_9_128'; it has: flow_uvs_28" in note
    assert "`merbench prepare --data PATH --features frames_9_128` makes it" in note
    assert {row["model"] for row in json.loads(board(merbench, results))["rows"]} == {"majority"}
    alone = merbench("run", *options, "--models", "cnn3d", "--protocols", "loso")
    assert alone.status == 2
    assert alone.err.startswith("error: Model cnn3d left out for casme2: ")
    assert "--features frames_9_128` makes it" in alone.err


def test_a_loss_that_is_no_number_fails_its_folds_alone_with_epoch_and_batch(
    merbench: LocalRuns, options: list[str], results: str
) -> None:
    wild = ["--models", "ststnet,majority", "--protocols", "loso", "--set", "ststnet.lr=1e30"]
    said = merbench("run", *options, *wild)
    assert said.status == 1
    told = [line for line in said.out.splitlines() if line.startswith("FAILED ststnet[")]
    assert {line.split(" · ")[1] for line in told} == {"casme2", "samm"}
    assert all(
        re.search(r"TrainingError: The loss of epoch \d+, batch \d+ of \d+, is (nan|inf)\. Lower", line)
        for line in told
    )
    assert "5 folds FAILED" in said.out
    assert "Traceback" not in said.out + said.err
    rows = {(row["model"], row["dataset"]): row for row in json.loads(board(merbench, results))["rows"]}
    assert all((row["uf1"] is None) == (model == "ststnet") for (model, _), row in rows.items())
    assert all("failed folds" in row["notes"][0] for (model, _), row in rows.items() if model == "ststnet")
