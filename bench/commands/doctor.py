"""``merbench doctor``: what this machine has, and what keeps a run from working."""

from __future__ import annotations

import importlib.util
import os
import platform
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.config import results_root
from bench.workers import ray_session
from bench.workers.local_ray import session_parent
from bench.workers.local_workers import DRIVER_GIB, WORKER_GIB, local_workers
from bench.workers.provenance import git_state, package_versions
from preprocess.base.errors import MerError
from preprocess.base.machine import free_memory, tight_limits, usable_cores, usable_memory
from preprocess.base.storage import shown_address
from results.store.outcome_store import MissingStore, OutcomeStore
from results.tracking.writer import check_address

PACKAGES = ("merbench", "ray", "torch", "torchvision", "torch-geometric", "timm", "mlflow",
            "opencv-contrib-python-headless", "dlib-bin", "pandas", "scikit-learn", "pyarrow")  # fmt: skip

ANSWER_SECONDS = 5.0
"""How long a cluster may take to answer."""


def examine(results: str, tracking_uri: str | None, say: Callable[[str], None]) -> int:
    """Print one line a check, ``ok`` or ``PROBLEM``; return 0 when there is no problem, else 1."""
    say(f"python {platform.python_version()} on {platform.platform()}; code {git_state() or 'outside a git checkout'}")
    say(" ".join(f"{name} {version or 'MISSING'}" for name, version in package_versions(PACKAGES).items()))
    checks: list[tuple[str, Callable[[], str]]] = [
        ("cores and memory", _cores),
        ("limits", _limits),
        ("compiled code", _compiled_code),
        ("torch", _torch),
        ("TV-L1 flow", _tv_l1),
        ("dlib", _dlib),
        ("shared memory", _shared_memory),
        ("temporary folder", _temporary_folder),
        ("other Ray", _other_ray),
        ("Ray", _ray),
        ("results", lambda: _results(results)),
        ("tracking", lambda: _tracking(results, tracking_uri)),
    ]
    problems = 0
    for name, check in checks:
        try:
            say(f"ok       {name}: {check()}")
        except (MerError, ImportError, AttributeError, OSError) as error:
            problems += 1
            say(f"PROBLEM  {name}: {error}")
    return 1 if problems else 0


def _cores() -> str:
    workers, free = local_workers(None), free_memory() / 2**30
    told = f"{usable_cores()} cores, {free:.1f} of {usable_memory() / 2**30:.1f} GiB of memory free"
    if free < DRIVER_GIB + workers * WORKER_GIB:
        fit = int((free - DRIVER_GIB) / WORKER_GIB)
        advice = f"give --workers {fit}" if fit > 0 else "free some, or take another machine"
        raise OSError(
            f"{told}: a run takes about {DRIVER_GIB:g} GiB, and {WORKER_GIB:g} for each worker ({workers} here), "
            f"beside its data; Ray ends workers of a machine that is full. For a run here, {advice}."
        )
    return told


def _limits() -> str:
    limits = tight_limits()
    if not limits:
        return "none of this shell that would keep Ray from starting"
    raise OSError(
        f"this shell allows a user or process {', '.join(limits)}. Ray may not start, or ends later: raise them "
        "(ulimit takes `unlimited` where the machine's owner lets it), or run in a batch job, whose limits are wider."
    )


def _compiled_code() -> str:
    origins = {name: getattr(importlib.util.find_spec(name), "origin", None) for name in ("torch", "ray", "mlflow")}
    files = {name: importlib.util.cache_from_source(origin) for name, origin in origins.items() if origin}
    lacking = [name for name, file in files.items() if not Path(file).exists()]
    if not lacking:
        return "kept beside its source"
    if not sys.dont_write_bytecode:
        return "written by the first process that imports it"
    return (
        f"PYTHONDONTWRITEBYTECODE is set and {', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not compiled, "
        "so each process compiles all that it imports, which may double the time to the first fold. Unset it, or "
        "compile once: uv sync --compile-bytecode"
    )


def _torch() -> str:
    import torch
    from ray._private.accelerators import get_accelerator_manager_for_resource

    manager = get_accelerator_manager_for_resource("GPU")
    claimed = manager.get_current_node_num_accelerators() if manager else 0
    if not torch.cuda.is_available():
        if claimed:
            raise OSError(
                f"Ray counts {claimed} GPUs here, but torch {torch.__version__} can use none (a driver too old for "
                f"CUDA {torch.version.cuda}, or torch without CUDA?): workers would train on the CPU."
            )
        return f"{torch.__version__}, no GPU: networks train on the CPU, one thread a worker"
    names = []
    for index in range(torch.cuda.device_count()):
        names.append(torch.cuda.get_device_name(index))
        try:
            torch.ones(1, device=f"cuda:{index}").add_(1).item()
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise OSError(f"{torch.__version__} sees {names[-1]} and cannot compute on it: {reason}") from error
    return f"{torch.__version__}, GPUs: {', '.join(names)}"


def _tv_l1() -> str:
    import cv2
    import numpy as np

    from preprocess.motion.tvl1 import tvl1_flow

    if not hasattr(cv2, "optflow"):
        return "not compared: this cv2 is not that of opencv-contrib-python-headless; is another opencv installed too?"
    noise = np.random.default_rng(0).integers(0, 256, (40, 48), dtype=np.uint8)
    first = cv2.GaussianBlur(noise, (0, 0), 3)
    second = np.roll(first, 1, axis=1)
    solver: Any = cv2.optflow
    theirs = solver.DualTVL1OpticalFlow_create().calc(first, second, None)
    apart = float(np.abs(tvl1_flow(first, second) - theirs).max())
    if not apart:
        return f"equal to that of OpenCV {cv2.__version__} to the bit"
    return f"up to {apart:.2g} px from that of OpenCV {cv2.__version__}: features made here differ from those elsewhere"


def _dlib() -> str:
    import dlib

    return str(dlib.__version__)


def _shared_memory() -> str:
    folder = Path("/dev/shm")
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize / 2**30 if folder.is_dir() else 0.0
    if free < 0.25:
        raise OSError(f"{free:.2f} GiB free in {folder}; Ray shares data there: give the container a larger --shm-size")
    return f"{free:.1f} GiB free"


def _temporary_folder() -> str:
    parent, why = session_parent()
    return f"Ray's session goes below {parent}: {why}" if why else f"{parent}: short enough for Ray's sockets"


def _other_ray() -> str:
    import psutil

    running = [process.pid for process in psutil.process_iter(["name"]) if process.info["name"] == "gcs_server"]
    there = "none runs on this machine"
    if running:
        there = f"{len(running)} on this machine (gcs_server, process {', '.join(map(str, running))})"
    address = ray_session.cluster_address(None)
    if not address:
        return f"{there}; runs without --address join none"
    joined = f"{there}; RAY_ADDRESS is {address}: runs join that cluster"
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
        except OSError as error:
            raise OSError(
                f"{joined}, but nothing answers there ({error}). Unset RAY_ADDRESS, or give --address local, for a Ray "
                "of this machine alone."
            ) from error
    return joined


def _ray() -> str:
    start = time.monotonic()
    said: list[str] = []
    with ray_session.ray_session("local", 1, said.append):
        seconds = time.monotonic() - start
    return " ".join([f"one of our own starts here in {seconds:.0f} s.", *said])


def _results(results: str) -> str:
    root = results_root(results)
    try:
        store = OutcomeStore(root)
        return f"{store.where()} holds {len(store.cards())} studies"
    except MissingStore:
        if "://" in root:
            return f"{shown_address(root)}: nothing there yet"
    parent = next(folder for folder in [Path(root), *Path(root).parents] if folder.is_dir())
    with tempfile.TemporaryFile(dir=parent):
        return f"{root}: nothing there yet, and it can be made"


def _tracking(results: str, tracking_uri: str | None) -> str:
    from results.tracking.client import Tracker, TrackingLost, shown_uri
    from results.tracking.sync import TRACKING_OFF

    uri = check_address(tracking_uri, results_root(results))
    if uri is None:
        return TRACKING_OFF if tracking_uri is None else tracking_uri
    if uri.startswith("http"):
        try:
            Tracker(uri)
        except TrackingLost as error:
            raise ConnectionError(f"{shown_uri(uri)}: {error}") from error
    return shown_uri(uri)
