"""The examples of the pages in a run: a model, a protocol and a metric of three files stand on the leaderboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_runs import LocalRuns
from test_pages import example

from preprocess.base.plugins import unload_plugins


@pytest.fixture
def plug_ins(tmp_path: Path) -> Iterator[list[str]]:
    """Return the options that load the three files."""
    options = []
    for page in ("model", "protocol", "metric"):
        file = tmp_path / f"my_{page}.py"
        file.write_text(example(page), encoding="utf-8")
        options += ["--plugins", str(file)]
    yield options
    unload_plugins()


def test_what_three_files_register_stands_on_the_leaderboard(
    merbench: LocalRuns, plug_ins: list[str], tree: Path, tmp_path: Path
) -> None:
    results = ["--results", str(tmp_path / "runs")]
    run = ["run", "--data", str(tree), *results, "--tracking-uri", "off", "--datasets", "casme2", "--epochs", "2"]
    said = merbench(*run, *plug_ins, "--models", "tiny", "--protocols", "two-halves")
    assert said.status == 0, said.err
    (section,) = [line for line in said.out.splitlines() if line.startswith("casme2 · ") and "two-halves" in line]
    assert "task megc3" in section
    assert "tiny[epochs=2]" in said.out
    assert "kappa" in said.out.split()
    again = merbench("leaderboard", *results, *plug_ins)
    assert "kappa" in again.out.split()
    assert "2/2" in merbench("leaderboard", *results, *plug_ins, "--shape", "long").out, "both halves are done"
    unload_plugins()
    without = merbench("leaderboard", *results)
    assert "tiny[epochs=2]" in without.out, "a score stays without the plug-in that made it"
    assert "kappa" not in without.out.split()
