"""Where, when and with what a fold was computed: kept beside each outcome, never part of its key."""

from __future__ import annotations

import functools
import os
import platform
import socket
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numpy", "scikit-learn", "ray")


def provenance(device: str, seconds: float | None) -> dict[str, Any]:
    """Return the facts of this process and moment as JSON values.

    Parameters
    ----------
    device : torch's name of the device.
    seconds : how long the fold's training took; None where it did not end.
    """
    return {
        **_process_facts(device),
        "seconds": None if seconds is None else round(seconds, 4),
        "finished_at": datetime.now(UTC).isoformat(timespec="microseconds"),
    }


@functools.cache
def _process_facts(device: str) -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": package_versions(PACKAGES),
        "device": _device_name(device),
        "git": git_state(),
    }


def package_versions(names: tuple[str, ...]) -> dict[str, str | None]:
    """Return the installed version of each package, None where it is not installed."""
    versions: dict[str, str | None] = {}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions


@functools.cache
def git_state() -> str | None:
    """Return the commit of this checkout, with ``+dirty`` when files differ from it; None outside a checkout."""
    known = os.environ.get("MERBENCH_GIT_STATE")
    if known is not None:
        return known or None
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        dirty = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
    return f"{commit}+dirty" if dirty else commit


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def _device_name(device: str) -> str:
    if not device.startswith("cuda"):
        return device
    import torch

    return torch.cuda.get_device_name(device)
