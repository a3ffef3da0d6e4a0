"""The SLURM job: what it runs on one node and on several, and the status that it ends with.

SLURM, and Ray where it is started, are scripts that say what they were told: `ray symmetric-run` stops every Ray of the
machine at its end, and so may not run in a test. They answer as SLURM 22.05 did, with two nodes.
"""

from __future__ import annotations

import os
import socket
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
"$@"
status=$?
[ -z "${RAY_ENDS:-}" ] || cat "$RAY_ENDS" >&2
exit $status
"""
MERBENCH = 'for word in "$@"; do echo "$word"; done > "$SAID/merbench"; exit "${RUN_ENDS_WITH:-0}"'
SRUN = 'echo "$*" >> "$SAID/srun"; while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"'
SCONTROL = "echo node07; sleep 0.05; echo node08"
"""It writes in parts, as for many nodes; who stops reading after the first name kills it."""
SQUEUE = 'echo "  ${NODES_LEFT:-2}"'
GETENT = 'if [ "$*" != "ahostsv4 node07" ]; then exit 2; fi; for kind in STREAM DGRAM; do echo "127.0.0.9 $kind"; done'
RM = '[ "$*" != "-rf $RAY_TMPDIR" ] || /bin/rm -rf "$RAY_TMPDIR"; exit "${RM_ENDS_WITH:-0}"'
"""Folders of other jobs stay: on this machine they may be somebody's."""

HEAD = "127.0.0.9:29422"
"""Where the job 4711 has its Ray: the port follows from its number."""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return an environment's folder with these programs, and the real Python."""
    bin_folder = tmp_path / "environment" / "bin"
    bin_folder.mkdir(parents=True)
    slurm = {"srun": SRUN, "scontrol": SCONTROL, "squeue": SQUEUE}
    for name, text in {"ray": RAY, "merbench": MERBENCH, "getent": GETENT, "rm": RM, **slurm}.items():
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
    assert config.address == HEAD
    assert (config.data, config.results) == (["/shared/my data"], "/shared/runs")
    assert config.models == ["rcn_*", "ststnet"]
    started = (programs / "said/ray").read_text()
    assert started.startswith(f"symmetric-run --address {HEAD} --min-nodes 2 ")
    assert " --num-cpus=48 -- " in started
    steps = (programs / "said/srun").read_text()
    assert "--nodes=1 --ntasks=1 --nodelist=node07 ray symmetric-run" in steps
    assert "--nodes=1 --ntasks=1 --nodelist=node08 bash" in steps


def test_other_nodes_start_when_the_first_one_is_there(programs: Path) -> None:
    """Ray's own waiting ends after half a minute, and the first node's programs may come from a slow disk."""
    said = programs / "said/ray"
    assert submit(programs, *OPTIONS, **SLURM).returncode == 0
    assert [line.partition(" -- ")[2][:2] for line in said.read_text().splitlines()] == ["sh"]
    until_all_are_there = f"#!/bin/sh\nuntil [ $(wc -l < '{said}') -ge 3 ]; do sleep 0.1; done\n"
    (programs / "environment/bin/merbench").write_text(until_all_are_there)
    with socket.create_server(("127.0.0.9", 29422)):
        assert submit(programs, *OPTIONS, **SLURM, SLURM_CPUS_ON_NODE="7").returncode == 0
    (other,) = [line for line in said.read_text().splitlines() if line.endswith(" -- true")]
    assert other.startswith(f"symmetric-run --address {HEAD} --min-nodes 2 ")
    assert " --num-cpus=7 -- " in other


def test_a_node_without_an_address_is_called_by_its_name(programs: Path) -> None:
    (programs / "environment/bin/getent").write_text("#!/bin/sh\nexit 2\n")
    assert submit(programs, *OPTIONS, **SLURM).returncode == 0
    assert (programs / "said/ray").read_text().startswith("symmetric-run --address node07:29422 ")


def test_a_lost_node_is_not_waited_for_at_the_end(programs: Path) -> None:
    assert submit(programs, *OPTIONS, **SLURM, NODES_LEFT="1").returncode == 0
    *_, last = (programs / "said/srun").read_text().splitlines()
    assert "--nodes=1 --ntasks=1 --ntasks-per-node=1 rm -rf" in last


RAY_ENDS = """=======================
2026-12-01 04:47:49,144\tVINFO scripts.py:1421 -- Send termination request to `raylet` (via SIGTERM)
\x1b[33m(raylet)\x1b[0m The autoscaler failed with the following error:
Terminated with signal 15
  File "monitor.py", line 751, in <module>

2026-12-01 04:47:55,203\tWARN scripts.py:1498 -- Stopped only 5 out of 6 Ray processes within the grace period
Command failed with return code 1
"""


def test_the_output_ends_with_the_run_and_not_with_how_ray_ends(programs: Path) -> None:
    (programs / "ends").write_text(RAY_ENDS)
    says = programs / "environment/bin/merbench"
    says.write_text("#!/bin/sh\necho 'the leaderboard'; echo 'a warning' >&2; exit 1\n")
    done = submit(programs, *OPTIONS, **SLURM, RAY_ENDS=str(programs / "ends"))
    assert done.returncode == 1
    expected = ["the leaderboard", "a warning", "=======================", "Command failed with return code 1"]
    assert done.stdout.splitlines() == expected


@pytest.mark.parametrize("threads", [{}, {"OMP_NUM_THREADS": "1"}, {"OMP_THREAD_LIMIT": "1"}])
def test_ray_has_what_it_is_told(programs: Path, threads: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """All cores, also where the job's programs are told to run on one thread each."""
    from ray.scripts.scripts import start
    from ray.scripts.symmetric_run import curate_and_validate_ray_start_args

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert submit(programs, *OPTIONS, **SLURM, **threads).returncode == 0
    words = (programs / "said/ray").read_text().split(" -- ")[0].split()[1:]
    given = curate_and_validate_ray_start_args(words)
    options = start.make_context("start", ["--address", HEAD, "--block", *given]).params
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
    assert len(folder) < 24
    assert not Path(folder).exists()


@pytest.mark.parametrize("status", [1, 2, 130])
def test_the_status_is_that_of_the_run(programs: Path, status: int) -> None:
    assert submit(programs, *OPTIONS, RUN_ENDS_WITH=str(status)).returncode == status


@pytest.mark.parametrize("status", [0, 1])
def test_nodes_that_cannot_be_tidied_change_no_status(programs: Path, status: int) -> None:
    assert submit(programs, *OPTIONS, **SLURM, RM_ENDS_WITH="1", RUN_ENDS_WITH=str(status)).returncode == status


def test_a_ray_that_does_not_start_is_no_success(programs: Path) -> None:
    done = submit(programs, *OPTIONS, RAY_FAILS="1")
    assert done.returncode == 1
    assert "error: Ray did not start on 127.0.0.1" in done.stderr


def test_an_environment_is_needed(programs: Path) -> None:
    done = submit(programs, *OPTIONS, MERBENCH_ENV="")
    assert done.returncode != 0
    assert "cluster/install_image.sh" in done.stderr
