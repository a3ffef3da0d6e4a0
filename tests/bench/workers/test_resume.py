"""A run that is killed, interrupted, or has no tracking server: the same command finishes what is missing."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from drawn_flow import write_drawn_tree
from local_runs import LocalRuns
from small_runs import whole_digests

from bench.commands import results as reading
from results.store.outcome_store import MissingStore, OutcomeStore

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 300
# Eight folds that are done at once, and eight that take a second or so each, so that a run can be stopped on its way.
OPTIONS = ["--models", "mine,ststnet", "--datasets", "samm", "--protocols", "loso"]
OPTIONS += ["--workers", "1"]
EPOCHS = 80
FOLDS = 16
HOME = "MERBENCH_TEST_HOME"
"""The variable of the runs' environment that tells the tests, and nobody else, where data and plug-in lie."""

# What others have set. There is no home folder, as in a container whose user the machine does not know; names of files
# are ASCII for Python; an older Tune read this variable.
UNKIND = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "TUNE_RESULT_DIR": "/nowhere"}

NAME = "100%20 a?b#c:d&e'f\"g größe"
PLUG_IN = '''
from mer_models.majority import Majority
from mer_models.registry import Resources, register_model


@register_model("mine", features=("flow_uvs_28",), paper="A test.", resources=Resources(gpu=0.0, pack=4))
class Mine(Majority):
    """The majority model under another name."""
'''


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return the environment of the runs: Ray's short temporary folder, and a folder of data and of a plug-in."""
    home = tmp_path_factory.mktemp("any") / NAME
    home.mkdir()
    shutil.move(write_drawn_tree(tmp_path_factory.mktemp("drawn")), home / "data")
    (home / "my_model.py").write_text(PLUG_IN)
    with tempfile.TemporaryDirectory(prefix="mb", dir="/tmp") as folder:
        kept = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI")}
        yield {**kept, **UNKIND, "HOME": str(home / "my_model.py" / "no"), "RAY_TMPDIR": folder, HOME: str(home)}


@pytest.fixture
def closed_port() -> str:
    """Return the address of a tracking server that is down."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return f"http://127.0.0.1:{bound.getsockname()[1]}"


def command(environment: dict[str, str], root: Path, epochs: int = EPOCHS) -> list[str]:
    """Return the verb and the options of the run whose results lie at ``root``."""
    home = Path(environment[HOME])
    given = ["--data", str(home / "data"), "--plugins", str(home / "my_model.py"), "--results", str(root)]
    return ["run", *OPTIONS, "--epochs", str(epochs), *given]


def leaderboard(root: Path) -> str:
    return reading.leaderboard(str(root), "json", False, None)


def done(root: Path) -> int:
    """Return how many folds have an outcome, from a listing alone: it is asked many times a second."""
    try:
        store = OutcomeStore(root)
    except MissingStore:
        return 0
    return sum(len(store.state(card).done) for card in store.cards())


@dataclass(frozen=True)
class Stopped:
    """How a run ended that was sent a signal, and the processes that it had started."""

    status: int
    printed: str
    processes: list[psutil.Process]


def stop_at(folds: int, how: signal.Signals, environment: dict[str, str], root: Path) -> Stopped:
    """Start the run, send it a signal once so many folds are done and one of them by it; wait until it cannot train.

    SIGKILL and SIGTERM hit the driver alone, as the kernel's memory killer and ``kill`` do; SIGINT its whole group, as
    Ctrl-C does.
    """
    before = whole_digests(root)
    with started(environment, root) as (process, printed):
        wait_for(lambda: done(root) >= max(folds, len(before) + 1), process)
        others = psutil.Process(process.pid).children(recursive=True)
        # Ray's two agents wait a minute for their dead node to answer; the test looks at them when it ends.
        trainers = [other for other in others if "Agent" not in other.name()]
        assert len(trainers) >= 3, "Ray runs"
        if how == signal.SIGINT:
            os.killpg(process.pid, how)
        else:
            process.send_signal(how)
        status = process.wait(SECONDS)
        assert not psutil.wait_procs(trainers, timeout=30)[1], "no worker stays behind"
    after = whole_digests(root)
    assert folds <= len(after) < FOLDS
    assert before.items() <= after.items(), "what is done is not done again"
    return Stopped(status, printed.read_text(), others)


@contextlib.contextmanager
def started(environment: dict[str, str], root: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Start the run in a process group of its own, as a terminal does; nothing of it outlives the block."""
    words = [sys.executable, str(ROOT / "bench" / "run_all.py"), *command(environment, root)[1:]]
    printed, home = root.parent / "printed", environment[HOME]
    with printed.open("wb") as log:
        process = subprocess.Popen(words, env=environment, cwd=home, stdout=log, stderr=log, process_group=0)
    try:
        yield process, printed
    finally:
        if process.poll() is None:
            for left in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    left.kill()
            process.kill()
            process.wait()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert process.poll() is None, f"the run ended early with status {process.returncode}"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def tracked(database: Path) -> list[tuple[str, str | None]]:
    """Return (name, study key or None) of every run in an MLflow database, as its user interface lists them."""
    study = "select value from tags where tags.run_uuid = runs.run_uuid and key = 'merbench.study'"
    # Not by MLflow's client, which makes a folder of the name that stands in the address, its % and ? escaped.
    with contextlib.closing(sqlite3.connect(database)) as connection:
        found = connection.execute(f"select name, ({study}) from runs where lifecycle_stage = 'active'")
        return sorted(found.fetchall(), key=str)


@pytest.mark.ray
def test_a_run_that_is_stopped_in_three_ways_ends_with_the_leaderboard_of_an_undisturbed_one(
    environment: dict[str, str], merbench: LocalRuns
) -> None:
    """The undisturbed one trains in this process: neither Ray nor where folds are trained is seen in a score.

    All of it lies in a folder of an odd name, and the processes have an unkind environment.
    """
    home = Path(environment[HOME])
    root, undisturbed = home / "runs", home / "undisturbed"

    first = stop_at(1, signal.SIGKILL, environment, root)
    second = stop_at(FOLDS - 6, signal.SIGTERM, environment, root)
    kept_by_second = whole_digests(root)
    third = stop_at(FOLDS - 4, signal.SIGINT, environment, root)
    kept = whole_digests(root)

    assert (first.status, second.status, third.status) == (-signal.SIGKILL, 143, 130), second.printed + third.printed
    for stopped, folds in ((second, kept_by_second), (third, kept)):
        told = f"Interrupted. {len(folds)} of {FOLDS} folds are kept; the same command goes on from there."
        assert stopped.printed.splitlines()[-1] == told, "and nothing after it"
        assert "Traceback" not in stopped.printed
        assert "***" not in stopped.printed, "what Ray's own handler of signals prints"

    with started(environment, root) as (process, printed):
        assert process.wait(SECONDS) == 0, printed.read_text()
    assert "not up to date" not in printed.read_text()

    assert len(whole_digests(root)) == FOLDS
    assert kept.items() <= whole_digests(root).items(), "what is done is not done again"
    studies = [study for _, study in tracked(root / "mlflow.db") if study]
    assert len(studies) == len(set(studies)) == 2
    assert merbench(*command(environment, undisturbed), "--tracking-uri", "off").status == 0
    assert leaderboard(root) == leaderboard(undisturbed)
    processes = [*first.processes, *second.processes, *third.processes]
    assert not psutil.wait_procs(processes, timeout=120)[1], "no process of a stopped run stays behind"
    left = {path.name for path in home.iterdir()} - {"__pycache__"}
    assert left == {"data", "my_model.py", "printed", "runs", "undisturbed"}, "nothing beside it, of a half of the name"
    assert [path.name for path in home.parent.iterdir()] == [home.name]


def test_a_run_without_its_tracking_server_ends_well_and_sync_fills_it_in_without_doubles(
    environment: dict[str, str], merbench: LocalRuns, closed_port: str, tmp_path: Path
) -> None:
    root, database = tmp_path / "runs", tmp_path / "tracking.db"

    said = merbench(*command(environment, root, epochs=2), "--tracking-uri", closed_port)

    assert said.status == 0, said.err
    assert len([line for line in said.out.splitlines() if "MLflow" in line and closed_port in line]) == 1
    assert "merbench sync" in said.out
    assert "Traceback" not in said.out + said.err
    shown = []
    for _ in range(2):
        synced = merbench("sync", "--results", str(root), "--tracking-uri", f"sqlite:///{database}")
        assert synced.status == 0, synced.err
        shown.append(tracked(database))
    studies = [study for _, study in shown[0] if study]
    assert len(studies) == len(set(studies)) == 2
    assert shown[1] == shown[0]
