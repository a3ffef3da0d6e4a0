"""Connecting to Ray: a fresh local instance, a running cluster, or the cluster this job was submitted to."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.console.interrupts import catch_sigterm, terminable, terminated
from preprocess.base.errors import MerError, UsageError

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


class NoRay(MerError):
    """Ray could not be started on this machine."""


@dataclass(frozen=True)
class Cluster:
    """What the connected Ray offers now. local : it was started by this process and ends with it."""

    local: bool
    address: str
    cpus: int
    gpus: float
    nodes: int


class RaySession:
    """The Ray of one command: connected when something first needs it, left when the ``with`` block ends.

    Inside the block SIGTERM raises KeyboardInterrupt, as Ctrl-C does.
    address, cpus : as ``ray_session`` has them.
    """

    def __init__(self, address: str | None, cpus: int | None) -> None:
        self._address, self._cpus = address, cpus
        self._stack = contextlib.ExitStack()
        self._cluster: Cluster | None = None

    def __enter__(self) -> RaySession:
        self._stack.enter_context(terminable())
        return self

    def __exit__(self, *error: Any) -> None:
        self._cluster = None
        self._stack.close()

    def cluster(self) -> Cluster:
        """Return the cluster, connected."""
        if self._cluster is None:
            try:
                self._cluster = self._stack.enter_context(ray_session(self._address, self._cpus))
            except SystemExit:
                # What Ray makes of SIGTERM while it starts.
                terminated()
            catch_sigterm()
        return self._cluster

    def spreads(self) -> bool:
        """Return whether Ray offers more than one CPU, or may grow to; only then it is connected."""
        if not (self._address or os.environ.get("RAY_ADDRESS")) and (self._cpus or usable_cores()) < 2:
            return False
        cluster = self.cluster()
        return cluster.cpus > 1 or not cluster.local


def prepare_environment() -> None:
    """Set the variables that Ray and Tune read when they are imported; call before the first ``import ray``."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def ray_session(address: str | None, cpus: int | None) -> Iterator[Cluster]:
    """Connect to Ray for the duration of the block and disconnect (local: stop) afterwards.

    address : of a running cluster; None for the one in ``RAY_ADDRESS`` (set inside a Ray job) or, without that, a local
    one with ``cpus`` cores (None: all that this process may use).
    Raises UsageError when there is no cluster at the address, NoRay when none starts on this machine.
    """
    given = address or os.environ.get("RAY_ADDRESS")
    prepare_environment()
    if not given:
        # Nobody else needs to reach it. Despite the name, this makes Ray stay on the loopback interface on Linux too.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if given:
        options["address"] = given
        if "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ:
            options["runtime_env"] = {
                "working_dir": str(ROOT),
                "excludes": ["/.git", "/.venv", "/runs", "/tests", "__pycache__"],
            }
    else:
        options |= {"num_cpus": cpus or usable_cores(), "include_dashboard": False}
        # Inherited by the workers, which must find these rooms even where the checkout is not installed. (A runtime
        # environment would do it too, but turns away the workers that Ray starts ahead.)
        os.environ["PYTHONPATH"] = _python_path()
    try:
        ray.init(**options)
    except Exception as error:  # A node that is late raises nothing more special.
        reason = " ".join(str(error).split())[:300]
        if not given:
            raise NoRay(
                f"Ray did not start on this machine: {reason} Is it out of memory, or very busy? Run the same command "
                "again; Ray's logs are in its temporary folder (/tmp/ray/session_latest/logs)."
            ) from error
        raise UsageError(
            f"No Ray cluster answers at {given!r}: {reason} Check --address (or RAY_ADDRESS), and "
            "RAY_AUTH_MODE=token with its token where the cluster asks for one. Without an address, Ray starts here."
        ) from error
    try:
        total = ray.cluster_resources()
        yield Cluster(
            local=not given,
            address=given or "local",
            cpus=int(total.get("CPU", 0)),
            gpus=float(total.get("GPU", 0)),
            nodes=sum(1 for node in ray.nodes() if node["Alive"]),
        )
    finally:
        ray.shutdown()


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _python_path() -> str:
    others = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    return os.pathsep.join(dict.fromkeys([str(ROOT), *others]))
