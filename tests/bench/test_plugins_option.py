"""``--plugins`` and the key ``plugins``: every command knows what a file of the user registers."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_runs import LocalRuns

PLUG_IN = '''
from mer_models.contracts import Resources
from mer_models.majority import Majority
from mer_models.registry import register_model
from results.views.columns import column

@register_model("of_mine", features=("flow_uvs_28",), paper="None.", resources=Resources(gpu=0.0))
class OfMine(Majority):
    """The majority under another name."""

@column("answer")
def answer(row):
    """The answer."""
    return "forty-two"
'''


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "plug_in_of_mine.py"
    path.write_text(PLUG_IN)
    return str(path)


def test_a_run_and_its_table_know_the_models_and_columns_of_a_file(
    merbench: LocalRuns, tree: Path, tmp_path: Path, file: str
) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(f"plugins: {file}\nmodels: of_mine\nprotocols: loso\ndatasets: casme2\ntracking_uri: off\n")
    results = ["--results", str(tmp_path / "runs")]
    done = merbench("run", "--config", str(config), "--data", str(tree), *results)
    assert done.status == 0, done.err
    assert "forty-two" in done.out
    board = merbench("leaderboard", *results, "--plugins", file)
    assert "of_mine" in board.out
    assert "forty-two" in board.out
    assert "of_mine" in merbench("list", "models", "--plugins", file).out
    assert "of_mine" in merbench("plan", "--models", "of_m*", "--data", str(tree), "--plugins", file, *results).out


def test_without_the_option_they_are_unknown(merbench: LocalRuns, tree: Path, tmp_path: Path) -> None:
    said = merbench("run", "--models", "of_mine", "--data", str(tree), "--results", str(tmp_path / "runs"))
    assert said.status == 2
    assert "Unknown model 'of_mine'" in said.err


@pytest.mark.parametrize("verb", ["list", "status", "leaderboard", "sync", "doctor", "prepare", "plan", "run"])
def test_a_file_that_fails_is_one_error_of_every_command(merbench: LocalRuns, tmp_path: Path, verb: str) -> None:
    path = tmp_path / "broken_of_mine.py"
    path.write_text("x = 1\nx.y\n")
    said = merbench(verb, "--plugins", str(path))
    assert said.status == 2
    assert said.out == ""
    assert said.err.startswith(f"error: plug-in {path}: {path}, line 2: AttributeError: ")
    assert len(said.err.splitlines()) == 1
