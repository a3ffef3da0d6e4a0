"""`ray job submit` against a real head with token authentication, from a checkout that is not installed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from drawn_flow import write_drawn_tree

from cluster.head import Head, local_head

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SECONDS = 300

# Only the copied checkout has this model, so a job that trains it runs the copy's code, in the driver and the workers.
MODEL_OF_THE_COPY = '''
from mer_models.majority import Majority
from mer_models.registry import Resources, register_model


@register_model("only_in_the_copy", features=("flow_uvs_28",), paper="A test.", resources=Resources(gpu=0.0, pack=4))
class OnlyInTheCopy(Majority):
    """The majority model under another name."""
'''

# A file beside the job, with a helper; the workers do not look for it there.
PLUG_IN = MODEL_OF_THE_COPY.replace("only_in_the_copy", "from_a_file").replace(
    "from mer_models.majority import Majority", "from models_beside_it import Majority"
)

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with local_head(num_cpus=2) as running:
        yield running


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with this checkout's tracked files as they are now, and one model more."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs the git checkout, to know which files belong to it")
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True)
    copy = tmp_path_factory.mktemp("checkout")
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    (copy / "mer_models" / "only_in_the_copy.py").write_text(MODEL_OF_THE_COPY)
    return copy


def client(head: Head, **changes: str) -> dict[str, str]:
    """Return the environment of a client that the head lets in; ``changes`` may spoil it."""
    return {**os.environ, **head.environment, **changes}


def submit(environment: dict[str, str], working_dir: Path, *words: str) -> tuple[int, str]:
    """Submit a job as a user does and return the exit status and everything printed, the job's log included."""
    command = [str(BIN / "ray"), "job", "submit", "--working-dir", str(working_dir), "--", *words]
    done = subprocess.run(
        command, env=environment, cwd=working_dir, stdout=-1, stderr=subprocess.STDOUT, text=True, timeout=SECONDS
    )
    return done.returncode, done.stdout


def jobs(head: Head) -> list[str]:
    """Return the entry points of the jobs that the head was given so far."""
    token = head.token_file.read_text()
    request = urllib.request.Request(f"{head.dashboard}/api/jobs/", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return [job["entrypoint"] for job in json.load(answer)]


def test_a_job_from_a_checkout_that_is_not_installed_leaves_its_leaderboard(
    head: Head, checkout: Path, tmp_path: Path
) -> None:
    results = tmp_path / "runs"
    options = ["--results", str(results), "--preset", "smoke", "--models", "majority,ststnet,only_in_the_copy"]
    data = write_drawn_tree(tmp_path / "drawn")
    options += ["--data", str(data), "--datasets", "casme2", "--protocols", "loso", "--tracking-uri", "off"]

    (tmp_path / "models_beside_it.py").write_text("from mer_models.majority import Majority\n")
    (tmp_path / "my_model.py").write_text(PLUG_IN)
    options += ["--plugins", str(tmp_path / "my_model.py"), "--models", "from_a_file"]

    status, log = submit(client(head), checkout, "python", "bench/run_all.py", *options)

    assert status == 0, log
    assert f"Ray at {head.address}" in log
    shown = subprocess.run(
        [str(BIN / "merbench"), "leaderboard", "--results", str(results), "--format", "json"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    rows = {row["model"]: row for row in json.loads(shown.stdout)["rows"]}
    assert set(rows) == {"majority", "ststnet", "only_in_the_copy", "from_a_file"}
    assert rows["ststnet"]["params"]["epochs"] == 2
    for row in rows.values():
        assert (row["dataset"], row["protocol"], row["part"]) == ("casme2", "loso", "full")
        assert row["folds_done"] == row["folds_total"] == row["n_subjects"] == 10
        assert 0 <= row["uf1_low"] <= row["uf1"] <= row["uf1_high"] <= 1
    assert rows["only_in_the_copy"]["uf1"] == rows["from_a_file"]["uf1"] == rows["majority"]["uf1"]


def test_a_job_whose_results_would_vanish_is_refused(head: Head, checkout: Path) -> None:
    relative = "python bench/run_all.py --preset smoke --results runs/mine"
    default = "python bench/run_all.py --preset smoke"

    status, log = submit(client(head), checkout, "sh", "-c", f"{relative}; test $? -eq 2 && {default}")

    assert status != 0
    assert "--results 'runs/mine' is relative" in log
    assert "--results 'runs' is relative" in log
    assert "vanish with it. Give an absolute folder that all nodes share" in log
    assert "Traceback" not in log


@pytest.mark.parametrize(
    "changes",
    [{"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_TOKEN": "0" * 64}],
    ids=["no token", "wrong token"],
)
def test_a_client_without_the_token_is_refused(head: Head, tmp_path: Path, changes: dict[str, str]) -> None:
    ran = tmp_path / "ran"

    status, log = submit(client(head, **changes), tmp_path, "touch", str(ran))

    assert status != 0
    assert "Authentication" in log
    assert not ran.exists()
    assert f"touch {ran}" not in jobs(head)


def test_a_run_without_the_token_says_what_is_needed(head: Head, tmp_path: Path) -> None:
    results = tmp_path / "runs"
    data = write_drawn_tree(tmp_path / "drawn")
    options = ["--data", str(data), "--results", str(results), "--models", "majority", "--protocols", "loso"]
    command = [str(BIN / "merbench"), "run", *options, "--tracking-uri", "off", "--address", head.address]

    # Ray tries twenty times otherwise, a second each.
    environment = client(head, RAY_AUTH_TOKEN="0" * 64, RAY_NUM_REDIS_GET_RETRIES="2")

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)

    assert done.returncode == 2, done.stdout + done.stderr
    assert head.address in done.stderr
    assert "RAY_AUTH_MODE=token" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_head_command_says_how_to_submit_and_ends_alone(head: Head) -> None:
    """A second head runs beside the first, and Ctrl-C ends it with all its processes and files, and nothing else."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cluster.head", "--num-cpus", "1"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        printed = ""
        while "Ctrl-C ends the head." not in printed:
            line = process.stdout.readline()
            assert line, f"the head ended early: {printed}"
            printed += line
        exports = dict(line[7:].split("=", 1) for line in printed.splitlines() if line.startswith("export "))
        started = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0

    assert exports["RAY_AUTH_MODE"] == "token"
    assert exports["RAY_ADDRESS"] != head.address
    assert exports["RAY_API_SERVER_ADDRESS"].startswith("http://127.0.0.1:")
    assert "ray job submit --working-dir . -- python bench/run_all.py --results" in printed
    assert len(started) >= 4
    _, alive = psutil.wait_procs(started, timeout=30)
    assert not alive
    assert not Path(exports["RAY_AUTH_TOKEN_PATH"]).parent.exists()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(exports["RAY_API_SERVER_ADDRESS"], timeout=10)
    assert isinstance(jobs(head), list)


def test_the_head_listens_on_loopback_only(head: Head) -> None:
    listening = {
        connection.laddr.ip
        for process in psutil.process_iter()
        if in_session(process.pid, head.pid)
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening
    assert all(address.removeprefix("::ffff:") in ("127.0.0.1", "::1") for address in listening)


def in_session(pid: int, session: int) -> bool:
    try:
        return os.getsid(pid) == session
    except ProcessLookupError:
        return False
