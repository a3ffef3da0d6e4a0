"""Fixtures shared by all rooms' tests."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from preprocess.base.garbage import look_rarely
from preprocess.base.plugins import unload_plugins

# Ray would build a second environment for its workers when the tests run under `uv run`.
os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
# Ray gives its workers a lower priority; beside other tests, those that wait for them would wait for minutes.
os.environ.setdefault("RAY_worker_niceness", "0")
# pytest-xdist gives its workers a width of 80 columns; tables are printed as where none is set.
os.environ.pop("COLUMNS", None)
# They also ignore Ctrl-C, and what a test starts would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# As every command does: see there.
look_rarely()

# Beside other tests, threads of torch and numpy wait for each other, busily; the engine uses one, too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]

# Tests start some hundred Python processes, Ray's own among them. Where PYTHONDONTWRITEBYTECODE is set, as in many
# containers, each would compile Ray and torch anew; here they keep what they compile, as Python does by default.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files whose tests take long first.

    pytest-xdist hands whole files to its processes, in this order: what comes last should be short, so that no process
    waits for another.
    """
    long = {mark: {item.path for item in items if item.get_closest_marker(mark)} for mark in ("ray", "slow")}
    items.sort(key=lambda item: [item.path not in files for files in long.values()])


def pytest_collection_finish() -> None:
    """Let Python look for garbage among what the tests make alone: what was collected stays to the end."""
    gc.freeze()


@pytest.fixture(autouse=True)
def no_plugin_stays() -> Iterator[None]:
    """Let each test find the registries as they are without the plug-ins of another."""
    yield
    unload_plugins()


def shared_data(name: str) -> Path:
    """Return a folder of real data; licensed, so never part of the repository."""
    path = Path(os.environ.get("MERBENCH_TEST_DATA", ROOT.parent / "shared" / "data")) / name
    if not path.is_dir():
        pytest.skip(f"needs the MEGC2019 flow images at {path} (or under $MERBENCH_TEST_DATA)")
    return path


@pytest.fixture(scope="session")
def megc2019_flow() -> Path:
    """The real flow images of the MEGC2019 composite (442 clips), in label folders."""
    return shared_data("megc2019_flow")


@pytest.fixture(scope="session")
def megc2019_causal() -> Path:
    """The real pictures of the same clips, four a clip in one folder."""
    return shared_data("megc2019_causal")


S3_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "no_proxy": "127.0.0.1",
}


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """Serve S3's protocol on loopback, with a bucket ``lab``; return what an address ends in."""
    # Here and not above: it takes seconds to import, which a process that runs none of these tests is spared.
    moto_server = pytest.importorskip("moto.server", reason="needs moto[server]")
    with pytest.MonkeyPatch.context() as environment:
        for name, value in S3_CREDENTIALS.items():
            environment.setenv(name, value)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/lab", method="PUT")).close()
        yield f"endpoint_override={host}:{port}&scheme=http"
        server.stop()
