"""Connecting to Ray: a fresh local instance, a running cluster, or the cluster this job was submitted to."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from bench.console.interrupts import catch_sigterm, sigterm_kept, terminable, terminated
from bench.workers.capacity import Capacity
from bench.workers.local_ray import WAITS, NoRay, local_ray
from bench.workers.local_workers import local_workers, told_of_workers
from preprocess.base.errors import UsageError
from preprocess.base.scoped import environment

ROOT = Path(__file__).resolve().parents[2]

# Tune's bookkeeping is not needed: the outcome store is what a run resumes from.
_ENVIRONMENT = {
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_RESULT_BUFFER_LENGTH": "0",
    "TUNE_WARN_THRESHOLD_S": "30",
}

# Tune refuses to run where these are set, which older versions of it read.
_NOT_SET = {"RAY_AIR_LOCAL_CACHE_DIR": "", "TUNE_RESULT_DIR": ""}

# Nobody else needs to reach a local Ray. Despite the name, this makes it stay on the loopback interface on Linux too.
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}

# By default, workers give way to all else on the machine, and idle ones are ended. Those that were started ahead, and
# have imported everything, would then be replaced by others that do so again.
_KEPT_READY = {"RAY_worker_niceness": "0", "RAY_kill_idle_workers_interval_ms": "0"}

PRELOAD = "RAY_preload_python_modules"
"""Read by the part of Ray that starts workers: which modules these import before they take work."""


SWITCH_SECONDS = 0.0005
"""How long one thread may keep another waiting while Ray starts beside imports, or it waits for each file it reads."""


@dataclass(frozen=True)
class Cluster:
    """The connected Ray.

    Attributes
    ----------
    local : whether this process started it; it then ends with this process.
    address : of the cluster, or ``local``.
    capacity : what it has now; see ``node_types.with_growth`` for what it may have.
    """

    local: bool
    address: str
    capacity: Capacity

    @property
    def cpus(self) -> int:
        """How many CPUs all nodes have now."""
        return int(self.capacity.now("CPU"))


class RaySession:
    """The Ray of one command: connected when something first needs it, left when the ``with`` block ends.

    Inside the block SIGTERM raises KeyboardInterrupt, as Ctrl-C does.

    Parameters
    ----------
    address, cpus : as ``ray_session`` takes them.
    say : takes one line of text; None prints it to standard error.
    preload : whether the workers of a Ray of our own import what training needs when they start.
    """

    def __init__(
        self,
        address: str | None,
        cpus: int | None,
        say: Callable[[str], None] | None = None,
        preload: bool = False,
    ) -> None:
        self._address, self._cpus, self._say = cluster_address(address), cpus, say or _to_stderr
        self._preload = {PRELOAD: "bench.workers.preloaded"} if preload else {}
        self._stack = contextlib.ExitStack()
        self._ahead: _Ahead | None = None
        self._cluster: Cluster | None = None

    def __enter__(self) -> RaySession:
        self._stack.enter_context(terminable())
        self._stack.enter_context(environment(self._preload))
        return self

    def __exit__(self, *error: Any) -> None:
        self._cluster = self._ahead = None
        self._stack.close()

    def start_ahead(self) -> None:
        """Begin to start a Ray of our own while this process does other things; ``cluster`` waits for it."""
        if self._address is None and self._ahead is None and self._cluster is None:
            self._ahead = self._stack.enter_context(_Ahead(self._cpus))

    def leave(self) -> None:
        """Let a Ray that was started ahead end, while this process does other things; it must not be used again."""
        if self._ahead:
            self._ahead.leave()

    def cluster(self) -> Cluster:
        """Return the cluster, connected."""
        if self._cluster is None:
            try:
                if self._ahead:
                    self._cluster = self._ahead.cluster(self._say)
                else:
                    self._cluster = self._stack.enter_context(ray_session(self._address, self._cpus, self._say))
            except SystemExit:
                # What Ray makes of SIGTERM while it starts.
                terminated()
            catch_sigterm()
        return self._cluster

    def spreads(self) -> bool:
        """Return whether Ray offers more than one CPU, or may grow to; only then it is connected."""
        if not self._address and local_workers(self._cpus) < 2:
            return False
        cluster = self.cluster()
        return cluster.cpus > 1 or not cluster.local


class _Ahead:
    """A local Ray that a thread starts while nobody needs it yet, and ends by the end of the ``with`` block.

    Parameters
    ----------
    cpus : as ``ray_session`` takes them.
    """

    def __init__(self, cpus: int | None) -> None:
        self._cpus, self._interval = cpus, sys.getswitchinterval()
        self._started: Cluster | BaseException | None = None
        self._said: list[str] = []
        self._up, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="local-ray", daemon=True)

    def __enter__(self) -> _Ahead:
        sys.setswitchinterval(min(SWITCH_SECONDS, self._interval))
        self._thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self.leave()
        # A Ray that is ended while it starts may take this process along.
        self._thread.join()

    def leave(self) -> None:
        """Let the thread end Ray; leaving the ``with`` block waits until it has."""
        self._over.set()

    def cluster(self, say: Callable[[str], None]) -> Cluster:
        """Return the cluster once it is there, and tell what was to be told of its start; raise what ended that."""
        self._up.wait()
        while self._said:
            say(self._said.pop(0))
        if isinstance(self._started, Cluster):
            return self._started
        assert self._started is not None
        raise self._started

    def _run(self) -> None:
        try:
            with ray_session("local", self._cpus, self._note) as cluster:
                self._started = cluster
                self._tell()
                # Ray's processes die with the thread that has started them.
                self._over.wait()
        except BaseException as error:  # for whoever asks for the cluster
            self._started = error
        finally:
            self._tell()

    def _note(self, text: str) -> None:
        if self._over.is_set():
            # What it says comes between two attempts.
            raise NoRay("Nobody needs it any more.")
        self._said.append(text)

    def _tell(self) -> None:
        sys.setswitchinterval(self._interval)
        self._up.set()


def cluster_address(address: str | None) -> str | None:
    """Return the address of the cluster that a run joins: the given one, else ``RAY_ADDRESS``; None for a local Ray."""
    given = address or os.environ.get("RAY_ADDRESS") or None
    return None if given == "local" else given


@contextlib.contextmanager
def ray_session(address: str | None, cpus: int | None, say: Callable[[str], None]) -> Iterator[Cluster]:
    """Connect to Ray for the duration of the block and disconnect (local: stop) afterwards.

    Parameters
    ----------
    address : of a running cluster; None for the one in ``RAY_ADDRESS`` (set inside a Ray job) or, without that, for a
        local one that this process starts, whatever other Ray runs on this machine.
    cpus : the cores of a local one; None for all that this process may use and that memory holds workers for.
    say : takes one line of text, where starting a local one is worth a word.

    Raises
    ------
    UsageError : no cluster answers at the address.
    NoRay : no Ray starts on this machine.
    """
    given = cluster_address(address)
    connected = _joined(given) if given else _local(cpus, say)
    # Ray and Tune read these when they are imported, and Ray's processes inherit them.
    with environment(_ENVIRONMENT, keep=True), environment(_NOT_SET), connected, _without_dumps():
        import ray

        nodes = tuple(node["Resources"] for node in ray.nodes() if node["Alive"])
        yield Cluster(not given, given or "local", Capacity(nodes, fixed=not given))


@contextlib.contextmanager
def _local(asked: int | None, say: Callable[[str], None]) -> Iterator[None]:
    """Start a Ray of our own, which is waited for longer than a cluster that does not answer."""
    if told := told_of_workers(asked):
        say(told)
    with (
        environment({**WAITS, **_LOOPBACK, **_KEPT_READY}, keep=True),
        # Inherited by the workers, which must find these rooms even where the checkout is not installed. (A runtime
        # environment would do it too, but turns away the workers that Ray starts ahead.)
        environment({"PYTHONPATH": _python_path()}),
        local_ray(local_workers(asked), say),
    ):
        yield


@contextlib.contextmanager
def _joined(address: str) -> Iterator[None]:
    """Connect to the cluster at the address, and leave it after the block."""
    import ray

    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
    # A job brings its own code; where the rooms are installed, among all other packages, they are on every node.
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ and is_checkout(ROOT):
        options["runtime_env"] = {
            "working_dir": str(ROOT),
            "excludes": ["/.git", "/.venv", "/runs", "/tests", "__pycache__"],
        }
    try:
        with sigterm_kept():
            ray.init(**options)
    except Exception as error:  # A cluster that does not answer raises nothing more special.
        reason = " ".join(str(error).split())[:300]
        raise UsageError(
            f"No Ray cluster answers at {address!r}: {reason} Check --address (or RAY_ADDRESS), and "
            "RAY_AUTH_MODE=token with its token where the cluster asks for one. Without an address, Ray starts here."
        ) from error
    try:
        yield
    finally:
        from bench.workers.leaving import leave_ray

        leave_ray()


@contextlib.contextmanager
def _without_dumps() -> Iterator[None]:
    """Keep what Ray prints of each dead worker and node, pages of it, from the terminal; a run tells of them itself."""
    from ray._private import worker

    with mock.patch.object(worker, "print_to_stdstream", return_value=None):
        yield


def is_checkout(folder: Path) -> bool:
    """Return whether the rooms lie in a checkout, which nodes get a copy of, and not among installed packages."""
    return (folder / "pyproject.toml").is_file()


def _python_path() -> str:
    others = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    return os.pathsep.join(dict.fromkeys([str(ROOT), *others]))


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)
