"""What nodes of a cluster that a run joins get of the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.workers import ray_session


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what Ray is told at the start; it neither looks for a cluster nor connects."""
    ray = pytest.importorskip("ray")
    seen: dict[str, Any] = {}
    monkeypatch.setattr(ray, "init", lambda **options: seen.update(options))
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    return seen


def join() -> None:
    with ray_session._joined("10.0.0.1:6379"):
        pass


def test_nodes_get_a_copy_of_the_checkout(told: dict[str, Any]) -> None:
    join()
    assert told["runtime_env"]["working_dir"] == str(ray_session.ROOT)
    assert {"/.git", "/.venv", "/runs"} <= set(told["runtime_env"]["excludes"])


def test_an_installed_benchmark_is_not_sent(
    told: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Several GB of packages would go with it.
    monkeypatch.setattr(ray_session, "ROOT", tmp_path / "lib" / "python3.11" / "site-packages")
    join()
    assert told["address"] == "10.0.0.1:6379"
    assert "runtime_env" not in told


def test_a_job_brings_its_own(told: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    join()
    assert "runtime_env" not in told
