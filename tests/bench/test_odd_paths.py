"""Folders of any name: data, results, tracking database, configuration, plug-ins and cache of a run lie in one.

The runs of ``workers/test_resume.py`` lie in such a one, too: on Ray, and stopped on their way.
"""

from __future__ import annotations

import shlex
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_runs import LocalRuns
from test_pages import example

from preprocess.base.plugins import unload_plugins

NAME = "100% and %20, a#b:c;d&e 'f' \"g\" Größe 表情 [x]*{y}$HOME :warning: is it?x=1"


def lines_of(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def tracked_runs(database: Path) -> int:
    """Return how many runs an MLflow database holds that are not deleted."""
    connection = sqlite3.connect(database)
    try:
        return connection.execute("select count(*) from runs where lifecycle_stage = 'active'").fetchone()[0]
    finally:
        connection.close()


def hints(out: str) -> list[list[str]]:
    """Return the words of the commands that a run shows at its end, as a shell reads them."""
    lines = [line.strip().split("    ")[0] for line in out.splitlines() if line.startswith("  merbench ")]
    lines += [line.partition(", after: ")[2] for line in out.splitlines() if "mlflow ui" in line]
    return [shlex.split(line) for line in lines]


@pytest.fixture
def plug_in(tmp_path: Path) -> Iterator[Path]:
    """Return a file that registers a model."""
    file = tmp_path / "my_model.py"
    file.write_text(example("model"), encoding="utf-8")
    yield file
    unload_plugins()


@pytest.mark.slow
def test_a_run_in_folders_of_any_name(
    merbench: LocalRuns, tree: Path, plug_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / NAME
    home.mkdir()
    shutil.move(tree, home / NAME)
    shutil.move(plug_in, home / "my_model.py")
    # macOS leaves such a file beside each one on disks that are not its own.
    (home / "._my_model.py").write_bytes(b"\x00\x05\x16\x07")
    (home / "c.yaml").write_text(f"models: [tiny]\nepochs: 2\nprotocols: [loso]\nplugins: ['{quoted(str(home))}']\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    results = home / "runs"
    said = merbench("run", "--config", str(home / "c.yaml"), "--data", str(home / NAME), "--results", str(results))
    assert said.status == 0, said.err
    assert "MLflow at" in said.out
    assert "not up to date" not in said.out
    assert tracked_runs(results / "mlflow.db") == 4, "two studies and two leaderboards"
    assert len(list((results / "mlartifacts").rglob("study.json"))) == 2
    assert lines_of(tmp_path) == [NAME]
    mine = {"._my_model.py", "c.yaml", "my_model.py", NAME, "runs"}
    # The cache is written into by matplotlib, once a process.
    assert mine <= set(lines_of(home)) <= mine | {"cache", "__pycache__"}

    board, report, tracking = hints(said.out)
    assert merbench(*board[1:]).status == 0
    assert "tiny[epochs=2]" in merbench(*board[1:]).out
    assert merbench(*report[1:]).status == 0
    assert tracking[:3] == ["mlflow", "ui", "--backend-store-uri"]
    again = merbench("sync", "--results", str(results), "--tracking-uri", tracking[3])
    assert again.status == 0, again.err
    assert "4 runs unchanged" in again.out or "2 runs unchanged" in again.out
    assert merbench("status", "--results", str(results)).status == 0
    moved = home / "other" / "tracks.db"
    assert merbench("sync", "--results", str(results), "--tracking-uri", address(moved)).status == 0
    assert tracked_runs(moved) == 4


def quoted(text: str) -> str:
    """Return a text as YAML takes it between single quotes."""
    return text.replace("'", "''")


def address(file: Path) -> str:
    """Return the address of a database file, as a person writes it who knows what an address is."""
    return "sqlite:///" + str(file).replace("%", "%25").replace("?", "%3F")


def test_a_question_mark_in_an_address_is_told_at_once(merbench: LocalRuns, tree: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/what?/m.db"
    said = merbench("run", "--data", str(tree), "--results", str(tmp_path / "runs"), "--tracking-uri", uri)
    assert said.status == 2
    assert "A ? in the file's own path is written %3F, and a % is written %25" in said.err
    assert not (tmp_path / "runs").exists()


def test_an_address_of_a_folder_that_a_question_mark_would_cut(merbench: LocalRuns, tmp_path: Path) -> None:
    said = merbench("status", "--results", f"file://{tmp_path}/what?/runs")
    assert said.status == 2
    assert "in a file:// address the path ends at ? and #. Write them %3F and %23" in said.err
