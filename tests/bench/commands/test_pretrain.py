"""``merbench pretrain`` and ``merbench run --pretrain``: from the command line to the leaderboard."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from drawn_flow import drawn_datasets
from local_runs import LocalRuns

from results.store.outcome_store import OutcomeStore
from results.store.pretrained import Pretrained, PretrainedStore


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Return the options of both commands. The data is ``synth_a``, and ``synth_b`` as macro-expressions."""
    few = []
    for one in drawn_datasets():
        kept = one.samples.subject.isin([f"{one.name}/p0{number}" for number in range(1, 5)])
        few.append(dataclasses.replace(one, samples=one.samples[kept].reset_index(drop=True)))
    first, second = few
    both = [first, dataclasses.replace(second, macro=True)]
    monkeypatch.setattr("bench.commands.gathering.read_datasets", lambda config, rendering: chosen(config.datasets))

    def chosen(names: list[str]) -> list[object]:
        return [one for one in both if names == ["*"] or one.name in names]

    return ["--data", "drawn", "--results", str(tmp_path / "runs"), "--epochs", "2", "--tracking-uri", "off"]


def only(tmp_path: Path) -> Pretrained:
    networks = PretrainedStore(str(tmp_path / "runs"))
    (key,) = networks.stored_keys()
    facts = networks.facts(key)
    assert facts is not None
    return facts


@pytest.mark.slow
def test_pretrained_then_started_from(merbench: LocalRuns, options: list[str], tmp_path: Path) -> None:
    said = merbench("pretrain", "ststnet", *options)
    assert said.status == 0, said.err
    assert "synth_a left aside: its clips are micro-expressions." in said.out
    facts = only(tmp_path)
    assert facts.people == tuple(f"synth_b/p0{number}" for number in range(1, 5))
    card = (tmp_path / "runs" / "pretrained" / facts.key / "MODEL_CARD.md").read_text()
    assert "synth_b/p01, synth_b/p02, synth_b/p03, synth_b/p04" in card
    command = re.search(r"merbench run --models ststnet --pretrain (\w{12}) ", said.out)
    assert command is not None
    assert facts.key.startswith(command[1])

    again = merbench("pretrain", "ststnet", *options)
    assert (again.status, "It is pretrained already" in again.out) == (0, True)
    run = ["run", "--models", "majority,ststnet", "--protocols", "loso", "--datasets", "synth_a"]
    said = merbench(*run, *options, "--pretrain", command[1])
    assert said.status == 0, said.err
    label = f"ststnet[epochs=2,pretrain=synth_b:{facts.sha256[:8]}]"
    labels = {card.label for card in OutcomeStore(tmp_path / "runs").cards()}
    assert labels == {"majority", label}
    assert label in said.out
    assert f"pretrain=synth_b:{facts.sha256[:8]}" in (tmp_path / "runs" / "board.html").read_text()
    shown = merbench("leaderboard", "--results", str(tmp_path / "runs"), "--format", "csv").out
    assert label in shown


@pytest.mark.slow
def test_auto_plans_pretrains_and_runs(merbench: LocalRuns, options: list[str], tmp_path: Path) -> None:
    run = ["--models", "ststnet", "--protocols", "loso", "--pretrain", "auto", *options]
    said = merbench("plan", *run)
    assert said.status == 0, said.err
    assert not (tmp_path / "runs" / "pretrained").exists(), "a plan writes nothing"
    said = merbench("run", *run)
    assert said.status == 0, said.err
    assert f"{only(tmp_path).key[:12]}: ststnet[epochs=2], loss" in said.out
    said = merbench("plan", *run)
    assert re.search(r"ststnet\[epochs=2,pretrain=synth_b:\w{8}\] +synth_a .* 4 +4 +0 +0", said.out), said.out
    said = merbench("run", *run)
    assert (said.status, "Nothing to train" in said.out) == (0, True)


@pytest.mark.slow
def test_a_model_that_was_fitted_is_a_start_too(merbench: LocalRuns, options: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "fitted"
    assert merbench("fit", "ststnet", *options, "--datasets", "synth_b", "--out", str(folder)).status == 0
    run = ["run", "--models", "ststnet", "--protocols", "loso", *options, "--pretrain", str(folder)]
    said = merbench(*run, "--datasets", "synth_b")
    assert (said.status, "may have met this person: synth_b/p01 is one of them" in said.err) == (2, True), said.err
    assert PretrainedStore(str(tmp_path / "runs")).stored_keys() != [], "it is copied to where workers find it"
    said = merbench(*run, "--datasets", "synth_a")
    assert said.status == 0, said.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["majority"], "majority is an estimator, which has no weights to start from"),
        (["ststnet", "--datasets", "synth_a"], "There are no macro-expressions to pretrain on: the data holds synth_a"),
        (["ststnet", "--task", "objective5"], "no macro-expression of synth_b has a label in task objective5"),
        (["ststnet", "--seeds", "0,1"], "`merbench pretrain` trains with one seed"),
        (["*net"], "`merbench pretrain` trains one model"),
        (["ststnet", "--set", "ststnet.lr=1e30"], "failed: TrainingError: The loss of epoch"),
    ],
)
def test_what_cannot_be_pretrained_is_told_and_nothing_is_written(
    merbench: LocalRuns, options: list[str], tmp_path: Path, words: list[str], reason: str
) -> None:
    said = merbench("pretrain", *words, *options)
    assert (said.status, reason in said.err) == (2, True), said.err
    assert PretrainedStore(str(tmp_path / "runs")).stored_keys() == []
    assert not list((tmp_path / "runs").rglob("*.safetensors"))
