"""What Kubernetes reads: as KubeRay's schemas have it, as Ray's autoscaler reads it, and starting what we accept."""

from __future__ import annotations

import copy
import dataclasses
import functools
import os
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from accepted import accepted, arrives
from kube_schema import KubeSchema

from cluster import mlflow_server
from cluster.entrypoint import Benchmark, submitted
from cluster.for_kubernetes import RAY_VERSION, KubeCluster
from cluster.kube_parts import USER_ID
from cluster.manifests import kuberay_files, main
from cluster.spot_nodes import SPOT_CHOICES
from preprocess.base.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "cluster" / "kuberay"

CLUSTERS = {
    "default": KubeCluster(),
    "bucket": KubeCluster(results="s3://bucket/runs?region=eu-west-1", gpus=64),
    "real data": KubeCluster(data=("/data/CASME2", "smic:cropped=/data/SMIC"), storage_class="nfs", cpus=17),
    "no GPU": KubeCluster(gpus=0, options=("--models", "ststnet,rcn_*", "--preset", "smoke")),
    **{f"spot {spot}": KubeCluster(spot=spot) for spot in SPOT_CHOICES},
}


@pytest.fixture(scope="session")
def schemas() -> dict[str, KubeSchema]:
    """KubeRay's schemas by kind."""
    folder = Path(os.environ.get("MERBENCH_TEST_DATA", ROOT.parent / "shared" / "data")) / "kuberay"
    if not folder.is_dir():
        pytest.skip(f"needs KubeRay's schemas at {folder} (or under $MERBENCH_TEST_DATA)")
    return {kind: KubeSchema(folder / f"{kind.lower()}.v1.schema.json") for kind in ("RayJob", "RayCluster")}


def read(files: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Return file name -> objects."""
    return {name: list(yaml.safe_load_all(text)) for name, text in files.items()}


@functools.cache
def written(cluster: KubeCluster) -> list[dict[str, Any]]:
    """Return all objects that are written; tests copy them, for yaml takes a tenth of a second to read them."""
    return [found for objects in read(kuberay_files(cluster)).values() for found in objects]


def of_kind(cluster: KubeCluster, kind: str) -> list[dict[str, Any]]:
    """Return the objects of a kind among all that is written."""
    return copy.deepcopy([found for found in written(cluster) if found["kind"] == kind])


def only(cluster: KubeCluster, kind: str) -> dict[str, Any]:
    """Return the one object of a kind."""
    (found,) = of_kind(cluster, kind)
    return found


def test_what_is_committed_is_what_the_command_writes() -> None:
    assert {file.name: file.read_text() for file in FOLDER.iterdir()} == kuberay_files(KubeCluster())


@pytest.mark.slow
@pytest.mark.parametrize("name", CLUSTERS)
def test_the_schemas_of_kuberay_take_it(name: str, schemas: dict[str, KubeSchema]) -> None:
    cluster = CLUSTERS[name]
    template = ("spec", "headGroupSpec", "template")
    for kind in ("RayJob", "RayCluster"):
        schemas[kind].check(only(cluster, kind))
    # The pods, claims and services of Kubernetes itself stand in these schemas, too.
    parts = schemas["RayCluster"]
    parts.check(only(cluster, "Deployment")["spec"]["template"], *template)
    parts.check(only(cluster, "Service"), "spec", "headGroupSpec", "headService")
    for claim in of_kind(cluster, "PersistentVolumeClaim"):
        claimed = ("spec", "volumes", "[]", "ephemeral", "volumeClaimTemplate", "spec")
        parts.check(claim["spec"], *template, *claimed)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["", "rayClusterSpec", "rayClusterSpec.autoscalerOptions"])
def test_a_misspelt_field_is_refused(path: str, schemas: dict[str, KubeSchema]) -> None:
    job = only(KubeCluster(), "RayJob")
    part = job["spec"]
    for name in filter(None, path.split(".")):
        part = part[name]
    part["idleTimeoutSecond"] = 60
    with pytest.raises(jsonschema.ValidationError, match="idleTimeoutSecond"):
        schemas["RayJob"].check(job)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLUSTERS)
def test_rays_autoscaler_reads_a_head_without_work_and_groups_from_zero(name: str) -> None:
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

    cluster = CLUSTERS[name]
    resource = {**only(cluster, "RayCluster"), "metadata": {"name": "merbench", "namespace": "default"}}
    found = _derive_autoscaling_config_from_ray_cr(
        {**resource, "metadata": {"name": "merbench", "namespace": "default"}}
    )
    types = found["available_node_types"]
    assert types["headgroup"]["resources"]["CPU"] == types["headgroup"]["max_workers"] == 0
    assert {"cpu", "headgroup"} | ({"gpu"} if cluster.gpus else set()) == set(types)
    for group, total, resource_name in (("cpu", cluster.cpus, "CPU"), ("gpu", cluster.gpus, "GPU")):
        if total:
            of_one = types[group]["resources"][resource_name]
            assert types[group]["min_workers"] == 0
            assert total <= types[group]["max_workers"] * of_one < total + of_one
            assert types[group]["idle_timeout_s"] == 120
            assert types[group]["labels"] == {"ray.io/market-type": "on-demand" if cluster.spot == "no" else "spot"}
    assert resource["spec"]["autoscalerOptions"]["version"] == "v2"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CLUSTERS if not name.startswith("spot")])
def test_what_the_job_starts_is_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = CLUSTERS[name]
    config = accepted(arrives(only(cluster, "RayJob")["spec"]["entrypoint"]), monkeypatch)
    assert (config.results, tuple(config.data)) == (cluster.results, cluster.data)
    service = only(cluster, "Service")
    assert config.tracking_uri == f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    if "--models" in cluster.options:
        assert config.models == ["ststnet", "rcn_*"]


def test_patterns_reach_the_program_as_they_are() -> None:
    # The current folder has files that match.
    words = [
        "merbench",
        "run",
        "--models",
        "*",
        "--set",
        "ststnet.lr=1e-4",
        "--datasets",
        "[a-z]*,s?mm",
        "--data",
        "/my data",
    ]
    assert arrives(submitted(words)) == words


@pytest.mark.slow
@pytest.mark.parametrize("word", ["two *", "it's", 'a"b', "$HOME", "`id`", "a;b", "a\\b", "a|b", "", "*;"])
def test_what_a_shell_takes_for_its_own_reaches_the_program_as_it_is(word: str) -> None:
    assert arrives(submitted(["merbench", "run", word])) == ["merbench", "run", word]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"results": "runs"}, "lies on no volume"),
        ({"results": "/resultsx/runs"}, "lies on no volume"),
        ({"data": ("/shared/CASME2",)}, "claim merbench-data is mounted"),
        ({"data": ("casme2=/home/me/CASME2",)}, "lies on no volume"),
        ({"gpus": -1}, "at least 1 CPU and 0 GPUs"),
        ({"spot": "azure"}, "expected one of any, no, gke"),
    ],
)
def test_what_cannot_work_is_refused_before_it_is_written(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        KubeCluster(**change)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLUSTERS)
def test_pods_mount_what_is_claimed_and_run_as_the_user_of_the_image(name: str) -> None:
    cluster = CLUSTERS[name]
    claims = {claim["metadata"]["name"]: claim["spec"] for claim in of_kind(cluster, "PersistentVolumeClaim")}
    spec = only(cluster, "RayCluster")["spec"]
    pods = [group["template"]["spec"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]
    mlflow = only(cluster, "Deployment")["spec"]["template"]["spec"]
    for pod in (*pods, mlflow):
        used = [volume["persistentVolumeClaim"]["claimName"] for volume in pod.get("volumes", [])]
        assert set(used) <= set(claims)
        assert pod["securityContext"]["runAsUser"] == USER_ID
    # Many nodes write results at once.
    assert all(claims[name]["accessModes"] == ["ReadWriteMany"] for name in claims if name != "merbench-mlflow")
    mounts = {mount["mountPath"]: mount["readOnly"] for mount in pods[0]["containers"][0].get("volumeMounts", [])}
    assert mounts.get("/data", True)
    assert ("/data" in mounts, "/results" in mounts) == (bool(cluster.data), "://" not in cluster.results)


def test_only_workers_go_to_nodes_that_may_be_taken_away() -> None:
    spec = only(KubeCluster(spot="gke"), "RayCluster")["spec"]
    assert "nodeSelector" not in spec["headGroupSpec"]["template"]["spec"]
    for group in spec["workerGroupSpecs"]:
        pod = group["template"]["spec"]
        assert pod["nodeSelector"] == {"cloud.google.com/gke-spot": "true"}
        assert {
            "key": "cloud.google.com/gke-spot",
            "operator": "Equal",
            "value": "true",
            "effect": "NoSchedule",
        } in pod["tolerations"]


def test_the_mlflow_server_starts_as_its_command_line_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deployment, service = only(KubeCluster(), "Deployment"), only(KubeCluster(), "Service")
    assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    command = deployment["spec"]["template"]["spec"]["containers"][0]["command"]
    assert command[:3] == ["python", "-m", "cluster.mlflow_server"]
    started: list[list[str]] = []
    monkeypatch.setattr(mlflow_server.os, "execve", lambda program, words, environment: started.append(words))
    mlflow_server.main([str(tmp_path) if word == "/mlflow" else word for word in command[3:]])
    (words,) = started
    hosts = words[words.index("--allowed-hosts") + 1].split(",")
    assert service["metadata"]["name"] in hosts
    assert words[words.index("--host") + 1] == "0.0.0.0"


def test_the_ray_that_is_told_is_the_one_that_is_installed() -> None:
    assert RAY_VERSION.split(".")[:2] == version("ray").split(".")[:2]


def test_the_command_writes_what_it_was_given(tmp_path: Path) -> None:
    given = [
        "--image",
        "me/mb:1",
        "--gpus",
        "64",
        "--results",
        "s3://b/runs",
        "--data",
        "/data",
        "--out",
        str(tmp_path),
    ]
    assert main(["kuberay", *given, "--", "--config", "/data/sweep.yaml"]) == 0
    (job,) = yaml.safe_load_all((tmp_path / "rayjob.yaml").read_text())
    spec = job["spec"]["rayClusterSpec"]
    assert spec["workerGroupSpecs"][1]["maxReplicas"] == 64
    assert spec["headGroupSpec"]["template"]["spec"]["containers"][0]["image"] == "me/mb:1"
    assert job["spec"]["entrypoint"].startswith("merbench run --data /data --results s3://b/runs ")
    assert job["spec"]["entrypoint"].endswith(" --config /data/sweep.yaml")


def test_a_mistake_is_told_in_a_line_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kuberay", "--results", "runs", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("error: --results 'runs' lies on no volume.")
    assert not (tmp_path / "out").exists()


def test_a_password_is_no_part_of_a_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kuberay", "--results", "s3://me:secret@bucket/runs", "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: --results s3://***@bucket/runs: ")
    assert "AWS_SECRET_ACCESS_KEY" in told
    assert "me:secret" not in told
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match=r"--tracking-uri https://\*\*\*@mlflow: "):
        Benchmark("s3://bucket/runs", tracking_uri="https://me:secret@mlflow")


def test_each_option_has_a_line_of_help() -> None:
    documented = {field.name for field in dataclasses.fields(KubeCluster)}
    assert documented <= set(re.findall(r"^ *(\w+) : ", KubeCluster.__doc__ or "", re.MULTILINE))
