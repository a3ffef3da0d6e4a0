"""Features that workers cannot hold, from the command line: the same outcomes, and a word about it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from local_runs import LocalRuns
from small_runs import digests

from bench.study.feature_rows import FeatureRows
from results.store.outcome_store import OutcomeStore

STREAMED = "batches are read from disk as they are needed; no number changes by it"


def options(tree: Path, results: Path) -> list[str]:
    return ["--data", str(tree), "--results", str(results), "--epochs", "2"]


def outcomes(results: Path) -> dict[str, str]:
    store = OutcomeStore(results)
    return digests(store, store.cards())


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many rows of a feature are taken at a time, which is eight at most where nobody takes them all."""
    numbers: list[int] = []
    take = FeatureRows.__getitem__

    def noted(self: FeatureRows, rows: Any) -> np.ndarray:
        values = take(self, rows)
        numbers.append(len(values))
        return values

    monkeypatch.setattr(FeatureRows, "__getitem__", noted)
    monkeypatch.setattr("bench.engine.inputs.EVALUATION_BYTES", 4 * 3 * 28 * 28 * 8)
    return numbers


@pytest.mark.slow
def test_a_run_tells_of_it_and_has_the_outcomes_of_one_that_holds_all(
    merbench: LocalRuns, tree: Path, tmp_path: Path, taken: list[int]
) -> None:
    run = ["run", "--models", "ststnet", "--protocols", "cde", "--tracking-uri", "off", "--keep-weights"]
    settings = ["--set", "ststnet.batch_size=8"]
    streamed, held = tmp_path / "streamed", tmp_path / "held"
    said = merbench("plan", *run[1:], *settings, *options(tree, streamed), "--feature-memory", "0")
    assert said.status == 0, said.err
    said = merbench(*run, *settings, *options(tree, streamed), "--feature-memory", "0")
    assert said.status == 0, said.err
    words = " ".join(said.out.split())
    line = "features of casme2+samm are larger (flow_uvs_28 70.6 kB) than what a worker may hold (0 B)"
    assert words.count(line) == 1
    assert STREAMED in words
    assert max(taken) == 8
    said = merbench("plan", *run[1:], *settings, *options(tree, held), "--feature-memory", "1kB")
    assert "On this machine's CPUs, features of casme2+samm are larger" in said.out
    taken.clear()
    said = merbench(*run, *settings, *options(tree, held), "--feature-memory", "1GiB")
    assert said.status == 0, said.err
    assert "larger" not in said.out
    assert max(taken) == 30, "all of them, held"
    taken.clear()
    assert outcomes(streamed) == outcomes(held) != {}
    said = merbench("test", "--data", str(tree), "--results", str(held), "--feature-memory", "0")
    assert (said.status, "5 of 5 folds give the stored predictions again" in said.out) == (0, True), said.err
    assert max(taken) == 6, "the clips of whom is tested"
    assert not list(Path(tempfile.gettempdir()).glob("merbench-blocks-*")), "no block is left behind"


def test_a_fitted_model_has_the_same_weights(merbench: LocalRuns, tree: Path, tmp_path: Path, taken: list[int]) -> None:
    for name, memory in (("streamed", "0"), ("held", "1GB")):
        words = ["fit", "ststnet", *options(tree, tmp_path / "runs"), "--out", str(tmp_path / name)]
        taken.clear()
        said = merbench(*words, "--set", "ststnet.batch_size=8", "--feature-memory", memory)
        assert said.status == 0, said.err
        assert (STREAMED in " ".join(said.out.split())) == (name == "streamed")
        assert max(taken) == (8 if name == "streamed" else 30)
    first, second = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("streamed", "held"))
    assert first == second


@pytest.mark.parametrize("given", ["2 gigs", "-1", "lots", "1.5.2GB"])
def test_a_size_that_is_none_is_refused(merbench: LocalRuns, given: str) -> None:
    said = merbench("plan", "--feature-memory", given)
    assert said.status == 2
    assert f"--feature-memory: given '{given}', expected a size, for example 2GB, 500 MB or 0" in said.err
