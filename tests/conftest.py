"""Fixtures shared by all rooms' tests."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from preprocess.base.plugins import unload_plugins

# Ray would build a second environment for its workers when the tests run under `uv run`.
os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
# pytest-xdist gives its workers a width of 80 columns; tables are printed as where none is set.
os.environ.pop("COLUMNS", None)
# They also ignore Ctrl-C, and what a test starts would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

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
