"""What the tests of clusters share: a checkout that is not installed, jobs submitted from it as a user does, actors."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SECONDS = 300


def copy_checkout(copy: Path) -> Path:
    """Copy this checkout's tracked files as they are now into a folder, and return that."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs the git checkout, to know which files belong to it")
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    return copy


def submit(environment: dict[str, str], working_dir: Path, *words: str) -> tuple[int, str]:
    """Submit a job as a user does and return the exit status and everything printed, the job's log included."""
    command = [str(BIN / "ray"), "job", "submit", "--working-dir", str(working_dir), "--", *words]
    done = subprocess.run(
        command, env=environment, cwd=working_dir, stdout=-1, stderr=subprocess.STDOUT, text=True, timeout=SECONDS
    )
    return done.returncode, done.stdout


def start_command(*words: str) -> tuple[subprocess.Popen[str], str, dict[str, str]]:
    """Start a command that runs a head, wait until it says how to submit, and return (process, printed, exports)."""
    process = subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    printed = ""
    while "Ctrl-C ends the head." not in printed:
        line = process.stdout.readline()
        assert line, f"the head ended early: {printed}"
        printed += line
    exports = dict(line[7:].split("=", 1) for line in printed.splitlines() if line.startswith("export "))
    return process, printed, exports


def actors_of(exports: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what a cluster's dashboard tells of each actor that it has had.

    Parameters
    ----------
    exports : the variables with which a client reaches the cluster and is let in.
    """
    token = Path(exports["RAY_AUTH_TOKEN_PATH"]).read_text()
    address = f"{exports['RAY_API_SERVER_ADDRESS']}/api/v0/actors?detail=1"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return list(json.load(answer)["data"]["result"]["result"])
