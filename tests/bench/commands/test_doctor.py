"""``merbench doctor``: one line a check, and an exit status that counts the problems."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from local_runs import LocalRuns

from bench.workers.local_ray import NoRay
from results.store.outcome_store import OutcomeStore


def checks(text: str) -> dict[str, str]:
    """Return check -> ``ok`` or ``PROBLEM``."""
    lines = [line for line in text.splitlines() if line.startswith(("ok ", "PROBLEM "))]
    return {line[9:].partition(":")[0]: line.split()[0] for line in lines}


def test_a_sound_machine_has_no_problem_and_nothing_is_written(merbench: LocalRuns, tmp_path: Path) -> None:
    said = merbench("doctor", "--results", str(tmp_path / "new" / "runs"), "--tracking-uri", "off")
    found = checks(said.out)
    expected = {"cores and memory", "torch", "TV-L1 flow", "dlib", "Ray", "other Ray", "results", "tracking"}
    assert expected <= found.keys()
    assert (said.status == 0) == ("PROBLEM" not in found.values())
    assert found["results"] == found["tracking"] == "ok"
    assert re.search(r"TV-L1 flow: (equal to|up to \S+ px from) that of OpenCV", said.out)
    assert "nothing there yet, and it can be made" in said.out
    assert not list(tmp_path.iterdir())


def test_other_rays_are_told_and_that_ray_starts(
    merbench: LocalRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = ("--results", str(tmp_path), "--tracking-uri", "off")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    # As Ray's first process is called.
    (tmp_path / "gcs_server").symlink_to(shutil.which("sleep") or "")
    with subprocess.Popen([tmp_path / "gcs_server", "600"]) as other:
        said = merbench("doctor", *rest).out
        other.kill()
    (line,) = (line for line in said.splitlines() if line.startswith("ok       other Ray: "))
    assert re.search(rf"\b{other.pid}\b", line)
    assert line.endswith("runs without --address join none")
    assert re.search(r"ok       Ray: one of our own starts here in \d+ s\.", said)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert "RAY_ADDRESS is 10.0.0.1:6379: runs join that cluster" in merbench("doctor", *rest).out


def test_a_ray_that_does_not_start_is_a_problem(
    merbench: LocalRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(address: str, cpus: int, say: Callable[[str], None]) -> None:
        raise NoRay("its raylet ended while it started")

    monkeypatch.setattr("bench.workers.ray_session.ray_session", fails)
    said = merbench("doctor", "--results", str(tmp_path), "--tracking-uri", "off")
    assert said.status == 1
    assert "PROBLEM  Ray: its raylet ended while it started" in said.out


def test_an_existing_store_is_counted(merbench: LocalRuns, store: OutcomeStore) -> None:
    assert f"results: {store.root} holds 0 studies" in merbench("doctor", "--results", store.root).out


def test_problems_are_told_and_the_rest_is_still_checked(
    merbench: LocalRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "store.json").write_text('{"schema_version": 99}')
    monkeypatch.setitem(sys.modules, "dlib", None)
    said = merbench("doctor", "--results", str(tmp_path), "--tracking-uri", "http://127.0.0.1:9")
    found = checks(said.out)
    assert said.status == 1
    assert [found[name] for name in ("results", "dlib", "tracking")] == ["PROBLEM"] * 3
    assert "schema version 99" in said.out
    assert found["TV-L1 flow"] == found["torch"] == "ok"
