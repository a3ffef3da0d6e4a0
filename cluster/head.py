"""A Ray head on this machine's loopback interface, with token authentication: the cluster path without a cluster.

``python -m cluster.head --num-cpus 2`` starts one and prints how to submit a benchmark to it; Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from preprocess.base.errors import MerError
from preprocess.base.machine import usable_cores
from preprocess.base.processes import kill_all

START_SECONDS = 180.0
"""Longest time a head may take to answer; some ten seconds on an idle machine."""

END_SECONDS = 20.0
"""How long a head that was asked to end may take before its processes are killed."""

# Ray puts "localhost" back to the machine's outward address unless clusters of several machines are ruled out; the
# variable's name is from the systems where they are by default.
_LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
_HEAD_ONLY = {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}
_OF_ANOTHER_RAY = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN", "RAY_JOB_CONFIG_JSON_ENV_VAR")

_MARK = "MERBENCH_HEAD"
"""Set to the head's folder in its processes, and so in whatever they start: even the drivers of jobs end with it."""


class HeadError(MerError):
    """A Ray head that did not come up; holds what it printed last."""


@dataclass(frozen=True)
class Head:
    """A running head.

    Attributes
    ----------
    address : host:port, for ``ray.init`` and ``merbench run --address``.
    dashboard : URL, for ``ray job submit``.
    token_file : holds the token that clients show; only this user can read it.
    pid : of ``ray start``; all its processes, and those of its nodes, share its session (``os.getsid``), except what
        jobs start.
    environment : the variables with which a client reaches the head and is let in.
    """

    address: str
    dashboard: str
    token_file: Path
    pid: int
    environment: dict[str, str] = field(repr=False)


@contextlib.contextmanager
def local_head(
    num_cpus: int, num_gpus: int = 0, port: int = 0, words: Sequence[str] = (), variables: Mapping[str, str] = {}
) -> Iterator[Head]:
    """Run a head for the duration of the block, and end it and remove its files afterwards.

    Several heads can run side by side: each takes free ports and a token of its own, and none writes to ``~/.ray``.

    Parameters
    ----------
    num_cpus, num_gpus : how many the head says that it has; the numbers need not be true.
    port : on which it is reached; 0 for any that is free.
    words : more options of ``ray start``.
    variables : more environment variables of the head's processes.

    Raises
    ------
    HeadError : the head ended, or did not answer within START_SECONDS.
    """
    # A short path on purpose: the sockets in it may have names of 107 bytes at most.
    folder = Path(tempfile.mkdtemp(prefix="mb", dir="/tmp"))
    try:
        token_file = folder / "token"
        token = secrets.token_hex(32)
        token_file.touch(mode=0o600)
        token_file.write_text(token)
        client = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token_file), **_LOOPBACK_ONLY}
        options = [f"--num-cpus={num_cpus}", f"--num-gpus={num_gpus}", f"--port={port}", *words]
        with _ray_start(folder, options, {**variables, **client}) as (process, dashboard):
            address = _wait_until_up(process, folder, dashboard, token)
            client |= {"RAY_ADDRESS": address, "RAY_API_SERVER_ADDRESS": dashboard}
            yield Head(address, dashboard, token_file, process.pid, client)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _ray_start(
    folder: Path, options: Sequence[str], variables: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start the head in a session of its own and yield (process, dashboard URL)."""
    inherited = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_RAY}
    # A job's entry point says `python`: on this head, that is the Python that runs here.
    search = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)])
    environment = {**inherited, "PATH": search, _MARK: str(folder), **_HEAD_ONLY, **variables}
    dashboard_port, client_port = free_ports(2)
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", *options]
    command += [f"--temp-dir={folder / 'ray'}"]
    command += ["--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard_port}", "--dashboard-agent-listen-port=0"]
    command += [f"--ray-client-server-port={client_port}", "--disable-usage-stats"]
    with (folder / "start.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process, f"http://127.0.0.1:{dashboard_port}"
    finally:
        _end(process, str(folder))


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(bound.getsockname()[1]) for bound in sockets]


def _wait_until_up(process: subprocess.Popen[bytes], folder: Path, dashboard: str, token: str) -> str:
    """Return the head's address once it is known and the dashboard lets the token in."""
    request = urllib.request.Request(f"{dashboard}/api/jobs/", headers={"Authorization": f"Bearer {token}"})
    address_file = folder / "ray" / "ray_current_cluster"
    deadline = time.monotonic() + START_SECONDS
    reason = "no address yet"
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.2)
        if not address_file.exists():
            continue
        try:
            with urllib.request.urlopen(request, timeout=30):
                return address_file.read_text().strip()
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reason = f"{dashboard}: {error}"
    state = "does not answer" if process.poll() is None else f"ended with status {process.returncode}"
    raise HeadError(_ended(f"{state} ({reason})", folder))


def _ended(how: str, folder: Path) -> str:
    printed = (folder / "start.log").read_text(errors="replace").strip().splitlines()[-15:]
    return "\n".join([f"The Ray head {how}. It printed:", *printed])


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    """Ask the head to end, and kill what is left of its session and of its jobs: never anything of another Ray."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    left = [other for other in psutil.process_iter() if _session(other.pid) == process.pid or _mark(other) == mark]
    kill_all(left, END_SECONDS)
    process.wait()


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(_MARK)
    except (psutil.Error, OSError):
        return None


def main() -> int:
    """Run a head until Ctrl-C and say how to use it."""
    parser = argparse.ArgumentParser(prog="python -m cluster.head", description=main.__doc__)
    parser.add_argument("--num-cpus", type=int, default=usable_cores(), help="default: this machine's")
    parser.add_argument("--num-gpus", type=int, default=0, help="default: 0")
    options = parser.parse_args()
    return serve(local_head(options.num_cpus, options.num_gpus), _usage)


def serve(started: AbstractContextManager[Head], usage: Callable[[Head], str]) -> int:
    """Run a head until Ctrl-C or SIGTERM, and return the exit status.

    Parameters
    ----------
    started : starts it, and ends it.
    usage : returns what is printed once it runs.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with started as head:
            print(usage(head), flush=True)
            # Not signal.pause: a Ctrl-C that comes just before it would be waited for until the next one.
            while psutil.Process(head.pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.5)
            raise HeadError(_ended("ended by itself", head.token_file.parent))
    except KeyboardInterrupt:
        print("The head has ended.")
    except MerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _usage(head: Head) -> str:
    return f"A Ray head runs at {head.address}; its dashboard is {head.dashboard}\n{how_to_submit(head)}"


def how_to_submit(head: Head) -> str:
    """Return the lines that a user types to run the benchmark on a head."""
    exports = [f"export {name}={shlex.quote(value)}" for name, value in head.environment.items()]
    submit = 'ray job submit --working-dir . -- python bench/run_all.py --results "$HOME/merbench-runs" --preset smoke'
    return "\n".join(
        [
            f"Its token lies in {head.token_file}. In another shell, at the root of the checkout:",
            "",
            *exports,
            submit,
            "",
            "Ctrl-C ends the head.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
