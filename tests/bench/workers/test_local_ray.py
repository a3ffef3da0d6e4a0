"""A local Ray: it is ours alone, starts beside other work, tries twice, and says plainly why it did not start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.workers import local_ray
from bench.workers.local_ray import NoRay
from bench.workers.ray_session import cluster_address, ray_session
from cluster.head import Head, local_head
from preprocess.base.machine import usable_cores

GCS_WAIT = "RAY_gcs_server_port_wait_time_s"


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the short folder in which a test's Ray works; no address is set."""
    # pytest chooses its own folder when it is first asked for one: not here, where it would go with this test.
    tmp_path_factory.getbasetemp()
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    short = Path("/tmp") / f"mbt{os.getpid()}"
    short.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(short))
    yield short
    shutil.rmtree(short)


@pytest.fixture(scope="module")
def another_ray() -> Iterator[Head]:
    """Run a Ray that is not ours on this machine."""
    with local_head(num_cpus=1) as head:
        yield head


def names(process: psutil.Process) -> set[str]:
    return {child.name() for child in process.children(recursive=True)}


def outside(code: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python code, with words for it, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("given", [None, "", "local"])
def test_without_an_address_a_run_is_local(given: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cluster_address(given) is None
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert cluster_address(given) == (None if given == "local" else "10.0.0.1:6379")
    assert cluster_address("10.0.0.2:6379") == "10.0.0.2:6379"


@pytest.mark.ray
@pytest.mark.slow
def test_a_second_attempt_follows_a_failed_one_and_nothing_of_either_is_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt really fails: it waits no second for Ray's first process, which is left half started."""
    monkeypatch.setenv(GCS_WAIT, "0")
    said: list[str] = []
    before = names(psutil.Process())

    def say(text: str) -> None:
        said.append(text)
        assert names(psutil.Process()) == before, "the half-started Ray is ended before the next one starts"
        assert not list(folder.iterdir()), "and so is its folder"
        monkeypatch.setenv(GCS_WAIT, "120")

    with ray_session(None, 1, say) as cluster:
        assert (cluster.local, cluster.cpus) == (True, 1)
        assert {"gcs_server", "raylet"} <= names(psutil.Process())
        assert len(list(folder.iterdir())) == 1
    (line,) = said
    assert line.startswith("Ray did not start: its gcs_server runs, but did not answer in time")
    assert line.endswith("Trying once more.")
    assert "\n" not in line
    assert names(psutil.Process()) == before
    assert not list(folder.iterdir())


def test_the_reason_is_what_a_part_complains_of_last_and_not_its_addresses(tmp_path: Path) -> None:
    log = tmp_path / "raylet.out"
    stamp = "[2026-12-01 02:29:33,215 {} 2650 2650] (raylet) "
    full = stamp.format("E") + "file_system_monitor.cc:116: /tmp/mbx is over 95% full, available space: 9.1 GB.\n"
    log.write_text(stamp.format("I") + "main.cc:1: fine\n" + full)
    assert local_ray._last_complaint(log) == ""
    shm = "store.cc:5:  Check failed: allocation.has_value() It's likely we don't have enough space in /dev/shm\n"
    log.write_text(stamp.format("C") + shm + full)
    assert local_ray._last_complaint(log) == "allocation.has_value() It's likely we don't have enough space in /dev/shm"
    # As under `ulimit -u 60`.
    log.write_text(stamp.format("E") + "logging.cc:474:     @     0x7fd88cd39e20  (unknown)  (unknown)\n")
    sudden = (
        "E1201 02:29:33.215677905    2650 thd.cc:157]                           pthread_create failed: Resource "
        "temporarily unavailable\nE1201 02:29:33.215698743    2650 thread_manager.cc:146]                ASSERTION "
        "FAILED: worker->created()\n*** SIGABRT received at time=1796092173 on cpu 0 ***\n"
    )
    log.with_suffix(".err").write_text(sudden)
    assert local_ray._last_complaint(log) == "pthread_create failed: Resource temporarily unavailable"


@pytest.mark.ray
def test_a_machine_where_it_never_starts_gets_the_part_its_log_and_what_there_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GCS_WAIT, "0")
    monkeypatch.setattr(local_ray, "tight_limits", lambda: ["60 processes and threads (ulimit -u)"])
    said: list[str] = []
    before = names(psutil.Process())
    with pytest.raises(NoRay) as caught, ray_session(None, 1, said.append):
        pass
    assert len(said) == 1
    text = str(caught.value)
    assert text.startswith("Ray did not start on this machine, in two attempts: its gcs_server runs, but did not")
    assert f"{usable_cores()} cores" in text
    assert "GiB of memory free. This shell allows a user or process 60 processes and threads (ulimit -u); Ray" in text
    (session,) = folder.iterdir()
    assert f"The log: {session}/session/logs/gcs_server.out." in text
    assert (session / "session" / "logs").is_dir()
    assert names(psutil.Process()) == before


def test_a_part_that_aborts_is_named_with_its_last_words(tmp_path: Path) -> None:
    """The raylet of a machine that was too busy for Ray's own 15 seconds; from its log there."""
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "raylet.out").write_text(
        "[2026-11-29 10:42:45,624 I 18653 18681] (raylet) agent_manager.cc:81: Monitor agent process\n"
        "[2026-11-29 10:43:00,718 C 18653 18653] (raylet) node_manager.cc:3576:  An unexpected system state"
        " has occurred. You have likely discovered a bug in Ray. Check failed: has_value() Timed out waiting for file"
        " /x/agent_port\n"
        "*** StackTrace Information ***\n"
    )
    said = local_ray._why(Exception("The current node timed out during startup."), tmp_path, [])
    assert said.startswith(
        "its raylet ended while it started (has_value() Timed out waiting for file /x/agent_port). At"
    )


# A raylet of the wheel gives such helpers 15 seconds to start, and aborts when they need longer, as on a busy machine.
KILLED = """
import json, sys, time
import psutil
from bench.workers.ray_session import RaySession

with RaySession("local", 1) as session:
    session.start_ahead()
    session.cluster()
    below = {process: process.cmdline() for process in psutil.Process().children(recursive=True)}
    parts = {process.name(): process for process in below}
    idle = [process.pid for process in parts["raylet"].children() if "idle_agent" in "".join(below[process])]
    helpers = [process.name() for process in below if process.name().endswith("Agent") or "ashboard" in process.name()]
    print(json.dumps([[process.pid for process in below], idle, helpers]), flush=True)
    parts[sys.argv[1]].kill()
    time.sleep(60)
"""


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("part", ["raylet", "gcs_server"])
def test_a_part_that_is_killed_ends_the_process_with_a_word_and_nothing_stays(folder: Path, part: str) -> None:
    """Ray itself ends it after 10 and 60 seconds, and says nothing of the raylet."""
    done = outside(KILLED, part, TMPDIR=str(folder))
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: Ray cannot go on: its {part} was killed, for want of memory perhaps. At")
    assert done.stderr.endswith("What is finished is kept; the same command goes on from there.\n")
    assert done.stderr.count("\n") == 1
    started, idle, helpers = json.loads(done.stdout)
    assert (len(idle), helpers) == (2, []), "none of Ray's helpers starts, but what stands in for two of them"
    left = [psutil.Process(number) for number in started if psutil.pid_exists(number)]
    assert not psutil.wait_procs(left, timeout=20)[1]
    assert not list(folder.iterdir())


@pytest.mark.ray
def test_a_long_temporary_folder_is_left_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    said: list[str] = []
    before = _rays_environment()
    with ray_session(None, 1, said.append) as cluster:
        assert cluster.local
        assert not list(long.iterdir())
    assert _rays_environment() == before, "what Ray was told is not left behind"
    (line,) = said
    assert line.startswith("Ray's session lies in /tmp/mb")
    assert f"the temporary folder {long} is too long a path" in line
    assert not Path(line.split()[4].rstrip(":")).exists(), "it is removed afterwards"


# References that are freed one after the other from before Ray begins to end until after it has ended.
FREED_WHILE_IT_ENDS = """
import time

import ray
from bench.workers.ray_session import RaySession

with RaySession("local", 1) as session:
    session.start_ahead()
    session.cluster()
    first = ray.put(0)
    references = [first, *(ray.ObjectRef(first.binary()) for _ in range(20_000))]
    session.leave()
    while references and ray.is_initialized():
        references.pop()
        time.sleep(0.0002)
    until = time.monotonic() + 1
    while references and time.monotonic() < until:
        references.pop()
        time.sleep(0.0002)
    print(bool(references), ray.is_initialized(), flush=True)
"""


@pytest.mark.ray
@pytest.mark.slow
def test_what_is_freed_while_ray_ends_does_not_end_the_process(folder: Path) -> None:
    """Scores are worked out meanwhile, and what a fan-out has left behind is collected."""
    done = outside(FREED_WHILE_IT_ENDS, TMPDIR=str(folder))
    assert (done.returncode, done.stdout, done.stderr) == (0, "True False\n", "")


TERMINATED_WHILE_IT_READS = """
import os, signal, time
from bench.workers.ray_session import RaySession

try:
    with RaySession("local", 1) as session:
        session.start_ahead()
        session._ahead._up.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.ray
@pytest.mark.slow
def test_sigterm_is_taken_as_before_while_a_ray_that_was_started_ahead_is_not_needed_yet(folder: Path) -> None:
    """Ray's own handler would print stack traces and abort; data may be read for hours meanwhile."""
    done = outside(TERMINATED_WHILE_IT_READS, TMPDIR=str(folder))
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")
    assert not list(folder.iterdir())


def _rays_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("RAY_")}


# In a process of its own, since Ray reads once in a process how clusters let it in.
THREE_SESSIONS = """
import json, os, sys
from bench.workers.ray_session import ray_session

theirs = os.environ.pop("RAY_ADDRESS")
seen = []
for address, variable in ((None, None), (theirs, None), (None, "auto")):
    os.environ.update({"RAY_ADDRESS": variable} if variable else {})
    with ray_session(address, 2, print) as cluster:
        seen.append((cluster.local, cluster.address, cluster.cpus))
print(json.dumps(seen))
"""


@pytest.mark.ray
@pytest.mark.slow
def test_another_ray_on_this_machine_is_joined_only_when_asked_to(another_ray: Head, folder: Path) -> None:
    # Where Ray looks for one by itself.
    (folder / "ray").mkdir()
    (folder / "ray" / "ray_current_cluster").write_text(another_ray.address)
    done = outside(THREE_SESSIONS, **another_ray.environment, RAY_TMPDIR=str(folder))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[True, "local", 2], [False, another_ray.address, 1], [False, "auto", 1]]
    assert psutil.pid_exists(another_ray.pid), "neither ends the other"
    assert [path.name for path in folder.iterdir()] == ["ray"]
