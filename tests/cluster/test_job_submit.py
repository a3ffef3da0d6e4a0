"""A real head with token authentication: who is let in, what is refused, what it listens on, that it ends alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cluster_processes import listening_on
from drawn_flow import write_drawn_tree
from jobs import BIN, SECONDS, copy_checkout, start_command, submit

from cluster.head import Head, local_head

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with local_head(num_cpus=2) as running:
        yield running


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_checkout(tmp_path_factory.mktemp("checkout"))


def client(head: Head, **changes: str) -> dict[str, str]:
    """Return the environment of a client that the head lets in; ``changes`` may spoil it."""
    return {**os.environ, **head.environment, **changes}


def jobs(head: Head) -> list[str]:
    """Return the entry points of the jobs that the head was given so far."""
    token = head.token_file.read_text()
    request = urllib.request.Request(f"{head.dashboard}/api/jobs/", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return [job["entrypoint"] for job in json.load(answer)]


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
    process, printed, exports = start_command("cluster.head", "--num-cpus", "1")
    try:
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
    listening = listening_on(head.pid)
    assert listening
    assert listening <= {"127.0.0.1", "::1"}
