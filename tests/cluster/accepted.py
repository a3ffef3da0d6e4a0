"""What our command line makes of the commands that a cluster starts."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

import bench.commands
from bench.cli import app
from bench.config import RunConfig

ROOT = Path(__file__).resolve().parents[2]


def arrives(entrypoint: str) -> list[str]:
    """Return the words that reach the program, through the two shells and the ``ray job submit`` between them."""
    between = "import subprocess, sys; print(subprocess.list2cmdline(sys.argv[1:]), end='')"
    show = "import sys; print('\\n'.join(sys.argv[1:]), end='')"
    submit = f"{shlex.quote(sys.executable)} -c {shlex.quote(between)} {entrypoint} ;"
    job = subprocess.run(["bash", "-c", submit], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    seen = f"{shlex.quote(sys.executable)} -c {shlex.quote(show)} {job}"
    return subprocess.run(["sh", "-c", seen], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split("\n")


def accepted(words: Sequence[str], patch: pytest.MonkeyPatch) -> RunConfig:
    """Return the configuration that a command of a cluster's file means; an error where it is not accepted.

    Parameters
    ----------
    words : ``merbench run ...``, or ``python bench/run_all.py ...``.
    patch : keeps it from being run.
    """
    fronts = (["merbench", "run"], ["python", "bench/run_all.py"])
    assert list(words[:2]) in fronts
    seen: list[RunConfig] = []
    runner = SimpleNamespace(run=lambda config, console: seen.append(config) or 0, dry_run=None)
    patch.setitem(sys.modules, "bench.commands.run", runner)
    patch.setattr(bench.commands, "run", runner, raising=False)
    app(["run", *words[2:]], standalone_mode=False)
    (config,) = seen
    return config
