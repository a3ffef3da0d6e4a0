"""Starting a Ray of our own on this machine: in a short folder, a second time if need be, else with the plain reason.

What Ray 2.60 waits for while it starts, and for how long:

- Its raylet gives two helper processes 15 seconds each to write down their ports, and aborts when one is late, as it
  is beside other work. Nothing makes that longer (https://github.com/ray-project/ray/issues/65983), so it is kept from
  waiting: the files of the first one's ports say "not in use" before the raylet looks, the other is told its port.
- The rest reads ``RAY_gcs_server_port_wait_time_s`` (at every start), ``RAY_raylet_start_wait_time_s`` (when Ray is
  imported) and ``RAY_agent_register_timeout_ms`` (when the raylet starts): see ``WAITS``.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import psutil

from bench.console.interrupts import sigterm_kept, terminates
from preprocess.base.errors import MerError
from preprocess.base.machine import free_memory, tight_limits, usable_cores, usable_memory
from preprocess.base.processes import kill_all
from preprocess.base.scoped import environment

WAITS = {
    "RAY_gcs_server_port_wait_time_s": "120",
    "RAY_raylet_start_wait_time_s": "60",
    "RAY_agent_register_timeout_ms": "180000",
}
"""How long Ray waits for its parts; to be set before Ray is imported, where the user has set nothing."""

SOCKET_BYTES = 107
"""The longest path that Linux allows a socket."""

END_SECONDS = 10.0
"""How long killed processes are waited for."""

# Without the site's packages it starts in 10 ms; the agent's own script and options, which follow, are not looked at.
_IDLE = [sys.executable, "-S", "-E", str(Path(__file__).with_name("idle_agent.py"))]

GUARD_SECONDS = 0.5
"""How often the parts of Ray are looked after."""

_SESSION = "session"
_LONGEST_BELOW = f"/mb{'x' * 8}/{_SESSION}/sockets/plasma_store.99"


class NoRay(MerError):
    """Ray could not be started on this machine."""


@contextlib.contextmanager
def local_ray(cpus: int, say: Callable[[str], None]) -> Iterator[None]:
    """Start a Ray with ``cpus`` cores that no other process joins, connect to it, and end it after the block.

    Where a part of it dies, it ends this process with status 2 and a line that says so.

    Parameters
    ----------
    cpus : how many cores this Ray offers.
    say : called with a line of text where the folder is not the usual one, and at a second attempt.

    Raises
    ------
    NoRay : it did not start, twice; says which part did not and where the log of that part is.
    """
    with _own_token():
        folder = _start_or_again(cpus, say)
        try:
            with _guarded(folder):
                yield
        finally:
            from bench.workers.leaving import leave_ray

            started = processes_of(folder)
            leave_ray()
            # Workers, which notice up to a second later that Ray is gone, and have nothing more to do.
            kill_all(started, END_SECONDS)
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _own_token() -> Iterator[None]:
    """Let the Ray inside the block ask for a token that nobody else knows.

    By itself it takes the one in the home folder and makes it where there is none; in a container, that folder may be
    missing, somebody else's, or read-only.
    """
    # Compiled, and declared in part only.
    raylet: Any = importlib.import_module("ray._raylet")
    # It has read a token once, and keeps it.
    loader = raylet.AuthenticationTokenLoader.instance()
    try:
        with environment({"RAY_AUTH_TOKEN": secrets.token_hex(32)}):
            loader.reset_cache()
            yield
    finally:
        loader.reset_cache()


@contextlib.contextmanager
def _guarded(folder: Path) -> Iterator[None]:
    """Look after the parts of a Ray. Where one dies, Ray ends this process within a minute, and says nothing."""
    over = threading.Event()
    guard = threading.Thread(target=_guard, args=(folder, over), name="guard-of-ray", daemon=True)
    guard.start()
    try:
        yield
    finally:
        over.set()
        guard.join()


def _guard(folder: Path, over: threading.Event) -> None:
    from ray._private import worker

    node = worker._global_node
    assert node is not None
    dead: list[tuple[str, Any]] = []
    while not dead:
        if over.wait(GUARD_SECONDS):
            return
        dead = node.dead_processes()
    # What sends SIGTERM to all of a job's processes means this one, too, which then ends by itself.
    if over.wait(GUARD_SECONDS) or terminates():
        return
    part, process = dead[0]
    how = "was killed, for want of memory perhaps" if process.returncode == -signal.SIGKILL else "ended"
    said = _last_complaint(folder / _SESSION / "logs" / f"{part}.out")
    sys.stdout.flush()
    print(
        f"error: Ray cannot go on: its {part} {how}{f' ({said})' if said else ''}. {_machine()} What is finished is "
        "kept; the same command goes on from there.",
        file=sys.stderr,
        flush=True,
    )
    kill_all(processes_of(folder), END_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)
    # The other threads may wait for what never comes.
    os._exit(2)


def processes_of(folder: Path) -> list[psutil.Process]:
    """Return the processes below this one that work in the folder of a local Ray, and everything below them."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if any(str(folder) in word for word in process.cmdline()):
                found |= {other.pid: other for other in [process, *process.children(recursive=True)]}
    return list(found.values())


def _start_or_again(cpus: int, say: Callable[[str], None]) -> Path:
    """Return the folder of a Ray that runs."""
    folder = _make_folder(say)
    try:
        _start(folder, cpus)
    except NoRay as error:
        shutil.rmtree(folder, ignore_errors=True)
        say(f"Ray did not start: {error} Trying once more.")
    else:
        return folder
    folder = _make_folder(lambda text: None)
    try:
        _start(folder, cpus)
    except NoRay as error:
        raise NoRay(
            f"Ray did not start on this machine, in two attempts: {error} The log: {_log(folder / _SESSION)}. Run the "
            "same command again when the machine has memory and a core to spare; `merbench doctor` tries Ray alone."
        ) from error
    return folder


def _start(folder: Path, cpus: int) -> None:
    """Start Ray in the folder; when it fails, end what has started of it and raise NoRay with the reason."""
    import ray

    from bench.workers.leaving import leave_ray

    try:
        with _told_not_to_wait(folder / _SESSION), sigterm_kept():
            # Without the address, Ray would join any other one on this machine, or look for one that is gone.
            ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _temp_dir=str(folder),
            )
    except BaseException as error:
        started = processes_of(folder)
        # Looked at before the parts are ended: which of them still run is part of the answer.
        reason = _why(error, folder / _SESSION, started)
        leave_ray()
        kill_all(started, END_SECONDS)
        if not isinstance(error, Exception):  # Ctrl-C, or SIGTERM, which Ray turns into SystemExit
            shutil.rmtree(folder, ignore_errors=True)
            raise
        raise NoRay(reason) from error


def session_parent() -> tuple[str, str]:
    """Return the folder below which Ray's session goes, and why that is not the usual one; empty where it is.

    Raises
    ------
    NoRay : there is none.
    """
    wanted = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    most = SOCKET_BYTES - len(_LONGEST_BELOW)
    for parent in (wanted, "/tmp", "/var/tmp", "/dev/shm"):
        if len(os.fsencode(parent + _LONGEST_BELOW)) <= SOCKET_BYTES and os.access(parent, os.W_OK | os.X_OK):
            why = f"the temporary folder {wanted} is too long a path for its sockets (at most {most} bytes), or not"
            return parent, "" if parent == wanted else f"{why} writable."
    raise NoRay(
        f"Ray needs a writable folder with a short path for its sockets, and neither {wanted}, /tmp, /var/tmp nor "
        f"/dev/shm is one. Set TMPDIR to one of at most {most} bytes."
    )


def _make_folder(say: Callable[[str], None]) -> Path:
    """Return a new folder in which the paths of Ray's sockets are short enough."""
    parent, why = session_parent()
    folder = Path(tempfile.mkdtemp(prefix="mb", dir=parent))
    if why:
        say(f"Ray's session lies in {folder}: {why}")
    return folder


@contextlib.contextmanager
def _told_not_to_wait(session: Path) -> Iterator[None]:
    """Let the Ray that starts inside the block wait for no helper, and leave out helpers that serve nobody here.

    Those are the dashboard and its agent, the autoscaler's monitor, what brings logs to the driver, and what makes
    runtime environments, which nothing in a Ray of our own may ask for: most of the work of starting. The raylet ends
    without its two agents, so that something idle takes their places.
    """
    from ray._private import parameter, services
    from ray._private.ray_constants import PROCESS_TYPE_DASHBOARD_AGENT, PROCESS_TYPE_RUNTIME_ENV_AGENT

    # Compiled, and declared in part only.
    raylet: Any = importlib.import_module("ray._raylet")
    node = raylet.NodeID.from_random().hex()
    session.mkdir()
    for name in ("METRICS_AGENT", "METRICS_EXPORT", "DASHBOARD_AGENT_LISTEN"):
        raylet.persist_port(str(session), node, getattr(raylet, f"{name}_PORT_NAME"), -1)
    changes: dict[str, Any] = {
        "session_name": session.name,
        "env_vars": {"RAY_OVERRIDE_NODE_ID_FOR_TESTING": node},
        "runtime_env_agent_port": _free_port(),
        "no_monitor": True,
        "include_log_monitor": False,
    }
    # What Ray's own function returns where no dashboard starts.
    no_dashboard = (None, None)
    usual_command = services._build_python_executable_command_memory_profileable

    def command_of(part: str, *arguments: Any, **more: Any) -> list[str]:
        """Return what a helper is started by; the words after it are the helper's own."""
        return (
            _IDLE
            if part in (PROCESS_TYPE_DASHBOARD_AGENT, PROCESS_TYPE_RUNTIME_ENV_AGENT)
            else list(usual_command(part, *arguments, **more))
        )

    with (
        mock.patch.object(parameter, "RayParams", functools.partial(parameter.RayParams, **changes)),
        mock.patch.object(services, "start_api_server", return_value=no_dashboard),
        mock.patch.object(services, "_build_python_executable_command_memory_profileable", command_of),
    ):
        yield


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


def _why(error: BaseException, session: Path, started: list[psutil.Process]) -> str:
    """Say which part of Ray did not start, from the files that the parts leave, and what the machine had then."""
    log = _log(session)
    runs = any(_name(process) == log.stem for process in started)
    if not runs and not log.exists():
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}. {_machine()}"
    state = "runs, but did not answer in time" if runs else "ended while it started"
    said = _last_complaint(log)
    return f"its {log.stem} {state}{f' ({said})' if said else ''}. {_machine()}"


def _log(session: Path) -> Path:
    """Return the log of the part that did not start: the raylet's is made when the other part has answered."""
    raylet = session / "logs" / "raylet.out"
    return raylet if raylet.exists() else raylet.with_name("gcs_server.out")


def _name(process: psutil.Process) -> str:
    try:
        return process.name() if process.status() != psutil.STATUS_ZOMBIE else ""
    except psutil.NoSuchProcess:
        return ""


def _last_complaint(log: Path) -> str:
    """Return the last line of a log that Ray marked as an error, without its stamp and boilerplate.

    A full disk, which Ray complains of every ten seconds, ends no part of it; and addresses tell nobody anything: what
    ended a part so suddenly stands beside its log.
    """
    aside = r"(?!\(\w+\) |logging\.cc:|file_system_monitor\.cc:)"
    marked = (
        re.findall(rf"^\[[^\]]* [EC] \d+ \d+\] (?:\(\w+\) )?{aside}(.*)$", _text(log), flags=re.MULTILINE)
        or re.findall(r"^[EF]\d{4} [^\]]*\] +(.*)$", _text(log.with_suffix(".err")), flags=re.MULTILINE)[:1]
    )
    return str(marked[-1]).rpartition("Check failed: ")[2][:300] if marked else ""


def _text(log: Path) -> str:
    return log.read_text(errors="replace") if log.exists() else ""


def _machine() -> str:
    limits = ", ".join(tight_limits())
    return (
        f"At that time: {usable_cores()} cores, {os.getloadavg()[0]:.1f} processes wanting one, "
        f"{free_memory() / 2**30:.1f} of {usable_memory() / 2**30:.1f} GiB of memory free."
        f"{f' This shell allows a user or process {limits}; Ray may need more.' if limits else ''}"
    )
