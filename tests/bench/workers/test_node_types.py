"""Where a cluster's node types are found: the autoscaler's file, KubeRay's RayCluster, what is said by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.workers import node_types
from bench.workers.capacity import Capacity, NodeType, NoRoom
from bench.workers.node_types import capacity_of, configuration_here, wait_for_room, with_growth
from bench.workers.ray_session import Cluster
from preprocess.base.errors import UsageError

HEAD = {"CPU": 0.0, "node:__internal_head__": 1.0}
CONFIGURATION: dict[str, Any] = {
    "max_workers": 4,
    "head_node_type": "head",
    "available_node_types": {
        "head": {"resources": {"CPU": 8}, "max_workers": 0},
        "cpu": {"resources": {"CPU": 16}, "min_workers": 0, "max_workers": 3},
        "gpu": {"resources": {"CPU": 8, "GPU": 2}},
    },
}
SESSION = "session_2026-01-01_00-00-00_000000_1"

MANIFEST = Path(__file__).parents[3] / "cluster" / "kuberay" / "raycluster.yaml"


def test_the_autoscalers_configuration_gives_the_types_and_their_limits() -> None:
    capacity = capacity_of((HEAD,), CONFIGURATION)

    assert capacity.types == (NodeType("cpu", {"CPU": 16}, 3), NodeType("gpu", {"CPU": 8, "GPU": 2}, 4))
    assert (capacity.grown("CPU"), capacity.grown("GPU")) == (3 * 16 + 8, 8), "four nodes at most"


def test_a_head_that_trains_counts_as_it_is() -> None:
    capacity = capacity_of(({**HEAD, "CPU": 6.0},), CONFIGURATION)

    assert capacity.grown("CPU") == 3 * 16 + 8 + 6


def test_a_type_of_which_nobody_says_what_it_has_may_be_anything() -> None:
    """As Ray fills in the configuration of machines that are reached by ssh."""
    own = {"resources": {}, "node_config": {}, "min_workers": 0, "max_workers": 2}
    configuration = {"max_workers": 2, "head_node_type": "local.cluster.node"}

    capacity = capacity_of((HEAD,), {**configuration, "available_node_types": {"local.cluster.node": own}})

    assert (capacity.final, capacity.untold, capacity.types) == (False, True, ())
    assert "--grow-to tells" in capacity.describe()


def test_without_an_autoscaler_nothing_is_promised_and_nothing_is_in_doubt() -> None:
    assert capacity_of(({"CPU": 2},), {}) == Capacity(({"CPU": 2},))
    assert capacity_of(({"CPU": 2},), None).untold


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Path]:
    """Run a process with the command line of Ray's monitor and return the file that it names."""
    words = ["/somewhere/ray/autoscaler/v2/monitor.py", f"--logs-dir=/tmp/x/{SESSION}/logs"]
    process = subprocess.Popen(
        [sys.executable, "-c", "input()", *words, "--autoscaling-config=cluster.yaml"],
        stdin=subprocess.PIPE,
        cwd=tmp_path,
    )
    try:
        yield tmp_path / "cluster.yaml"
    finally:
        process.kill()
        process.wait()


def test_the_file_of_this_rays_monitor_is_read_and_no_other(monitor: Path) -> None:
    monitor.write_text(yaml.safe_dump(CONFIGURATION))

    assert configuration_here(SESSION) == CONFIGURATION
    assert configuration_here("session_of_another_ray") is None

    monitor.unlink()
    assert configuration_here(SESSION) is None


def test_the_head_of_kuberay_reads_its_ray_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.autoscaler._private.kuberay.node_provider import KubernetesHttpApiClient

    namespace = tmp_path / "namespace"
    namespace.write_text("lab\n")
    ray_cluster = yaml.safe_load(MANIFEST.read_text())
    ray_cluster["metadata"]["namespace"] = "lab"
    asked: list[tuple[str, str]] = []

    def get(client: KubernetesHttpApiClient, path: str) -> dict[str, Any]:
        asked.append((client._namespace, path))
        return ray_cluster

    monkeypatch.setattr(KubernetesHttpApiClient, "get", get)
    monkeypatch.setattr(node_types, "_KUBERNETES_NAMESPACE", namespace)
    assert configuration_here(SESSION) is None, "no RAY_CLUSTER_NAME: not KubeRay"
    monkeypatch.setenv("RAY_CLUSTER_NAME", "mer")

    capacity = capacity_of((HEAD,), configuration_here(SESSION))

    assert asked == [("lab", "rayclusters/mer")]
    groups = {group["groupName"]: group["maxReplicas"] for group in ray_cluster["spec"]["workerGroupSpecs"]}
    assert {each.name: each.most for each in capacity.types} == groups
    assert capacity.grown("GPU") == groups["gpu"] > 0
    assert capacity.grown("CPU") >= 8 * sum(groups.values())
    monkeypatch.setitem(ray_cluster["spec"], "enableInTreeAutoscaling", False)
    assert configuration_here(SESSION) == {}


def test_a_kubernetes_that_refuses_leaves_it_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    namespace = tmp_path / "namespace"
    namespace.write_text("lab")
    monkeypatch.setattr(node_types, "_KUBERNETES_NAMESPACE", namespace)
    monkeypatch.setenv("RAY_CLUSTER_NAME", "mer")

    assert configuration_here(SESSION) is None, "no token lies here"


def test_what_is_said_by_hand_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_types, "alive_nodes", lambda: (HEAD,))
    there = Cluster(False, "10.0.0.1:6379", Capacity((HEAD,)))

    grown = with_growth(there, {"CPU": 64.0, "GPU": 8.0})

    assert grown.capacity.describe() == "0 CPUs on 1 node now, can grow to 64 CPUs, 8 GPUs"
    local = Cluster(True, "local", Capacity(({"CPU": 2},), fixed=True))
    assert with_growth(local, {}) is local
    with pytest.raises(UsageError, match="--grow-to is for a cluster"):
        with_growth(local, {"CPU": 64.0})


def test_a_node_that_joins_late_is_waited_for_and_one_that_never_comes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [(HEAD,), (HEAD, {"CPU": 4.0})]
    monkeypatch.setattr(node_types, "alive_nodes", lambda: seen.pop(0) if len(seen) > 1 else seen[0])
    monkeypatch.setattr(node_types.time, "sleep", lambda seconds: None)

    wait_for_room({"flow_svm": {"CPU": 4}})

    with pytest.raises(NoRoom, match=r"never train wide: a worker needs 8 CPUs .* it has: .*a node with 4 CPUs"):
        wait_for_room({"flow_svm": {"CPU": 4}, "wide": {"CPU": 8}}, seconds=0.01)
