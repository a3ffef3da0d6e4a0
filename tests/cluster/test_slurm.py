"""The SLURM job: what it runs on one node and on several, and the status that it ends with.

SLURM, and Ray where it is started, are scripts that say what they were told: `ray symmetric-run` stops every Ray of the
machine at its end, and so may not run in a test.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from accepted import accepted

SCRIPT = Path(__file__).resolve().parents[2] / "cluster" / "slurm.sbatch"

# As the real one does, it runs what follows `--` and passes its status on; and ends well where it never came to it.
RAY = """
echo "$*" >> "$SAID/ray"
echo "$RAY_AUTH_MODE ${#RAY_AUTH_TOKEN} $RAY_TMPDIR" >> "$SAID/environment"
while [ "$1" != -- ]; do shift; done
shift
if [ -n "${RAY_FAILS:-}" ]; then exit 0; fi
exec "$@"
"""
MERBENCH = 'for word in "$@"; do echo "$word"; done > "$SAID/merbench"; exit "${RUN_ENDS_WITH:-0}"'
SRUN = 'echo "$*" >> "$SAID/srun"; while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"'
SCONTROL = "echo node07; sleep 0.05; echo node08"
"""It writes in parts, as for many nodes; who stops reading after the first name kills it."""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return an environment's folder with these programs, and the real Python."""
    bin_folder = tmp_path / "environment" / "bin"
    bin_folder.mkdir(parents=True)
    for name, text in {"ray": RAY, "merbench": MERBENCH, "srun": SRUN, "scontrol": SCONTROL}.items():
        (bin_folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (bin_folder / name).chmod(0o755)
    (tmp_path / "said").mkdir()
    return tmp_path


def submit(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script as SLURM does, with its options and variables."""
    variables = {"MERBENCH_ENV": str(folder / "environment"), "SAID": str(folder / "said"), **variables}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    return subprocess.run(
        ["bash", str(SCRIPT), *words], env=inherited | variables, capture_output=True, text=True, cwd=folder, timeout=60
    )


SLURM = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": "node[07-08]"}
OPTIONS = ["--data", "/shared/my data", "--models", "rcn_*,ststnet", "--results", "/shared/runs"]


def test_the_run_joins_the_ray_of_all_nodes(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = submit(programs, *OPTIONS, **SLURM, SLURM_CPUS_ON_NODE="48")
    assert done.returncode == 0, done.stderr
    config = accepted(["merbench", *(programs / "said/merbench").read_text().splitlines()], monkeypatch)
    assert config.address == "node07:29422"
    assert (config.data, config.results) == (["/shared/my data"], "/shared/runs")
    assert config.models == ["rcn_*", "ststnet"]
    started = (programs / "said/ray").read_text()
    assert started.startswith("symmetric-run --address node07:29422 --min-nodes 2 ")
    assert " --num-cpus=48 -- " in started
    assert "--nodes=2 --ntasks=2 --ntasks-per-node=1 ray symmetric-run" in (programs / "said/srun").read_text()


@pytest.mark.parametrize("threads", [{}, {"OMP_NUM_THREADS": "1"}, {"OMP_THREAD_LIMIT": "1"}])
def test_ray_has_what_it_is_told(programs: Path, threads: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """All cores, also where the job's programs are told to run on one thread each."""
    from ray.scripts.scripts import start
    from ray.scripts.symmetric_run import curate_and_validate_ray_start_args

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert submit(programs, *OPTIONS, **SLURM, **threads).returncode == 0
    words = (programs / "said/ray").read_text().split(" -- ")[0].split()[1:]
    given = curate_and_validate_ray_start_args(words)
    options = start.make_context("start", ["--address", "node07:29422", "--block", *given]).params
    assert options["num_cpus"] == os.cpu_count()


def test_one_machine_without_slurm_will_do(programs: Path) -> None:
    done = submit(programs, *OPTIONS)
    assert done.returncode == 0, done.stderr
    assert not (programs / "said/srun").exists()
    assert "--address\n127.0.0.1:" in (programs / "said/merbench").read_text()


def test_each_job_has_a_token_and_a_short_folder_that_goes_with_it(programs: Path) -> None:
    assert submit(programs, *OPTIONS, **SLURM).returncode == 0
    mode, token, folder = (programs / "said/environment").read_text().split()
    assert (mode, token) == ("token", "64")
    assert len(folder) < 20
    assert not Path(folder).exists()


@pytest.mark.parametrize("status", [1, 2, 130])
def test_the_status_is_that_of_the_run(programs: Path, status: int) -> None:
    assert submit(programs, *OPTIONS, RUN_ENDS_WITH=str(status)).returncode == status


def test_a_ray_that_does_not_start_is_no_success(programs: Path) -> None:
    done = submit(programs, *OPTIONS, RAY_FAILS="1")
    assert done.returncode == 1
    assert "error: Ray did not start on 127.0.0.1" in done.stderr


def test_an_environment_is_needed(programs: Path) -> None:
    done = submit(programs, *OPTIONS, MERBENCH_ENV="")
    assert done.returncode != 0
    assert "cluster/install_image.sh" in done.stderr
