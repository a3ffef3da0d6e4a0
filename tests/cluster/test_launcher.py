"""What `ray up` reads: as Ray's own schema and defaults have it, with commands that Ray and we accept."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from accepted import accepted, arrives

from bench.config import DEFAULT_MODELS
from bench.workers.node_types import capacity_of
from cluster.for_launcher import _OWN_DEFAULTS, IMAGE_ENVIRONMENT, LAUNCHERS, Aws, Gcp, Machines, OwnMachines
from cluster.manifests import launcher_file, main
from preprocess.base.errors import UsageError

FOLDER = Path(__file__).resolve().parents[2] / "cluster" / "launcher"

CHANGED: dict[str, Machines] = {
    "local": OwnMachines(
        head_ip="10.0.0.1", worker_ips=("10.0.0.2",), gpus=2, data=("/shared/CASME2",), results="/nfs/my runs"
    ),
    "aws": Aws(region="eu-central-1", gpus=0, cpus=17, options=("--models", "rcn_*")),
    "gcp": Gcp(zone="europe-west4-b", gpus=64, results="gs://b/runs", tracking_uri="http://10.0.0.9:5000"),
}
REQUESTS = [(name, kind()) for name, kind in LAUNCHERS.items()] + list(CHANGED.items())
IDS = [*LAUNCHERS, *(f"{name} changed" for name in CHANGED)]


def prepared(machines: Machines) -> dict[str, Any]:
    """Return a configuration as ``ray up`` fills it in, held against Ray's schema before and after."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    written = yaml.safe_load(launcher_file("any", machines))
    found = prepare_config(written)
    validate_config(found)
    return found


@pytest.mark.parametrize("name", LAUNCHERS)
def test_what_is_committed_is_what_the_command_writes(name: str) -> None:
    assert {file.stem for file in FOLDER.iterdir()} == set(LAUNCHERS)
    assert (FOLDER / f"{name}.yaml").read_text() == launcher_file(name, LAUNCHERS[name]())


@pytest.mark.parametrize(("name", "machines"), REQUESTS, ids=IDS)
def test_ray_takes_it_with_its_own_defaults(name: str, machines: Machines) -> None:
    found = prepared(machines)
    assert found["provider"]["type"] == name
    types = found["available_node_types"]
    assert sum(kind.get("min_workers", 0) for kind in types.values()) == 0
    if isinstance(machines, OwnMachines):
        assert found["max_workers"] == len(machines.worker_ips)
        head: dict[str, float] = {"CPU": 0.0, "node:__internal_head__": 1.0}
        capacity = capacity_of((head,), found)
        assert capacity.grown("CPU") == machines.cpus * len(machines.worker_ips), "a run knows, while none is there"
        assert capacity.grown("GPU") == machines.gpus * len(machines.worker_ips)
        return
    assert types["head"]["resources"] == {"CPU": 0}
    assert types["head"]["max_workers"] == 0
    assert ("gpu" in types) == bool(machines.gpus)
    for group, total, resource in (("cpu", machines.cpus, "CPU"), ("gpu", machines.gpus, "GPU")):
        if total:
            of_one = types[group]["resources"][resource]
            assert total <= types[group]["max_workers"] * of_one < total + of_one
    assert found["max_workers"] == sum(kind["max_workers"] for kind in types.values())


def test_own_machines_have_all_that_ray_would_fill_in() -> None:
    """Told what machines have, it takes a configuration for one that it has filled in before."""
    from ray.autoscaler._private.util import prepare_config

    written = yaml.safe_load(launcher_file("local", OwnMachines()))
    types = ("available_node_types", "head_node_type")
    filled = prepare_config({key: value for key, value in written.items() if key not in (*types, *_OWN_DEFAULTS)})
    told = prepare_config(written)
    assert {key: told[key] for key in filled if key not in types} == {
        key: value for key, value in filled.items() if key not in types
    }
    assert told["head_node_type"] == filled["head_node_type"]
    assert told["available_node_types"].keys() == filled["available_node_types"].keys()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "machines"), REQUESTS, ids=IDS)
def test_ray_starts_with_options_that_it_has(name: str, machines: Machines) -> None:
    from ray.scripts.scripts import start

    found = prepared(machines)
    environment = machines.environment if isinstance(machines, OwnMachines) else IMAGE_ENVIRONMENT
    for key, is_head in (("head_start_ray_commands", True), ("worker_start_ray_commands", False)):
        *_, command = found[key]
        settings, _, started = command.partition("ray start ")
        assert settings.startswith(f"export PATH={environment}/bin:$PATH RAY_AUTH_MODE=token ")
        options = start.make_context("start", shlex.split(started)).params
        assert options["head"] == is_head
        assert (options["num_cpus"] == 0) == is_head
        assert bool(options["address"]) != is_head
        # Only through ssh is the dashboard reached, which starts whatever it is told.
        assert options["dashboard_host"] in ("127.0.0.1", "localhost", None)
        # As tried on two machines: without this, a job there waited for the second one for ever.
        assert ("RAY_enable_autoscaler_v2=0" in settings) == isinstance(machines, OwnMachines)
        # And without this, bash read ~/.bashrc anew for a job, whose `python` was another one then.
        assert "; unset SSH_CLIENT SSH2_CLIENT; " in settings
    assert "~/.ray/auth_token" in found["file_mounts"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "machines"), REQUESTS, ids=IDS)
def test_the_commands_in_its_head_are_accepted(name: str, machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.dashboard.modules.job.cli import submit

    lines = [line[1:].strip() for line in launcher_file(name, machines).splitlines() if line.startswith("#")]
    (line,) = [line for line in lines if "ray job submit" in line]
    submit_words, _, job = line.removeprefix("RAY_AUTH_MODE=token ray job submit ").partition(" -- ")
    assert submit.make_context("submit", [*shlex.split(submit_words), "--", "true"]).params["working_dir"] == "."
    config = accepted(arrives(job), monkeypatch)
    assert (config.results, tuple(config.data)) == (machines.results, machines.data)
    assert config.tracking_uri == machines.tracking_uri
    assert config.models == (["rcn_*"] if "rcn_*" in machines.options else DEFAULT_MODELS)
    assert f"ray up -y cluster/launcher/{name}.yaml" in lines
    ends = [line for line in lines if line.startswith("ray exec ")]
    stops = f"ray exec cluster/launcher/{name}.yaml '{getattr(machines, 'environment', '')}/bin/ray stop'"
    assert ends == ([stops] if name == "local" else [])


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        (Aws, {"results": "/results"}, "lies on the disk of a rented node"),
        (Gcp, {"cpus": 0}, "at least 1 CPU"),
        (OwnMachines, {"cpus": 0}, "at least 1 CPU"),
        (OwnMachines, {"worker_ips": ()}, "at least one machine beside the head"),
        (OwnMachines, {"results": "runs"}, "--results 'runs' is relative"),
        (OwnMachines, {"data": ("casme2=CASME2",)}, "--data 'casme2=CASME2' is relative"),
        (OwnMachines, {"environment": "merbench"}, "--environment 'merbench' is relative"),
    ],
)
def test_what_cannot_work_is_refused_before_it_is_written(
    kind: type[Machines], change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        kind(**change)


def test_the_command_writes_what_it_was_given(tmp_path: Path) -> None:
    given = ["--ssh-user", "me", "--ssh-private-key", "~/.ssh/lab", "--out", str(tmp_path)]
    given += ["--head-ip", "10.1.1.1", "--worker-ips", "10.1.1.2", "--worker-ips", "10.1.1.3"]
    assert main(["launcher", "local", *given, "--", "--models", "rcn_*"]) == 0
    text = (tmp_path / "local.yaml").read_text()
    assert yaml.safe_load(text)["auth"] == {"ssh_user": "me", "ssh_private_key": "~/.ssh/lab"}
    provider = {"type": "local", "head_ip": "10.1.1.1", "worker_ips": ["10.1.1.2", "10.1.1.3"]}
    assert yaml.safe_load(text)["provider"] == provider
    assert "-- python bench/run_all.py --results /shared/runs --tracking-uri off --models" in text
