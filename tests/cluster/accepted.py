"""What our command line makes of the commands that a cluster starts."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from click.testing import CliRunner
from ray.dashboard.modules.job import cli

import bench.commands
from bench.cli import app
from bench.config import RunConfig

ROOT = Path(__file__).resolve().parents[2]


def arrives(entrypoint: str) -> list[str]:
    """Return the words that reach the program, through the two shells and Ray's own ``ray job submit`` between them."""
    submitted: list[str] = []
    client = SimpleNamespace(submit_job=lambda **given: submitted.append(given["entrypoint"]), get_version=lambda: "0")
    with mock.patch.object(cli, "_get_sdk_client", return_value=client):
        done = CliRunner().invoke(cli.submit, ["--no-wait", "--", *_words(entrypoint, "bash")])
    assert done.exit_code == 0, done.output
    return _words(submitted[0], "sh")


def _words(command: str, shell: str) -> list[str]:
    """Return the words of a command as a shell passes them on; the current folder has files that patterns match."""
    show = "import json, sys; print(json.dumps(sys.argv[1:]))"
    shown = f"{shlex.quote(sys.executable)} -c {shlex.quote(show)} {command} ;"
    done = subprocess.run([shell, "-c", shown], capture_output=True, text=True, check=True, cwd=ROOT)
    words: list[str] = json.loads(done.stdout)
    return words


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
