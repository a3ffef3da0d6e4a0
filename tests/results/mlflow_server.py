"""A real MLflow server on loopback, started as ``cluster.mlflow_server`` starts it, for the tests of this folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from cluster.mlflow_server import ENVIRONMENT, TrackingServer

NAME = "mlflow.lab.test"
"""What it is called besides."""


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Serve ``folder``/mlflow.db, which may be there, with artifacts beside it; give the address."""
    port = free_port()
    command = TrackingServer(folder, port=port, names=(NAME,)).command()
    log = folder / "log.txt"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **ENVIRONMENT}, stdout=sink, stderr=sink, start_new_session=True
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until and process.poll() is None:
        try:
            if requests.get(f"{address}/health", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise RuntimeError(f"the MLflow server did not start:\n{log.read_text()}")
