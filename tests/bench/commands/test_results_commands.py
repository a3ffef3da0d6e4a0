"""The verbs that only read the store: status, leaderboard, compare, report, sync."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from example_studies import example_study
from local_runs import LocalRuns
from throwaway_models import register_scripted

from results.store.outcome_store import OutcomeStore, fold_file, study_folder


@pytest.fixture
def done(merbench: LocalRuns, tree: Path, tmp_path: Path, registries: None) -> OutcomeStore:
    """Return the store of a run of three models over CASME II, one of which failed on one fold."""
    calls: list[int] = []

    def on_fit(x: np.ndarray, y: np.ndarray) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise ValueError("this clip is\nodd")

    register_scripted(on_fit)
    options = ["--data", str(tree), "--results", str(tmp_path / "runs"), "--datasets", "casme2", "--protocols", "loso"]
    said = merbench("run", *options, "--models", "majority,flow_svm,scripted", "--tracking-uri", "off")
    assert said.status == 1
    return OutcomeStore(tmp_path / "runs")


def test_status_counts_the_folds_of_each_study(merbench: LocalRuns, done: OutcomeStore) -> None:
    card = next(card for card in done.cards() if card.model == "majority")
    done.discard(card, card.folds[0].key)
    said = merbench("status", "--results", done.root)
    assert said.status == 0
    rows = [line.split() for line in said.out.splitlines() if " loso " in line]
    assert {(row[1], *map(int, row[-4:])) for row in rows} == {
        ("flow_svm", 3, 3, 0, 0),
        ("majority", 3, 2, 0, 1),
        ("scripted", 3, 2, 1, 0),
    }
    assert {row[0] for row in rows} == {card.key[:12] for card in done.cards()}


def test_the_leaderboard_in_every_format(merbench: LocalRuns, done: OutcomeStore) -> None:
    said = {
        name: merbench("leaderboard", "--results", done.root, "--format", name)
        for name in ("table", "json", "csv", "md", "latex")
    }
    assert {outcome.status for outcome in said.values()} == {0}
    rows = json.loads(said["json"].out)["rows"]
    wanted = {"model", "dataset", "part", "task", "protocol", "selection", "seeds", "n_samples", "n_subjects"}
    wanted |= {"folds_done", "folds_total", "uf1", "uar", "accuracy", "uf1_low", "uf1_high"}
    assert all(wanted <= row.keys() for row in rows)
    assert [row["model"] for row in csv.DictReader(io.StringIO(said["csv"].out))] == [row["model"] for row in rows]
    assert "| " in said["md"].out
    assert "\\begin{tab" in said["latex"].out
    scripted = next(row for row in rows if row["model"] == "scripted")
    assert (scripted["folds_done"], scripted["uf1"]) == (2, None)
    assert "2/3" in said["table"].out


def test_the_same_store_gives_the_same_leaderboard(merbench: LocalRuns, done: OutcomeStore) -> None:
    first, second = (merbench("leaderboard", "--results", done.root, "--format", "json").out for _ in range(2))
    assert first == second


def test_an_unknown_format_names_near_ones(merbench: LocalRuns, done: OutcomeStore) -> None:
    said = merbench("leaderboard", "--results", done.root, "--format", "jsn")
    assert said.status == 2
    assert said.err.startswith("error: Unknown format 'jsn'. Did you mean: json?")


def test_a_comparison_of_all_and_of_named_models(merbench: LocalRuns, done: OutcomeStore) -> None:
    said = merbench("compare", "--results", done.root)
    assert said.status == 0
    assert "protocol loso" in said.out
    assert said.out == merbench("compare", "--part", "", "--results", done.root).out
    assert "Left out of casme2 · megc3 · loso · last: scripted (seed 0): 2/3 folds are done, 1 failed" in said.out
    assert "3 people and 1 pair cannot give a corrected p below 0.25" in " ".join(said.out.split())
    named = merbench(
        "compare", "maj*", "flow_svm", "--benchmark", "casme2 loso", "--results", done.root, "--format", "json"
    )
    (pair,) = json.loads(named.out)["pairs"]
    assert {pair["first"], pair["second"]} == {"majority", "flow_svm"}
    assert json.loads(named.out)["left_out"] == []
    assert named.out == merbench("compare", "majority,flow_svm", "--results", done.root, "--format", "json").out


def test_a_comparison_of_what_is_not_there(merbench: LocalRuns, done: OutcomeStore) -> None:
    for arguments, error in (
        (["majorty"], "No study of a model 'majorty'. Did you mean: majority?"),
        (["--benchmark", "samm"], "No study has all of these words: 'samm'."),
        (["--part", "samm"], "No study has a part 'samm'. There are: full."),
    ):
        said = merbench("compare", *arguments, "--results", done.root)
        assert said.status == 2
        assert said.err.startswith(f"error: {error}")


@pytest.mark.slow
def test_ranks_over_benchmarks_and_their_diagram(merbench: LocalRuns, tmp_path: Path) -> None:
    store = OutcomeStore(tmp_path / "runs", create=True)
    for model, hit_rate in (("a", 0.9), ("b", 0.6), ("c", 0.2)):
        for dataset in ("casme2", "samm"):
            study = example_study(model, {dataset: 4})
            store.write_card(study.card)
            for outcome in study.outcomes(hit_rate):
                store.write_outcome(study.card, outcome)
    arguments = ["--over-benchmarks", "--results", store.root]
    said = merbench("compare", *arguments, "--diagram", str(tmp_path / "ranks.svg"))
    assert said.status == 0
    assert "3 models over 2 benchmarks" in said.out
    assert "Note: 2 benchmarks: of fewer than 5, mean ranks say little" in said.out
    assert "<svg" in (tmp_path / "ranks.svg").read_text(encoding="utf-8")
    one = json.loads(merbench("compare", *arguments, "--benchmark", "samm", "--format", "json").out)
    assert one["benchmarks"] == ["samm · megc3 · loso · last · full"]
    for wrong, error in (
        ([*arguments, "--diagram", "ranks.pdf"], "--diagram ranks.pdf: expected a file that ends in .png or .svg."),
        ([*arguments, "a", "b", "--diagram", "ranks.png"], "There is no diagram to draw: 2 models on 2 benchmarks"),
        (["--results", store.root, "--diagram", "ranks.png"], "--diagram draws ranks over several benchmarks"),
        ([*arguments, "--diagram", str(tmp_path / "ranks.svg" / "ranks.png")], "--diagram "),
    ):
        said = merbench("compare", *wrong)
        assert said.status == 2
        assert said.err.startswith(f"error: {error}")


def test_a_report_by_words_and_by_key(merbench: LocalRuns, done: OutcomeStore) -> None:
    card = next(card for card in done.cards() if card.model == "flow_svm")
    by_words = merbench("report", "--results", done.root, "flow_svm", "casme2")
    by_key = merbench("report", "--results", done.root, card.key[:8])
    assert by_words.status == by_key.status == 0
    assert by_words.out == by_key.out
    assert "per subject" in by_words.out
    assert "casme2/sub02" in by_words.out
    assert "surprise" in by_words.out


def test_a_report_shows_what_failed(merbench: LocalRuns, done: OutcomeStore) -> None:
    said = merbench("report", "--results", done.root, "scripted")
    assert "2/3 folds are done: no score" in said.out
    assert "failed folds: 1" in said.out


@pytest.mark.slow
def test_a_report_names_a_damaged_outcome(merbench: LocalRuns, done: OutcomeStore) -> None:
    card = next(card for card in done.cards() if card.model == "majority")
    (path,) = Path(done.root, study_folder(card)).glob("*.study.parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    said = merbench("report", "--results", done.root, "majority")
    assert said.status == 0
    assert said.out.startswith(f"warning: {path}")
    assert "0/3 folds are done: no score" in said.out
    path.write_bytes(whole)
    # A fold that was trained anew since.
    outcome = done.read_outcome(card, card.folds[0].key)
    done.write_outcome(card, outcome)
    path = Path(done.root, fold_file(card, card.folds[0].key, "outcome"))
    path.write_bytes(path.read_bytes()[:-1])
    said = merbench("report", "--results", done.root, "majority")
    assert said.out.startswith(f"warning: {path}")
    assert "2/3 folds are done: no score" in said.out


def test_sync_puts_the_studies_of_an_older_store_into_one_file_each(merbench: LocalRuns, done: OutcomeStore) -> None:
    card = next(card for card in done.cards() if card.model == "majority")
    # As before there were such files.
    done.discard(card)
    assert len(list(Path(done.root, study_folder(card)).glob("*.outcome.parquet"))) == 3
    before = merbench("leaderboard", "--results", done.root, "--format", "json").out
    said = merbench("sync", "--results", done.root, "--tracking-uri", "off")
    assert said.status == 0
    assert "2 of 3 studies lie in one file each." in said.out
    assert not list(Path(done.root, study_folder(card)).glob("*.outcome.parquet"))
    assert not Path(done.root, "mlflow.db").exists()
    assert merbench("leaderboard", "--results", done.root, "--format", "json").out == before


def test_a_report_of_no_study_or_of_several(merbench: LocalRuns, done: OutcomeStore) -> None:
    none = merbench("report", "--results", done.root, "ststnet")
    several = merbench("report", "--results", done.root, "casme2")
    assert none.status == several.status == 2
    assert "No study matches 'ststnet'" in none.err
    assert "3 studies match 'casme2'" in several.err


def test_sync_without_an_address_for_a_remote_store_or_off(merbench: LocalRuns, done: OutcomeStore) -> None:
    said = merbench("sync", "--results", done.root, "--tracking-uri", "./mlruns")
    assert said.status == 2
    assert said.err.startswith("error: --tracking-uri")


def test_sync_with_a_server_that_is_down_says_so(merbench: LocalRuns, done: OutcomeStore) -> None:
    said = merbench("sync", "--results", done.root, "--tracking-uri", "http://127.0.0.1:9")
    assert said.status == 1
    assert "127.0.0.1:9" in said.out
    assert "Traceback" not in said.out + said.err
