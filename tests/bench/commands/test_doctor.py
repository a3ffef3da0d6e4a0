"""``merbench doctor``: one line a check, and an exit status that counts the problems."""

from __future__ import annotations

import re
import shutil
import socket
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


def line_of(said: str, check: str) -> str:
    (line,) = (line for line in said.splitlines() if line[9:].startswith(f"{check}: "))
    return line


def test_a_cluster_that_is_joined_must_answer(
    merbench: LocalRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = ("--results", str(tmp_path), "--tracking-uri", "off")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        line = line_of(merbench("doctor", *rest).out, "other Ray")
    assert line.startswith("ok ")
    assert line.endswith(f"RAY_ADDRESS is {address}: runs join that cluster")

    said = merbench("doctor", *rest)

    assert said.status == 1
    line = line_of(said.out, "other Ray")
    assert line.startswith("PROBLEM ")
    assert f"RAY_ADDRESS is {address}: runs join that cluster, but nothing answers there" in line
    assert "Unset RAY_ADDRESS" in line


def test_code_that_every_process_compiles_anew_is_told(
    merbench: LocalRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = ("--results", str(tmp_path), "--tracking-uri", "off")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "nothing_there"))
    line = line_of(merbench("doctor", *rest).out, "compiled code")
    assert "PYTHONDONTWRITEBYTECODE is set and torch, ray, mlflow are not compiled, so each process compiles" in line
    assert line.endswith("compile once: uv sync --compile-bytecode")

    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert "written by the first process" in line_of(merbench("doctor", *rest).out, "compiled code")


def test_a_temporary_folder_that_is_too_long_for_sockets_is_told(
    merbench: LocalRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = ("--results", str(tmp_path), "--tracking-uri", "off")
    long = tmp_path / ("n" * 90)
    long.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(long))
    line = line_of(merbench("doctor", *rest).out, "temporary folder")
    assert line.startswith("ok       temporary folder: Ray's session goes below /tmp: ")
    assert str(long) in line
    monkeypatch.setattr("bench.workers.local_ray.SOCKET_BYTES", 40)
    said = merbench("doctor", *rest)
    assert said.status == 1
    assert line_of(said.out, "temporary folder").startswith("PROBLEM  temporary folder: Ray needs a writable folder")


def test_memory_that_workers_would_fill_is_a_problem(
    merbench: LocalRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.commands.doctor.free_memory", lambda: 2 * 2**30)
    for module in ("commands.doctor", "workers.local_workers"):
        monkeypatch.setattr(f"bench.{module}.usable_memory", lambda: 8 * 2**30)
        monkeypatch.setattr(f"bench.{module}.usable_cores", lambda: 16)
    said = merbench("doctor", "--results", str(tmp_path), "--tracking-uri", "off")
    line = line_of(said.out, "cores and memory")
    assert said.status == 1
    assert line.startswith("PROBLEM  cores and memory: 16 cores, 2.0 of 8.0 GiB of memory free: ")
    assert line.endswith("For a run here, give --workers 2.")
    for module in ("commands.doctor", "workers.local_workers"):
        monkeypatch.setattr(f"bench.{module}.usable_cores", lambda: 2)
    assert line_of(merbench("doctor", "--results", str(tmp_path)).out, "cores and memory").startswith("ok ")


def test_limits_under_which_ray_may_not_start_are_a_problem(
    merbench: LocalRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.commands.doctor.tight_limits", lambda: ["5.7 GiB of addresses (ulimit -v)"])
    said = merbench("doctor", "--results", str(tmp_path), "--tracking-uri", "off")
    assert said.status == 1
    assert line_of(said.out, "limits").startswith(
        "PROBLEM  limits: this shell allows a user or process 5.7 GiB of addresses (ulimit -v). Ray may not start"
    )


def test_gpus_that_torch_cannot_use_are_a_problem(
    merbench: LocalRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = "ray._private.accelerators.nvidia_gpu.NvidiaGPUAcceleratorManager.get_current_node_num_accelerators"
    monkeypatch.setattr(manager, staticmethod(lambda: 2))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    said = merbench("doctor", "--results", str(tmp_path), "--tracking-uri", "off")
    assert said.status == 1
    assert line_of(said.out, "torch").startswith("PROBLEM  torch: Ray counts 2 GPUs here, but torch ")
    # One that is there, and made for other kernels than torch has.
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda index: "Tesla K80")

    def refuses(*size: int, device: str) -> None:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore of it")

    monkeypatch.setattr("torch.ones", refuses)
    line = line_of(merbench("doctor", "--results", str(tmp_path), "--tracking-uri", "off").out, "torch")
    assert line.startswith("PROBLEM  torch: ")
    assert line.endswith("sees Tesla K80 and cannot compute on it: CUDA error: no kernel image is available for "
                         "execution on the device")  # fmt: skip


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
